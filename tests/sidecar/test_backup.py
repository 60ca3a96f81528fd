"""Backups: consistent while everything runs, checked to the last byte, restored whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils
from lora_files import make_lora
from pydantic import SecretStr
from starlette.testclient import TestClient
from waiting import wait_until

from sidecar.backup import shelf, snapshot
from sidecar.backup.archive import MANIFEST
from sidecar.backup.restoring import restore_archive
from sidecar.backup.shelf import KEPT, MANUAL, SECRETS, list_backups, make_backup, verify_backup
from sidecar.database import Database
from sidecar.errors import BadRequest, Conflict, NotFound, StartError
from sidecar.library import folders
from sidecar.migrations import migrations
from sidecar.process import data_folder_lock
from sidecar.settings import Settings
from sidecar.state import State
from sidecar.tasks import Cancelled

ROOT = Path(__file__).parents[2]
Scan = Callable[[], None]


def back_up(api: TestClient, note: str = "") -> dict[str, Any]:
    """Take a backup over HTTP and wait for it."""
    answer = api.post("backups", json={"note": note})
    assert answer.status_code == 202, answer.text
    number = answer.json()["task"]
    wait_until(lambda: api.get(f"tasks/{number}").json()["state"] != "running")
    task = api.get(f"tasks/{number}").json()
    assert task["state"] == "done", task
    assert (task["done"], task["total"]) == (100, 100)
    result: dict[str, Any] = task["result"]
    return result


def test_a_backup_is_listed_verified_downloaded_and_restored(
    loras: Path, scan: Scan, api: TestClient, state: State, tmp_path: Path
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    lora_id = api.get("loras").json()["items"][0]["id"]
    api.patch(f"loras/{lora_id}", json={"notes": "precious", "favorite": True, "add_tags": ["mine"]})
    made = back_up(api, "before the big move")
    assert (made["reason"], made["note"], made["counts"]["loras"]) == ("manual", "before the big move", 1)
    assert made["schema"] == state.database.schema
    assert made["verified"] and made["problem"] is None
    assert api.get("backups").json() == {"items": [made], "total": 1, "next_cursor": None}
    assert api.post(f"backups/{made['id']}/verify").json() == {"ok": True, "problems": []}

    answer = api.get(f"backups/{made['id']}/archive")
    assert answer.headers["content-type"] == "application/zip"
    assert len(answer.content) == made["size"]
    downloaded = tmp_path / "downloaded.zip"
    downloaded.write_bytes(answer.content)
    with zipfile.ZipFile(downloaded) as archive:
        manifest = json.loads(archive.read(MANIFEST))
        assert {entry["name"] for entry in manifest["members"]} == set(archive.namelist()) - {MANIFEST}
        for entry in manifest["members"]:
            content = archive.read(entry["name"])
            assert (entry["size"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())

    empty = tmp_path / "restored"
    restored = api.post(f"backups/{made['id']}/restore", json={"data": str(empty)}).json()
    assert restored["data"] == str(empty)
    database = Database(empty)
    try:
        row = database.reader().execute("SELECT notes, favorite, tags_added FROM identities").fetchone()
        assert tuple(row) == ("precious", 1, '["mine"]')
        assert (
            database.reader()
            .execute("SELECT count(*) FROM search WHERE search MATCH 'precious'")
            .fetchone()[0]
        )
    finally:
        database.close()
    assert api.delete(f"backups/{made['id']}").status_code == 200
    assert api.get("backups").json()["total"] == 0
    assert os.listdir(state.settings.data / "backups") == [".lock"]


def test_secrets_are_in_no_backup(state: State, api: TestClient, tmp_path: Path) -> None:
    api.patch("settings", json={"civitai_key": "very-secret-key", "trash_days": 7})
    path = state.settings.data / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "token": "a-long-secret-token"}))
    made = back_up(api)
    archive = state.settings.data / "backups" / f"{made['id']}.zip"
    for name in zipfile.ZipFile(archive).namelist():
        content = zipfile.ZipFile(archive).read(name)
        assert b"very-secret" not in content and b"a-long-secret" not in content
    restore_archive(archive, tmp_path / "restored")
    assert json.loads((tmp_path / "restored" / "settings.json").read_text()) == {"trash_days": 7}
    assert not (tmp_path / "restored" / "token").exists()


def test_every_secret_of_the_settings_is_known_as_one() -> None:
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert secret | {"token"} == set(SECRETS)
    assert SecretStr("x").get_secret_value() not in str(SecretStr("x"))


def test_archives_and_their_folder_are_the_owners_alone(database: Database, data: Path) -> None:
    made = make_backup(data, MANUAL)
    assert made.path.stat().st_mode & 0o077 == 0
    assert made.path.parent.stat().st_mode & 0o077 == 0


def test_a_backup_taken_amid_writes_holds_one_state_and_holds_nobody_up(
    database: Database, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every transaction adds to both tables; a copy that saw half of one would have different counts."""
    monkeypatch.setattr(snapshot, "PAGES", 20)
    rows = 4_000
    database.write(
        lambda c: c.executemany(
            "INSERT INTO tags (name) VALUES (?)", ((f"t{n:06}" * 50,) for n in range(rows))
        )
    )
    stopped = threading.Event()
    written = 0

    def both(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO tags (name) VALUES (?)", (f"w{written:06}" * 50,))
        connection.execute("INSERT INTO identities (body_hash) VALUES (?)", (f"w{written}",))

    def write() -> None:
        nonlocal written
        while not stopped.is_set():
            database.write(both)
            written += 1

    seen: list[int] = []

    def progress(percent: int, message: str) -> None:
        before = written
        wait_until(lambda: written > before)  # writers go on at every step, also amid the copy
        seen.append(percent)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = make_backup(data, MANUAL, progress=progress)
    finally:
        stopped.set()
        writer.join()
    assert made.manifest
    assert made.manifest.counts["tags"] - rows == made.manifest.counts["identities"] < written
    assert seen == sorted(seen) and seen[-1] == 100
    assert verify_backup(data, made.id) == []


def test_a_cancelled_backup_leaves_nothing(database: Database, data: Path) -> None:
    def progress(percent: int, message: str) -> None:
        if percent > 40:
            raise Cancelled

    with pytest.raises(Cancelled):
        make_backup(data, MANUAL, progress=progress)
    assert os.listdir(data / "backups") == [".lock"]


def test_only_one_backup_is_made_at_a_time(database: Database, data: Path) -> None:
    def progress(percent: int, message: str) -> None:
        with pytest.raises(Conflict, match="already"):
            make_backup(data, MANUAL)

    make_backup(data, MANUAL, progress=progress)
    assert len(list_backups(data)) == 1


def test_two_backups_in_one_second_have_names_of_their_own(database: Database, data: Path) -> None:
    ids = {make_backup(data, MANUAL).id for _ in range(3)}
    assert {backup.id for backup in list_backups(data)} == ids and len(ids) == 3


def test_without_a_database_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing to back up"):
        make_backup(tmp_path, MANUAL)


def test_restore_wants_an_empty_folder_that_nobody_uses(
    state: State, api: TestClient, tmp_path: Path
) -> None:
    made = back_up(api)
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")

    def restore(folder: Any) -> int:
        return api.post(f"backups/{made['id']}/restore", json={"data": str(folder)}).status_code

    assert restore(taken) == restore(state.settings.data) == 409
    assert os.listdir(taken) == ["mine.txt"]
    assert restore("relative/folder") == 400
    used = tmp_path / "used"
    used.mkdir()
    with data_folder_lock(used):
        assert restore(used) == 409
    assert restore(used) == 200
    assert api.post("backups/nothing/restore", json={"data": str(tmp_path / "x")}).status_code == 404
    assert restore(taken / "mine.txt" / "below") == 503
    with pytest.raises(BadRequest):
        restore_archive(tmp_path / "a.zip", Path("relative"))


def test_file_operations_under_way_are_not_taken_up_after_a_restore(
    database: Database, data: Path, tmp_path: Path
) -> None:
    states = ("planned", "leftover", "done", "undone")
    database.write(
        lambda c: c.executemany(
            "INSERT INTO file_operations (kind, state, loras, steps, change) VALUES ('move', ?, '[]', '[]', '{}')",
            ((state,) for state in states),
        )
    )
    restore_archive(make_backup(data, MANUAL).path, tmp_path / "again")
    restored = Database(tmp_path / "again")
    try:
        rows = restored.reader().execute("SELECT state FROM file_operations ORDER BY id")
        assert [row["state"] for row in rows] == ["undone", "done", "done", "undone"]
    finally:
        restored.close()


@pytest.mark.parametrize("backup_id", ["..%2f..%2ftoken", "%2e%2e", ".lock", "a" * 300, "none"])
def test_an_id_is_no_way_out_of_the_folder(api: TestClient, data: Path, backup_id: str) -> None:
    (data / "token").write_text("kept")
    for method, path in (("GET", "archive"), ("POST", "verify")):
        assert api.request(method, f"backups/{backup_id}/{path}").status_code in (404, 405)
    assert api.delete(f"backups/{backup_id}").status_code in (404, 405)
    assert (data / "token").read_text() == "kept"


def old_database(data: Path) -> None:
    """A data folder as the first version left it, with one LoRA folder in it."""
    with closing(sqlite3.connect(data / "lora-manager.db", isolation_level=None)) as connection:
        migrations.apply(sqlite_utils.Database(connection), stop_before="m002_organise")
        connection.execute("INSERT INTO roots (path, label) VALUES ('/loras', 'loras')")


def test_before_a_schema_change_a_backup_is_taken_and_can_be_restored(data: Path, tmp_path: Path) -> None:
    old_database(data)
    database = Database(data)
    schema = database.schema
    database.close()
    made = list_backups(data)
    assert [one.manifest.reason for one in made if one.manifest] == ["migration"]
    assert made[0].manifest and made[0].manifest.schema_version == 1 < schema
    restore_archive(made[0].path, tmp_path / "again")
    with closing(sqlite3.connect(tmp_path / "again" / "lora-manager.db")) as connection:
        assert connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0] == 1
    database = Database(tmp_path / "again")
    try:
        assert database.schema == schema
        assert [root.path for root in folders.active_roots(database)] == ["/loras"]
    finally:
        database.close()


