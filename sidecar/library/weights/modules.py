"""Which tensors of a file make up which layer's change, and of what shape it is; from the header alone, no numpy.

Names of tensors: kohya's sd-scripts (lora_down, lora_up), PEFT and diffusers (lora_A, lora.down, _lora.down), LyCORIS
(hada_…, lokr_…, diff, dora_scale, lora_mid, oft_…, on_input; lycoris/modules/*.py), GLoRA (a1, a2, b1, b2).
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from functools import lru_cache

from sidecar.library.header import Header
from sidecar.library.weights.names import layer_name

_ROLE = re.compile(
    r"(?P<path>.+?)(?:"
    r"\.lora_(?P<kohya>down|up|mid)(?:\.weight)?"
    r"|\.lora_(?P<peft>[AB])(?:\.(?!weight$|bias$)[\w-]+)?(?:\.weight)?"
    r"|(?:\.lora|_lora(?P<which>\d?)|\.lora_linear_layer)\.(?P<diffusers>down|up)\.weight"
    r"|\.(?P<magnitude>lora_magnitude_vector)(?:\.[\w.-]+)?"
    r"|\.(?P<bias>diff_b|b_norm|lora_B\.bias|lora_up\.bias)"
    r"|\.(?P<full>diff|w_norm)"
    r"|\.(?P<glora>[ab][12])\.weight"
    r"|\.(?P<plain>alpha|dora_scale|set_weight|on_input|oft_blocks|oft_diag|hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t2))"
    r")"
)
_SAME_ROLE = {"A": "down", "B": "up"}


@dataclass(frozen=True)
class Module:
    """One layer's change ΔW, an (out × in) matrix; a convolution's `in` counts its kernel too.

    `kind` is lora, loha, lokr, full, or the name of one whose ΔW cannot be told from the file alone (glora, oft, ia3,
    set, broken). `tensors` maps a role (down, up, mid, alpha, hada_w1_a, …) to the tensor's name. `rank` is 0 where
    there is none.
    """

    name: str
    kind: str
    tensors: dict[str, str]
    out: int = 0
    inner: int = 0
    rank: int = 0

    @property
    def measurable(self) -> bool:
        """Whether ΔW is in the file."""
        return self.kind in ("lora", "loha", "lokr", "full")


@lru_cache(maxsize=16_384)
def split_tensor_name(name: str) -> tuple[str, str] | None:
    """(layer, role) of a tensor, or None when it is none of a network's."""
    found = _ROLE.fullmatch(name)
    if found is None:
        return None
    layer = layer_name(found["path"]) + (found["which"] or "")
    if found["bias"]:
        return f"{layer}/bias", "diff"
    if found["full"]:
        return layer, "diff"
    if found["magnitude"]:
        return layer, "dora_scale"
    role = found["kohya"] or found["peft"] or found["diffusers"] or found["glora"] or found["plain"]
    return layer, _SAME_ROLE.get(role, role)


def find_modules(header: Header) -> tuple[list[Module], list[str]]:
    """The modules of a file sorted by name, and the tensors that belong to none."""
    layers: dict[str, dict[str, str]] = {}
    others = []
    for tensor in header.tensors:
        split = split_tensor_name(tensor)
        if split is None:
            others.append(tensor)
            continue
        layer, role = split
        while role in layers.setdefault(layer, {}):
            layer += "+"  # two spellings of one layer in one file: both count
        layers[layer][role] = tensor
    return [_module(header, layer, layers[layer]) for layer in sorted(layers)], others


def signature(modules: list[Module]) -> str:
    """What two files must share to be compared: the same layers of the same shapes, whatever their ranks and order."""
    lines = "\n".join(f"{one.name} {one.out} {one.inner}" for one in modules if one.measurable)
    return hashlib.sha256(lines.encode()).hexdigest()[:32]


def _module(header: Header, name: str, tensors: dict[str, str]) -> Module:
    shapes = {role: header.tensors[tensor][1] for role, tensor in tensors.items()}
    kind = _kind(shapes)
    try:
        out, inner, rank = _SHAPES[kind](shapes) if kind in _SHAPES else (0, 0, 0)
    except (KeyError, IndexError, ValueError, TypeError):
        return Module(name, "broken", tensors)
    return Module(name, kind, tensors, out, inner, rank)


def _kind(shapes: dict[str, tuple[int, ...]]) -> str:
    if "down" in shapes or "up" in shapes:
        return "lora"
    if any(role.startswith("hada_") for role in shapes):
        return "loha"
    if any(role.startswith("lokr_") for role in shapes):
        return "lokr"
    if "diff" in shapes:
        return "full"
    for role, kind in (("a1", "glora"), ("b1", "glora"), ("on_input", "ia3"), ("set_weight", "set")):
        if role in shapes:
            return kind
    return "oft" if "oft_blocks" in shapes or "oft_diag" in shapes else "broken"


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError("these shapes do not fit each other")


def _lora(shapes: dict[str, tuple[int, ...]]) -> tuple[int, int, int]:
    up, down = shapes["up"], shapes["down"]
    _require(len(up) > 1 and len(down) > 1)
    if "mid" in shapes:
        mid = shapes["mid"]
        _require(math.prod(up[1:]) == mid[0] and mid[1] == down[0] and math.prod(down[2:]) == 1)
        return up[0], math.prod(down[1:]) * math.prod(mid[2:]), mid[0]
    _require(math.prod(up[1:]) == down[0])
    return up[0], math.prod(down[1:]), down[0]


def _loha(shapes: dict[str, tuple[int, ...]]) -> tuple[int, int, int]:
    found = []
    for half in "12":
        a, b, t = shapes[f"hada_w{half}_a"], shapes[f"hada_w{half}_b"], shapes.get(f"hada_t{half}")
        _require(len(a) == 2 and len(b) >= 2)
        if t is not None:
            _require(t[0] == a[0] and t[1] == b[0])
            found.append((a[1], math.prod(b[1:]) * math.prod(t[2:]), b[0]))
        else:
            _require(a[1] == b[0])
            found.append((a[0], math.prod(b[1:]), b[0]))
    _require(found[0][:2] == found[1][:2])
    return found[0]


def _lokr(shapes: dict[str, tuple[int, ...]]) -> tuple[int, int, int]:
    rank = 0
    sides = []
    for half in "12":
        whole = shapes.get(f"lokr_w{half}")
        if whole is not None:
            _require(len(whole) >= 2)
            sides.append((whole[0], math.prod(whole[1:])))
            continue
        a, b = shapes[f"lokr_w{half}_a"], shapes[f"lokr_w{half}_b"]
        _require(len(a) == 2 and len(b) >= 2)
        t = shapes.get(f"lokr_t{half}")
        rank = b[0]
        if t is not None:
            _require(t[0] == a[0] and t[1] == b[0])
            sides.append((a[1], math.prod(b[1:]) * math.prod(t[2:])))
        else:
            _require(a[1] == b[0])
            sides.append((a[0], math.prod(b[1:])))
    return sides[0][0] * sides[1][0], sides[0][1] * sides[1][1], rank


def _full(shapes: dict[str, tuple[int, ...]]) -> tuple[int, int, int]:
    shape = shapes["diff"]
    _require(len(shape) > 0)
    return shape[0], math.prod(shape[1:]), 0


_SHAPES = {"lora": _lora, "loha": _loha, "lokr": _lokr, "full": _full}
