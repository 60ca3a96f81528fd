"""The archives of a data folder: taken, listed, checked, deleted. One at a time is made, also by other processes."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import orjson

from sidecar import __version__
from sidecar.backup.archive import (
    DATABASE,
    SETTINGS,
    BrokenBackup,
    Manifest,
    read_manifest,
    unpack,
    write_archive,
)
from sidecar.backup.restoring import check_archive
from sidecar.backup.snapshot import applied_migrations, copy_database, count_rows, database_problems
from sidecar.errors import Conflict, NotFound, Unavailable
from sidecar.library.files.disk import fsync_folders
from sidecar.settings import SETTINGS_FILE, read_settings_file

log = logging.getLogger("lora-manager.backup")

FOLDER = "backups"
MANUAL, MIGRATION = "manual", "migration"
KEPT = 10
SECRETS = ("token", "civitai_key")
_LOCK = ".lock"
_WORK = ".work-"
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,120}")
# Where each part of the work ends, in percent.
_COPIED, _CHECKED, _PACKED = 15, 35, 85

Progress = Callable[[int, str], None]


@dataclass(frozen=True)
class Backup:
    """An archive on disk. `manifest` is None when it cannot be read, and `problem` says why.

    `verified` is when it was last read to its end and found good, in epoch seconds.
    """

    id: str
    path: Path
    size: int
    modified: float
    manifest: Manifest | None
    problem: str | None
    verified: float | None

    def describe(self) -> dict[str, Any]:
        """As the API gives it."""
        known = self.manifest
        return {
            "id": self.id,
            "created": known.created if known else self.modified,
            "size": self.size,
            "schema": known and known.schema_version,
            "version": known and known.version,
            "reason": known and known.reason,
            "note": known.note if known else "",
            "counts": known.counts if known else {},
            "verified": self.verified,
            "problem": self.problem,
        }


def make_backup(
    data: Path, reason: str, note: str = "", progress: Progress = lambda percent, message: None
) -> Backup:
    """Take a backup of a data folder, whoever uses it meanwhile.

    Args:
        progress: told how far it is; may raise to give up, and then nothing is left behind.

    Raises:
        Conflict: another one is being made or checked. NotFound: there is no database.
        Unavailable: the database is damaged, or the disk is full.
    """
    if not (data / DATABASE).is_file():
        raise NotFound(f"There is no {DATABASE} in {data}: nothing to back up.")
    try:
        with _work_folder(data) as work:
            packed = _pack(data, work, reason, note, progress)
            backup_id = _free_id(data, reason)
            path = _path(data, backup_id)
            os.replace(packed, path)
            fsync_folders([str(path.parent)])
            _note_verified(data, backup_id)
    except (OSError, sqlite3.Error) as error:
        why = error.strerror or error if isinstance(error, OSError) else error
        raise Unavailable(
            f"No backup could be made: {why}. Free some space on the disk of {data}, or see that the folder can be "
            "written; earlier backups are as they were."
        ) from error
    return _read(data, backup_id)


def _pack(data: Path, work: Path, reason: str, note: str, progress: Progress) -> Path:
    """Copy, check, pack and read back, all in the folder `work`; returns the archive's path."""

    def part(start: int, end: int, message: str) -> Callable[[float], None]:
        return lambda share: progress(start + int((end - start) * share), message)

    created = time.time()
    database = work / DATABASE
    copy_database(data / DATABASE, database, part(0, _COPIED, "Copying the database"))
    progress(_COPIED, "Checking the copy")
    problems = database_problems(database)
    if problems:
        raise Unavailable(
            f"No backup was made, since the database is not sound. {problems[0]} Put an earlier backup in its place."
        )
    files = {DATABASE: database}
    settings = read_settings_file(data / SETTINGS_FILE)
    if settings:
        files[SETTINGS] = work / SETTINGS
        kept = {name: value for name, value in settings.items() if name not in SECRETS}
        files[SETTINGS].write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2))
    applied = applied_migrations(database)
    facts = {
        "version": __version__, "schema_version": len(applied), "migrations": applied, "created": created,
        "reason": reason, "note": note, "counts": count_rows(database),
    }  # fmt: skip
    packed = work / "archive.zip"
    write_archive(packed, facts, files, part(_CHECKED, _PACKED, "Packing"))
    try:
        unpack(packed, None, part(_PACKED, 100, "Reading it back"))
    except BrokenBackup as error:
        raise Unavailable(
            f"The backup did not read back as it was written. {error.problems[0]} Is the disk failing?"
        ) from error
    return packed


