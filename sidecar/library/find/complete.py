"""Completion of a query while it is typed: fields, their values, names and trigger words, with how many have each."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from sidecar.database import Database
from sidecar.library.facets import count_facets
from sidecar.library.filters import Filter
from sidecar.library.find.conditions import LABELS, STATES, choices_of
from sidecar.library.find.parse import FIELDS, field_named
from sidecar.library.find.values import NSFW_LEVELS
from sidecar.library.organise.tags import list_tags

MAX_ITEMS = 12
HINTS = {
    "tag": "a tag, or any below it", "base": "base model", "name": "file name", "title": "title",
    "trigger": "trigger words", "note": "your notes", "text": "description", "training": "what training was fed",
    "author": "author", "folder": "folder", "collection": "collection", "label": "colour label",
    "is": "favorite, missing, new …", "has": "preview, notes …", "weight": "as in >0.8", "rating": "as in >=4",
    "size": "as in >100mb", "used": "never, >3, <30d", "added": "as in <7d", "modified": "as in >2025-01",
    "nsfw": "pg, pg13, r, x, xxx", "type": "lora, locon, loha …", "hash": "any hash, or its beginning",
    "state": "ok, broken, missing …",
}  # fmt: skip
_FACETS = {"base": "base_model", "folder": "folder", "type": "network"}
_COLUMNS = {
    "name": "name",
    "title": "title",
    "trigger": "trigger_words",
    "training": "training",
    "author": "author",
}


class Suggestion(NamedTuple):
    """A value with how many LoRAs have it (None: not counted), or a field with what it takes."""

    value: str
    loras: int | None = None
    label: str = ""


def complete(database: Database, typed: str, at: int) -> dict[str, Any]:
    """Suggestions for the term that the cursor is in: {"start", "end", "items": [{"text", "label", "count", "kind"}]}.

    `text` is what replaces the characters from start to end.
    """
    at = max(0, min(at, len(typed)))
    start = _term_start(typed, at)
    written = typed[start:at]
    field = re.match(r"([A-Za-z_]+):([<>=]*)(.*)", written, re.DOTALL)
    name = field_named(field[1]) if field else None
    if field and name:
        beginning = field[3].strip('"')
        items = [
            _item(f"{field[1]}:{field[2]}{_quoted(one.value)}", one, name)
            for one in _values(database, name, beginning)
        ]
    else:
        beginning = written.strip('"').lower()
        fields = [
            _item(f"{one}:", Suggestion(f"{one}:", None, HINTS[one]), "field")
            for one in FIELDS
            if beginning and one.startswith(beginning)
        ]
        tags = [_item(f"tag:{_quoted(one.value)}", one, "tag") for one in _tags(database, beginning)[:4]]
        names = [_item(_quoted(one.value), one, "name") for one in _names(database, beginning)]
        items = [*fields[:4], *(tags if beginning else []), *names]
    return {"start": start, "end": at, "items": items[:MAX_ITEMS]}


def _term_start(typed: str, at: int) -> int:
    """Where the term begins that ends at the cursor; a space inside quotes does not end one."""
    start, quoted = 0, False
    for place, character in enumerate(typed[:at]):
        if character == '"':
            quoted = not quoted
        elif not quoted and (character.isspace() or (character in "(-" and start == place)):
            start = place + 1
    return start


def _item(text: str, one: Suggestion, kind: str) -> dict[str, Any]:
    return {
        "text": text,
        "label": one.label or one.value,
        "value": one.value,
        "count": one.loras,
        "kind": kind,
    }


def _quoted(value: str) -> str:
    return f'"{value}"' if re.search(r'[\s()"]', value) else value


def _values(database: Database, field: str, beginning: str) -> list[Suggestion]:
    wanted = beginning.lower()
    if field == "tag":
        return _tags(database, wanted)
    if field in _COLUMNS:
        return _names(database, wanted) if field == "name" else _words(database, _COLUMNS[field], wanted)
    if field in _FACETS:
        found = count_facets(database, Filter())[_FACETS[field]]
        known = [Suggestion(one["value"], one["count"]) for one in found]
    elif field == "collection":
        rows = database.reader().execute("SELECT name FROM collections ORDER BY name")
        known = [Suggestion(row["name"]) for row in rows]
    elif field in ("is", "has"):
        known = [Suggestion(one) for one in choices_of(field)]
    else:
        fixed = {"label": (*LABELS, "none"), "state": STATES, "nsfw": tuple(NSFW_LEVELS), "used": ("never",)}
        known = [Suggestion(one) for one in fixed.get(field, ())]
    ranked = sorted(known, key=lambda one: not one.value.lower().startswith(wanted))
    return [one for one in ranked if wanted in one.value.lower()][:MAX_ITEMS]


def _tags(database: Database, wanted: str) -> list[Suggestion]:
    found = list_tags(database, q=wanted, limit=MAX_ITEMS)["items"]
    return [Suggestion(one["name"], one["count"]) for one in found]


def _names(database: Database, wanted: str) -> list[Suggestion]:
    """File names that begin so."""
    if not wanted:
        return []
    rows = database.reader().execute(
        "SELECT DISTINCT stem FROM loras WHERE sort_name >= ? AND sort_name < ? ORDER BY sort_name LIMIT ?",
        (wanted.casefold(), wanted.casefold() + "\U0010ffff", MAX_ITEMS // 2),
    )
    return [Suggestion(row["stem"]) for row in rows]


def _words(database: Database, column: str, wanted: str) -> list[Suggestion]:
    """Whole values of LoRAs that have a word beginning so in a column of the full text, most frequent first."""
    words = re.findall(r"[^\W_]+", wanted)
    if not words:
        return []
    match = f"{{{column}}} : (" + " AND ".join(f'"{word}" *' for word in words) + ")"
    source = {
        "title": "coalesce(i.title, l.title)",
        "author": "json_extract(t.facts, '$.author')",
        "trigger_words": "coalesce(i.trigger_words, l.trigger_words)",
        "training": "t.training_tags",
    }[column]
    each = (
        f"SELECT {source} AS value"
        if column in ("title", "author")
        else ("SELECT CASE j.type WHEN 'array' THEN json_extract(j.value, '$[0]') ELSE j.value END AS value")
    )
    unpacked = "" if column in ("title", "author") else f", json_each({source}) j"
    rows = database.reader().execute(
        f"""SELECT value, count(*) AS count FROM (
                {each} FROM (SELECT rowid FROM search WHERE search MATCH ? LIMIT 300) s
                JOIN loras l ON l.id = s.rowid LEFT JOIN identities i ON i.id = l.identity_id
                JOIN lora_texts t ON t.lora_id = l.id {unpacked})
            WHERE value LIKE ? ESCAPE '\\' GROUP BY value COLLATE NOCASE ORDER BY count DESC LIMIT ?""",
        (match, "%" + re.sub(r"([%_\\])", r"\\\1", words[0]) + "%", MAX_ITEMS),
    )
    return [Suggestion(row["value"], row["count"]) for row in rows]
