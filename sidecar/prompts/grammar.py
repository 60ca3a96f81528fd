"""Finds `<lora:…>` tags in a prompt as the hosts do, and puts changed ones back; all other text stays byte for byte.

Hosts: `<(\\w+):([^>]+)>` with the arguments split at ":"; A1111 modules/extra_networks.py, SDNext
modules/extra_networks.py. `<lyco:…>` is the A1111 line's alias.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_TAG = re.compile(r"<(lora|lyco):([^>]+)>")
_SEPARATOR = re.compile(r"\s*,?[ \t]*")
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+")


@dataclass(frozen=True)
class LoraTag:
    """One tag: `kind` is lora or lyco, `arguments` what follows the name, untouched."""

    start: int
    end: int
    kind: str
    name: str
    arguments: tuple[str, ...] = ()

    @property
    def weight(self) -> float | None:
        """The first positional number (the text encoder's on the A1111 line, everything's on SDNext), if there is one."""
        position = self._weight_position()
        return None if position is None else _number(self.arguments[position])

    @property
    def has_weight(self) -> bool:
        """Whether the tag says any weight: a positional one, or te=, unet= or the like."""
        return self._weight_position() is not None or any(
            argument.partition("=")[0].strip() in ("te", "unet", "in", "mid", "out")
            for argument in self.arguments
        )

    def with_weight(self, weight: float) -> LoraTag:
        """The same tag with `weight` as its first positional number."""
        text = format_weight(weight)
        position = self._weight_position()
        if position is None:
            return replace(self, arguments=(text, *self.arguments))
        arguments = list(self.arguments)
        arguments[position] = text
        return replace(self, arguments=tuple(arguments))

    def __str__(self) -> str:
        return f"<{':'.join((self.kind, self.name, *self.arguments))}>"

    def _weight_position(self) -> int | None:
        for position, argument in enumerate(self.arguments):
            if "=" not in argument and argument.strip() and argument.strip()[0] in "+-.,0123456789":
                return position
        return None

    @property
    def decimal_comma(self) -> bool:
        """Whether its weight is written 0,8: the A1111 line then drops every LoRA of the image, SDNext takes 1."""
        position = self._weight_position()
        return position is not None and bool(_DECIMAL_COMMA.fullmatch(self.arguments[position].strip()))


def find_tags(prompt: str) -> list[LoraTag]:
    """Every LoRA tag, in order."""
    tags = []
    for match in _TAG.finditer(prompt):
        name, *arguments = match[2].split(":")
        tags.append(LoraTag(match.start(), match.end(), match[1], name.strip(), tuple(arguments)))
    return tags


def replace_tags(prompt: str, tags: list[LoraTag], texts: list[str | None]) -> str:
    """The prompt with each tag's text put in its place.

    None leaves the tag out, together with the comma and space that would otherwise stand twice.
    """
    parts: list[str] = []
    position = 0
    last = ","  # the last character that is no space; a prompt begins as if after a comma
    for tag, text in zip(tags, texts):
        for part in (prompt[position : tag.start], text or ""):
            parts.append(part)
            last = part.rstrip()[-1:] or last
        position = tag.end
        if text is None and last == ",":
            separator = _SEPARATOR.match(prompt, position)
            position = separator.end() if separator else position
    return "".join(parts) + prompt[position:]


def without_tags(prompt: str) -> str:
    """The prompt's words alone: every `<…>` tag taken out."""
    return re.sub(r"<\w+:[^>]*>", " ", prompt)


def has_words(text: str, words: str) -> bool:
    """Whether a trigger word stands in the text as whole words, whatever its case, `_` and spaces the same.

    `(word:1.2)` counts, since brackets and colons are no part of a word.
    """
    pattern = r"[\s_]+".join(re.escape(part) for part in re.split(r"[\s_]+", words.strip()) if part)
    return bool(pattern) and re.search(rf"(?<!\w){pattern}(?!\w)", text, re.IGNORECASE) is not None


def format_weight(weight: float) -> str:
    """A weight as people write it: 0.8, 1, -0.25."""
    return f"{weight:.4f}".rstrip("0").rstrip(".")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
