"""Hashes against published vectors and other people's programs, at the borders of every definition."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lora_files import header_bytes, make_lora
from starlette.testclient import TestClient
from waiting import wait_until

from sidecar.library import hashing
from sidecar.library.hashing import hash_file
from sidecar.state import State

MIB = 1024 * 1024

# (content, SHA256 of FIPS 180-4's examples, BLAKE3 of its reference, CRC32 as zip and Ethernet have it)
PUBLISHED = {
    "empty": (
        b"",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        "00000000",
    ),
    "abc": (
        b"abc",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
        "352441c2",
    ),
    "check value of CRCs": (
        b"123456789",
        "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
        "b7d65b48420d1033cb2595293263b6f72eabee20d55e699d0df1973b3c9deed1",
        "cbf43926",
    ),
}
# https://github.com/BLAKE3-team/BLAKE3/blob/master/test_vectors/test_vectors.json: bytes 0 to 250, over and over.
BLAKE3_VECTORS = {
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
    1025: "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
    102400: "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
}


def pattern(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def crc32_by_the_book(content: bytes) -> str:
    """CRC-32/ISO-HDLC bit by bit, after its definition."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xEDB88320 if crc & 1 else 0)
    return f"{crc ^ 0xFFFFFFFF:08x}"


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_vectors(tmp_path: Path, name: str) -> None:
    content, sha256, blake3, crc32 = PUBLISHED[name]
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    hashes = hash_file(str(path))
    assert (hashes.sha256, hashes.body, hashes.blake3, hashes.crc32) == (sha256, sha256, blake3, crc32)
    assert hashes.autov1 is None


@pytest.mark.parametrize("size", BLAKE3_VECTORS)
def test_blake3s_own_vectors(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(pattern(size))
    assert hash_file(str(path)).blake3 == BLAKE3_VECTORS[size]


def test_crc32_is_the_one_of_the_definition_across_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "CHUNK", 1_000)
    path = tmp_path / "a.pt"
    path.write_bytes(pattern(4_321))
    assert hash_file(str(path)).crc32 == crc32_by_the_book(pattern(4_321))


@pytest.mark.parametrize("size", [2 * MIB - 1, 2 * MIB, 2 * MIB + 1, hashing.CHUNK, 2 * hashing.CHUNK + 1])
def test_hashes_are_those_of_coreutils_at_every_border(tmp_path: Path, size: int) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("coreutils' sha256sum is not here to compare with")
    path = tmp_path / "a.pt"
    path.write_bytes(pattern(size))

    def sha256sum(content: bytes) -> str:
        return subprocess.run(["sha256sum"], input=content, capture_output=True, check=True).stdout.decode()[
            :64
        ]

    hashes = hash_file(str(path))
    assert hashes.sha256 == hashes.body == sha256sum(path.read_bytes())
    window = sha256sum(path.read_bytes()[0x100000:0x110000])[:8]
    assert hashes.autov1 == (window if size >= 2 * MIB else None)


@pytest.mark.parametrize(
    ("position", "seen"),
    [
        (0x0FFFFF, False),
        (0x100000, True),
        (0x10FFFF, True),
        (0x110000, False),
        (0, False),
        (2 * MIB - 1, False),
    ],
)
def test_autov1_sees_its_window_and_nothing_else(tmp_path: Path, position: int, seen: bool) -> None:
    path = tmp_path / "a.pt"
    content = bytearray(pattern(2 * MIB))
    path.write_bytes(content)
    before = hash_file(str(path))
    content[position] ^= 1
    path.write_bytes(content)
    after = hash_file(str(path))
    assert (before.autov1 != after.autov1) is seen
    assert before.sha256 != after.sha256 and before.blake3 != after.blake3 and before.crc32 != after.crc32


def test_a_header_larger_than_a_chunk_is_left_out_of_the_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = pattern(5_000)
    path = tmp_path / "a.safetensors"
    header = {
        "__metadata__": {"note": "x" * 3_000},
        "t": {"dtype": "U8", "shape": [5_000], "data_offsets": [0, 5_000]},
    }
    path.write_bytes(header_bytes(header) + body)
    start = len(header_bytes(header))
    for chunk in (1, 7, start - 1, start, start + 1, 100_000):
        monkeypatch.setattr(hashing, "CHUNK", chunk)
        hashes = hash_file(str(path))
        assert hashes.body == hashlib.sha256(body).hexdigest()
        assert hashes.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_edit_of_the_header_keeps_the_body_hash_and_no_other(tmp_path: Path) -> None:
    body = b"w" * 3072
    before = hash_file(str(make_lora(tmp_path / "a.safetensors", body=body)))
    after = hash_file(str(make_lora(tmp_path / "b.safetensors", body=body, modelspec__title="Edited")))
    assert before.body == after.body == hashlib.sha256(body).hexdigest()
    assert before.sha256 != after.sha256 and before.blake3 != after.blake3 and before.crc32 != after.crc32


@pytest.mark.parametrize("length", [0, 2**63, 100_000_001, 40])
def test_an_impossible_header_leaves_the_whole_file_as_body(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"x" * 30)
    hashes = hash_file(str(path))
    assert hashes.body == hashes.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_hash_is_shown_and_found_the_claimed_autov3_too(
    loras: Path, scan: Callable[[], None], api: TestClient, state: State
) -> None:
    path = make_lora(loras / "a.safetensors", sshs_model_hash="C0FFEE" * 10)
    make_lora(loras / "other.safetensors")
    scan()
    state.library.hasher.start()
    wait_until(lambda: api.get("library/status").json()["hashing"]["pending"] == 0)
    by_name = {item["name"]: item["id"] for item in api.get("loras").json()["items"]}
    shown: dict[str, Any] = api.get(f"loras/{by_name['a']}").json()["hashes"]
    hashes = hash_file(str(path))
    assert shown == {
        "sha256": hashes.sha256,
        "autov1": None,
        "autov2": hashes.sha256[:10],
        "autov3": hashes.body[:12],
        "claimed_autov3": "c0ffeec0ffee",
        "blake3": hashes.blake3,
        "crc32": hashes.crc32,
    }
    for name, value in shown.items():
        for written in (value, value and value.upper()):
            if value:
                found = api.get("loras", params={"q": f"hash:{written}"}).json()["items"]
                assert [item["id"] for item in found] == [by_name["a"]], name
