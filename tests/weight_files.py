"""Makes LoRA files with weights in them: the same ones in several dialects, number formats, orders and ranks."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

Array = npt.NDArray[Any]

# diffusers' name of a layer, (out, in)
LAYERS = {
    f"unet.{place}.transformer_blocks.0.{layer}": shape
    for place in ("down_blocks.1.attentions.0", "mid_block.attentions.0", "up_blocks.1.attentions.2")
    for layer, shape in (
        ("attn1.to_q", (64, 64)),
        ("attn1.to_out.0", (64, 64)),
        ("attn2.to_k", (64, 96)),
        ("ff.net.0.proj", (128, 64)),
    )
} | {f"text_encoder.text_model.encoder.layers.{number}.mlp.fc1": (96, 48) for number in (0, 5)}
_ITEM = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8"}


@dataclass(frozen=True)
class Pair:
    """One layer's ΔW = (alpha / rank) · up · down."""

    up: Array
    down: Array
    alpha: float

    @property
    def rank(self) -> int:
        return int(self.down.shape[0])

    def delta(self) -> Array:
        return self.alpha / self.rank * self.up @ self.down.reshape(self.rank, -1)


Lora = dict[str, Pair]


def make_weights(
    seed: int, rank: int = 32, alpha: float = 16, layers: dict[str, tuple[int, int]] = LAYERS
) -> Lora:
    """Layers whose singular values fall as those of trained ones do."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, (out, inner) in layers.items():
        left, _ = np.linalg.qr(rng.normal(size=(out, rank)))
        right, _ = np.linalg.qr(rng.normal(size=(inner, rank)))
        values = 0.3 / np.arange(1, rank + 1) ** 0.7
        mix, _ = np.linalg.qr(rng.normal(size=(rank, rank)))  # training leaves no order in the factors
        made[name] = Pair(left * values @ mix.T, mix @ right.T, alpha)
    return made


def with_noise(lora: Lora, part: float, seed: int = 99) -> Lora:
    """Weights some steps of training later: each factor moved by `part` of its size."""
    rng = np.random.default_rng(seed)

    def moved(values: Array) -> Array:
        return values + part * values.std() * rng.normal(size=values.shape)

    return {name: replace(pair, up=moved(pair.up), down=moved(pair.down)) for name, pair in lora.items()}


def resized(lora: Lora, rank: int) -> Lora:
    """As kohya's networks/resize_lora.py does it: SVD of up·down, the first `rank` kept, the scale kept."""
    made = {}
    for name, pair in lora.items():
        left, values, right = np.linalg.svd(pair.up @ pair.down, full_matrices=False)
        scale = pair.alpha / pair.rank
        made[name] = Pair(left[:, :rank] * values[:rank], right[:rank], scale * rank)
    return made


def scaled(lora: Lora, factor: float) -> Lora:
    """The same direction with another strength."""
    return {name: replace(pair, up=pair.up * factor) for name, pair in lora.items()}


def kohya(lora: Lora) -> dict[str, Array]:
    """Tensors under the names of kohya's sd-scripts."""
    tensors: dict[str, Array] = {}
    for name, pair in lora.items():
        prefix, _, path = name.partition(".")
        flat = f"{'lora_unet' if prefix == 'unet' else 'lora_te'}_{path.replace('.', '_')}"
        tensors[f"{flat}.alpha"] = np.array(pair.alpha)
        tensors[f"{flat}.lora_down.weight"] = pair.down
        tensors[f"{flat}.lora_up.weight"] = pair.up
    return tensors


def diffusers(lora: Lora) -> dict[str, Array]:
    """Tensors under the names of diffusers with PEFT, where alpha is part of the weights."""
    tensors: dict[str, Array] = {}
    for name, pair in lora.items():
        tensors[f"{name}.lora_A.weight"] = pair.down
        tensors[f"{name}.lora_B.weight"] = pair.up * (pair.alpha / pair.rank)
    return tensors


def save_tensors(
    path: Path,
    tensors: dict[str, Array],
    dtype: str = "F32",
    order: Iterable[str] | None = None,
    dtypes: dict[str, str] | None = None,
    **metadata: str,
) -> Path:
    """Write a .safetensors file; `order` is that of the tensors in it, `dtypes` are exceptions from `dtype`."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    body = b""
    for name in order or tensors:
        kind = (dtypes or {}).get(name, dtype)
        blob = encode(np.asarray(tensors[name]), kind)
        header[name] = {
            "dtype": kind,
            "shape": list(np.shape(tensors[name])),
            "data_offsets": [len(body), len(body) + len(blob)],
        }
        body += blob
    blob = orjson.dumps(header)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(blob)) + blob + body)
    return path


def encode(values: Array, dtype: str) -> bytes:
    """Bytes of an array in a number format of safetensors, rounded to the nearest."""
    if dtype in _ITEM:
        return values.astype(_ITEM[dtype]).tobytes()
    if dtype == "BF16":
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()
    steps = np.array([float8(code, dtype) for code in range(256)])
    finite = np.flatnonzero(np.isfinite(steps))
    nearest = np.abs(values.reshape(-1, 1) - steps[finite]).argmin(axis=1)
    return finite[nearest].astype(np.uint8).tobytes()


def float8(code: int, dtype: str) -> float:
    """One value of an 8-bit float, from the text of its definition (FP8 Formats for Deep Learning, table 1)."""
    bits, bias = (3, 7) if dtype == "F8_E4M3" else (2, 15)
    sign = -1.0 if code & 0x80 else 1.0
    exponent, mantissa = (code & 0x7F) >> bits, code & ((1 << bits) - 1)
    if dtype == "F8_E4M3" and code & 0x7F == 0x7F:
        return float("nan")
    if dtype == "F8_E5M2" and exponent == 31:
        return sign * float("inf") if mantissa == 0 else float("nan")
    if exponent == 0:
        return sign * mantissa / (1 << bits) * 2.0 ** (1 - bias)
    return float(sign * (1 + mantissa / (1 << bits)) * 2.0 ** (exponent - bias))
