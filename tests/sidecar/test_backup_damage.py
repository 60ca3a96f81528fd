"""Archives that are cut off, flipped, changed or hostile: told with every problem, and never restored."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from sidecar.backup.archive import MANIFEST, BrokenBackup
from sidecar.backup.restoring import restore_archive
from sidecar.backup.shelf import MANUAL, list_backups, make_backup, verify_backup
from sidecar.database import Database
from sidecar.errors import Unavailable
from sidecar.migrations import migrations


def rewrite(
    path: Path,
    changes: Mapping[str, bytes | None] = MappingProxyType({}),
    manifest: Callable[[dict[str, Any]], None] = lambda m: None,
) -> Path:
    """A copy of an archive with other members (None leaves one out) and another manifest."""
    other = path.with_name("rewritten.zip")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as target:
        members = {name: source.read(name) for name in source.namelist()}
        said = json.loads(members[MANIFEST])
        manifest(said)
        members[MANIFEST] = json.dumps(said).encode()
        for name, content in {**members, **changes}.items():
            if content is not None:
                target.writestr(name, content)
    return other


def problems_of(data: Path, archive: Path) -> list[str]:
    shutil.move(archive, data / "backups" / "other.zip")
    return verify_backup(data, "other")


def test_a_damaged_database_is_told_and_not_kept(data: Path) -> None:
    database = Database(data)
    database.write(
        lambda c: c.executemany("INSERT INTO tags (name) VALUES (?)", ((f"{n}" * 99,) for n in range(999)))
    )
    database.close()
    content = bytearray((data / "lora-manager.db").read_bytes())
    content[-90_000:-40_000] = bytes(50_000)
    (data / "lora-manager.db").write_bytes(content)
    with pytest.raises(Unavailable, match="not sound"):
        make_backup(data, MANUAL)
    assert list_backups(data) == []


def test_an_archive_cut_off_anywhere_is_found_out(database: Database, data: Path) -> None:
    made = make_backup(data, MANUAL)
    content = made.path.read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 1):
        made.path.write_bytes(content[:size])
        assert "cut off" in verify_backup(data, made.id)[0]
        listed = list_backups(data)[0]
        assert listed.problem and "cut off" in listed.problem
        assert listed.verified is None


def test_a_flipped_byte_is_found_out_or_does_not_matter(
    database: Database, data: Path, tmp_path: Path
) -> None:
    """Bytes that no reader looks at, as a member's date, may differ; what is unpacked is what was packed."""
    made = make_backup(data, MANUAL)
    content = made.path.read_bytes()
    good = zipfile.ZipFile(made.path).read("lora-manager.db")
    rng = random.Random(1)
    found = 0
    end = range(len(content) - 220, len(content))
    for position in [*rng.sample(range(end.start), 120), *end]:
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.randrange(8)
        made.path.write_bytes(damaged)
        if verify_backup(data, made.id):
            found += 1
            continue
        target = tmp_path / str(position)
        restore_archive(made.path, target)
        assert (target / "lora-manager.db").read_bytes() == good
    assert found > 200


def test_a_changed_member_is_found_out_although_the_zip_is_sound(database: Database, data: Path) -> None:
    (data / "settings.json").write_text('{"trash_days": 7}')
    made = make_backup(data, MANUAL)
    assert "settings.json has 2 bytes" in problems_of(data, rewrite(made.path, {"settings.json": b"{}"}))[0]
    same_size = rewrite(
        made.path, {"settings.json": zipfile.ZipFile(made.path).read("settings.json").replace(b"7", b"8")}
    )
    assert "not what was packed" in problems_of(data, same_size)[0]


def test_a_database_with_loose_references_is_found_out(
    database: Database, data: Path, tmp_path: Path
) -> None:
    made = make_backup(data, MANUAL)
    copy = tmp_path / "copy.db"
    copy.write_bytes(zipfile.ZipFile(made.path).read("lora-manager.db"))
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("INSERT INTO generation_loras (generation_id, position, name) VALUES (99, 0, 'x')")
        connection.commit()
    content = copy.read_bytes()

    def say(manifest: dict[str, Any]) -> None:
        manifest["members"][0] |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    problems = problems_of(data, rewrite(made.path, {"lora-manager.db": content}, say))
    assert "refers to a row of generations that is not there" in problems[0]


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a member outside": (lambda path: rewrite(path, {"../../evil": b"x"}), "no part of a backup"),
    "an absolute member": (lambda path: rewrite(path, {"/tmp/evil": b"x"}), "no part of a backup"),
    "no manifest": (lambda path: rewrite(path, {MANIFEST: None}), "not made by LoRA Manager"),
    "no database": (lambda path: rewrite(path, {"lora-manager.db": None}), "missing"),
    "a huge manifest": (lambda path: rewrite(path, {MANIFEST: b"{" + b" " * 2_000_000}), "larger than any"),
    "a manifest of rubbish": (lambda path: rewrite(path, {MANIFEST: b"[1"}), "not as it should be"),
    "another program's": (
        lambda path: rewrite(path, manifest=lambda m: m.update(format="x")),
        "not a backup of",
    ),
    "a newer format": (lambda path: rewrite(path, manifest=lambda m: m.update(format_version=9)), "newer"),
    "a lie about the schema": (
        lambda path: rewrite(path, manifest=lambda m: m["migrations"].pop()),
        "another schema",
    ),
    "a bomb": (
        lambda path: rewrite(
            path,
            {"lora-manager.db": bytes(300_000_000)},
            lambda m: m["members"][0].update(size=300_000_000),
        ),
        "made to fill a disk",
    ),
    "a lie about a size": (
        lambda path: rewrite(path, manifest=lambda m: m["members"][0].update(size=10**12)),
        "instead of 1,000,000,000,000",
    ),
    "no database in it": (
        lambda path: rewrite(
            path,
            {"lora-manager.db": b"no database"},
            lambda m: m["members"][0].update(size=11, sha256=hashlib.sha256(b"no database").hexdigest()),
        ),
        "cannot be read",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_told_and_not_restored(
    database: Database, data: Path, tmp_path: Path, name: str
) -> None:
    make, said = HOSTILE[name]
    archive = make(make_backup(data, MANUAL).path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BrokenBackup) as refused:
        restore_archive(archive, tmp_path / "new" / "place")
    assert sorted(tmp_path.rglob("*")) == before
    assert any(said in problem for problem in refused.value.problems), refused.value.problems
    assert refused.value.problems == problems_of(data, archive)


def test_a_backup_of_a_newer_schema_says_that_an_update_is_needed(database: Database, data: Path) -> None:
    database.write(
        lambda c: c.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, 'm999_future', '')",
            (migrations.name,),
        )
    )
    made = make_backup(data, MANUAL)
    assert "made by a newer LoRA Manager" in verify_backup(data, made.id)[0]
    with pytest.raises(BrokenBackup, match="update this one first"):
        restore_archive(made.path, data.parent / "new")
