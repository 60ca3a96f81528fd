"""Setting a preview: by upload, address or from a generation; what was there comes back with undo; nothing is lost."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from files_library import message, names_in
from lora_files import add_side_file, make_lora, picture
from picture_server import WEBM, PictureServer, animated, film, gives, redirects, serving
from PIL import Image
from starlette.testclient import TestClient

from sidecar.library.files.undo import undo_files
from sidecar.library.pictures import checking
from sidecar.library.pictures.setting import set_preview
from sidecar.state import State

Scan = Callable[[], None]


@pytest.fixture
def server() -> Iterator[PictureServer]:
    with serving() as server:
        yield server


@pytest.fixture
def lora(loras: Path, scan: Scan) -> Path:
    path = make_lora(loras / "a.safetensors")
    scan()
    return path


def item(api: TestClient, name: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in api.get("loras").json()["items"] if one["name"] == name)
    return found


def put(api: TestClient, content: bytes, kind: str = "image/png", name: str = "a") -> Any:
    return api.put(f"loras/{item(api, name)['id']}/preview", content=content, headers={"content-type": kind})


def post(api: TestClient, **body: Any) -> Any:
    return api.post(f"loras/{item(api)['id']}/preview", json=body)


def colour_of(api: TestClient, name: str = "a") -> Any:
    content = api.get(f"loras/{item(api, name)['id']}/preview").content
    return Image.open(io.BytesIO(content)).convert("RGB").getpixel((3, 3))


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (picture(), "a.preview.png", "image"),
        (picture(form="JPEG"), "a.preview.jpg", "image"),
        (picture(form="WEBP"), "a.preview.webp", "image"),
        (picture(form="GIF"), "a.preview.gif", "image"),
        (animated("GIF"), "a.preview.gif", "animated"),
        (animated("WEBP"), "a.preview.webp", "animated"),
        (animated("PNG"), "a.preview.png", "animated"),
        (film(), "a.preview.mp4", "video"),
        (WEBM.read_bytes(), "a.preview.webm", "video"),
    ],
)
def test_an_upload_becomes_the_preview_at_once_and_stays_it(
    lora: Path, scan: Scan, api: TestClient, content: bytes, name: str, kind: str
) -> None:
    answer = put(api, content, "video/x" if kind == "video" else "image/x")
    assert answer.status_code == 200, answer.text
    assert answer.json()["preview"]["kind"] == kind
    assert item(api)["preview"] == answer.json()["preview"]
    assert names_in(lora.parent) == [name, "a.safetensors"]
    assert lora.with_name(name).read_bytes() == content
    scan()
    assert item(api)["preview"] == answer.json()["preview"]
    address = f"loras/{item(api)['id']}/preview"
    assert api.get(address, params={"original": 1}).content == content
    thumbnail = api.get(address)
    if kind == "video":
        assert thumbnail.status_code == 404
    else:
        assert not getattr(Image.open(io.BytesIO(thumbnail.content)), "is_animated", False)


def test_what_browsers_show_but_hosts_do_not_becomes_webp(lora: Path, api: TestClient) -> None:
    assert put(api, picture(form="AVIF"), "image/avif").status_code == 200
    assert Image.open(lora.with_name("a.preview.webp")).format == "WEBP"
    assert put(api, animated("AVIF"), "image/avif").json()["preview"]["kind"] == "animated"
    assert Image.open(lora.with_name("a.preview.webp")).n_frames == 3  # type: ignore[attr-defined]


def test_undo_brings_all_old_previews_back(loras: Path, scan: Scan, api: TestClient) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".json", {"notes": "kept"})
    for ending, colour in ((".preview.png", "red"), (".jpeg", "blue"), (".thumb.jpg", "blue"), (".mp4", "")):
        add_side_file(path, ending, picture(colour=colour) if colour else film())
    scan()
    before = {name: (loras / name).read_bytes() for name in names_in(loras)}
    preview = item(api)["preview"]
    answer = put(api, picture(colour="lime")).json()
    assert answer["preview"]["v"] != preview["v"]
    assert names_in(loras) == ["a.json", "a.preview.png", "a.safetensors"]
    assert colour_of(api)[1] > 250
    undone = api.post(f"actions/{answer['action']}/undo").json()
    assert (undone["undone"], undone["failed"]) == (1, [])
    scan()
    assert {name: (loras / name).read_bytes() for name in names_in(loras)} == before
    assert item(api)["preview"] == preview
    assert colour_of(api)[0] > 250


def test_a_preview_set_twice_is_undone_twice(lora: Path, scan: Scan, api: TestClient) -> None:
    first = put(api, picture(colour="red")).json()
    second = put(api, picture(colour="blue")).json()
    assert colour_of(api)[2] > 250
    api.post(f"actions/{second['action']}/undo")
    scan()
    assert colour_of(api)[0] > 250
    api.post(f"actions/{first['action']}/undo")
    scan()
    assert names_in(lora.parent) == ["a.safetensors"]
    assert item(api)["preview"] is None


def test_a_preview_is_a_part_of_an_action_that_began_before(
    lora: Path, api: TestClient, state: State
) -> None:
    from sidecar.library.organise.actions import begin

    action = state.database.write(lambda connection: begin(connection, "files", "Two things", 1))
    done, preview = set_preview(state, item(api)["id"], picture(), action=action)
    assert done == action
    assert preview is not None and preview["kind"] == "image"
    assert undo_files(state, action)["undone"] == 1
    assert names_in(lora.parent) == ["a.safetensors"]


def test_a_removed_preview_goes_to_the_trash(lora: Path, scan: Scan, api: TestClient) -> None:
    put(api, picture())
    answer = api.delete(f"loras/{item(api)['id']}/preview")
    assert answer.json()["preview"] is None
    assert names_in(lora.parent) == ["a.safetensors"]
    assert api.delete(f"loras/{item(api)['id']}/preview").status_code == 404
    api.post(f"actions/{answer.json()['action']}/undo")
    assert names_in(lora.parent) == ["a.preview.png", "a.safetensors"]


def test_a_picture_inside_the_model_stays_and_shows_again(loras: Path, scan: Scan, api: TestClient) -> None:
    import base64

    url = "data:image/png;base64," + base64.b64encode(picture(colour="red")).decode()
    make_lora(loras / "a.safetensors", modelspec__thumbnail=url)
    scan()
    address = f"loras/{item(api)['id']}/preview"
    assert "inside the model" in message(api.delete(address))
    put(api, picture(colour="blue"))
    assert colour_of(api)[2] > 250
    assert api.delete(address).json()["preview"]["kind"] == "image"
    assert colour_of(api)[0] > 250


def truncated(form: str) -> bytes:
    content = io.BytesIO()
    Image.effect_noise((300, 300), 90).convert("RGB").save(content, form)
    return content.getvalue()[: len(content.getvalue()) // 2]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"BM" + bytes(100),
        b"%PDF-1.7" + bytes(100),
        b"\0\0\0\x18ftypheic" + bytes(100),
        b"\x89PNG\r\n\x1a\n" + bytes(50),
        truncated("PNG"),
        truncated("JPEG"),
        truncated("WEBP"),
        animated("WEBP")[:-30],
        film()[:-100],
        b"\0\0\0\x18ftypmp42" + bytes(12),
        film(track=b"soun"),
        WEBM.read_bytes()[:-1000],
        WEBM.read_bytes().replace(b"webm", b"mkv\0", 1),
        b"\x1aE\xdf\xa3",
    ],
    ids=lambda content: repr(content[:12]),
)
def test_what_is_no_whole_picture_or_video_is_refused_and_nothing_changes(
    lora: Path, api: TestClient, content: bytes
) -> None:
    put(api, picture())
    before = lora.with_name("a.preview.png").read_bytes()
    answer = put(api, content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "preview_broken")
    assert names_in(lora.parent) == ["a.preview.png", "a.safetensors"]
    assert lora.with_name("a.preview.png").read_bytes() == before


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [11_000, 20_000])
def test_a_decompression_bomb_is_refused(lora: Path, api: TestClient, side: int) -> None:
    bomb = io.BytesIO()
    Image.new("1", (side, side)).save(bomb, "PNG")
    assert "pixels" in message(put(api, bomb.getvalue()), 413)
    assert names_in(lora.parent) == ["a.safetensors"]


def test_too_many_bytes_are_refused(lora: Path, api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from sidecar.library.pictures import routes

    monkeypatch.setattr(routes, "MAX_SOURCE", 1_000)
    monkeypatch.setattr(checking, "MAX_SOURCE", 1_000)
    assert put(api, picture() + bytes(1_000)).json()["error"]["code"] == "too_large"


def test_an_upload_that_says_it_is_something_else_is_refused(lora: Path, api: TestClient) -> None:
    assert message(put(api, picture(), "application/json"), 415)


def test_one_that_does_not_exist_is_404(api: TestClient) -> None:
    for answer in (
        api.put("loras/99/preview", content=picture(), headers={"content-type": "image/png"}),
        api.delete("loras/99/preview"),
    ):
        assert answer.status_code == 404


def test_a_missing_file_gets_no_preview(lora: Path, scan: Scan, api: TestClient) -> None:
    lora.unlink()
    scan()
    assert "not in its folder" in message(put(api, picture()))
    assert names_in(lora.parent) == []


def test_a_read_only_folder_is_refused_with_the_reason(
    tmp_path: Path, loras: Path, scan: Scan, api: TestClient
) -> None:
    path = make_lora(loras / "sub" / "a.safetensors")
    add_side_file(path, ".preview.png", picture(colour="red"))
    scan()
    if os.geteuid() == 0:
        if sys.platform != "linux":
            pytest.skip("a read-only folder stops root on Linux alone")
        mounted = subprocess.run(["mount", "--bind", path.parent, path.parent], capture_output=True)
        if mounted.returncode or subprocess.run(["mount", "-o", "remount,bind,ro", path.parent]).returncode:
            subprocess.run(["umount", "-l", path.parent], capture_output=True)
            pytest.skip("mounting is not permitted here")
    else:
        path.parent.chmod(0o500)
    try:
        said = message(put(api, picture(colour="blue")))
        assert "was not changed" in said
        assert "read-only" in said or "permission" in said
        assert api.delete(f"loras/{item(api)['id']}/preview").status_code == 409
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "-l", path.parent], capture_output=True)
        else:
            path.parent.chmod(0o700)
    assert names_in(path.parent) == ["a.preview.png", "a.safetensors"]
    assert colour_of(api)[0] > 250


def test_the_file_is_as_readable_as_the_model(lora: Path, api: TestClient) -> None:
    lora.chmod(0o644)
    put(api, picture())
    assert lora.with_name("a.preview.png").stat().st_mode & 0o777 == 0o644


def record(api: TestClient, *images: str) -> int:
    body = {"uuid": "1" * 32, "host": "test", "kind": "txt2img", "prompt": "x", "images": list(images)}
    answer = api.post("generations", json=body)
    assert answer.status_code < 300, answer.text
    return int(api.get("generations").json()["items"][0]["id"])


def test_from_a_generation_by_index_or_path(tmp_path: Path, lora: Path, api: TestClient) -> None:
    red, blue = tmp_path / "1.png", tmp_path / "2.png"
    red.write_bytes(picture(colour="red"))
    blue.write_bytes(picture(colour="blue"))
    generation = record(api, str(red), str(blue))
    assert post(api, generation=generation, image=1).status_code == 200
    assert colour_of(api)[2] > 250
    assert post(api, generation=generation, image=str(red)).status_code == 200
    assert colour_of(api)[0] > 250
    assert red.exists() and blue.exists()


def test_from_a_generation_no_other_file_is_read(tmp_path: Path, lora: Path, api: TestClient) -> None:
    own, other = tmp_path / "1.png", tmp_path / "2.png"
    for path in (own, other):
        path.write_bytes(picture())
    generation = record(api, str(own), "relative.png", str(tmp_path / "gone.png"))
    assert "no picture" in message(post(api, generation=generation, image=str(other)), 404)
    assert "no picture" in message(post(api, generation=generation, image=7), 404)
    assert "without its folder" in message(post(api, generation=generation, image=1), 400)
    assert "no longer there" in message(post(api, generation=generation, image=2), 404)
    assert "no generation" in message(post(api, generation=generation + 1, image=0), 404)
    assert post(api, generation=generation, image=-1).status_code == 422
    assert names_in(lora.parent) == ["a.safetensors"]


def test_from_an_address(lora: Path, api: TestClient, state: State, server: PictureServer) -> None:
    server.answers["/a b.png"] = server.answers["/a%20b.png"] = gives(picture(colour="blue"))
    server.answers["/film"] = gives(film(), "application/octet-stream")
    state.settings.civitai_url = server.url
    assert post(api, url=f"{server.url}/a b.png").status_code == 200
    assert colour_of(api)[2] > 250
    assert post(api, url=f"{server.url}/film").json()["preview"]["kind"] == "video"
    assert names_in(lora.parent) == ["a.preview.mp4", "a.safetensors"]


def test_an_address_of_this_network_is_refused(
    lora: Path, api: TestClient, state: State, server: PictureServer
) -> None:
    server.answers["/a.png"] = gives(picture())
    assert message(post(api, url=f"{server.url}/a.png"), 400)
    state.settings.civitai_url = server.url
    with serving() as other:
        other.answers["/a.png"] = gives(picture())
        server.answers["/b.png"] = redirects(f"{other.url}/a.png")
        assert message(post(api, url=f"{server.url}/b.png"), 400)
        assert not other.requests
    assert names_in(lora.parent) == ["a.safetensors"]


def test_where_from_must_be_said(lora: Path, api: TestClient) -> None:
    assert post(api).status_code == 400
    assert post(api, url="https://x/y.png", generation=1, image=0).status_code == 400


def test_an_animated_picture_found_on_disk_is_told_once_it_was_shown(
    loras: Path, scan: Scan, api: TestClient, state: State
) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".gif", animated("GIF"))
    scan()
    assert item(api)["preview"]["kind"] == "image"
    api.get(f"loras/{item(api)['id']}/preview")
    state.database.write(lambda connection: None)  # after what was submitted
    assert item(api)["preview"]["kind"] == "animated"
    add_side_file(path, ".txt", b"another side file")
    scan()
    assert item(api)["preview"]["kind"] == "animated"
    add_side_file(path, ".gif", picture(form="GIF"))
    scan()
    api.get(f"loras/{item(api)['id']}/preview")
    state.database.write(lambda connection: None)
    assert item(api)["preview"]["kind"] == "image"
