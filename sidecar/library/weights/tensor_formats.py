"""Number formats of weights, finest first, as .safetensors files name them."""

FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
