"""Finds the tags of a prompt as the hosts do, and puts changed ones back; all other text stays byte for byte.

Hosts: `<(\\w+):([^>]+)>` with the rest split at ":" (A1111 modules/extra_networks.py, SDNext the same); `<lyco:…>` is the
A1111 line's alias of `<lora:…>`. Ours besides: `<set:NAME:SCALE>` and draws, `<lora:?QUERY:A-B>`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

_TAG = re.compile(r"<(\w+):([^>]+)>")
_ANY_TAG = re.compile(r"<\w+:[^>]*>")
_UNCLOSED = re.compile(r"<(?:lora|lyco|set):[^<>]*(?=<|\Z)", re.IGNORECASE)
_SEPARATOR = re.compile(r"\s*,?[ \t]*")
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+")
_UNEXPANDED = re.compile(r"__[^\s:]+?__|\{[^{}]*\}|\$\{?\w+")
# modules/processing_scripts/comments.py; reForge: between /* and */ too, or to the line's end.
_HASH_COMMENT = re.compile(r"#[^\n]*")
_BLOCK_COMMENT = re.compile(r"^/\*.*?\*/", re.MULTILINE | re.DOTALL)
_LINE_COMMENT = re.compile(r"#[^\n]*|//[^\n]*|/\*[^\n]*|\*/[^\n]*")

LORA_KINDS = ("lora", "lyco")
FORBIDDEN_IN_NAMES = ":<>=\r\n"
"""What no name in a tag can hold: it would end the name, or the tag."""


@dataclass(frozen=True)
class Tag:
    """One `<kind:name:arguments>`; `arguments` is what follows the name, split at ":" and untouched."""

    start: int
    end: int
    kind: str
    name: str
    arguments: tuple[str, ...] = ()

    @property
    def is_lora(self) -> bool:
        """Whether it means a LoRA (or a draw), in whatever case the kind is written."""
        return self.kind.lower() in LORA_KINDS

    @property
    def is_set(self) -> bool:
        return self.kind.lower() == "set"

    @property
    def is_draw(self) -> bool:
        """Whether it stands for LoRAs that a search finds."""
        return self.is_lora and self.name.lstrip().startswith("?")

    @property
    def is_unexpanded(self) -> bool:
        """Whether another extension is still to fill in its name or query: a wildcard, alternatives, a variable."""
        return _UNEXPANDED.search(self.inner if self.is_draw else self.name) is not None

    @property
    def inner(self) -> str:
        """Everything after the kind and its colon."""
        return ":".join((self.name, *self.arguments))

    @property
    def weight(self) -> float | None:
        """The first positional number (the text encoder's on the A1111 line, everything's on SDNext), if there is one."""
        position = self.weight_position
        return None if position is None else to_number(self.arguments[position])

    @property
    def weight_position(self) -> int | None:
        """Which argument is the weight: the first that is positional and looks like a number, also in digits of other scripts."""
        for position, argument in enumerate(self.arguments):
            text = argument.strip()
            if "=" not in text and text and (text[0] in "+-.,0123456789" or to_number(text) is not None):
                return position
        return None

    @property
    def has_weight(self) -> bool:
        """Whether the tag says any weight: a positional one, or te=, unet= or the like."""
        return self.weight_position is not None or any(
            argument.partition("=")[0].strip() in ("te", "unet", "in", "mid", "out")
            for argument in self.arguments
        )

    @property
    def decimal_comma(self) -> bool:
        """Whether its weight is written 0,8: the A1111 line then drops every LoRA of the image, SDNext takes 1."""
        position = self.weight_position
        return position is not None and bool(_DECIMAL_COMMA.fullmatch(self.arguments[position].strip()))

    def named(self, key: str) -> str | None:
        """The last `key=value` argument, as the hosts read it; None without one."""
        values = [argument[len(key) + 1 :] for argument in self.arguments if argument.startswith(f"{key}=")]
        return next((value for value in reversed(values) if "=" not in value), None)

    def with_weight(self, weight: float) -> Tag:
        """The same tag with `weight` as its first positional number."""
        text = format_weight(weight)
        position = self.weight_position
        if position is None:
            first_is_empty = bool(self.arguments) and not self.arguments[0].strip()
            return replace(self, arguments=(text, *self.arguments[first_is_empty:]))
        arguments = list(self.arguments)
        arguments[position] = text
        return replace(self, arguments=tuple(arguments))

    def with_named(self, key: str, value: str) -> Tag:
        """The same tag with `key=value`, in the place of one it has."""
        arguments = [argument for argument in self.arguments if not argument.startswith(f"{key}=")]
        return replace(self, arguments=(*arguments, f"{key}={value}"))

    def scaled(self, factor: float) -> Tag:
        """The same tag with every number that is a weight times `factor`."""
        position = self.weight_position
        arguments = []
        for at, argument in enumerate(self.arguments):
            key, equals, value = argument.partition("=")
            is_weight = at == position or key.strip() in ("te", "unet", "in", "mid", "out")
            is_weight = is_weight or (position is not None and at == position + 1 and not equals)
            number = to_number(value if equals else argument) if is_weight else None
            arguments.append(
                argument
                if number is None
                else key[: len(key) if equals else 0] + equals + format_weight(number * factor)
            )
        return replace(self, arguments=tuple(arguments))

    def __str__(self) -> str:
        return f"<{self.kind}:{self.inner}>"


def find_tags(prompt: str, kinds: Sequence[str] | None = None) -> list[Tag]:
    """Every LoRA and set tag in order, or the tags of other `kinds` (in small letters)."""
    wanted = (*LORA_KINDS, "set") if kinds is None else kinds
    tags = []
    # Behind the last ">" no tag can end: without this bound "<a:<a:<a:…" would be searched to its end from each "<".
    for match in _TAG.finditer(prompt, 0, prompt.rfind(">") + 1):
        if match[1].lower() in wanted:
            name, *arguments = match[2].split(":")
            tags.append(Tag(match.start(), match.end(), match[1], name, tuple(arguments)))
    return tags


def mask_tags(text: str, mask: Callable[[re.Match[str]], str]) -> str:
    """The text with every tag of any kind replaced, in time that grows with its length alone, whatever is unclosed in it."""
    end = text.rfind(">") + 1
    return _ANY_TAG.sub(mask, text[:end]) + text[end:] if end else text


def find_unclosed(prompt: str) -> list[tuple[int, int]]:
    """Places of tags that begin and are not closed before the next one begins, or at all."""
    return [match.span() for match in _UNCLOSED.finditer(prompt)]


def find_comments(prompt: str) -> list[tuple[int, int]]:
    """Places that reForge takes out of a prompt before it reads its tags."""
    blocks = [match.span() for match in _BLOCK_COMMENT.finditer(prompt, 0, prompt.rfind("*/") + 2)]
    return blocks + [match.span() for match in _LINE_COMMENT.finditer(prompt)]


def find_hash_comments(prompt: str) -> list[tuple[int, int]]:
    """Places that A1111 and Forge take out of a prompt: from a # to the end of the line."""
    return [match.span() for match in _HASH_COMMENT.finditer(prompt)]


def find_first_comment(prompt: str) -> list[tuple[int, int]]:
    """Places that SDNext takes out of a prompt: the first /* … */, and whatever is the same elsewhere (modules/styles.py)."""
    start = prompt.find("/*")
    end = prompt.find("*/", start + 2) + 2
    if start < 0 or end < 2:
        return []
    return [(at.start(), at.end()) for at in re.finditer(re.escape(prompt[start:end]), prompt)]


def is_within(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a place lies in one of these spans."""
    return any(start <= place < end for start, end in spans)


def is_cut(tag: Tag, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether a span takes anything of a tag: then the host sees no tag there."""
    return any(start < tag.end and tag.start < end for start, end in spans)


def replace_tags(prompt: str, tags: Sequence[Tag], texts: Sequence[str | None]) -> str:
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


def to_number(text: str) -> float | None:
    """A number as Python's float reads it, which both hosts use; None for what is none."""
    try:
        return float(text)
    except ValueError:
        return None


def format_weight(weight: float) -> str:
    """A weight as people write it: 0.8, 1, -0.25."""
    return f"{weight:.4f}".rstrip("0").rstrip(".") if abs(weight) >= 0.00005 else "0"
