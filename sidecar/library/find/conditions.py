"""What the terms of a query mean in SQL, over `loras l`. The full text of plain words is in `library/search.py`."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from sidecar.library.find import values
from sidecar.library.find.parse import BadQuery, Node, Not, Some, Term, parse_query

STATES = ("ok", "broken", "unreadable", "missing", "legacy")
LABELS = ("red", "orange", "yellow", "green", "blue", "purple", "gray")
STATE = "CASE WHEN l.present THEN l.state ELSE 'missing' END"
NEW_SECONDS = 7 * 86_400
_HASH = re.compile(r"[0-9a-fA-F]{4,64}")
_MAX_NESTED = 5


@dataclass(frozen=True)
class Condition:
    """A condition and its bound values. `ids` is the same as a statement that selects ids, where there is one."""

    sql: str
    values: tuple[Any, ...] = ()
    ids: str | None = None


def of_ids(statement: str, *bound: Any) -> Condition:
    """The condition that a LoRA's id is among those a statement selects."""
    return Condition(f"l.id IN ({statement})", bound, statement)


@dataclass
class Context:
    """What conditions are built for: a reader, how plain words become full text, which LoRAs are duplicates, and the
    collections entered so far."""

    reader: sqlite3.Connection
    match_words: Callable[[Term], str | None]
    duplicates: Callable[[], Iterable[int]]
    entered: frozenset[int] = field(default_factory=frozenset)


def build_condition(context: Context, node: Node) -> Condition:
    """The condition of any part of a query.

    Raises:
        BadQuery: a value that its field does not take.
    """
    if isinstance(node, Term):
        return _of_term(context, node)
    if isinstance(node, Not):
        inner = build_condition(context, node.part)
        return Condition(f"NOT ({inner.sql})", inner.values)
    parts = [build_condition(context, part) for part in node.parts]
    word, none = (" OR ", "0") if isinstance(node, Some) else (" AND ", "1")
    bound = tuple(value for part in parts for value in part.values)
    statements = [part.ids for part in parts if part.ids]
    if isinstance(node, Some) and len(statements) == len(parts):
        return of_ids(" UNION ".join(f"SELECT * FROM ({one})" for one in statements), *bound)
    return Condition(f"({word.join(part.sql for part in parts)})" if parts else none, bound)


def _of_term(context: Context, term: Term) -> Condition:
    if term.field is None:
        match = context.match_words(term)
        return of_ids("SELECT rowid FROM search WHERE search MATCH ?", match) if match else Condition("1")
    return _FIELDS[term.field](context, term)


def tagged(tag: str) -> Condition:
    """LoRAs with a tag or one below it in the hierarchy; `*` at the end means any tag that begins so."""
    return of_ids(f"SELECT lora_id FROM lora_tags WHERE tag_id IN ({_TAG_IDS})", *tag_bounds(tag))


_TAG_IDS = "SELECT id FROM tags WHERE name = ? OR (name >= ? AND name < ?)"


def tag_bounds(tag: str) -> tuple[str, str, str]:
    """Values for the statement that selects a tag and all below it."""
    tag = tag.strip()
    if tag.endswith("*"):
        return tag, tag[:-1], tag[:-1] + "\U0010ffff"
    return tag, tag + "/", tag + "0"  # "0" follows "/" in ASCII


def _tag(context: Context, term: Term) -> Condition:
    """As written; when no tag is called so, `_` may stand for a space, and a name that is still being typed for all tags
    that begin so."""
    names = [term.text, term.text.replace("_", " "), term.text.replace(" ", "_")]
    if not term.quoted:
        names += [f"{name}*" for name in names]
    for name in dict.fromkeys(names):
        if context.reader.execute(f"{_TAG_IDS} LIMIT 1", tag_bounds(name)).fetchone():
            return tagged(name)
    return Condition("0")


def _base(context: Context, term: Term) -> Condition:
    wanted = _squeezed(term.text)
    names = [row[0] for row in context.reader.execute("SELECT DISTINCT base_model FROM loras")]
    exact = [name for name in names if _squeezed(name) == wanted]
    found = exact or [name for name in names if _begins_alike(_squeezed(name), wanted)]
    return Condition(f"l.base_model IN ({', '.join('?' * len(found))})", tuple(found))


