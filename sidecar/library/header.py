"""The header of a .safetensors file, read without its tensors: 8-byte little-endian length, then JSON.

Format: https://github.com/huggingface/safetensors#format. The cap of 100 MB is the one that its reference reader has.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass, field
from typing import Any

import orjson

MAX_HEADER = 100_000_000
MAX_TENSOR_NAMES = 200_000
FIRST_READ = 64 * 1024
READ_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class BrokenHeader(Exception):
    """The file is no .safetensors file; the message says what is wrong with it, in a person's words."""


@dataclass(frozen=True)
class Header:
    """A header's content.

    `tensors` maps a tensor's name to (dtype, shape); `metadata` is `__metadata__`, strings to strings;
    `size` is the number of bytes before the first tensor byte, length field included.
    """

    size: int
    tensors: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


def read_header(path: str) -> Header:
    """Read and check one file's header.

    Raises:
        BrokenHeader: truncated, empty, zero-filled, oversized, no JSON, duplicate keys, or tensors past the file's end.
        OSError: the file cannot be read.
    """
    handle = os.open(
        path, READ_FLAGS
    )  # bare calls: this runs once a file, and a buffered file object costs as much
    try:
        blob = os.read(handle, FIRST_READ)
        file_size = len(blob) if len(blob) < FIRST_READ else os.fstat(handle).st_size
        length = _checked_length(blob[:8], file_size)
        blob = blob[8 : 8 + length]
        while len(blob) < length:
            more = os.read(handle, length - len(blob))
            if not more:
                raise BrokenHeader(
                    f"The file ends after {8 + len(blob):,} bytes, in the middle of its header."
                )
            blob += more
    finally:
        os.close(handle)
    return parse_header(blob, file_size)


def _checked_length(prefix: bytes, file_size: int) -> int:
    if file_size == 0:
        raise BrokenHeader("The file is empty.")
    if len(prefix) < 8:
        raise BrokenHeader(f"The file has only {file_size} bytes, too few for a .safetensors file.")
    length: int = struct.unpack("<Q", prefix)[0]
    if length == 0:
        raise BrokenHeader("The file starts with zeros: the download was probably cut off.")
    if length > MAX_HEADER:
        raise BrokenHeader(f"The header claims {length:,} bytes; more than {MAX_HEADER:,} is never valid.")
    if length > file_size - 8:
        raise BrokenHeader(f"The header claims {length:,} bytes, the file has {file_size:,}: it is cut off.")
    return length


def parse_header(blob: bytes, file_size: int) -> Header:
    """Turn the header's JSON into a `Header`, checked against the file's size.

    Raises:
        BrokenHeader: as `read_header`.
    """
    try:
        content = orjson.loads(blob)
    except orjson.JSONDecodeError as error:
        if not blob.strip(b"\0"):
            raise BrokenHeader(
                "The header is filled with zeros: the download was probably cut off."
            ) from None
        raise BrokenHeader(f"The header is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise BrokenHeader("The header is not a JSON object.")
    # A compact writer's bytes come back at the same length; only others pay for the slow look at every key.
    if len(orjson.dumps(content)) != len(blob.rstrip(b" ")):
        _refuse_duplicate_keys(blob)
    metadata = content.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        raise BrokenHeader("The header's __metadata__ is not an object.")
    if set(map(type, metadata.values())) - {str}:
        metadata = {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()
        }
    if len(content) > MAX_TENSOR_NAMES:
        raise BrokenHeader(f"The header lists {len(content):,} tensors; no LoRA has so many.")
    start = 8 + len(blob)
    return Header(
        size=start,
        tensors=_checked_tensors(content, file_size - start),
        metadata=metadata,
    )


def _refuse_duplicate_keys(blob: bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise BrokenHeader(f"The header names {twice[:80]!r} twice.")
        return found

    try:
        json.loads(blob, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise BrokenHeader(f"The header is not JSON: {error}.") from error


def _checked_tensors(content: dict[str, Any], body_size: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
    shapes: dict[tuple[int, ...], tuple[int, ...]] = {}  # those that were checked; a file has few
    for name, entry in content.items():
        try:
            begin, end = entry["data_offsets"]
            shape = tuple(entry["shape"])
            dtype = entry["dtype"]
            known = shapes.get(shape)
            if known is None:
                if not all(type(size) is int for size in shape):
                    raise TypeError
                if min(shape, default=0) < 0:
                    raise BrokenHeader(f"The tensor {name[:80]!r} has an impossible shape.")
                known = shapes[shape] = shape
            if type(begin) is not int or type(end) is not int or type(dtype) is not str:
                raise TypeError
            if begin < 0 or end < begin:
                raise BrokenHeader(f"The tensor {name[:80]!r} has impossible offsets.")
            tensors[name] = (dtype, known)
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenHeader(f"The header's entry {name[:80]!r} describes no tensor.") from error
        if end > body_size:
            raise BrokenHeader(
                f"The file is cut off: the tensor {name[:80]!r} ends at byte {end:,} of {max(body_size, 0):,}."
            )
    return tensors
