"""Tags over the whole library: rename and merge, colour, take away, and the rules that keep it so for new files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import orjson

from sidecar.database import Database
from sidecar.errors import BadRequest, NotFound
from sidecar.library.edits import read_fields, save_fields
from sidecar.library.organise import actions
from sidecar.library.store import apply_facts, index_rest
from sidecar.memo import remember

MAX_NAME = 200


def list_tags(
    database: Database, *, q: str = "", sort: str = "count", limit: int = 100, offset: int = 0
) -> dict[str, Any]:
    """Tags that some LoRA has, or that have a colour, with how many LoRAs have each.

    Raises:
        BadRequest: an unknown sort.
    """
    if sort not in ("count", "name"):
        raise BadRequest(f"There is no sort {sort!r} for tags; there are count and name.")
    tags = remember(database, "tags", lambda: _all_tags(database))
    wanted = q.strip().lower()
    found = [tag for tag in tags if wanted in tag["name"].lower()] if wanted else tags
    if sort == "name":
        found = sorted(found, key=lambda tag: tag["name"].lower())
    elif wanted:  # what begins so comes first
        found = sorted(found, key=lambda tag: not tag["name"].lower().startswith(wanted))
    end = offset + limit
    return {
        "items": found[offset:end],
        "total": len(found),
        "next_cursor": str(end) if end < len(found) else None,
    }


def _all_tags(database: Database) -> list[dict[str, Any]]:
    reader = database.reader()
    rows = reader.execute(
        """SELECT t.name, t.color, coalesce(n.count, 0) AS count FROM tags t LEFT JOIN (
               SELECT tag_id, count(*) AS count FROM lora_tags GROUP BY tag_id) n ON n.tag_id = t.id
           WHERE n.count > 0 OR t.color IS NOT NULL ORDER BY count DESC, t.name"""
    ).fetchall()
    sources: dict[str, list[str]] = {}
    for rule in reader.execute("SELECT name, becomes FROM tag_rules WHERE becomes IS NOT NULL"):
        sources.setdefault(rule["becomes"].lower(), []).append(rule["name"])
    return [{**dict(row), "becomes_from": sources.get(row["name"].lower(), [])} for row in rows]


def list_rules(database: Database) -> list[dict[str, Any]]:
    """What tags of the files are shown as; `becomes` null: not at all."""
    rows = database.reader().execute("SELECT name, becomes FROM tag_rules ORDER BY name")
    return [dict(row) for row in rows]


def rename_tags(database: Database, names: list[str], to: str) -> dict[str, Any]:
    """Make tags, and all below them, one other tag, now and for files that come: {"action", "changed"}.

    Raises:
        BadRequest: the new name is empty or lies below a tag that is to be renamed. NotFound: no such tag.
    """
    to = _clean(to)

    def work(connection: sqlite3.Connection) -> dict[str, Any]:
        becomes: dict[str, str | None] = {}
        for name in names:
            if to.lower().startswith(name.lower() + "/"):
                raise BadRequest(f"{to!r} lies below {name!r}; choose a name outside of it.")
            for old in _with_children(connection, name):
                becomes[old] = to + old[len(name) :]
        what = names[0] if len(names) == 1 else f"{len(names)} tags"
        return _change_rules(connection, becomes, f"Tag {what} becomes {to}")

    return _write(database, work)


def remove_tags(database: Database, names: list[str]) -> dict[str, Any]:
    """Take tags away from every LoRA, now and for files that come: {"action", "changed"}.

    Raises:
        NotFound: no such tag.
    """

    def work(connection: sqlite3.Connection) -> dict[str, Any]:
        becomes: dict[str, str | None] = {
            old: None for name in names for old in _with_children(connection, name)
        }
        what = names[0] if len(names) == 1 else f"{len(names)} tags"
        return _change_rules(connection, becomes, f"Tag {what} taken away")

    return _write(database, work)


def drop_rule(database: Database, name: str) -> dict[str, Any]:
    """Show a tag of the files as it is again: {"action", "changed"}.

    Raises:
        NotFound: there is no rule for it.
    """

    def work(connection: sqlite3.Connection) -> dict[str, Any]:
        row = connection.execute("SELECT name, becomes FROM tag_rules WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise NotFound(f"There is no rule for the tag {name!r}.")
        action = actions.begin(connection, "tags", f"Tag {name} is shown as it is again")
        before = {row["name"]: {"becomes": row["becomes"]}}
        _set_rules(connection, action, before, {row["name"]: None})
        return {"action": action, "changed": len(_reapply(connection, [name]))}

    return _write(database, work)


def color_tag(database: Database, name: str, color: str | None) -> dict[str, Any]:
    """Give a tag a colour, or take it back: {"action", "changed"}."""
    name = _clean(name)

    def work(connection: sqlite3.Connection) -> dict[str, Any]:
        row = connection.execute("SELECT color FROM tags WHERE name = ?", (name,)).fetchone()
        action = actions.begin(connection, "tags", f"Colour of the tag {name}")
        actions.note_changes(connection, action, [(f"tag:{name}", "color", row and row["color"], color)])
        set_color(connection, name, color)
        return {"action": action, "changed": 1}

    return database.write(work)


def set_color(connection: sqlite3.Connection, name: str, color: str | None) -> None:
    """Store a tag's colour; the tag is made when there is none of that name."""
    connection.execute(
        "INSERT INTO tags (name, color) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET color = excluded.color",
        (name, color),
    )