def _squeezed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _begins_alike(name: str, wanted: str) -> bool:
    """`sd15` and `sd1` both mean "SD 1.x"."""
    return bool(wanted) and (
        name.startswith(wanted)
        or (name.endswith("x") and re.fullmatch(name[:-1] + r"\d?", wanted) is not None)
    )


def _in_column(column: str) -> Callable[[Context, Term], Condition]:
    def condition(context: Context, term: Term) -> Condition:
        words = re.findall(r"[^\W_]+", term.text)
        if not words:
            raise BadQuery(f"{term.field}: needs a word.", term.value_start, term.end)
        match = f'"{" ".join(words)}"' if term.quoted else " AND ".join(f'"{word}" *' for word in words)
        return of_ids("SELECT rowid FROM search WHERE search MATCH ?", f"{{{column}}} : ({match})")

    return condition


def _folder(context: Context, term: Term) -> Condition:
    """A folder as the API names it, or any folder that has this name or path in it; with all below."""
    wanted = f"/{term.text.strip('/').casefold()}/"
    rows = context.reader.execute(
        """SELECT DISTINCT r.id, r.label, l.folder FROM loras l JOIN roots r ON r.id = l.root_id WHERE r.active"""
    )
    found = [row for row in rows if wanted in f"/{row['label']}/{row['folder']}/".casefold()]
    pairs = " OR ".join("(root_id = ? AND folder = ?)" for _ in found) or "0"
    return of_ids(
        f"SELECT id FROM loras WHERE {pairs}",
        *(value for row in found for value in (row["id"], row["folder"])),
    )


def _collection(context: Context, term: Term) -> Condition:
    row = context.reader.execute("SELECT id FROM collections WHERE name = ?", (term.text,)).fetchone()
    if row is None:
        raise BadQuery(f"There is no collection {term.text!r}.", term.value_start, term.end)
    return in_collection(context, row["id"])


def in_collection(context: Context, collection: int) -> Condition:
    """The LoRAs of a collection: those picked by hand, or what its saved search finds now."""
    row = context.reader.execute("SELECT query FROM collections WHERE id = ?", (collection,)).fetchone()
    if row is None or collection in context.entered or len(context.entered) >= _MAX_NESTED:
        return Condition("0")
    if row["query"] is None:
        return of_ids(
            """SELECT m.id FROM collection_items c JOIN loras m ON m.identity_id = c.identity_id
               WHERE c.collection_id = ?""",
            collection,
        )
    inner = replace(context, entered=context.entered | {collection})
    try:
        return build_condition(inner, parse_query(row["query"]))
    except BadQuery:
        return Condition("0")  # what it names has gone since


def _is(context: Context, term: Term) -> Condition:
    if term.text.lower() == "duplicate":
        return of_ids("SELECT value FROM json_each(?)", orjson.dumps(list(context.duplicates())).decode())
    return _choice(term, _IS)


def _has(context: Context, term: Term) -> Condition:
    return _choice(term, _HAS)


def choices_of(name: str) -> tuple[str, ...]:
    """The values that `is:` and `has:` take."""
    return (*_IS, "duplicate") if name == "is" else tuple(_HAS)


def _choice(term: Term, choices: dict[str, str]) -> Condition:
    sql = choices.get(term.text.lower())
    if sql is None:
        raise BadQuery(
            f"{term.field}: takes {', '.join(choices_of(str(term.field)))}.", term.value_start, term.end
        )
    ids = sql.removeprefix("ids ")
    return of_ids(ids) if ids != sql else Condition(f"({sql})")


