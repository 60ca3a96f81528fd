"""Single steps on disk that never overwrite: rename, copy to another device, compare. No LoRA, no journal, no database."""

from __future__ import annotations

import ctypes
import errno
import filecmp
import hashlib
import os
import shutil
import stat as modes
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1  # Linux renameat2(2)
_RENAME_EXCL = 4  # macOS renamex_np(2)
_NOT_OFFERED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)
_CHUNK = 4 * 1024 * 1024
_CLOCK_SLACK_NS = 2_000_000_000  # FAT keeps times to two seconds


class DamagedCopy(OSError):
    """A copy does not hold what its source holds."""


def rename_new(source: str, target: str) -> None:
    """Rename within one device, never onto something that exists.

    Raises:
        FileExistsError: `target` exists. OSError: as of `os.rename`; EXDEV when it is on another device.
    """
    if sys.platform == "win32":
        os.rename(source, target)  # refuses an existing target by itself
        return
    rename = _exclusive_rename()
    if rename is not None:
        number = rename(os.fsencode(source), os.fsencode(target))
        if number == 0:
            return
        if number not in _NOT_OFFERED:
            raise OSError(number, os.strerror(number), source, None, target)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (*_NOT_OFFERED, errno.EPERM, errno.EMLINK):
            raise
        if os.path.lexists(target):  # a file system without hard links: nothing better is to be had
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
        os.rename(source, target)
        return
    os.unlink(source)


@lru_cache(maxsize=1)
def _exclusive_rename() -> Callable[[bytes, bytes], int] | None:
    """The system's rename that fails when the target exists, as a function that returns an errno or 0."""
    library = ctypes.CDLL(None, use_errno=True)
    try:
        if sys.platform == "darwin":
            function, before, after = library.renamex_np, (), (_RENAME_EXCL,)
        else:
            function, before, after = library.renameat2, (_AT_FDCWD,), (_RENAME_NOREPLACE,)
    except AttributeError:
        return None

    def rename(source: bytes, target: bytes) -> int:
        arguments = (*before, source, *before, target, *after)
        return ctypes.get_errno() if function(*arguments) else 0

    return rename


def copy_new(source: str, target: str, temporary: str, sha256: str | None = None) -> None:
    """Copy a file, or make a link to the same place, so that `target` is complete the moment it appears.

    Args:
        temporary: a path beside `target` that nobody else uses; left behind by nothing but a crash.
        sha256: what the copy must hash to, when that is known.

    Raises:
        FileExistsError: `target` exists. DamagedCopy: it does not read back as it should. OSError: ENOSPC and others.
    """
    make_copy(source, temporary, sha256)
    try:
        rename_new(temporary, target)
    except OSError:
        os.unlink(temporary)
        raise


def make_copy(source: str, target: str, sha256: str | None = None) -> None:
    """Copy a file to a path of our own, down to the disk, and verify it; a link becomes one to the same place.

    Raises:
        DamagedCopy: it does not read back as it should. OSError: ENOSPC and others; then nothing is left at `target`.
    """
    try:
        if os.path.islink(source):
            _remove_if_there(target)
            os.symlink(link_destination(source), target)
            return
        shutil.copyfile(source, target)
        with open(target, "rb+") as file:
            os.fsync(file.fileno())
        _verify(source, target, sha256)
        _copy_times_and_rights(source, target)
    except OSError:
        _remove_if_there(target)
        raise


def _copy_times_and_rights(source: str, target: str) -> None:
    """The time is how the scan knows the file again; rights are a matter of the other disk, which may not have any."""
    with suppress(OSError):
        shutil.copymode(source, target)
    stat = os.stat(source)
    with suppress(OSError):
        os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def link_destination(link: str) -> str:
    """Where a link points, as a path that holds wherever the link lies."""
    return os.path.join(os.path.dirname(os.path.abspath(link)), os.readlink(link))


