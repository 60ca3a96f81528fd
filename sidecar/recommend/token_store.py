"""Tokens of texts, kept in a file beside the database so that each text is taken apart once. Only a cache: a file that
is damaged, or of another version, is made anew."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sidecar.recommend.tokens import Tokens

log = logging.getLogger("lora-manager.recommend")

VERSION = 3


class TokenStore:
    """The tokens of texts by a key of 16 bytes, in the file of this path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[bytes, int] = {}
        self._ends: npt.NDArray[np.int64] = np.zeros((0, 1), np.int64)
        self._tokens: Tokens = np.empty(0, np.uint32)
        self._load()

    def tokens_of(
        self, keys: Sequence[bytes], take: Callable[[int], tuple[Tokens, ...]], pause: Callable[[], None]
    ) -> list[tuple[Tokens, ...]]:
        """The tokens of each text, and these alone are kept from now on.

        Args:
            take: takes the text at a place of `keys` apart, into as many arrays as any other.
            pause: called before each that has to be taken apart.
        """
        found = []
        for place, key in enumerate(keys):
            row = self._rows.get(key)
            if row is None:
                pause()
                found.append(take(place))
            else:
                found.append(self._stored(row))
        self._save(keys, found)
        return found

    def _save(self, keys: Sequence[bytes], tokens: list[tuple[Tokens, ...]]) -> None:
        """Keep these and no others; a disk that takes no more costs only the next start some seconds."""
        if not keys or (len(set(keys)) == len(self._rows) and all(key in self._rows for key in keys)):
            return
        flat = [one for kinds in tokens for one in kinds]
        lengths = np.fromiter((len(one) for one in flat), np.int64, len(flat))
        arrays: dict[str, Any] = {
            "version": np.array([VERSION]),
            "keys": np.frombuffer(b"".join(keys), np.uint8),
            "ends": np.cumsum(lengths).reshape(len(keys), -1),
            "tokens": np.concatenate(flat).astype(np.uint32, copy=False),
        }
        part = self._path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                np.savez(file, **arrays)
            os.replace(part, self._path)
        except OSError as error:
            log.warning("The tokens of texts could not be kept: %s", error)

    def _load(self) -> None:
        try:
            with np.load(self._path) as arrays:
                if int(arrays["version"][0]) == VERSION:
                    self._take({name: arrays[name] for name in ("keys", "ends", "tokens")})
        except FileNotFoundError:
            pass
        except Exception as error:  # a damaged archive fails in any way that zip and numpy have
            log.warning("The kept tokens of texts are made anew: %s", error)

    def _take(self, arrays: dict[str, Any]) -> None:
        keys, ends, tokens = arrays["keys"].tobytes(), arrays["ends"], arrays["tokens"]
        count = len(keys) // 16
        if ends.ndim != 2 or len(ends) != count or not count or ends[-1, -1] != len(tokens):
            return
        self._rows = {keys[16 * row : 16 * row + 16]: row for row in range(count)}
        self._ends, self._tokens = ends, tokens

    def _stored(self, row: int) -> tuple[Tokens, ...]:
        ends = self._ends[row]
        start = self._ends[row - 1, -1] if row else 0
        starts = (start, *ends[:-1])
        return tuple(self._tokens[one:end] for one, end in zip(starts, ends))
