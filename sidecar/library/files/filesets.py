"""Which files a LoRA has, and whether a set of files fits into a folder beside what lies there."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

from sidecar.errors import Conflict
from sidecar.library.files import disk
from sidecar.library.files.names import MAX_BYTES
from sidecar.library.queries import folder_name
from sidecar.library.side_files import MODEL_EXTENSIONS, split_ending
from sidecar.library.walking import stamp_part


class Lora(NamedTuple):
    """What the catalogue knows of a file that is to be moved."""

    id: int
    root_id: int
    root: str
    label: str
    active: int
    folder: str
    stem: str
    extension: str
    present: int
    size: int
    mtime_ns: int
    side_stamp: int
    preview_file: str | None
    sha256: str | None
    title: str

    @property
    def file(self) -> str:
        """The model's file name."""
        return self.stem + self.extension

    @property
    def directory(self) -> str:
        """The folder it lies in, on disk."""
        return folder_path(self.root, self.folder)

    @property
    def shown(self) -> str:
        """Where it is, as the API names it."""
        return f"{folder_name(self.label, self.folder)}/{self.file}"


class Spot(NamedTuple):
    """Where a LoRA may come to lie, under which stem."""

    root_id: int
    root: str
    label: str
    folder: str
    stem: str

    @property
    def directory(self) -> str:
        """The folder on disk."""
        return folder_path(self.root, self.folder)

    def shown(self, extension: str) -> str:
        """As the API names it."""
        return f"{folder_name(self.label, self.folder)}/{self.stem}{extension}"

    def holds(self, lora: Lora) -> bool:
        """Whether the LoRA is there already."""
        return (self.root_id, self.folder, self.stem) == (lora.root_id, lora.folder, lora.stem)


def folder_path(root: str, relative: str) -> str:
    """A folder on disk; `relative` is "" or with `/`."""
    return os.path.join(root, *relative.split("/")) if relative else root


def read_loras(reader: sqlite3.Connection, ids: Iterable[int]) -> list[Lora]:
    """The rows of these ids that exist, in the same order."""
    rows = reader.execute(
        """SELECT l.id, l.root_id, r.path, r.label, r.active, l.folder, l.stem, l.extension, l.present, l.size,
                  l.mtime_ns, l.side_stamp, l.preview_file, l.sha256, coalesce(i.title, l.title, l.stem)
           FROM json_each(?) wanted JOIN loras l ON l.id = wanted.value JOIN roots r ON r.id = l.root_id
           LEFT JOIN identities i ON i.id = l.identity_id ORDER BY wanted.key""",
        (orjson.dumps(list(ids)).decode(),),
    )
    return [Lora(*row) for row in rows]


