"""Tokens of prompts, kept in a file beside the database so that each prompt is taken apart once. Only a cache: a file that
is damaged, or of another version, is made anew."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sidecar.recommend.documents import Prompt
from sidecar.recommend.tokens import PROMPT_KINDS, Tokens, hashed

log = logging.getLogger("lora-manager.recommend")

VERSION = 2
FILE = "recommend-tokens.npz"
_KINDS = len(PROMPT_KINDS)


class TokenStore:
    """`tokens_of(prompts)` for the index; writes what is new when it is asked to."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._rows: dict[bytes, int] = {}
        self._ends: npt.NDArray[np.int64] = np.zeros((0, _KINDS), np.int64)
        self._tokens: Tokens = np.empty(0, np.uint32)
        self._load()

    def tokens_of(
        self, prompts: Iterable[Prompt], pause: Callable[[], None] = lambda: None
    ) -> list[tuple[Tokens, ...]]:
        """The tokens of each prompt, one array a kind in the order of `PROMPT_KINDS`; `pause` is called before each prompt
        that has to be taken apart."""
        found = []
        for prompt in prompts:
            row = self._rows.get(prompt.key)
            if row is None:
                pause()
                found.append(tuple(hashed(take(prompt.text)) for take in PROMPT_KINDS.values()))
            else:
                found.append(self._stored(row))
        return found

    def save(self, prompts: list[Prompt], tokens: list[tuple[Tokens, ...]]) -> None:
        """Keep these and no others; a disk that takes no more costs only the next start some seconds."""
        keys = [prompt.key for prompt in prompts]
        if len(keys) == len(self._rows) and all(key in self._rows for key in keys):
            return
        flat = [one for kinds in tokens for one in kinds]
        lengths = np.fromiter((len(one) for one in flat), np.int64, len(flat))
        arrays: dict[str, Any] = {
            "version": np.array([VERSION]),
            "keys": np.frombuffer(b"".join(keys), np.uint8),
            "ends": np.cumsum(lengths).reshape(-1, _KINDS),
            "tokens": np.concatenate(flat) if flat else np.empty(0, np.uint32),
        }
        part = self._path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                np.savez(file, **arrays)
            os.replace(part, self._path)
        except OSError as error:
            log.warning("The tokens of prompts could not be kept: %s", error)
            return
        self._take(arrays)

    def _load(self) -> None:
        try:
            with np.load(self._path) as arrays:
                if int(arrays["version"][0]) == VERSION:
                    self._take({name: arrays[name] for name in ("keys", "ends", "tokens")})
        except FileNotFoundError:
            pass
        except Exception as error:  # a damaged archive fails in any way that zip and numpy have
            log.warning("The kept tokens of prompts are made anew: %s", error)

    def _take(self, arrays: dict[str, Any]) -> None:
        keys, ends, tokens = arrays["keys"].tobytes(), arrays["ends"], arrays["tokens"]
        count = len(keys) // 16
        if ends.shape != (count, _KINDS) or (count and ends[-1, -1] != len(tokens)):
            return
        self._rows = {keys[16 * row : 16 * row + 16]: row for row in range(count)}
        self._ends, self._tokens = ends, tokens

    def _stored(self, row: int) -> tuple[Tokens, ...]:
        ends = self._ends[row]
        start = self._ends[row - 1, -1] if row else 0
        starts = (start, *ends[:-1])
        return tuple(self._tokens[one:end] for one, end in zip(starts, ends))