def test_without_a_schema_change_no_backup_is_taken(data: Path) -> None:
    for _ in range(2):
        Database(data).close()
    assert not (data / "backups").exists()


def test_no_backup_no_schema_change(data: Path) -> None:
    old_database(data)
    (data / "backups").write_text("in the way")
    with pytest.raises(StartError, match="backed up before it is changed, and that failed"):
        Database(data)
    with closing(sqlite3.connect(data / "lora-manager.db")) as connection:
        assert connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0] == 1
    (data / "backups").unlink()
    Database(data).close()
    assert len(list_backups(data)) == 1


def test_the_last_automatic_backups_are_kept_and_all_of_the_users_own(database: Database, data: Path) -> None:
    own = make_backup(data, MANUAL)
    automatic = [shelf.back_up_before_migration(data).id for _ in range(KEPT + 2)]
    kept = {backup.id for backup in list_backups(data)}
    assert kept == {own.id, *automatic[2:]}


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sidecar", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_commands_take_and_restore_a_backup_while_the_folder_is_in_use(
    state: State, data: Path, tmp_path: Path
) -> None:
    taken = run("backup", "--data", str(data), "--note", "by hand")
    assert taken.returncode == 0, taken.stderr
    path = Path(taken.stdout.strip())
    backup = list_backups(data)[0]
    assert backup.path == path and backup.manifest and backup.manifest.note == "by hand"
    restored = run("restore", str(path), "--data", str(tmp_path / "new"))
    assert restored.returncode == 0 and f"serve --data {tmp_path / 'new'}" in restored.stdout
    again = run("restore", str(path), "--data", str(tmp_path / "new"))
    assert again.returncode == 2 and "not empty" in again.stderr
    assert len(again.stderr.strip().splitlines()) == 1
    assert run("restore", str(tmp_path / "none.zip"), "--data", str(tmp_path / "x")).returncode == 2


