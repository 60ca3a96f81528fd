"""Finds LoRA files below a folder, directory by directory, with the side files that belong to each."""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sidecar.library.side_files import MODEL_EXTENSIONS, split_ending

log = logging.getLogger("lora-manager.library")

# Folders of tools, not of users: version control, and the trash kept beside the files.
SKIPPED = {".git", ".trash", "__pycache__"}


class FoundFile(NamedTuple):
    """A model file in a directory listing; `side_stamp` changes when any side file does."""

    name: str
    size: int
    mtime_ns: int
    side_stamp: int
    side_files: dict[str, str]


class FoundFolder(NamedTuple):
    """One directory below a root. `relative` is "" for the root, else with `/`; `error` says why it has no listing."""

    relative: str
    path: str
    files: list[FoundFile]
    error: str | None = None


def walk(root: str, relative: str = "", stopped: Callable[[], bool] = lambda: False) -> Iterator[FoundFolder]:
    """List the folder `relative` of `root` and all below it, links to folders followed once.

    Never raises for what is on disk.
    """
    pending = [(relative, _join(root, relative))]
    seen: set[str] = set()
    while pending and not stopped():
        relative, path = pending.pop()
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(path) as entries:
                folder, children = _list(relative, path, entries)
        except OSError as error:
            yield FoundFolder(relative, path, [], f"{path} cannot be listed: {error.strerror or error}.")
            continue
        pending.extend(sorted(children, reverse=True))
        yield folder


def list_folder(root: str, relative: str) -> FoundFolder:
    """One directory alone, for a change that a watcher saw."""
    path = _join(root, relative)
    try:
        with os.scandir(path) as entries:
            return _list(relative, path, entries)[0]
    except OSError as error:
        return FoundFolder(relative, path, [], f"{path} cannot be listed: {error.strerror or error}.")


def stamp_part(name: str, stat: os.stat_result) -> int:
    """What one side file adds to its LoRA's `side_stamp`: a sum, so that the order of the listing does not matter."""
    return zlib.crc32(f"{name}:{stat.st_size}:{stat.st_mtime_ns}".encode("utf-8", "replace"))


def _join(root: str, relative: str) -> str:
    return os.path.join(root, *relative.split("/")) if relative else root


def _list(
    relative: str, path: str, entries: Iterator[os.DirEntry[str]]
) -> tuple[FoundFolder, list[tuple[str, str]]]:
    children: list[tuple[str, str]] = []
    models: list[tuple[str, os.stat_result]] = []
    others: list[os.DirEntry[str]] = []
    for entry in entries:
        try:
            entry.name.encode()  # a name that is no Unicode cannot be kept or shown: rename it to see it
            if entry.is_dir():
                if entry.name not in SKIPPED:
                    children.append((f"{relative}/{entry.name}" if relative else entry.name, entry.path))
            elif entry.name.lower().endswith(MODEL_EXTENSIONS):
                models.append((entry.name, entry.stat()))
            else:
                others.append(entry)
        except UnicodeEncodeError:
            log.warning("Left out, its name is not Unicode: %r", entry.path)
        except OSError:
            continue  # a link to nowhere, or gone since the listing
    return FoundFolder(relative, path, _with_side_files(models, others)), children


def _with_side_files(
    models: list[tuple[str, os.stat_result]], others: list[os.DirEntry[str]]
) -> list[FoundFile]:
    side_files: dict[str, dict[str, str]] = {os.path.splitext(name)[0]: {} for name, _ in models}
    stamps = dict.fromkeys(side_files, 0)
    for entry in others:
        for stem, ending in split_ending(entry.name):
            if stem in side_files:
                try:
                    stat = entry.stat()
                except OSError:
                    break
                side_files[stem][ending] = entry.name
                stamps[stem] += stamp_part(entry.name, stat)
                break
    found = []
    for name, stat in models:
        stem = os.path.splitext(name)[0]
        found.append(FoundFile(name, stat.st_size, stat.st_mtime_ns, stamps[stem], side_files[stem]))
    return found
