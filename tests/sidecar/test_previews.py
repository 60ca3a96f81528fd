"""Previews: small, of the true type, made once; never a way out of the folder."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lora_files import add_side_file, make_lora, picture
from PIL import Image
from starlette.testclient import TestClient

Scan = Callable[[], None]


def preview(api: TestClient, **query: Any) -> Any:
    item = api.get("loras").json()["items"][0]
    return api.get(f"loras/{item['id']}/preview", params=query)


def test_a_thumbnail_is_at_most_512_pixels_and_webp(loras: Path, scan: Scan, api: TestClient) -> None:
    add_side_file(make_lora(loras / "a.safetensors"), ".preview.png", picture((3000, 1500)))
    scan()
    answer = preview(api)
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]
    assert Image.open(io.BytesIO(answer.content)).size == (512, 256)


def test_a_small_picture_is_not_blown_up(loras: Path, scan: Scan, api: TestClient) -> None:
    add_side_file(make_lora(loras / "a.safetensors"), ".jpg", picture((40, 30), "JPEG"))
    scan()
    assert Image.open(io.BytesIO(preview(api).content)).size == (40, 30)


def test_a_thumbnail_is_made_once_and_anew_for_a_new_picture(
    loras: Path, data: Path, scan: Scan, api: TestClient
) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".png", picture(colour="red"))
    scan()
    first, again = preview(api).content, preview(api).content
    assert first == again
    add_side_file(path, ".png", picture((61, 91), colour="blue"))
    scan()
    assert preview(api).content != first
    assert len(list((data / "thumbnails").rglob("*.webp"))) == 1


def test_the_type_is_told_by_the_content_not_the_name(loras: Path, scan: Scan, api: TestClient) -> None:
    add_side_file(make_lora(loras / "a.safetensors"), ".png", picture((40, 30), "JPEG"))
    scan()
    assert preview(api, original=1).headers["content-type"] == "image/jpeg"
    assert preview(api).status_code == 200


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_a_broken_picture_is_an_error_not_a_crash(
    loras: Path, scan: Scan, api: TestClient, content: bytes
) -> None:
    add_side_file(make_lora(loras / "a.safetensors"), ".png", content)
    scan()
    answer = preview(api)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "preview_broken"


def test_html_named_png_is_never_sent_as_it_is(loras: Path, scan: Scan, api: TestClient) -> None:
    add_side_file(make_lora(loras / "a.safetensors"), ".png", b"<script>alert(1)</script>")
    scan()
    assert preview(api, original=1).status_code == 422


def test_a_video_is_sent_in_ranges(loras: Path, scan: Scan, api: TestClient) -> None:
    video = b"\x00\x00\x00\x18ftypmp42" + bytes(2000)
    add_side_file(make_lora(loras / "a.safetensors"), ".mp4", video)
    scan()
    item = api.get("loras").json()["items"][0]
    assert item["preview"]["kind"] == "video"
    assert preview(api).status_code == 404
    answer = api.get(f"loras/{item['id']}/preview?original=1", headers={"Range": "bytes=4-11"})
    assert (answer.status_code, answer.content) == (206, b"ftypmp42")
    assert answer.headers["content-type"] == "video/mp4"


def test_a_picture_in_the_header_is_used_when_there_is_no_file(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    url = "data:image/jpeg;base64," + base64.b64encode(picture((20, 20), "JPEG")).decode()
    make_lora(loras / "a.safetensors", modelspec__thumbnail=url)
    scan()
    assert Image.open(io.BytesIO(preview(api).content)).size == (20, 20)


def test_a_picture_beside_wins_over_a_video_and_preview_over_plain(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".mp4", b"\x00\x00\x00\x18ftypmp42")
    add_side_file(path, ".png", picture((10, 10)))
    add_side_file(path, ".preview.png", picture((20, 20)))
    scan()
    assert Image.open(io.BytesIO(preview(api).content)).size == (20, 20)


def test_a_lora_without_preview_is_404(loras: Path, scan: Scan, api: TestClient) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    assert preview(api).status_code == 404
    assert preview(api, original=1).status_code == 404


def test_script_in_a_description_is_taken_out(loras: Path, scan: Scan, api: TestClient) -> None:
    hostile = (
        "<p onclick=x()>Hi</p><script>alert(1)</script><img src=http://x/y.png><a href='javascript:x()'>a</a>"
    )
    add_side_file(
        make_lora(loras / "a.safetensors"), ".civitai.info", {"modelId": 1, "model": {"description": hostile}}
    )
    scan()
    item = api.get("loras").json()["items"][0]
    description = api.get(f"loras/{item['id']}").json()["description"]
    assert description.startswith("<p>Hi</p>")
    for bad in ("script", "onclick", "<img", "javascript:"):
        assert bad not in description
