"""Names in prompts to LoRAs, for a hundred thousand prompts at once: `prompts/resolve.py` with everything in memory."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from sidecar.database import Database
from sidecar.prompts.resolve import USABLE

_ENDINGS = (".safetensors", ".ckpt", ".pt")


class Named(NamedTuple):
    """A file as names know it; `folder` is relative to its root."""

    id: int
    stem: str
    folder: str
    alias: str | None


class Naming:
    """Which of the files of one moment a name means: its stem, another case, a path, a file name, SDNext's `_` for
    `.`, or an `ss_output_name` that no other file has."""

    def __init__(self, files: list[Named]) -> None:
        self._exact: dict[str, int] = {}
        self._folded: dict[str, list[Named]] = {}
        dotted: dict[str, list[int]] = {}
        aliases = Counter(file.alias.casefold() for file in files if file.alias)
        self._aliases: dict[str, int] = {}
        for file in files:
            self._exact.setdefault(file.stem, file.id)
            folded = file.stem.casefold()
            self._folded.setdefault(folded, []).append(file)
            if "." in folded:
                dotted.setdefault(folded.replace(".", "_"), []).append(file.id)
            if file.alias and aliases[file.alias.casefold()] == 1:
                self._aliases[file.alias.casefold()] = file.id
        self._dotted = {name: ids[0] for name, ids in dotted.items() if len(ids) == 1}

    def find(self, name: str) -> int | None:
        """The id of the LoRA that `name` means, None when that is none or cannot be told."""
        name = name.strip()
        exact = self._exact.get(name)
        if exact is not None:
            return exact
        folded = name.casefold()
        if folded in self._folded:
            return self._folded[folded][0].id
        path, _, stem = folded.replace("\\", "/").rpartition("/")
        if path and stem in self._folded:
            same = self._folded[stem]
            ending = path.strip("/")
            return next((file.id for file in same if file.folder.casefold().endswith(ending)), same[0].id)
        for ending in _ENDINGS:
            if folded.endswith(ending):
                return self.find(name[: -len(ending)])
        return self._dotted.get(folded, self._aliases.get(folded))


def read_naming(database: Database) -> Naming:
    """The names of every file that a host can load."""
    rows = database.reader().execute(
        f"""SELECT l.id, l.stem, l.folder, l.alias FROM loras l JOIN roots r ON r.id = l.root_id
            WHERE {USABLE} ORDER BY l.id"""
    )
    return Naming([Named(*row) for row in rows])
