"""Writing back: the user's word in the side files of other tools, and never anything else of theirs changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lora_files import add_side_file, make_lora
from starlette.testclient import TestClient
from waiting import wait_until

from sidecar.errors import Unavailable
from sidecar.library import write_back, written_files
from sidecar.library.dialects import dialect_of
from sidecar.library.service import Library
from sidecar.library.written_files import Refused, replace_file
from sidecar.state import State

Scan = Callable[[], None]
Patch = Callable[..., dict[str, Any]]

A1111 = {
    "description": "theirs", "sd version": "SD1", "activation text": "old", "preferred weight": 0.5, "negative text": "",
    "notes": "old notes", "an unknown key": {"nested": [1, 2.5, None, "ä"]}, "last": 1,
}  # fmt: skip
SAID = {
    "trigger_words": ["new", "words"],
    "weight": 0.8,
    "negative_prompt": "blurry",
    "notes": "mine\nreally ä",
}


@pytest.fixture
def hash_all(state: State, api: TestClient) -> Callable[[], None]:
    def run() -> None:
        if not state.library.hasher.started:
            state.library.hasher.start()
        state.library.hasher.wake()
        wait_until(lambda: api.get("library/status").json()["hashing"]["pending"] == 0)

    return run


@pytest.fixture
def mode(api: TestClient, state: State) -> Iterator[Callable[[str | None], None]]:
    """Set the setting, with the worker running."""
    state.library.write_back.start()
    yield lambda value: api.patch("settings", json={"write_back": value}).raise_for_status() and None


@pytest.fixture
def nudged(api: TestClient, state: State) -> Callable[[str], Any]:
    """Wake the worker, and tell the state of a LoRA by its name."""

    def look(name: str) -> Any:
        state.library.write_back.wake()
        return state_of(api, name)["state"]

    return look


def id_of(api: TestClient, name: str = "a") -> int:
    items = api.get("loras", params={"limit": 1000}).json()["items"]
    return int(next(item["id"] for item in items if item["name"] == name))


def state_of(api: TestClient, name: str = "a") -> dict[str, Any]:
    answer: dict[str, Any] = api.get(f"loras/{id_of(api, name)}").json()["write_back"]
    return answer


def patch(api: TestClient, name: str = "a", **changes: Any) -> None:
    answer = api.patch(f"loras/{id_of(api, name)}", json=changes)
    assert answer.status_code == 200, answer.text


def wait_for(api: TestClient, wanted: str, name: str = "a") -> str | None:
    """Wait for a state; returns its reason."""
    wait_until(lambda: state_of(api, name)["state"] == wanted)
    reason: str | None = state_of(api, name)["reason"]
    return reason


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


LEFT_ALONE: dict[str, tuple[str, bytes, str]] = {
    "a Civitai model by SDNext": (
        "a1111", json.dumps({"id": 1, "name": "x", "modelVersions": [{"id": 2}]}).encode(), "written by SDNext"
    ),
    "what SDNext's save info leaves": (
        "a1111", json.dumps({"id": 1, "name": "x", "modelVersions": []}).encode(), "written by SDNext"
    ),
    "a Civitai version": ("a1111", json.dumps({"id": 1, "modelId": 2, "baseModel": "Pony"}).encode(), "model version"),
    "another program's": ("a1111", b'{"nodes": []}', "not of a kind known here"),
    "a list": ("a1111", b"[1]", "not of a kind known here"),
    "broken": ("a1111", b'{"notes": "cut of', "is not JSON"),
    "NaN": ("a1111", b'{"notes": "x", "preferred weight": NaN}', "is not JSON"),
    "UTF-16": ("a1111", '{"notes": "x"}'.encode("utf-16"), "is not JSON"),
    "nested too deeply": ("a1111", b'{"notes": ' + b"[" * 100_000, "is not JSON"),
    "huge": ("a1111", b'{"notes": "' + b"x" * 17_000_000 + b'"}', "larger than 16 MB"),
    "broken metadata": ("metadata", b"{", "is not JSON"),
    "metadata that LoRA Manager cannot read": ("metadata", b'{"tags": ["x"]}', "LoRA Manager could not read|not one that"),
}  # fmt: skip


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_a_file_of_another_dialect_or_a_broken_one_is_left_alone_with_a_reason(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None], name: str
) -> None:
    kind, blob, reason = LEFT_ALONE[name]
    path = make_lora(loras / "a.safetensors")
    side_file = add_side_file(path, written_files.ENDINGS[kind], blob)
    before = side_file.stat()
    scan()
    mode(kind)
    patch(api, **SAID)
    said = wait_for(api, "refused")
    assert said and any(part in said for part in reason.split("|")), said
    assert said.startswith(side_file.name)
    assert side_file.read_bytes() == blob
    assert side_file.stat().st_mtime_ns == before.st_mtime_ns and side_file.stat().st_ino == before.st_ino


def test_a_refused_file_that_is_mended_is_written(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None], state: State
) -> None:
    side_file = add_side_file(make_lora(loras / "a.safetensors"), ".json", b"{")
    scan()
    mode("a1111")
    patch(api, weight=0.8)
    wait_for(api, "refused")
    side_file.write_text('{"notes": "mended"}')
    assert state_of(api)["state"] == "due"
    state.library.write_back.wake(again=True)
    wait_for(api, "written")
    assert json.loads(side_file.read_text()) == {"notes": "mended", "preferred weight": 0.8}


def test_an_edit_of_a_refused_one_is_tried_again(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    side_file = add_side_file(make_lora(loras / "a.safetensors"), ".json", b"{")
    scan()
    mode("a1111")
    patch(api, weight=0.8)
    wait_for(api, "refused")
    side_file.unlink()
    patch(api, weight=0.9)
    wait_for(api, "written")
    assert json.loads(side_file.read_text()) == {"preferred weight": 0.9}


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


def test_a_file_that_changes_while_it_is_written_is_read_again(
    loras: Path,
    scan: Scan,
    api: TestClient,
    mode: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    nudged: Callable[[str], Any],
) -> None:
    path = make_lora(loras / "a.safetensors")
    side_file = add_side_file(path, ".json", {"notes": "x"})
    scan()
    real = write_back.replace_file
    times = 0

    def meanwhile(target: str, blob: bytes, before: bytes | None, *, like: str) -> bool:
        nonlocal times
        times += 1
        if times == 1:
            side_file.write_text('{"notes": "x", "activation text": "from the host"}')
        return real(target, blob, before, like=like)

    monkeypatch.setattr(write_back, "replace_file", meanwhile)
    mode("a1111")
    patch(api, weight=0.8)
    wait_until(lambda: nudged("a") == "written")
    assert json.loads(side_file.read_text()) == {
        "notes": "x", "activation text": "from the host", "preferred weight": 0.8,
    }  # fmt: skip
    assert times == 2


def test_a_word_said_while_the_file_is_written_is_written_too(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    real = write_back.replace_file
    done = False

    def meanwhile(*arguments: Any, **more: Any) -> bool:
        nonlocal done
        if not done:
            done = True
            patch(api, notes="second thought")
        return real(*arguments, **more)

    monkeypatch.setattr(write_back, "replace_file", meanwhile)
    mode("a1111")
    patch(api, notes="first thought")
    wait_until(lambda: done and state_of(api)["state"] == "written")
    assert json.loads((loras / "a.json").read_text()) == {"notes": "second thought"}


def test_a_lora_that_is_moved_meanwhile_leaves_no_stray_file(
    loras: Path,
    scan: Scan,
    api: TestClient,
    mode: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    nudged: Callable[[str], Any],
) -> None:
    path = make_lora(loras / "a.safetensors")
    scan()
    real = write_back.plan_write
    moved = False

    def then_move(*arguments: Any) -> Any:
        nonlocal moved
        plan = real(*arguments)
        if not moved:
            moved = True
            api.post(f"loras/{id_of(api)}/rename", json={"name": "b"}).raise_for_status()
        return plan

    monkeypatch.setattr(write_back, "plan_write", then_move)
    mode("a1111")
    patch(api, weight=0.8)
    wait_until(lambda: moved and not path.exists())
    wait_until(lambda: nudged("b") == "written")
    assert sorted(name for name in os.listdir(loras) if not name.startswith(".")) == [
        "b.json",
        "b.safetensors",
    ]


def test_what_was_written_goes_along_when_a_rename_is_undone(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    action = api.post(f"loras/{id_of(api)}/rename", json={"name": "b"}).json()["action"]
    mode("a1111")
    patch(api, "b", weight=0.8)
    wait_for(api, "written", "b")
    assert (loras / "b.json").exists()
    api.post(f"actions/{action}/undo").raise_for_status()
    assert sorted(name for name in os.listdir(loras) if not name.startswith(".")) == [
        "a.json",
        "a.safetensors",
    ]


def test_a_missing_file_is_written_when_it_is_back(
    loras: Path, scan: Scan, api: TestClient, mode: Callable[[str], None]
) -> None:
    path = make_lora(loras / "a.safetensors")
    scan()
    away = path.with_name("away")
    path.rename(away)
    mode("a1111")
    patch(api, weight=0.8)
    scan()
    assert state_of(api) == {"state": "due", "file": "a.json", "reason": None}
    assert not (loras / "a.json").exists()
    away.rename(path)
    scan()
    wait_for(api, "written")
    assert json.loads((loras / "a.json").read_text()) == {"preferred weight": 0.8}


def test_a_file_downloaded_again_is_told_what_was_said(
    loras: Path,
    scan: Scan,
    api: TestClient,
    mode: Callable[[str], None],
    hash_all: Callable[[], None],
    nudged: Callable[[str], Any],
) -> None:
    make_lora(loras / "a.safetensors", body=b"w" * 3072)
    scan()
    hash_all()
    mode("a1111")
    patch(api, weight=0.8)
    wait_for(api, "written")
    make_lora(loras / "sub" / "again.safetensors", body=b"w" * 3072, modelspec__title="other header")
    scan()
    hash_all()
    wait_until(lambda: nudged("again") == "written" and (loras / "sub" / "again.json").exists())
    assert json.loads((loras / "sub" / "again.json").read_text()) == {"preferred weight": 0.8}


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Mounts a small disk of its own, filled by the test, and then makes it read-only."""
    place = tmp_path / "mounted"
    place.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("there is no mount command here")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(place)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"a read-only disk cannot be mounted here: {made.stderr.strip()}")

    def freeze() -> Path:
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        return place

    yield freeze
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_nothing_is_written_on_a_read_only_disk(
    tmp_path: Path, scan: Scan, api: TestClient, mode: Callable[[str], None], read_only: Callable[[], Path]
) -> None:
    place = tmp_path / "mounted"
    add_side_file(make_lora(place / "a.safetensors"), ".json", A1111)
    make_lora(place / "b.safetensors")
    read_only()
    api.post("library/folders", json={"add": [str(place)]}).raise_for_status()
    scan()
    mode("a1111")
    for name in "ab":
        patch(api, name, weight=0.9)
        assert "mounted read-only" in (wait_for(api, "refused", name) or "")
    assert json.loads((place / "a.json").read_text()) == A1111
    assert sorted(os.listdir(place)) == ["a.json", "a.safetensors", "b.safetensors"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(written_files.os, "fsync", full)
    with pytest.raises(Refused, match="full"):
        replace_file(str(path), b"new", b"{}", like=str(path))
    assert path.read_text() == "{}" and os.listdir(tmp_path) == ["a.json"]


def test_a_file_that_appears_or_goes_meanwhile_is_not_touched(tmp_path: Path) -> None:
    path, like = tmp_path / "a.json", tmp_path / "a.safetensors"
    like.write_text("")
    path.write_text("theirs")
    assert replace_file(str(path), b"new", None, like=str(like)) is False
    assert path.read_text() == "theirs"
    path.unlink()
    assert replace_file(str(path), b"new", b"old", like=str(like)) is False
    assert os.listdir(tmp_path) == ["a.safetensors"]


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


def test_a_locked_database_makes_it_wait(
    loras: Path,
    scan: Scan,
    api: TestClient,
    state: State,
    mode: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    nudged: Callable[[str], Any],
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    patch(api, weight=0.8)
    real, failures = state.database.write, 2

    def sometimes(work: Any, **more: Any) -> Any:
        nonlocal failures
        if work.__qualname__.startswith("WriteBack") and failures:
            failures -= 1
            raise Unavailable("busy")
        return real(work, **more)

    monkeypatch.setattr(state.database, "write", sometimes)
    mode("a1111")
    wait_until(lambda: nudged("a") == "written")
    assert not failures
    assert json.loads((loras / "a.json").read_text()) == {"preferred weight": 0.8}


def test_the_worker_starts_and_stops_with_the_library(state: State, loras: Path) -> None:
    make_lora(loras / "a.safetensors")
    library = Library(state.database, state.events, state.settings, watch=False)
    library.start()
    assert library.write_back.started
    library.stop()
    assert not library.write_back.started
