"""Pictures fetched for the page, kept in the data folder by the hash of their address; the oldest give way."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from sidecar.errors import Unavailable
from sidecar.library.pictures.fetching import Limits, fetch
from sidecar.library.previews import MAX_SOURCE, Preview, sniff

MAX_TOTAL = 1024 * 1024 * 1024
_PRUNING = threading.Lock()


def keep_picture(
    folder: Path,
    url: str,
    *,
    allowed_hosts: Collection[str] = (),
    limits: Limits = Limits(),
    total: int = MAX_TOTAL,
) -> Preview:
    """The picture or video at an address: as it was kept, else fetched and kept. `total`: bytes to keep at most.

    Raises:
        as `fetch`. Unavailable: the data folder cannot be written.
    """
    digest = hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()
    path = folder / digest[:2] / digest
    with suppress(OSError):
        with open(path, "rb") as file:
            media_type = sniff(file.read(16))
        if media_type is not None:
            os.utime(path)  # the latest used are kept longest
            return Preview(path, media_type)
    content, media_type = fetch(url, limit=MAX_SOURCE, allowed_hosts=allowed_hosts, limits=limits)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
        _prune(folder, path, total)
    except OSError as error:
        raise Unavailable(f"The picture cannot be kept in {folder}: {error.strerror or error}.") from error
    return Preview(path, media_type)


def _prune(folder: Path, newest: Path, total: int) -> None:
    """Remove what was used longest ago until the rest fits; what was just fetched stays."""
    with _PRUNING:
        kept = []
        for directory in folder.iterdir():
            with os.scandir(directory) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        stat = entry.stat()
                        kept.append((stat.st_mtime_ns, stat.st_size, entry.path))
        size = sum(one[1] for one in kept)
        for _, one_size, path in sorted(kept):
            if size <= total:
                return
            if path != str(newest):
                with suppress(FileNotFoundError):
                    os.unlink(path)
                size -= one_size
