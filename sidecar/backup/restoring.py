"""Puts an archive into an empty data folder, whole or not at all; and checks one without leaving anything behind."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sidecar.backup.archive import DATABASE, BrokenBackup, Manifest, Told, unpack
from sidecar.backup.snapshot import (
    applied_migrations,
    database_problems,
    leave_unfinished,
    unknown_migrations,
)
from sidecar.errors import BadRequest, Conflict, DataFolderInUse, Unavailable
from sidecar.library.files.disk import fsync_folders
from sidecar.process import LOCK_FILE, data_folder_lock

_UNPACKED = ".restoring-"


def check_archive(path: Path, work: Path, told: Told = lambda share: None) -> list[str]:
    """Everything that is wrong with an archive: its members, the manifest, the database in it; empty when it is good.

    Args:
        work: an empty folder; the database is unpacked there to be looked at.

    Raises:
        Unavailable: there is no room for that.
    """
    try:
        _checked(path, work, told)
    except BrokenBackup as error:
        return error.problems
    except OSError as error:
        raise Unavailable(f"The backup cannot be checked: {error.strerror or error}.") from error
    return []


def _checked(path: Path, folder: Path, told: Told) -> Manifest:
    """Unpack an archive into `folder` and look into the database."""
    manifest = unpack(path, folder, told)
    database = folder / DATABASE
    problems = database_problems(database)
    if not problems:
        try:
            applied = applied_migrations(database)
        except sqlite3.Error as error:
            raise BrokenBackup([f"Its database is not one of LoRA Manager: {error}."]) from error
        if applied != manifest.migrations:
            problems.append("Its database has another schema than its manifest says.")
        newer = unknown_migrations(applied)
        if newer:
            problems.append(
                f"It was made by a newer LoRA Manager (version {manifest.version[:40]}, schema "
                f"{len(applied)}: {newer[-1][:60]}); update this one first."
            )
    if problems:
        raise BrokenBackup(problems)
    return manifest


def restore_archive(path: Path, folder: Path, told: Told = lambda share: None) -> Manifest:
    """Put an archive's files into a data folder that is empty or not there yet.

    An older schema is brought up to date when the folder is first used. Secrets are in no archive: the token is made
    anew then, the Civitai key is to be given again.

    Raises:
        BadRequest: `folder` is no full path. Conflict: it is not empty, or in use.
        BrokenBackup: the archive is damaged or of a newer version. Unavailable: the disk does not take it.
        In all these cases nothing is left behind.
    """
    if not folder.is_absolute():
        raise BadRequest(f"The folder must be given by its full path, not {str(folder)!r}.")
    try:
        made = _make_folders(folder)
        try:
            with _held(folder):
                return _fill(path, folder, told)
        except BaseException:
            for one in made:
                (one / LOCK_FILE).unlink(missing_ok=True)
                one.rmdir()
            raise
    except (OSError, sqlite3.Error) as error:
        why = error.strerror or error if isinstance(error, OSError) else error
        raise Unavailable(f"The folder {folder} cannot be filled: {why}. Nothing was left there.") from error


def _make_folders(folder: Path) -> list[Path]:
    """Make the folder; returns those that were not there, innermost first."""
    made = []
    place = folder
    while not place.exists():
        made.append(place)
        place = place.parent
    folder.mkdir(parents=True, exist_ok=True)
    return made


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold an empty folder against a sidecar that would start in it."""
    others = [name for name in os.listdir(folder) if name != LOCK_FILE and not name.startswith(_UNPACKED)]
    if others:
        raise Conflict(
            f"The folder {folder} is not empty (it holds {others[0]!r}); restore into an empty one, look at what is "
            "there, and then use it with --data."
        )
    try:
        with data_folder_lock(folder):
            yield
    except DataFolderInUse as error:
        raise Conflict(str(error)) from error


def _fill(path: Path, folder: Path, told: Told) -> Manifest:
    for left in folder.glob(f"{_UNPACKED}*"):
        shutil.rmtree(left)  # of a restore that did not come to its end
    work = Path(tempfile.mkdtemp(prefix=_UNPACKED, dir=folder))
    try:
        manifest = _checked(path, work, told)
        leave_unfinished(work / DATABASE)
        names = [member.name for member in manifest.members]
        for name in sorted(names, key=lambda name: name == DATABASE):  # with the database it is complete
            os.replace(work / name, folder / name)
        fsync_folders([str(folder)])
    finally:
        shutil.rmtree(work)
    return manifest
