"""A prompt as text that means something: without tags."""

from __future__ import annotations

import re

MAX_TEXT = 8_000
"""Characters of a text that are looked at: more than any prompt has to say."""

_TAG = re.compile(r"<[^<>]*>")
_SPACE = re.compile(r"\s+")


def plain_prompt(text: str) -> str:
    """A prompt without `<…>` tags, with single spaces, cut to `MAX_TEXT`."""
    return _SPACE.sub(" ", _TAG.sub(" ", text[: 2 * MAX_TEXT])).strip()[:MAX_TEXT]
