"""Reads a query such as `tag:anime -tag:nsfw base:sdxl weight:>0.8 (miku OR "exact phrase")` into a tree.

Terms are joined by AND; `OR` (in capitals) and parentheses group, `-` or `NOT` in front of a term excludes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rapidfuzz import process
from rapidfuzz.distance import OSA

from sidecar.errors import BadRequest

MAX_LENGTH = 10_000
MAX_DEPTH = 20
FIELDS = (
    "tag", "base", "name", "title", "trigger", "note", "text", "training", "author", "folder", "collection", "label",
    "is", "has", "weight", "rating", "size", "used", "added", "modified", "nsfw", "type", "hash", "state",
)  # fmt: skip
_ALIASES = {
    "tags": "tag", "base_model": "base", "notes": "note", "description": "text", "triggers": "trigger",
    "trained": "training", "creator": "author", "dir": "folder", "path": "folder", "stars": "rating", "fav": "is",
    "network": "type", "status": "state", "color": "label", "colour": "label", "level": "nsfw", "strength": "weight",
}  # fmt: skip
_LORA_TAG = re.compile(r"<(?:lora|lyco):([^:>]+)[^>]*>", re.IGNORECASE)


class BadQuery(BadRequest):
    """The query cannot be read; `detail` is the place, {"start", "end"} in characters."""

    code = "bad_query"

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message, {"start": start, "end": max(end, start)})


@dataclass(frozen=True)
class Term:
    """A word, an exact phrase (`quoted`), or with `field` a value of that field. `start` to `end` is its place."""

    text: str
    start: int
    end: int
    field: str | None = None
    quoted: bool = False
    value_start: int = 0


@dataclass(frozen=True)
class Not:
    """Everything that `part` does not match."""

    part: Node


@dataclass(frozen=True)
class All:
    """What every one of `parts` matches; nothing to fulfil when there are none."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Some:
    """What at least one of `parts` matches."""

    parts: tuple[Node, ...]


Node = Term | Not | All | Some


@dataclass(frozen=True)
class _Token:
    kind: str  # "(", ")", "or", "not", "term"
    start: int
    end: int
    term: Term | None = None


def parse_query(text: str) -> All:
    """The tree of a query; its top is the terms that all must match.

    Raises:
        BadQuery: parentheses or OR without a partner, a misspelt field, an empty value, too long or too deep.
    """
    if len(text) > MAX_LENGTH:
        raise BadQuery(f"A query has at most {MAX_LENGTH:,} characters.", MAX_LENGTH, len(text))
    parser = _Parser(list(_tokens(text)), len(text))
    node = parser.alternatives(0)
    rest = parser.peek()
    if rest:
        raise BadQuery("This closing parenthesis has no opening one.", rest.start, rest.end)
    return node if isinstance(node, All) else All((node,))


class _Parser:
    def __init__(self, tokens: list[_Token], end: int) -> None:
        self._tokens = tokens
        self._at = 0
        self._end = end

    def peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> _Token | None:
        token = self.peek()
        self._at += 1
        return token

    def alternatives(self, depth: int) -> Node:
        parts = [self._together(depth)]
        while (token := self.peek()) and token.kind == "or":
            self._next()
            following = self.peek()
            if parts[-1] == All(()) or following is None or following.kind in ("or", ")"):
                raise BadQuery("OR needs a term on both sides.", token.start, token.end)
            parts.append(self._together(depth))
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _together(self, depth: int) -> Node:
        parts: list[Node] = []
        while (token := self.peek()) and token.kind not in ("or", ")"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self, depth: int) -> Node:
        token = self._next()
        assert token is not None
        if token.kind == "not":
            following = self.peek()
            if following is None or following.kind not in ("(", "term"):
                raise BadQuery("There is nothing to exclude here.", token.start, token.end)
            return Not(self._one(depth))
        if token.kind == "(":
            if depth >= MAX_DEPTH:
                raise BadQuery("The parentheses go too deep.", token.start, token.end)
            node = self.alternatives(depth + 1)
            closing = self._next()
            if closing is None or closing.kind != ")":
                raise BadQuery("This parenthesis is not closed.", token.start, token.end)
            return node
        assert token.term is not None
        return token.term


