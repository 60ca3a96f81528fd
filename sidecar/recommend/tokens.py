"""Texts as sets of hashed tokens: what rankings compare. A token is 32 bits of CRC-32, so that no strings are kept.

A prompt is more than its words: people keep whole parts between commas, and write them the same way each time. So a
prompt is looked at in five ways, each of which finds what the others miss:
    words   single words
    twos    two words that follow each other
    parts   what stands between commas, without brackets and weights
    hand    the same as it was typed, brackets, weights and all
    pairs   two parts that follow each other
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from zlib import crc32

import numpy as np
import numpy.typing as npt

from sidecar.recommend.texts import MAX_TEXT

Tokens = npt.NDArray[np.uint32]

MAX_PHRASE = 5
"""Words of the longest phrase that is looked for as a whole."""

_WORD = re.compile(r"[^\W_]+")
_WEIGHT = re.compile(r":\s*[\d.]+")
_COMMA = re.compile(r"[,\n|，、]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def words_of(text: str) -> list[str]:
    """Its words in lower case, in order; `_` parts them."""
    return _WORD.findall(text[:MAX_TEXT].lower().replace("_", " "))


def words_of_name(name: str) -> list[str]:
    """The words of a file's name, also where only a capital begins one."""
    return words_of(_HUMP.sub(" ", name))


def parts_of(text: str) -> list[str]:
    """What stands between commas, as plain words."""
    parts = (" ".join(_WORD.findall(_WEIGHT.sub("", part))) for part in _COMMA.split(text[:MAX_TEXT].lower()))
    return [part.replace("_", " ") for part in parts if part]


def _hand_of(text: str) -> list[str]:
    return [part.strip() for part in _COMMA.split(text[:MAX_TEXT].lower()) if part.strip()]


def _pairs_of(text: str) -> list[str]:
    parts = parts_of(text)
    return [f"{one}|{other}" for one, other in pairwise(parts)]


def _twos_of(text: str) -> list[str]:
    return [f"{one} {other}" for one, other in pairwise(words_of(text))]


PROMPT_KINDS: dict[str, Callable[[str], list[str]]] = {
    "words": words_of,
    "twos": _twos_of,
    "parts": parts_of,
    "hand": _hand_of,
    "pairs": _pairs_of,
}


def hashed(tokens: Iterable[str]) -> Tokens:
    """Each token once, as a sorted array of 32-bit hashes."""
    numbers = {crc32(token.encode("utf-8", "replace")) for token in tokens}
    return np.array(sorted(numbers), dtype=np.uint32)


def counted(tokens: Iterable[str]) -> tuple[Tokens, Tokens]:
    """`hashed`, and how often each token stands there."""
    numbers = np.fromiter((crc32(token.encode("utf-8", "replace")) for token in tokens), np.uint32)
    found, counts = np.unique(numbers, return_counts=True)
    return found, np.minimum(counts, 1000).astype(np.uint32)


def phrases_of(words: Sequence[str]) -> list[str]:
    """Every run of one to `MAX_PHRASE` words."""
    return [
        " ".join(words[start : start + length])
        for length in range(1, MAX_PHRASE + 1)
        for start in range(len(words) - length + 1)
    ]