def _verify(source: str, target: str, sha256: str | None) -> None:
    if os.path.getsize(target) != os.path.getsize(source):
        raise DamagedCopy(errno.EIO, "The copy has another size than its source", target)
    if sha256 is None:
        return
    digest = hashlib.sha256()
    with open(target, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise DamagedCopy(errno.EIO, "The copy does not read back as its source was known", target)


def _remove_if_there(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def fsync_folders(folders: Iterable[str]) -> None:
    """Make renames in these folders outlive a power cut, as far as the system offers that."""
    if sys.platform == "win32":
        return
    for folder in folders:
        with suppress(OSError):  # the folder is gone again, or its file system has no such thing
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def stat_of(path: str) -> os.stat_result | None:
    """A file's stat without following a link, None when nothing is there.

    Raises:
        OSError: it cannot be told.
    """
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def is_same_entry(one: str, other: str) -> bool:
    """Whether two paths that both exist are one file under one name, which this disk knows in either spelling."""
    if one == other or not os.path.samefile(os.path.dirname(one), os.path.dirname(other)):
        return one == other
    if not os.path.samestat(os.lstat(one), os.lstat(other)):
        return False
    names = set(os.listdir(os.path.dirname(one)))
    return not {os.path.basename(one), os.path.basename(other)} <= names


def looks_like(stat: os.stat_result, size: int, mtime_ns: int) -> bool:
    """Whether a file is, by size and time, the one that was planned with; a link is taken for one."""
    if modes.S_ISLNK(stat.st_mode):
        return True
    return stat.st_size == size and abs(stat.st_mtime_ns - mtime_ns) <= _CLOCK_SLACK_NS


def holds_the_same(one: str, other: str) -> bool:
    """Whether two files, or the places that two links point to, are the same."""
    if os.path.islink(one) or os.path.islink(other):
        return os.path.realpath(one) == os.path.realpath(other)
    first, second = os.stat(one), os.stat(other)
    if first.st_size != second.st_size:
        return False
    return first.st_mtime_ns == second.st_mtime_ns or filecmp.cmp(one, other, shallow=False)


def folds_case(folder: str) -> bool:
    """Whether this folder's disk takes `a` and `A` for the same name."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(50))]
    except OSError:
        names = []
    paths = [os.path.join(folder, name) for name in names]
    for path in (*paths, folder, os.path.dirname(folder)):
        name = os.path.basename(path)
        if name.swapcase() != name:
            try:
                return os.path.samefile(path, os.path.join(os.path.dirname(path), name.swapcase()))
            except OSError:
                return False
    return False


def remove_empty(folders: Iterable[str]) -> None:
    """Remove folders that hold nothing."""
    for folder in folders:
        with suppress(OSError):
            os.rmdir(folder)


def missing_folders(folder: str) -> list[str]:
    """The folder and those above it that are not there yet, outermost first."""
    missing: list[str] = []
    while not os.path.isdir(folder):
        missing.insert(0, folder)
        folder = os.path.dirname(folder)
    return missing


def reason_of(error: OSError, needed: int = 0) -> str:
    """An error of the disk in words that say what to do; `needed` is how many bytes there was still to write."""
    if isinstance(error, DamagedCopy):
        return f"{error.strerror}; its drive or the other one may be failing. Nothing was lost."
    source, target = str(error.filename or ""), str(error.filename2 or error.filename or "")
    name = f"{os.path.basename(source)}: " if source else ""
    if getattr(error, "winerror", None) in (32, 33):
        return f"{name}it is open in another program, perhaps the host; close it there and try again."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of {os.path.dirname(target)} is full{_space_missing(target, needed)}. Nothing was lost."
    if error.errno == errno.EROFS:
        return f"{name}its disk is mounted read-only."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{name}there is no permission to change it; look at the rights of the file and its folder."
    if error.errno == errno.EEXIST:
        return f"{os.path.basename(target)} exists there already."
    if error.errno == errno.ENOENT:
        return f"{name}it is no longer there."
    if error.errno in (errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.EHOSTDOWN, errno.ESTALE):
        return f"{name}its drive does not answer ({error.strerror})."
    return f"{name}{error.strerror or error}."


def _space_missing(path: str, needed: int) -> str:
    folder = os.path.dirname(path)
    try:
        missing = needed - shutil.disk_usage(folder).free
    except OSError:
        return ""
    return f": {readable(missing)} more are needed" if missing > 0 else ""


def readable(size: int) -> str:
    """A number of bytes as a person reads it."""
    amount, unit = float(size), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
