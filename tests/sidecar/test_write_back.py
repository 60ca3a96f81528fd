"""Writing back: the user's word in the side files of other tools, and nothing else of theirs changed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lora_files import add_side_file, make_lora
from starlette.testclient import TestClient
from waiting import wait_until
from write_back_steps import A1111, SAID, id_of, patch, state_of, wait_for

from sidecar.library.dialects import dialect_of
from sidecar.library.service import Library
from sidecar.state import State

Scan = Callable[[], None]


def test_what_the_user_says_goes_into_a1111s_file_and_all_else_stays(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    path = make_lora(loras / "a.safetensors")
    side_file = add_side_file(path, ".json", b"")
    side_file.write_text(json.dumps(A1111, indent=4, ensure_ascii=False), encoding="utf-8")
    side_file.chmod(0o640)
    scan()
    mode("a1111")
    patch(api, **SAID, base_model="Pony", title="not in this dialect", tags=["neither"])
    wait_for(api, "written")
    content = json.loads(side_file.read_text(encoding="utf-8"))
    assert content == {
        **A1111, "sd version": "SDXL", "activation text": "new, words", "preferred weight": 0.8,
        "negative text": "blurry", "notes": "mine\nreally ä",
    }  # fmt: skip
    assert list(content) == list(A1111)
    assert side_file.read_text(encoding="utf-8") == json.dumps(content, indent=4, ensure_ascii=False)
    assert side_file.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(loras)) == ["a.json", "a.safetensors"]


def test_a_new_file_holds_what_was_said_and_nothing_else(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    make_lora(loras / "a.safetensors").chmod(0o604)
    make_lora(loras / "nothing said.safetensors")
    scan()
    mode("a1111")
    patch(api, weight=0.3, favorite=True)
    patch(api, "nothing said", rating=3)
    wait_for(api, "written")
    wait_for(api, "written", "nothing said")
    assert [state_of(api, name)["file"] for name in ("a", "nothing said")] == ["a.json", None]
    assert json.loads((loras / "a.json").read_text()) == {"preferred weight": 0.3}
    assert (loras / "a.json").stat().st_mode & 0o777 == 0o604
    assert not (loras / "nothing said.json").exists()


def test_lora_managers_file_is_changed_in_its_own_terms(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    theirs: dict[str, Any] = {
        "file_name": "a", "model_name": "Old", "file_path": "/x", "size": 1, "modified": 1.5, "sha256": "",
        "base_model": "SD 1.5", "preview_url": "", "civitai": {"id": 5, "trainedWords": ["old"], "images": []},
        "usage_tips": '{"strength_min": 0.2, "strength": 1}', "custom": True, "tags": ["theirs"],
    }  # fmt: skip
    side_file = add_side_file(make_lora(loras / "a.safetensors"), ".metadata.json", b"")
    side_file.write_text(json.dumps(theirs, indent=2) + "\n")
    scan()
    mode("metadata")
    patch(api, title="New", base_model="SDXL", add_tags=["mine"], favorite=True, nsfw=4, **SAID)
    wait_for(api, "written")
    text = side_file.read_text(encoding="utf-8")
    content = json.loads(text)
    assert content == {
        **theirs, "model_name": "New", "base_model": "SDXL 1.0", "tags": ["theirs", "mine"], "favorite": True,
        "preview_nsfw_level": 4, "notes": "mine\nreally ä",
        "civitai": {"id": 5, "trainedWords": ["new", "words"], "images": []},
        "usage_tips": '{"strength_min": 0.2, "strength": 0.8}',
    }  # fmt: skip
    assert list(content)[: len(theirs)] == list(theirs)
    assert text.startswith('{\n  "file_name"') and text.endswith("}\n")
    assert not (loras / "a.json").exists()


def test_a_new_metadata_file_is_one_that_lora_manager_reads(
    loras: Path,
    scan: Scan,
    api: TestClient,
    mode: Callable[[str], None],
    hash_all: Callable[[], None],
    nudged: Callable[[str], Any],
) -> None:
    path = make_lora(loras / "a.safetensors")
    scan()
    mode("metadata")
    patch(api, weight=0.8)
    assert "hashed" in (wait_for(api, "due") or "")
    hash_all()
    wait_until(lambda: nudged("a") == "written")
    content = json.loads((loras / "a.metadata.json").read_text())
    required = {
        "file_name",
        "model_name",
        "file_path",
        "size",
        "modified",
        "sha256",
        "base_model",
        "preview_url",
    }
    assert content.keys() >= required
    assert (content["file_name"], content["size"]) == ("a", path.stat().st_size)
    assert content["sha256"] == api.get(f"loras/{id_of(api)}").json()["hashes"]["sha256"]
    assert content["usage_tips"] == '{"strength": 0.8}'
    assert content["base_model"] == "SD 1.5"


def test_while_it_is_off_nothing_is_written_and_turning_it_on_writes_everything(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str | None], None]
) -> None:
    for name in "abc":
        make_lora(loras / f"{name}.safetensors")
    scan()
    for name in "abc":
        patch(api, name, weight=0.8)
    api.post("loras/bulk", json={"ids": [id_of(api, "b")], "set": {"notes": "in bulk"}}).raise_for_status()
    assert state_of(api) == {"state": "off", "file": None, "reason": None}
    assert not list(loras.glob("*.json"))
    mode("a1111")
    for name in "abc":
        wait_for(api, "written", name)
    assert json.loads((loras / "b.json").read_text()) == {"preferred weight": 0.8, "notes": "in bulk"}
    assert len(list(loras.glob("*.json"))) == 3
    mode("off")
    patch(api, weight=0.1)
    assert state_of(api)["state"] == "off"
    assert json.loads((loras / "a.json").read_text()) == {"preferred weight": 0.8}


def test_turning_to_the_other_dialect_writes_there_what_was_said(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None], hash_all: Callable[[], None]
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    hash_all()
    mode("a1111")
    patch(api, weight=0.8)
    wait_for(api, "written")
    mode("metadata")
    wait_until((loras / "a.metadata.json").exists)
    wait_for(api, "written")
    assert json.loads((loras / "a.json").read_text()) == {"preferred weight": 0.8}


def test_what_was_there_comes_back_when_the_user_takes_the_word_back(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".json", A1111)
    scan()
    mode("a1111")
    patch(api, **SAID)
    wait_for(api, "written")
    scan()  # the catalogue now reads what we wrote
    patch(api, notes="twice", negative_prompt="twice")
    wait_for(api, "written")
    patch(api, **dict.fromkeys(SAID))
    wait_for(api, "written")
    assert json.loads((loras / "a.json").read_text()) == A1111
    scan()
    detail = api.get(f"loras/{id_of(api)}").json()
    assert (detail["weight"], detail["notes"], detail["trigger_words"]) == (0.5, "old notes", ["old"])


def test_undo_reaches_the_side_file(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    mode("a1111")
    patch(api, weight=0.8)
    wait_for(api, "written")
    action = api.patch(f"loras/{id_of(api)}", json={"weight": 0.2}).json()["action"]
    wait_until(lambda: json.loads((loras / "a.json").read_text()) == {"preferred weight": 0.2})
    api.post(f"actions/{action}/undo").raise_for_status()
    wait_until(lambda: json.loads((loras / "a.json").read_text()) == {"preferred weight": 0.8})


def test_what_somebody_changed_in_between_is_not_taken_back(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".json", {"notes": "first"})
    scan()
    mode("a1111")
    patch(api, notes="mine", weight=0.8)
    wait_for(api, "written")
    add_side_file(path, ".json", {"notes": "by hand in the host", "preferred weight": 0.8})
    patch(api, notes=None, weight=None)
    wait_for(api, "written")
    assert json.loads((loras / "a.json").read_text()) == {"notes": "by hand in the host"}


def test_our_own_writing_is_read_once_and_written_no_more(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None], state: State
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    mode("a1111")
    patch(api, **SAID)
    wait_for(api, "written")
    stamp = (loras / "a.json").stat().st_mtime_ns
    read = []
    for _ in range(3):
        scan()
        read.append(state.library.scanner.status.read)
        state.library.write_back.wake(again=True)
        wait_for(api, "written")
    assert read == [1, 0, 0]
    assert (loras / "a.json").stat().st_mtime_ns == stamp


def test_a_link_stays_one_and_what_it_points_to_is_written(
    loras: Path, tmp_path: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    make_lora(loras / "a.safetensors")
    real = tmp_path / "elsewhere.json"
    real.write_text('{"notes": "x"}')
    (loras / "a.json").symlink_to(real)
    scan()
    mode("a1111")
    patch(api, weight=0.8)
    wait_for(api, "written")
    assert (loras / "a.json").is_symlink()
    assert json.loads(real.read_text()) == {"notes": "x", "preferred weight": 0.8}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"notes": "x"}', '{"notes": "x", "preferred weight": 0.8}'),
        ('{\n\t"notes": "x"\n}\n', '{\n\t"notes": "x",\n\t"preferred weight": 0.8\n}\n'),
        ('\ufeff{"notes": "x"}', '{"notes": "x", "preferred weight": 0.8}'),
        ('{"notes": "\\ud83d", "x": 12345678901234567890123}',
         '{"notes": "\\ud83d", "x": 12345678901234567890123, "preferred weight": 0.8}'),
        ("", '{\n    "preferred weight": 0.8\n}'),
        ("{}", '{"preferred weight": 0.8}'),
    ],
)  # fmt: skip
def test_the_form_of_a_file_stays(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None], before: str, after: str
) -> None:
    side_file = add_side_file(make_lora(loras / "a.safetensors"), ".json", before.encode())
    scan()
    mode("a1111")
    patch(api, weight=0.8)
    wait_for(api, "written")
    assert side_file.read_text(encoding="utf-8") == after


def test_a_dialect_stays_what_it_is(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    browser = {"sha256": "AB", "modelId": 1, "modelVersionId": 2}
    side_file = add_side_file(make_lora(loras / "a.safetensors"), ".json", browser)
    scan()
    mode("a1111")
    patch(api, **SAID)
    wait_for(api, "written")
    content = json.loads(side_file.read_text())
    assert dialect_of("a.json", content) == "browser+"
    assert {key: content[key] for key in browser} == browser


def test_the_worker_starts_and_stops_with_the_library(state: State, loras: Path) -> None:
    make_lora(loras / "a.safetensors")
    library = Library(state.database, state.events, state.settings, watch=False)
    library.start()
    assert library.write_back.started
    library.stop()
    assert not library.write_back.started
