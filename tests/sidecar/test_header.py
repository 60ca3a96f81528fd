"""Reading headers: what is right is read, what is wrong is named."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from lora_files import header_bytes, make_lora

from sidecar.library.header import BrokenHeader, read_header

TENSOR = {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}


def test_reads_metadata_and_shapes_without_the_tensors(tmp_path: Path) -> None:
    header = read_header(str(make_lora(tmp_path / "a.safetensors", ss_output_name="a", modelspec__title="A")))
    assert header.metadata == {"ss_output_name": "a", "modelspec.title": "A"}
    assert sorted(shape for _, shape in header.tensors.values()) == [(1, 768), (768, 1)]


def test_a_header_with_spaces_and_escapes_is_read(tmp_path: Path) -> None:
    blob = json.dumps({"__metadata__": {"a": "é"}, "t": TENSOR}, indent=1).encode() + b"   "
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(blob)) + blob + b"1234")
    assert read_header(str(path)).metadata == {"a": "é"}


def test_a_header_longer_than_the_first_read_is_read(tmp_path: Path) -> None:
    path = make_lora(tmp_path / "a.safetensors", long="x" * 300_000)
    assert len(read_header(str(path)).metadata["long"]) == 300_000


BROKEN = {
    "empty": (b"", "empty"),
    "seven bytes": (b"1234567", "too few"),
    "zero-filled": (bytes(4096), "starts with zeros"),
    "2^63 length": (struct.pack("<Q", 2**63) + b"{}", "never valid"),
    "20 GB length": (struct.pack("<Q", 20 * 2**30) + b"{}", "never valid"),
    "longer than the file": (struct.pack("<Q", 500) + b"{}", "cut off"),
    "no JSON": (struct.pack("<Q", 4) + b"abcd", "not JSON"),
    "zeros for JSON": (struct.pack("<Q", 64) + bytes(64), "filled with zeros"),
    "a list": (struct.pack("<Q", 2) + b"[]", "not a JSON object"),
    "nested too deep": (struct.pack("<Q", 40_000) + b'{"a":' * 8_000, "not JSON"),
    "deep and closed": (struct.pack("<Q", 60_000) + b'{"a":' * 10_000 + b"1" * 0 + b"}" * 10_000, "not JSON"),
    "duplicate keys": (struct.pack("<Q", 16) + b'{"t":1, "t": 2} ', "twice"),
    "metadata a list": (header_bytes({"__metadata__": [1]}), "__metadata__"),
    "entry of a wrong type": (header_bytes({"t": 5}), "describes no tensor"),
    "offsets backwards": (header_bytes({"t": {**TENSOR, "data_offsets": [4, 0]}}), "impossible offsets"),
    "offsets negative": (header_bytes({"t": {**TENSOR, "data_offsets": [-4, 4]}}), "impossible offsets"),
    "shape negative": (header_bytes({"t": {**TENSOR, "shape": [-1, -1]}}), "impossible shape"),
    "shape of fractions": (header_bytes({"t": {**TENSOR, "shape": [2, 3.0]}}), "no tensor"),
    "shape of texts": (header_bytes({"t": {**TENSOR, "shape": ["a", 10**18]}}), "no tensor"),
    "shape nested": (header_bytes({"t": {**TENSOR, "shape": [[2]]}}), "no tensor"),
    "offsets of fractions": (header_bytes({"t": {**TENSOR, "data_offsets": [0.0, 4.0]}}), "no tensor"),
    "no number format": (header_bytes({"t": {**TENSOR, "dtype": None}}), "no tensor"),
    "truncated tensors": (header_bytes({"t": TENSOR}) + b"12", "cut off"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_header_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    content, reason = BROKEN[name]
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(BrokenHeader, match=reason):
        read_header(str(path))


def test_duplicate_keys_in_metadata_are_refused(tmp_path: Path) -> None:
    blob = b'{"__metadata__":{"a":"1","a":"2"}}'
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(blob)) + blob)
    with pytest.raises(BrokenHeader, match="'a' twice"):
        read_header(str(path))
