"""One archive: a zip with a manifest that says what it is and what every member must hold. docs/backup.md has the format.

Whatever is in a file that calls itself an archive: reading it writes nowhere but where it is told to, and never more
than the manifest says.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from sidecar.errors import SidecarError, Unavailable

FORMAT = "lora-manager-backup"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
DATABASE = "lora-manager.db"
SETTINGS = "settings.json"
MEMBERS = (DATABASE, SETTINGS)
MAX_MANIFEST = 1_000_000
MAX_RATIO = 250  # a database packs 3 to 20 times smaller; what claims more than this is made to fill a disk
CHUNK = 1024 * 1024
# Of zip's own checks and of what damaged bytes make of its parts.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)

Told = Callable[[float], None]


class BrokenBackup(SidecarError):
    """An archive that cannot be trusted; `detail` lists everything that is wrong with it."""

    status = 422
    code = "broken_backup"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(f"This backup cannot be used. {problems[0]}", list(problems))
        self.problems = list(problems)


class Member(BaseModel):
    """A file in an archive."""

    name: str
    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What an archive says of itself. `created` is in epoch seconds, `schema_version` the number of `migrations`."""

    format: str
    format_version: int
    version: str
    schema_version: int
    migrations: list[str]
    created: float
    reason: str
    note: str = ""
    counts: dict[str, int] = {}
    members: list[Member] = Field(max_length=1_000)


def write_archive(
    path: Path, facts: Mapping[str, object], files: Mapping[str, Path], told: Told = lambda share: None
) -> Manifest:
    """Pack `files` (by member name) and then the manifest into a new zip, down to the disk.

    Args:
        facts: the fields of `Manifest` but `format`, `format_version` and `members`.

    Raises:
        OSError: the disk is full, or a file cannot be read.
    """
    total = sum(file.stat().st_size for file in files.values()) or 1
    members: list[Member] = []
    with (
        open(path, "xb", opener=_private) as target,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        done = 0
        for name, file in files.items():
            digest, size = hashlib.sha256(), 0
            with open(file, "rb") as source, archive.open(name, "w", force_zip64=True) as member:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    member.write(chunk)
                    size += len(chunk)
                    done += len(chunk)
                    told(min(1.0, done / total))
            members.append(Member(name=name, size=size, sha256=digest.hexdigest()))
        manifest = Manifest.model_validate(
            {**facts, "format": FORMAT, "format_version": FORMAT_VERSION, "members": members}
        )
        archive.writestr(MANIFEST, manifest.model_dump_json(indent=2))
        archive.close()  # before the bytes are made to last
        target.flush()
        os.fsync(target.fileno())
    return manifest


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def read_manifest(path: Path) -> Manifest:
    """What an archive says of itself; its other members are not looked at.

    Raises:
        BrokenBackup: it is no archive of ours, damaged, or of a newer format.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _manifest(archive)
    except OSError as error:
        raise BrokenBackup([f"It cannot be read: {error.strerror or error}."]) from error
    except _DAMAGE as error:
        raise BrokenBackup([_damage(error)]) from error


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    try:
        info = archive.getinfo(MANIFEST)
    except KeyError:
        raise BrokenBackup([f"It has no {MANIFEST}: it was not made by LoRA Manager."]) from None
    if info.file_size > MAX_MANIFEST:
        raise BrokenBackup([f"Its {MANIFEST} is larger than any backup's."])
    try:
        manifest = Manifest.model_validate_json(archive.read(info))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its text"
        raise BrokenBackup([f"Its {MANIFEST} is not as it should be: {where}: {first['msg']}."]) from error
    if manifest.format != FORMAT:
        raise BrokenBackup([f"It is a {manifest.format[:40]!r}, not a backup of LoRA Manager."])
    if manifest.format_version > FORMAT_VERSION:
        raise BrokenBackup(
            [f"Its format {manifest.format_version} is of a newer LoRA Manager; update this one first."]
        )
    return manifest


def _damage(error: BaseException) -> str:
    if isinstance(error, zipfile.BadZipFile) and "not a zip file" in str(error):
        return "The file is cut off, or it is no zip archive."
    return f"The file is damaged: {error}."


def unpack(path: Path, folder: Path | None, told: Told = lambda share: None) -> Manifest:
    """Check every member against the manifest, and on the way write it into `folder` if there is one.

    Raises:
        BrokenBackup: see its `problems`; what is in `folder` then is of no use.
        Unavailable: there is no room to unpack it.
        OSError: the disk is full.
    """
    manifest = read_manifest(path)
    with zipfile.ZipFile(path) as archive:
        problems = _structure_problems(archive, manifest)
        if problems:
            raise BrokenBackup(problems)
        total = sum(member.size for member in manifest.members)
        if folder is not None:
            _need_room(folder, total)
        done = 0
        for member in manifest.members:
            digest, size = hashlib.sha256(), 0
            with ExitStack() as stack:
                target = (
                    stack.enter_context(open(folder / member.name, "xb", opener=_private)) if folder else None
                )
                try:
                    for chunk in _chunks(archive, member.name):
                        digest.update(chunk)
                        size += len(chunk)
                        if target:
                            target.write(chunk)
                        told(min(1.0, (done + size) / (total or 1)))
                except _Damaged as error:
                    problems.append(f"{member.name}: {error}")
                    continue
                if target:
                    target.flush()
                    os.fsync(target.fileno())
            done += size
            if (size, digest.hexdigest()) != (member.size, member.sha256):
                problems.append(f"{member.name} is not what was packed: its SHA256 is {digest.hexdigest()}.")
    if problems:
        raise BrokenBackup(problems)
    return manifest


class _Damaged(Exception):
    """A member cannot be read to its end."""


def _chunks(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    try:
        with archive.open(name) as source:
            while chunk := source.read(CHUNK):
                yield chunk
    except OSError as error:
        raise _Damaged(f"It cannot be read: {error.strerror or error}.") from error
    except _DAMAGE as error:
        raise _Damaged(_damage(error)) from error


def _structure_problems(archive: zipfile.ZipFile, manifest: Manifest) -> list[str]:
    """What can be told before anything is unpacked: names, sizes, and whether it means to fill the disk."""
    problems = []
    stored = {info.filename: info for info in archive.infolist()}
    said = {member.name: member for member in manifest.members}
    if len(stored) != len(archive.infolist()) or len(said) != len(manifest.members):
        problems.append("It has two members of the same name.")
    for name, info in stored.items():
        if name == MANIFEST:
            continue
        if name not in MEMBERS:
            problems.append(f"It holds {name[:80]!r}, which is no part of a backup.")
        elif name not in said:
            problems.append(f"It holds {name}, which its {MANIFEST} does not mention.")
        elif info.file_size != said[name].size:
            problems.append(f"{name} has {info.file_size:,} bytes instead of {said[name].size:,}.")
        elif info.file_size > MAX_RATIO * max(info.compress_size, CHUNK):
            problems.append(
                f"{name} claims to unpack to {info.file_size:,} bytes: it is made to fill a disk."
            )
    problems += [f"{name[:80]!r} is missing in it." for name in said if name not in stored]
    if DATABASE not in said:
        problems.append(f"It has no {DATABASE}.")
    return problems


def _need_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise Unavailable(
            f"To unpack the backup, {size:,} bytes are needed on the disk of {folder}; {free:,} are free."
        )