def take_back_tags(connection: sqlite3.Connection, changes: list[tuple[str, str, Any, Any]]) -> int:
    """Undo the rules and colours of an action; returns how many were changed again since and are left alone."""
    skipped = 0
    touched = []
    for subject, field, before, after in changes:
        kind, _, name = subject.partition(":")
        if kind == "tag" and field == "color":
            set_color(connection, name, before)
        elif kind == "rule":
            row = connection.execute("SELECT becomes FROM tag_rules WHERE name = ?", (name,)).fetchone()
            if (None if row is None else {"becomes": row["becomes"]}) != after:
                skipped += 1
                continue
            _store_rule(connection, name, before)
            touched.append(name)
    _reapply(connection, touched)
    return skipped


def _write(database: Database, work: Any) -> dict[str, Any]:
    outcome: dict[str, Any] = database.write(work)
    index_rest(database)
    return outcome


def _clean(name: str) -> str:
    cleaned = "/".join(part.strip() for part in name.split("/") if part.strip())
    if not cleaned or len(cleaned) > MAX_NAME or "," in cleaned:
        raise BadRequest(f"A tag has 1 to {MAX_NAME} characters and no comma.")
    return cleaned


def _with_children(connection: sqlite3.Connection, name: str) -> list[str]:
    """A tag and all below it, as they are written.

    Raises:
        NotFound: no such tag.
    """
    rows = connection.execute(
        "SELECT name FROM tags WHERE name = ? OR (name >= ? AND name < ?)", (name, name + "/", name + "0")
    ).fetchall()
    if not rows:
        raise NotFound(f"There is no tag {name!r}.")
    return [row["name"] for row in rows]


def _change_rules(
    connection: sqlite3.Connection, becomes: dict[str, str | None], summary: str
) -> dict[str, Any]:
    """Make tags of files and of the user become others (None: nothing), as one action."""
    action = actions.begin(connection, "tags", summary)
    lower = {old.lower(): new for old, new in becomes.items()}
    affected = _files_with(connection, becomes)
    rows = connection.execute("SELECT name, becomes FROM tag_rules").fetchall()
    before = {row["name"].lower(): {"becomes": row["becomes"]} for row in rows}
    after: dict[str, dict[str, str | None] | None] = {}
    for row in rows:  # what became one of them before follows
        if row["becomes"] and row["becomes"].lower() in lower:
            after[row["name"].lower()] = {"becomes": lower[row["becomes"].lower()]}
    for old, new in becomes.items():
        after[old.lower()] = {"becomes": new}
        if new is not None:
            after.setdefault(new.lower(), None)  # the new name stands for itself
            connection.execute("UPDATE tags SET name = ? WHERE name = ? AND name != ?", (new, new, new))
            _inherit_color(connection, action, old, new)
    for name, rule in after.items():
        if (
            rule
            and rule["becomes"] is not None
            and rule["becomes"].lower() == name
            and rule["becomes"] == name
        ):
            after[name] = None
    _set_rules(connection, action, before, after)
    _rename_users_tags(connection, action, affected, lower)
    changed = _reapply(connection, [], affected)
    connection.execute("UPDATE actions SET count = ? WHERE id = ?", (len(changed), action))
    return {"action": action, "changed": len(changed)}


