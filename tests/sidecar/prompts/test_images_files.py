"""Where files keep their texts: chunks of PNG, EXIF in every order and encoding, comments; and files that are damaged."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from infotext_pictures import Kind, comment_of, png, with_comment, with_exif
from PIL import Image, features

from sidecar.errors import BadRequest
from sidecar.prompts.images.chunks import read_texts
from sidecar.prompts.images.reading import read_picture

LINE = "Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 8x8"
TEXTS = [
    f"a castle\nNegative prompt: blurry\n{LINE}",
    f"café\n{LINE}",
    f"猫, 🐈, “naïve”\nNegative prompt: über\n{LINE}",
]


def told(content: bytes) -> str | None:
    found = read_picture(content)
    return found and found.text


def chunk(kind: bytes, data: bytes, length: int | None = None) -> bytes:
    """A chunk of a PNG, which may lie about its length."""
    said = len(data) if length is None else length
    return struct.pack(">I", said) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def put(*chunks: bytes) -> bytes:
    """A PNG with these chunks behind its header."""
    usual = png({})
    return usual[:33] + b"".join(chunks) + usual[33:]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", ["as programs do", "iTXt", "compressed iTXt"])
def test_chunks_of_png(text: str, kind: Kind) -> None:
    assert told(png({"parameters": text}, kind)) == text


@pytest.mark.parametrize("text", TEXTS[:2])
def test_compressed_latin_chunks_of_png(text: str) -> None:
    assert told(png({"parameters": text}, "zTXt")) == text


def test_utf_8_where_latin_1_should_be() -> None:
    assert told(put(chunk(b"tEXt", b"parameters\0" + TEXTS[2].encode()))) == TEXTS[2]


def test_texts_behind_the_picture_and_the_first_of_two() -> None:
    usual = png({})
    second = chunk(b"tEXt", f"parameters\0dog\n{LINE}".encode())
    assert (
        told(usual[:-12] + chunk(b"tEXt", f"parameters\0cat\n{LINE}".encode()) + second + usual[-12:])
        == f"cat\n{LINE}"
    )


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("endian", [">", "<"])
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_user_comment_in_utf_16(text: str, endian: str, encoding: str, form: str) -> None:
    assert told(with_comment(comment_of(text, encoding), form, endian)) == text


@pytest.mark.parametrize(
    "comment",
    [
        b"ASCII\0\0\0" + TEXTS[0].encode(),
        b"\0" * 8 + TEXTS[0].encode(),
        TEXTS[0].encode(),
        b"UNICODE\0" + TEXTS[0].encode(),
        b"UNICODE\0" + TEXTS[0].encode("utf-16"),
        b"UNICODE\0\xfe\xff" + TEXTS[0].encode("utf-16-be"),
        b"ASCII\0\0\0" + TEXTS[0].encode() + b"\0\0",
    ],
    ids=[
        "ascii",
        "undefined",
        "bare",
        "utf-8 said to be unicode",
        "byte order mark",
        "other byte order mark",
        "zeros behind",
    ],
)
def test_user_comment_otherwise(comment: bytes) -> None:
    assert told(with_comment(comment)) == TEXTS[0]


@pytest.mark.parametrize("endian", [">", "<"])
def test_a_comment_of_many_scripts_is_long_and_still_in_the_right_order(endian: str) -> None:
    text = f"{'猫と城、' * 3_000}\n{LINE}"
    assert (
        told(with_comment(comment_of(text, "utf-16-be" if endian == ">" else "utf-16-le"), endian=endian))
        == text
    )


def test_other_tags_of_exif() -> None:
    assert told(with_exif({0x010E: TEXTS[0]})) == TEXTS[0]
    assert told(with_exif({0x9C9C: TEXTS[0].encode("utf-16-le")})) == TEXTS[0]
    assert told(with_exif({0x0131: "Camera 1.0", 0x010F: "Maker"})) is None


def test_a_comment_that_looks_like_a_key_with_json_is_a_prompt() -> None:
    text = f"hair: {{red|brown}}, portrait\n{LINE}"
    for content in (with_comment(comment_of(text)), with_exif({0x010E: text})):
        found = read_picture(content)
        assert found is not None
        assert (found.software, found.prompt) == ("A1111", "hair: {red|brown}, portrait")


@pytest.mark.parametrize("form", ["JPEG", "GIF"])
def test_comments(form: str) -> None:
    content = io.BytesIO()
    text = f"a castle{', fog' * 200}\n{LINE}"
    Image.new("RGB", (16, 8)).save(content, form, comment=text.encode())
    assert told(content.getvalue()) == text


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif() -> None:
    assert told(with_comment(comment_of(TEXTS[2]), "AVIF")) == TEXTS[2]


def test_jpeg_xl() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = comment_of(TEXTS[2])
    data = b"\0\0\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    boxes = (
        b"\0\0\0\x0cJXL \r\n\x87\n"
        + b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
        + struct.pack(">I", len(data) + 8)
        + b"Exif"
        + data
    )
    assert told(boxes + b"\0\0\0\0jxlc\xff\x0a") == TEXTS[2]


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"GIF", b"<html></html>", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"BM" + b"\0" * 60, b"PK\3\4"],
)
def test_no_picture(content: bytes) -> None:
    with pytest.raises(BadRequest, match=r"no picture|damaged"):
        read_texts(content)


@pytest.mark.parametrize(
    "content",
    [
        png({}),
        with_comment(b"ASCII\0\0\0"),
        with_exif({0x0131: "Camera"}, "WEBP"),
        b"\xff\xd8\xff",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
    ],
)
def test_pictures_that_tell_nothing(content: bytes) -> None:
    assert read_picture(content) is None


def test_of_a_file_that_is_cut_what_stood_before_is_read() -> None:
    whole = png({"parameters": TEXTS[0]})
    place = whole.index(b"IDAT")
    assert told(whole[: place + 10]) == TEXTS[0]
    assert told(whole[: whole.index(b"tEXt") + 20]) is None
    jpeg = with_comment(comment_of(TEXTS[0]))
    assert told(jpeg[: jpeg.index(b"\xff\xda")]) == TEXTS[0]


def test_a_chunk_that_claims_gigabytes() -> None:
    lies = chunk(b"tEXt", b"parameters\0cat", length=2**31 - 1)
    assert told(put(lies, chunk(b"tEXt", b"parameters\0cat"))) is None
    assert told(put(chunk(b"tEXt", f"parameters\0{TEXTS[0]}".encode()), lies)) == TEXTS[0]


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_a_text_that_swells_is_left_out_and_does_not_hide_the_next(kind: bytes) -> None:
    beginning = b"\0\0" if kind == b"zTXt" else b"\0\1\0\0\0"
    bomb = chunk(kind, b"parameters" + beginning + zlib.compress(b"a" * 50_000_000))
    damaged = chunk(kind, b"parameters" + beginning + b"no such stream")
    assert told(put(damaged, bomb, chunk(b"tEXt", f"parameters\0{TEXTS[0]}".encode()))) == TEXTS[0]


def test_many_texts_that_swell_are_not_all_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    usual: Any = zlib.decompressobj

    class Counting:
        def decompress(self, data: bytes, limit: int) -> bytes:
            text: bytes = usual().decompress(data, limit)
            taken.append(len(text))
            return text

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    bombs = [chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"a" * 9_000_000))] * 300
    assert told(put(*bombs)) is None
    assert sum(taken) < 30_000_000


def test_entries_of_exif_that_overlap_are_read_once() -> None:
    """A thousand entries that point at the same megabyte would be a gigabyte."""
    entries = b"".join(struct.pack(">HHII", 0x0100 + at, 2, 1_000_000, 8) for at in range(500))
    content = b"MM\0*\0\0\0\x08" + struct.pack(">H", 500) + entries + b"\0" * 4 + b"k:{" + b"a" * 1_000_000
    texts = read_picture(put(chunk(b"eXIf", content)))
    assert texts is None


def test_a_picture_with_too_many_pixels_is_not_decoded(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tEXt", f"parameters\0{TEXTS[0]}".encode())
        + chunk(b"IEND", b"")
    )
    assert told(content) == TEXTS[0]