class Listing:
    """The names in one folder, kept up to date with what is planned."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.error: str | None = None
        self._names: set[str] = set()
        self._folded: dict[str, int] = {}
        self._models: dict[str, set[str]] = {}
        self._may_belong: dict[str, set[str]] = {}
        self._folds: bool | None = None
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    self.add(entry.name, is_file=not entry.is_dir())
        except FileNotFoundError:
            pass  # to be made
        except OSError as error:
            self.error = f"{directory} cannot be listed: {error.strerror or error}."

    def add(self, name: str, *, is_file: bool = True) -> None:
        """There is, or will be, such a file."""
        self._names.add(name)
        folded = name.casefold()
        self._folded[folded] = self._folded.get(folded, 0) + 1
        if is_file and name.lower().endswith(MODEL_EXTENSIONS):
            self._models.setdefault(os.path.splitext(name)[0], set()).add(name)
        elif is_file:
            for stem, _ in split_ending(name):
                self._may_belong.setdefault(stem, set()).add(name)

    def remove(self, name: str) -> None:
        """There will be no such file any more."""
        self._names.discard(name)
        self._folded[name.casefold()] = self._folded.get(name.casefold(), 1) - 1
        stem = os.path.splitext(name)[0]
        if stem in self._models:
            self._models[stem].discard(name)
            if not self._models[stem]:
                del self._models[stem]
        for stem, _ in split_ending(name):
            self._may_belong.get(stem, set()).discard(name)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def has(self, name: str) -> bool:
        """Whether the name is taken, also in another spelling where the disk takes both for the same."""
        return name in self._names or (self._folded.get(name.casefold(), 0) > 0 and self.folds)

    @property
    def folds(self) -> bool:
        """Whether the disk takes `a` and `A` for the same name."""
        if self._folds is None:
            there = self.directory
            while not os.path.isdir(there):
                there = os.path.dirname(there)
            self._folds = disk.folds_case(there)
        return self._folds

    def models_of(self, stem: str) -> set[str]:
        """Model files of a stem."""
        return self._models.get(stem, set())

    def side_files_of(self, stem: str) -> list[str]:
        """Names of the side files that belong to the stem, or would if it had a model, and to no shorter stem."""
        return sorted(name for name in self._may_belong.get(stem, ()) if self.owner_of(name, stem) == stem)

    def owner_of(self, name: str, more: str | None = None, leaving: Iterable[str] = ()) -> str | None:
        """The stem that a side file belongs to: the shortest that has a model (one not `leaving`), or will have one
        (`more`)."""
        for stem, _ in split_ending(name):
            if stem == more or self.models_of(stem).difference(leaving):
                return stem
        return None

    def refuse_strays(self, stem: str, leaving: Iterable[str] = ()) -> None:
        """Refuse a stem that would take files that lie there already for its own.

        Raises:
            Conflict: with the first of them.
        """
        strays = set(self.side_files_of(stem)).difference(leaving)
        if strays:
            raise Conflict(
                f"{min(strays)} lies there already and would be taken for a file of {stem}; move it away first."
            )


class Listings:
    """Listings of the folders that one plan touches, each read once."""

    def __init__(self) -> None:
        self._known: dict[str, Listing] = {}

    def of(self, directory: str) -> Listing:
        """The listing of a folder.

        Raises:
            Conflict: it is there but cannot be listed.
        """
        listing = self._known.get(directory)
        if listing is None:
            listing = self._known[directory] = Listing(directory)
        if listing.error:
            raise Conflict(listing.error)
        return listing


def refuse_taken(
    listing: Listing,
    stem: str,
    models: Sequence[str],
    side_files: Sequence[str],
    leaving: Sequence[str] = (),
    beside: Sequence[str] = (),
) -> None:
    """Refuse to put a LoRA's files beside what lies in a folder.

    Args:
        models, side_files: the names they will have there.
        leaving: the names they have now, if it is the same folder.
        beside: models of the stem that it shared its side files with before.

    Raises:
        Conflict: a name is taken or too long, or files would be taken for those of another LoRA.
    """
    others = listing.models_of(stem).difference(leaving)
    if not others <= set(beside):
        raise Conflict(f"{min(others)} is there already; choose another name or folder.")
    own = {name.casefold() for name in leaving} if leaving and listing.folds else set()
    for name in (*models, *side_files):
        if len(name.encode("utf-8", "surrogateescape")) > MAX_BYTES:
            raise Conflict(f"The name of {name} would be too long; a disk takes {MAX_BYTES} bytes.")
        if listing.has(name) and (name in leaving or name.casefold() not in own):
            raise Conflict(f"{name} is there already; choose another name or folder.")
    for name in side_files:
        owner = listing.owner_of(name, stem, leaving)
        if owner != stem:
            raise Conflict(
                f"{name} would be taken there for a file of {owner}; choose another name or folder."
            )
    if not others:
        listing.refuse_strays(stem, leaving)


def side_stamp(directory: str, names: Iterable[str], as_names: Iterable[str] | None = None) -> int:
    """The scanner's stamp over side files; with `as_names`, as it will be when they are called so."""
    names = list(names)
    total = 0
    for name, new in zip(names, names if as_names is None else as_names):
        try:
            total += stamp_part(new, os.stat(os.path.join(directory, name)))
        except OSError:
            continue
    return total