def list_backups(data: Path) -> list[Backup]:
    """All archives, newest first; one that cannot be read is among them and says why."""
    found = (_read(data, path.stem) for path in _folder(data).glob("*.zip") if _ID.fullmatch(path.stem))
    return sorted(found, key=lambda one: (one.describe()["created"], one.id), reverse=True)


def get_backup(data: Path, backup_id: str) -> Backup:
    """One archive.

    Raises:
        NotFound: there is none of this id.
    """
    if not _ID.fullmatch(backup_id) or not _path(data, backup_id).is_file():
        raise NotFound(f"There is no backup {backup_id[:120]!r}; it may have been deleted.")
    return _read(data, backup_id)


def verify_backup(data: Path, backup_id: str) -> list[str]:
    """Read an archive to its end and look into its database; returns everything that is wrong.

    Raises:
        NotFound: there is none of this id. Conflict: another one is being made or checked.
        Unavailable: there is no room to unpack it.
    """
    path = get_backup(data, backup_id).path
    with _work_folder(data) as work:
        problems = check_archive(path, work)
    if problems:
        _verified_path(data, backup_id).unlink(missing_ok=True)
    else:
        _note_verified(data, backup_id)
    return problems


def delete_backup(data: Path, backup_id: str) -> None:
    """Delete an archive for good.

    Raises:
        NotFound: there is none of this id. Unavailable: it cannot be deleted.
    """
    path = get_backup(data, backup_id).path
    try:
        path.unlink(missing_ok=True)
        _verified_path(data, backup_id).unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(f"{path} cannot be deleted: {error.strerror or error}.") from error


def back_up_before_migration(data: Path) -> Backup:
    """The backup that stands before every change of the schema; of these the last ten are kept.

    Raises:
        Unavailable: it could not be made, and the message says why. Conflict: another one is being made.
    """
    log.info("The database is of an older version: it is backed up before it is changed.")
    backup = make_backup(data, MIGRATION, f"Before version {__version__} changes the database's schema")
    automatic = [one for one in list_backups(data) if one.manifest and one.manifest.reason == MIGRATION]
    for old in automatic[KEPT:]:
        delete_backup(data, old.id)
    return backup


def _folder(data: Path) -> Path:
    return data / FOLDER


def _path(data: Path, backup_id: str) -> Path:
    return _folder(data) / f"{backup_id}.zip"


def _verified_path(data: Path, backup_id: str) -> Path:
    return _folder(data) / f"{backup_id}.verified"


def _free_id(data: Path, reason: str) -> str:
    first = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{reason}"
    number, backup_id = 1, first
    while _path(data, backup_id).exists():
        number += 1
        backup_id = f"{first}-{number}"
    return backup_id


@contextmanager
def _work_folder(data: Path) -> Iterator[Path]:
    """A folder of our own beside the archives, alone; what a killed process left in its own is removed."""
    folder = _folder(data)
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = filelock.FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise Conflict("A backup is being made or checked already; try again when it is done.") from error
    try:
        for left in folder.glob(f"{_WORK}*"):
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=_WORK, dir=folder))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        lock.release()


def _note_verified(data: Path, backup_id: str) -> None:
    """Remember that this very file was good; a file of another size or time is not known any more."""
    stat = _path(data, backup_id).stat()
    _verified_path(data, backup_id).write_bytes(orjson.dumps([time.time(), stat.st_size, stat.st_mtime_ns]))


def _read(data: Path, backup_id: str) -> Backup:
    path = _path(data, backup_id)
    stat = path.stat()
    manifest, problem = None, None
    try:
        manifest = read_manifest(path)
    except BrokenBackup as error:
        problem = error.problems[0]
    verified = None
    try:
        when, size, mtime_ns = orjson.loads(_verified_path(data, backup_id).read_bytes())
        if (size, mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            verified = when
    except (OSError, ValueError, TypeError):
        pass  # not verified yet, or by somebody who writes it otherwise
    return Backup(backup_id, path, stat.st_size, stat.st_mtime, manifest, problem, verified)
