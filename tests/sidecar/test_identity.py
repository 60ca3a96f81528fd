"""Hashes, and what the user says: it belongs to the content and survives whatever happens to the file."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lora_files import make_lora
from starlette.testclient import TestClient
from waiting import wait_until

from sidecar.library.hashing import hash_file
from sidecar.state import State

Scan = Callable[[], None]


@pytest.fixture
def hash_all(state: State, api: TestClient) -> Iterator[Callable[[], None]]:
    """Hash whatever is pending and wait for it."""

    def run() -> None:
        hasher = state.library.hasher
        if not hasher.started:
            hasher.start()
        hasher.wake()
        wait_until(lambda: api.get("library/status").json()["hashing"]["pending"] == 0)

    yield run


def only(api: TestClient, name: str) -> dict[str, Any]:
    found = [item for item in api.get("loras").json()["items"] if item["name"] == name]
    assert len(found) == 1, found
    answer: dict[str, Any] = api.get(f"loras/{found[0]['id']}").json()
    return answer


def test_hashes_are_those_of_the_definitions(tmp_path: Path) -> None:
    path = make_lora(tmp_path / "a.safetensors")
    content = path.read_bytes()
    body = content[8 + struct.unpack("<Q", content[:8])[0] :]
    hashes = hash_file(str(path))
    assert hashes.sha256 == hashlib.sha256(content).hexdigest()
    assert hashes.body == hashlib.sha256(body).hexdigest()
    assert hashes.autov1 is None


def test_hashes_of_a_file_larger_than_a_chunk(tmp_path: Path) -> None:
    path = tmp_path / "big.safetensors"
    blob = json.dumps({"t": {"dtype": "U8", "shape": [9_000_000], "data_offsets": [0, 9_000_000]}}).encode()
    body = bytes(range(256)) * 35_157
    path.write_bytes(struct.pack("<Q", len(blob)) + blob + body[:9_000_000])
    content = path.read_bytes()
    hashes = hash_file(str(path))
    assert hashes.sha256 == hashlib.sha256(content).hexdigest()
    assert hashes.body == hashlib.sha256(body[:9_000_000]).hexdigest()
    assert hashes.autov1 == hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]


@pytest.mark.parametrize("content", [b"", b"123", struct.pack("<Q", 2**63) + b"x"])
def test_a_file_without_header_is_its_own_body(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.pt"
    path.write_bytes(content)
    assert hash_file(str(path)).body == hash_file(str(path)).sha256 == hashlib.sha256(content).hexdigest()


def test_hashes_are_shown_once_known(
    loras: Path, scan: Scan, api: TestClient, hash_all: Callable[[], None]
) -> None:
    path = make_lora(loras / "a.safetensors", sshs_model_hash="c0ffee" * 8)
    scan()
    assert only(api, "a")["hashing_pending"] is True
    hash_all()
    detail = only(api, "a")
    assert detail["hashing_pending"] is False
    assert detail["hashes"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert detail["hashes"]["autov2"] == detail["hashes"]["sha256"][:10]
    assert detail["hashes"]["claimed_autov3"] == "c0ffeec0ffee"


def test_an_edit_wins_and_null_takes_it_back(loras: Path, scan: Scan, api: TestClient) -> None:
    make_lora(
        loras / "a.safetensors",
        modelspec__title="From file",
        modelspec__trigger_phrase="word",
        modelspec__tags="x, y",
    )
    scan()
    lora_id = only(api, "a")["id"]
    edit = {
        "title": "Mine",
        "trigger_words": ["other", " other ", ""],
        "tags": ["y", "z"],
        "weight": 0.4,
        "rating": 5,
    }
    detail = api.patch(f"loras/{lora_id}", json=edit).json()
    assert (detail["title"], detail["trigger_words"], detail["tags"]) == ("Mine", ["other"], ["y", "z"])
    assert (detail["weight"], detail["rating"]) == (0.4, 5)
    assert detail["sources"]["title"] == detail["sources"]["weight"] == "user"
    assert api.get("loras", params={"q": "mine"}).json()["total"] == 1
    assert api.get("loras", params={"tag": "x"}).json()["total"] == 0
    back = {"title": None, "trigger_words": None, "tags": None, "weight": None, "rating": None}
    detail = api.patch(f"loras/{lora_id}", json=back).json()
    assert (detail["title"], detail["trigger_words"], detail["tags"]) == ("From file", ["word"], ["x", "y"])
    assert (detail["weight"], detail["rating"]) == (None, None)
    assert api.get("loras", params={"tag": "x"}).json()["total"] == 1


def test_tags_are_added_and_removed_one_by_one(loras: Path, scan: Scan, api: TestClient) -> None:
    make_lora(loras / "a.safetensors", modelspec__tags="x, y")
    scan()
    lora_id = only(api, "a")["id"]
    assert api.patch(f"loras/{lora_id}", json={"add_tags": ["Z", "X"]}).json()["tags"] == ["x", "y", "Z"]
    assert api.patch(f"loras/{lora_id}", json={"remove_tags": ["x", "z"]}).json()["tags"] == ["y"]
    assert api.patch(f"loras/{lora_id}", json={"add_tags": ["x"]}).json()["tags"] == ["x", "y"]


@pytest.mark.parametrize(
    "edit",
    [
        {"rating": 9},
        {"weight": "much"},
        {"tags": [""]},
        {"notes": "x" * 200_000},
        {"favorite": "perhaps"},
        [],
    ],
)
def test_a_wrong_edit_is_refused_and_changes_nothing(
    loras: Path, scan: Scan, api: TestClient, edit: Any
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    before = only(api, "a")
    answer = api.patch(f"loras/{before['id']}", json=edit)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid"
    assert only(api, "a") == before


def test_an_unknown_lora_is_404(api: TestClient) -> None:
    for answer in (
        api.get("loras/99"),
        api.patch("loras/99", json={"favorite": True}),
        api.get("loras/99/preview"),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"


def test_notes_follow_the_content_into_another_folder_under_another_header(
    loras: Path, scan: Scan, api: TestClient, hash_all: Callable[[], None]
) -> None:
    path = make_lora(loras / "a.safetensors", body=b"w" * 3072)
    scan()
    hash_all()
    api.patch(
        f"loras/{only(api, 'a')['id']}", json={"notes": "precious", "favorite": True, "add_tags": ["mine"]}
    )
    path.unlink()
    make_lora(loras / "b" / "downloaded again.safetensors", body=b"w" * 3072, modelspec__title="Other header")
    scan()
    hash_all()
    detail = only(api, "downloaded again")
    assert (detail["notes"], detail["favorite"], detail["tags"]) == ("precious", True, ["mine"])
    assert api.get("loras", params={"tag": "mine", "state": "ok"}).json()["total"] == 1


def test_two_files_of_one_content_share_what_was_noted_before_hashing(
    loras: Path, scan: Scan, api: TestClient, hash_all: Callable[[], None]
) -> None:
    make_lora(loras / "one.safetensors", body=b"s" * 3072)
    make_lora(loras / "two.safetensors", body=b"s" * 3072)
    scan()
    api.patch(f"loras/{only(api, 'one')['id']}", json={"notes": "from one"})
    api.patch(f"loras/{only(api, 'two')['id']}", json={"weight": 0.3})
    hash_all()
    for name in ("one", "two"):
        assert (only(api, name)["notes"], only(api, name)["weight"]) == ("from one", 0.3)
    api.patch(f"loras/{only(api, 'two')['id']}", json={"favorite": True})
    assert only(api, "one")["favorite"] is True


def test_a_new_version_under_the_old_name_starts_with_the_old_notes(
    loras: Path, scan: Scan, api: TestClient, hash_all: Callable[[], None]
) -> None:
    path = make_lora(loras / "a.safetensors", body=b"1" * 3072)
    scan()
    hash_all()
    api.patch(f"loras/{only(api, 'a')['id']}", json={"notes": "v1"})
    make_lora(path, width=1024)
    scan()
    hash_all()
    api.patch(f"loras/{only(api, 'a')['id']}", json={"notes": only(api, "a")["notes"] + " and v2"})
    make_lora(loras / "old again.safetensors", body=b"1" * 3072)
    scan()
    hash_all()
    assert only(api, "a")["notes"] == "v1 and v2"
    assert only(api, "old again")["notes"] == "v1"


def test_hashing_pauses_and_goes_on(
    loras: Path, scan: Scan, api: TestClient, hash_all: Callable[[], None]
) -> None:
    make_lora(loras / "a.safetensors")
    assert api.post("library/hashing", json={"paused": True}).json()["hashing"]["paused"] is True
    scan()
    assert api.post("library/hashing", json={"paused": False}).json()["hashing"]["paused"] is False
    hash_all()
