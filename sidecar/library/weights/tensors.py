"""Reads tensors of a .safetensors file with numpy alone, one at a time; nothing is mapped into memory, since a file
that is cut off or a drive that goes away would then end the process instead of raising.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from sidecar.library.header import BrokenHeader, Header, read_header

Array = npt.NDArray[Any]

_PLAIN = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1", "BOOL": "<u1",
}  # fmt: skip


class BrokenTensor(Exception):
    """A tensor cannot be read as its header describes it; the message says why, in a person's words."""


class Tensors:
    """An open file's tensors by name. A context manager."""

    def __init__(self, path: str) -> None:
        """Open a file and check its header.

        Raises:
            BrokenHeader: it is no .safetensors file, or one that is cut off.
            OSError: it cannot be read.
        """
        self.header: Header = read_header(path)
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed by __exit__)
        try:
            self._file.seek(8)
            content = orjson.loads(self._file.read(self.header.size - 8))
            self._places = {name: tuple(content[name]["data_offsets"]) for name in self.header.tensors}
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            self._file.close()
            raise BrokenHeader("The file changed while it was read.") from error

    def __enter__(self) -> Tensors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, name: str) -> Array:
        """One tensor as float32 (float64 where the file has that).

        Raises:
            BrokenTensor: unknown dtype, size and shape contradict each other, or the file ends before it.
            OSError: the file cannot be read.
        """
        dtype, shape = self.header.tensors[name]
        begin, end = self._places[name]
        decode, width = _decoder(dtype)
        if end - begin != width * math.prod(shape):
            raise BrokenTensor(
                f"The tensor {name[:80]!r} has another size than its shape {list(shape)} takes."
            )
        buffer = bytearray(end - begin)
        view, done = memoryview(buffer), 0
        self._file.seek(self.header.size + begin)
        while done < len(buffer):
            count = self._file.readinto(view[done:])
            if not count:
                raise BrokenTensor(f"The file ends in the middle of the tensor {name[:80]!r}.")
            done += count
        return decode(buffer).reshape(shape)


def _decoder(dtype: str) -> tuple[Callable[[bytearray], Array], int]:
    """How to read a dtype, and how many bytes a value has."""
    if dtype in _PLAIN:
        source = np.dtype(_PLAIN[dtype])
        wanted = np.float64 if dtype == "F64" else np.float32
        return lambda buffer: np.frombuffer(buffer, source).astype(wanted, copy=False), source.itemsize
    if dtype == "BF16":
        return _from_bf16, 2
    if dtype in ("F8_E4M3", "F8_E5M2"):
        return lambda buffer: _f8_values(dtype)[np.frombuffer(buffer, np.uint8)], 1
    raise BrokenTensor(f"Its number format {dtype[:20]!r} is not known here.")


def _from_bf16(buffer: bytearray) -> Array:
    """bfloat16 is the upper half of float32."""
    wide = np.frombuffer(buffer, "<u2").astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


@lru_cache(maxsize=2)
def _f8_values(dtype: str) -> Array:
    """The 256 values of an 8-bit float (https://arxiv.org/abs/2209.05433): E4M3 has no infinity and a bias of 7; E5M2 is
    the upper half of float16."""
    codes = np.arange(256, dtype=np.uint16)
    if dtype == "F8_E5M2":
        return (codes << 8).view(np.float16).astype(np.float32)
    exponent, mantissa = (codes >> 3) & 15, (codes & 7).astype(np.float64)
    values = np.where(
        exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * np.exp2(exponent.astype(np.float64) - 7)
    )
    values[(codes & 0x7F) == 0x7F] = np.nan
    return np.where(codes & 0x80, -values, values).astype(np.float32)


def round_to(values: Array, dtype: str) -> Array:
    """Values as they are after they were saved as `dtype` and read again."""
    if dtype in ("F8_E4M3", "F8_E5M2"):
        known = _f8_values(dtype)
        steps = np.unique(known[np.isfinite(known)])
        middles = (steps[1:] + steps[:-1]) / 2
        nearest: Array = steps[np.searchsorted(middles, values)]
        return nearest
    if dtype == "BF16":
        bits = values.astype(np.float32).view(np.uint32)
        even = (bits >> 16) & 1  # ties go to the even one
        rounded: Array = ((bits + 0x7FFF + even) & np.uint32(0xFFFF0000)).view(np.float32)
        return rounded
    with np.errstate(over="ignore"):
        return values.astype(_PLAIN[dtype]).astype(np.float32)