def test_a_data_folder_may_be_named_by_a_relative_path(database: Database, data: Path) -> None:
    taken = run("backup", "--data", data.name, cwd=data.parent)
    assert taken.returncode == 0, taken.stderr
    restored = run("restore", taken.stdout.strip(), "--data", "an empty one?", cwd=data.parent)
    assert restored.returncode == 0, restored.stderr
    assert (data.parent / "an empty one?" / "lora-manager.db").exists()


def test_a_process_killed_amid_a_backup_leaves_no_half_archive(database: Database, data: Path) -> None:
    rng = random.Random(3)
    database.write(
        lambda c: c.executemany(
            "INSERT INTO tags (name) VALUES (?)", ((rng.randbytes(2_000).hex(),) for _ in range(5_000))
        )
    )
    folder = data / "backups"
    killed = 0
    for number in range(12):
        process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", "backup", "--data", str(data)],
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        stage = ("lora-manager.db", "archive.zip")[number % 2]
        wait_until(partial(reached, process, folder, stage))
        try:
            process.wait(timeout=rng.random() * 0.15)
        except subprocess.TimeoutExpired:
            process.kill()
            killed += 1
        process.wait()
        for backup in list_backups(data):
            assert backup.problem is None and verify_backup(data, backup.id) == []
    assert killed > 3
    assert len(list_backups(data)) >= 12 - killed
    make_backup(data, MANUAL)
    assert not list(folder.glob(".work-*"))


def reached(process: subprocess.Popen[bytes], folder: Path, stage: str) -> bool:
    return bool(list(folder.glob(f".work-*/{stage}"))) or process.poll() is not None