def _inherit_color(connection: sqlite3.Connection, action: int, old: str, new: str) -> None:
    colors = {
        row["name"].lower(): row["color"]
        for row in connection.execute("SELECT name, color FROM tags WHERE name IN (?, ?)", (old, new))
    }
    color = colors.get(old.lower())
    if color and not colors.get(new.lower()):
        actions.note_changes(connection, action, [(f"tag:{new}", "color", None, color)])
        set_color(connection, new, color)


def _set_rules(
    connection: sqlite3.Connection, action: int, before: dict[str, Any], after: dict[str, Any]
) -> None:
    changed = [(name, before.get(name), rule) for name, rule in after.items() if before.get(name) != rule]
    actions.note_changes(
        connection, action, ((f"rule:{name}", "rule", old, new) for name, old, new in changed)
    )
    for name, _, rule in changed:
        _store_rule(connection, name, rule)


def _store_rule(connection: sqlite3.Connection, name: str, rule: dict[str, str | None] | None) -> None:
    if rule is None:
        connection.execute("DELETE FROM tag_rules WHERE name = ?", (name,))
    else:
        connection.execute(
            "INSERT OR REPLACE INTO tag_rules (name, becomes) VALUES (?, ?)", (name, rule["becomes"])
        )


def _rename_users_tags(
    connection: sqlite3.Connection, action: int, lora_ids: list[int], becomes: dict[str, str | None]
) -> None:
    """The tags that the user gave or took away follow the rules too."""
    rows = connection.execute(
        """SELECT DISTINCT l.identity_id FROM json_each(?) wanted JOIN loras l ON l.id = wanted.value
           WHERE l.identity_id IS NOT NULL""",
        (orjson.dumps(lora_ids).decode(),),
    )
    changed = {}
    for identity, fields in read_fields(connection, [row[0] for row in rows]).items():
        of_one = []
        for field in ("tags_added", "tags_removed"):
            tags = fields[field] or []
            renamed = [becomes.get(tag.lower(), tag) for tag in tags]
            new = list({tag.lower(): tag for tag in renamed if tag}.values())
            if new != tags:
                of_one.append((field, fields[field], new or None))
        if of_one:
            changed[identity] = of_one
    save_fields(connection, action, changed)


def _files_with(connection: sqlite3.Connection, names: Iterable[str]) -> list[int]:
    """Files that show one of these tags, or whose own files bring it."""
    rows = connection.execute(
        """SELECT lt.lora_id FROM json_each(?1) wanted JOIN tags t ON t.name = wanted.value
               JOIN lora_tags lt ON lt.tag_id = t.id
           UNION SELECT l.id FROM loras l, json_each(l.tags) own, json_each(?1) wanted
               WHERE own.value = wanted.value COLLATE NOCASE""",
        (orjson.dumps(list(names)).decode(),),
    )
    return [row[0] for row in rows]


def _reapply(connection: sqlite3.Connection, names: Iterable[str], lora_ids: Iterable[int] = ()) -> list[int]:
    """Bring files in line with the rules: those given and those with one of these tags."""
    ids = list({*lora_ids, *_files_with(connection, names)})
    apply_facts(connection, ids)
    connection.executemany("UPDATE loras SET indexed = 0 WHERE id = ?", ((lora_id,) for lora_id in ids))
    return ids