_IDENTITY = "(SELECT {0} FROM identities i WHERE i.id = l.identity_id)"
_IS = {
    "favorite": "l.favorite",
    "hidden": "l.hidden",
    "missing": "NOT l.present",
    "broken": "l.state IN ('broken', 'unreadable')",
    "legacy": "l.state = 'legacy'",
    "new": f"l.added > strftime('%s', 'now') - {NEW_SECONDS}",
    "used": "l.used > 0",
    "shadowed": "ids SELECT id FROM loras WHERE stem IN (SELECT stem FROM loras WHERE present GROUP BY stem HAVING count(*) > 1)",
    "edited": "l.identity_id IS NOT NULL",
}
_HAS = {
    "preview": "l.preview_kind IS NOT NULL",
    "video": "l.preview_kind = 'video'",
    "notes": f"coalesce({_IDENTITY.format('notes')}, (SELECT notes FROM lora_texts t WHERE t.lora_id = l.id), '') != ''",
    "description": "EXISTS (SELECT 1 FROM lora_texts t WHERE t.lora_id = l.id AND t.description IS NOT NULL)",
    "examples": "EXISTS (SELECT 1 FROM lora_texts t WHERE t.lora_id = l.id AND t.examples != '[]')",
    "trigger": f"coalesce({_IDENTITY.format('trigger_words')}, l.trigger_words) != '[]'",
    "tags": "l.effective_tags != '[]'",
    "rating": "l.rating > 0",
    "label": "l.label IS NOT NULL",
    "weight": f"coalesce({_IDENTITY.format('weight')}, l.weight) IS NOT NULL",
    "collection": "ids SELECT m.id FROM collection_items c JOIN loras m ON m.identity_id = c.identity_id",
}  # fmt: skip


def _label(context: Context, term: Term) -> Condition:
    label = term.text.lower().replace("grey", "gray")
    if label == "none":
        return Condition("l.label IS NULL")
    if label not in LABELS:
        raise BadQuery(f"label: takes {', '.join(LABELS)} or none.", term.value_start, term.end)
    return Condition("l.label = ?", (label,))


def _state(context: Context, term: Term) -> Condition:
    if term.text.lower() not in STATES:
        raise BadQuery(f"state: takes {', '.join(STATES)}.", term.value_start, term.end)
    return Condition(f"{STATE} = ?", (term.text.lower(),))


def _used(context: Context, term: Term) -> Condition:
    if term.text.lower() == "never":
        return Condition("l.used = 0")
    if values.is_age_or_date(term.text):
        return _ranged(values.time_range(term), _IDENTITY.format("last_used"))
    return _ranged(values.number_range(term), "l.used")


def _weight(context: Context, term: Term) -> Condition:
    """The preferred weight: the user's, else what the files say. Each half is read from an index."""
    found = values.number_range(term)
    files, bound = found.sql("weight")
    users, _ = found.sql("coalesce(i.weight, m.weight)")
    return of_ids(
        f"""SELECT id FROM loras WHERE identity_id IS NULL AND {files} UNION ALL
            SELECT m.id FROM identities i JOIN loras m ON m.identity_id = i.id WHERE {users}""",
        *bound,
        *bound,
    )


def _numbers(column: str) -> Callable[[Context, Term], Condition]:
    return lambda context, term: _ranged(values.number_range(term), column)


def _times(column: str) -> Callable[[Context, Term], Condition]:
    return lambda context, term: _ranged(values.time_range(term), column)


def _ranged(found: values.Range, column: str) -> Condition:
    sql, bound = found.sql(column)
    return Condition(sql, tuple(bound))


def _hash(context: Context, term: Term) -> Condition:
    if not _HASH.fullmatch(term.text):
        raise BadQuery("hash: takes 4 to 64 hexadecimal digits.", term.value_start, term.end)
    low = term.text.lower()
    high = low[:-1] + chr(ord(low[-1]) + 1)
    columns = ("sha256", "body_hash", "claimed_autov3", "autov1", "blake3", "crc32")
    sql = " OR ".join(f"(lower(l.{column}) >= ? AND lower(l.{column}) < ?)" for column in columns)
    return Condition(f"({sql})", (low, high) * len(columns))


_FIELDS: dict[str, Callable[[Context, Term], Condition]] = {
    "tag": _tag,
    "base": _base,
    "name": _in_column("name"),
    "title": _in_column("title"),
    "trigger": _in_column("trigger_words"),
    "note": _in_column("notes"),
    "text": _in_column("description"),
    "training": _in_column("training"),
    "author": _in_column("author"),
    "folder": _folder,
    "collection": _collection,
    "label": _label,
    "is": _is,
    "has": _has,
    "weight": _weight,
    "rating": _numbers("l.rating"),
    "size": lambda context, term: _ranged(values.size_range(term), "l.size"),
    "used": _used,
    "added": _times("l.added"),
    "modified": _times("l.modified"),
    "nsfw": lambda context, term: _ranged(values.nsfw_range(term), "l.nsfw"),
    "type": lambda context, term: Condition("l.network = ? COLLATE NOCASE", (term.text,)),
    "hash": _hash,
    "state": _state,
}