def _tokens(text: str) -> Iterator[_Token]:
    at, depth = 0, 0
    while at < len(text):
        character = text[at]
        if character.isspace():
            at += 1
        elif character == "(":
            depth += 1
            yield _Token("(", at, at + 1)
            at += 1
        elif character == ")":
            depth -= 1
            yield _Token(")", at, at + 1)
            at += 1
        elif character == "-" and at + 1 < len(text) and not text[at + 1].isspace():
            yield _Token("not", at, at + 1)
            at += 1
        elif lora := _LORA_TAG.match(text, at):  # pasted from a prompt
            name = Term(lora[1].strip(), at, lora.end(), "name", quoted=True, value_start=lora.start(1))
            yield _Token("term", at, lora.end(), name)
            at = lora.end()
        else:
            token = _read_term(text, at)
            yield token
            at = token.end


def _read_term(text: str, start: int) -> _Token:
    if text[start] == '"':
        value, end = _quoted(text, start)
        return _Token("term", start, end, Term(value, start, end, quoted=True, value_start=start + 1))
    field = re.compile(r"([A-Za-z_]+):").match(text, start)
    if field:
        name = _known_field(field[1], start, field.end())
        if name:
            return _field_term(text, start, field.end(), name)
    end = _word_end(text, start)
    word = text[start:end]
    if word in ("OR", "|"):
        return _Token("or", start, end)
    if word == "NOT":
        return _Token("not", start, end)
    return _Token("term", start, end, Term(word, start, end, value_start=start))


def _field_term(text: str, start: int, at: int, name: str) -> _Token:
    comparison = re.compile(r"[<>]?=?").match(text, at)
    operator = comparison[0] if comparison else ""
    value_at = at + len(operator)
    if text[value_at : value_at + 1] == '"':
        value, end = _quoted(text, value_at)
        quoted = True
    else:
        end = _word_end(text, value_at)
        value, quoted = text[value_at:end], False
    if not value.strip():
        raise BadQuery(f"{name}: needs a value, such as {_example(name)}.", start, max(end, at))
    return _Token("term", start, end, Term(operator + value, start, end, name, quoted, at))


def field_named(written: str) -> str | None:
    """The field of a name or of another word for it, whatever its case."""
    name = written.lower()
    name = _ALIASES.get(name, name)
    return name if name in FIELDS else None


def _known_field(written: str, start: int, end: int) -> str | None:
    """The field that is meant; None for a word that only looks like one, as in `re:zero`.

    Raises:
        BadQuery: it is nearly a field's name.
    """
    known = field_named(written)
    if known:
        return known
    name = written.lower()
    if len(name) >= 3:
        near: Any = process.extractOne(name, FIELDS, scorer=OSA.distance, score_cutoff=1)
        if near:
            raise BadQuery(
                f"There is no field {written}:, did you mean {near[0]}:? Else put it in quotes.", start, end
            )
    return None


def _quoted(text: str, start: int) -> tuple[str, int]:
    """What stands between quotes; a quote that is still being typed ends with the text."""
    end = text.find('"', start + 1)
    return (text[start + 1 :], len(text)) if end < 0 else (text[start + 1 : end], end + 1)


def _word_end(text: str, start: int) -> int:
    """A word ends at a space or at a parenthesis that it did not open: `saber_(fate)` is one word."""
    depth, at = 0, start
    while at < len(text) and not text[at].isspace():
        if text[at] == "(":
            depth += 1
        elif text[at] == ")":
            if not depth:
                break
            depth -= 1
        at += 1
    return at


_EXAMPLES = {
    "tag": "tag:anime", "base": "base:sdxl", "weight": "weight:>0.8", "rating": "rating:>=4", "size": "size:>100mb",
    "used": "used:never", "added": "added:<7d", "modified": "modified:>2025-01-31", "nsfw": "nsfw:>=r",
    "is": "is:favorite", "has": "has:preview", "type": "type:locon", "label": "label:red", "state": "state:missing",
    "hash": "hash:1a2b3c4d",
}  # fmt: skip


def _example(name: str) -> str:
    return _EXAMPLES.get(name, f'{name}:"some words"')


def walk_terms(node: Node) -> Iterator[Term]:
    """Every term of a tree, in order."""
    if isinstance(node, Term):
        yield node
    elif isinstance(node, Not):
        yield from walk_terms(node.part)
    else:
        for part in node.parts:
            yield from walk_terms(part)
