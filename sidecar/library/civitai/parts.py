"""The part file of a download, claimed by one at a time: within this process, and against other sidecars by a lock.

The lock is on the part file itself, so it ends with the process that held it and nothing else has to be cleaned up.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from sidecar.errors import Conflict
from sidecar.library.files.disk import rename_new

_LOCKED_BYTE = 1 << 62  # beyond any content: Windows lets nobody read what is locked
_NOT_OFFERED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_READ = 4 << 20
_claimed: set[str] = set()
_claimed_lock = threading.Lock()


class Part:
    """A part file that is ours alone, open for reading and writing."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self.path = path
        self.file = file

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return os.fstat(self.file.fileno()).st_size

    def sha256(self, step: Callable[[], None]) -> str:
        """The hash of what has arrived; `step` is called now and then, and may raise to stop."""
        digest = hashlib.sha256()
        self.file.seek(0)
        while chunk := self.file.read(_READ):
            digest.update(chunk)
            step()
        return digest.hexdigest()

    def drop(self) -> None:
        """Throw away what has arrived."""
        self._close_for_windows()
        with suppress(FileNotFoundError):
            os.unlink(self.path)

    def become(self, target: str) -> None:
        """Give the file its name.

        Raises:
            FileExistsError: the name is taken. OSError: as of renaming.
        """
        self._close_for_windows()
        rename_new(self.path, target)

    def _close_for_windows(self) -> None:
        if sys.platform == "win32":
            self.file.close()  # what is open can be neither renamed nor removed there


@contextmanager
def claim_part(path: str) -> Iterator[Part]:
    """The part file at `path`, made if there is none; one that is empty in the end is taken away.

    Raises:
        Conflict: another download, of this sidecar or another, writes it. OSError: it cannot be made.
    """
    name = os.path.normcase(os.path.realpath(path))
    with _claimed_lock:
        if name in _claimed:
            raise _taken()
        _claimed.add(name)
    try:
        part = Part(path, _open_locked(path))
        try:
            yield part
        finally:
            if not part.file.closed and _is_at(part.file, path) and part.size == 0:
                part.drop()
            part.file.close()
    finally:
        with _claimed_lock:
            _claimed.discard(name)


def _open_locked(path: str) -> BinaryIO:
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b")
        try:
            _lock(file)
            if _is_at(file, path):
                return file
        except BaseException:
            file.close()
            raise
        file.close()  # whoever held it took it away meanwhile: that name means another file now


def _is_at(file: BinaryIO, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _lock(file: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise _taken() from error
        finally:
            file.seek(0)
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _taken() from error
    except OSError as error:
        if error.errno not in _NOT_OFFERED:  # a disk without locks: then this process alone is kept in order
            raise


def _taken() -> Conflict:
    return Conflict(
        "Another download is bringing this very file now; let that one end, or stop it, then resume."
    )
