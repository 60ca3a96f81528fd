"""Trigger words: which of a LoRA's words a prompt lacks, and where they go. A word is never doubled.

Which words a LoRA has is told by library/word_groups.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from sidecar.library.word_groups import Group
from sidecar.prompts.grammar import mask_tags

_WEIGHT = re.compile(r":\s*[-+]?[\d.]+\s*(?=[)\]])")
_BRACKETS = re.compile(r"[()\[\]{}\\]+")
_BREAKS = re.compile(r"[,;|\n\r\t]+|[.!?]+(?=[\s,;|]|$)|\bBREAK\b|\bAND\b")
_SPACES = re.compile(r"[\s_]+")


class Said:
    """A prompt's words, for asking whether a word stands there: whatever its case, `_` and spaces the same, with or
    without brackets and weights around it."""

    def __init__(self, *prompts: str) -> None:
        self._text = "".join(map(_plain, prompts))

    def has(self, word: str) -> bool:
        """Whether all parts of `word` stand in it, each as whole words."""
        parts = [part for part in _plain(word).split(",") if part.strip()]
        return bool(parts) and all(f" {part.strip()} " in self._text for part in parts)

    def lacks(self, word: str) -> bool:
        """Whether `word` says something, and not all of it stands here."""
        return any(part.strip() for part in _plain(word).split(",")) and not self.has(word)

    def add(self, words: Iterable[str]) -> None:
        """These stand there as well from now on."""
        self._text += "".join(map(_plain, words))


def wanted_groups(groups: Sequence[Group], said: Said) -> list[Group]:
    """The groups whose words belong into a prompt that says this: those that always do, and of outfits the one that the
    prompt speaks of (by a word that no other outfit has), else the one that always does."""
    outfits = [group for group in groups if group.outfit and group.mode != "never"]
    shared = Counter(word.casefold() for group in outfits for word in set(group.words))
    spoken = [
        group
        for group in outfits
        if any(said.has(word) for word in group.words if shared[word.casefold()] == 1)
    ]
    return [
        group
        for group in groups
        if (group in spoken[:1] if group.outfit and spoken else group.mode == "always")
    ]


def has_words(prompt: str, word: str) -> bool:
    """Whether a trigger word stands in a prompt; see `Said`."""
    return Said(prompt).has(word)


def _plain(text: str) -> str:
    """Lower case, single spaces, no tags, brackets and weights; " , " between parts and at both ends."""
    text = _WEIGHT.sub("", mask_tags(text, lambda _: " , "))
    text = _BREAKS.sub(" , ", text).lower()
    return f" , {_SPACES.sub(' ', _BRACKETS.sub(' ', text)).strip()} , "


def put_words(prompt: str, words: Sequence[str], place: str) -> str:
    """The prompt with words at its "start" or its "end"."""
    if not words:
        return prompt
    text = ", ".join(words)
    if place == "start":
        rest = prompt.lstrip()
        return f"{text}, {rest}" if rest else text
    kept = prompt.rstrip()
    separator = "" if not kept else " " if kept.endswith((",", "BREAK")) else ", "
    return f"{kept}{separator}{text}"


def beside(tag: str, words: Sequence[str], follows: str) -> str:
    """A tag's text with words after it, and a comma unless what `follows` in the prompt has one."""
    follows = follows.lstrip(" \t")
    return f"{tag}, {', '.join(words)}{'' if not follows or follows[0] in ',)]}|' or follows[0].isspace() else ','}"
