"""What the user changes about LoRAs, one or thousands at once. An edit belongs to the content and wins over every file,
until it is taken back; every edit is one action that can be undone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from sidecar.database import Database
from sidecar.errors import Conflict, NotFound
from sidecar.library.identities import identities_of, refresh_all
from sidecar.library.organise import actions
from sidecar.library.store import INDEX_BATCH, index_rest, index_search, tag_rules, under_rules

PLAIN = ("rating", "title", "notes", "weight", "base_model", "label", "nsfw", "negative_prompt")
MARKS = ("favorite", "hidden")
LISTS = ("trigger_words", "tags_added", "tags_removed", "word_groups")
STEP = 500


class Edited(NamedTuple):
    """What an edit did: the action (None when nothing was different), identities that changed, files they have."""

    action: int | None
    identities: list[int]
    loras: list[int]


class Membership(NamedTuple):
    """Collections that the edited LoRAs join and leave."""

    joins: int | None = None
    leaves: int | None = None


def edit_loras(
    database: Database,
    lora_ids: Sequence[int],
    changes: dict[str, Any],
    membership: Membership = Membership(),
    *,
    was: dict[str, Any] | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Edited:
    """Apply `changes` to the contents of these LoRAs, in one transaction; None takes a field back to what the files say.

    Known keys: the names in `PLAIN` and `MARKS`, trigger_words, word_groups, tags (the whole list), add_tags, remove_tags. `progress`
    is told how many LoRAs were worked off; it may raise to give everything up.

    Raises:
        NotFound: none of the ids is known.
        Conflict: a field no longer is what the caller says it `was` (only for one LoRA); detail has what it is now.
    """

    def work(connection: sqlite3.Connection) -> Edited:
        if was:
            _check_unchanged(connection, lora_ids[0], changes, was)
        found = identities_of(connection, lora_ids)
        if not found:
            raise NotFound("There is no such LoRA; it may have been moved or forgotten meanwhile.")
        members = list(dict.fromkeys(found.values()))
        action = actions.begin(connection, "edit", _summary(changes, membership, len(found)), len(found))
        identities, files = list[int](), list[int]()
        for start in range(0, len(members), STEP):  # in steps, so that little is held at a time
            step = members[start : start + STEP]
            changed = _changed_fields(connection, step, changes)
            identities += changed
            files += save_fields(connection, action, changed)
            progress(len(step))
        moved = _change_membership(connection, action, members, membership)
        if not identities and not moved:
            connection.execute("DELETE FROM actions WHERE id = ?", (action,))
            return Edited(None, [], [])
        if len(files) <= INDEX_BATCH:
            index_search(connection, files)
        return Edited(action, identities, files)

    edited = database.write(work)
    index_rest(database)
    return edited


def save_fields(
    connection: sqlite3.Connection, action: int | None, changed: dict[int, list[tuple[str, Any, Any]]]
) -> list[int]:
    """Store (field, before, after) by identity, note them with the action, bring the files in line.

    Returns the ids of the files. Their full text is to be indexed: `store.index_search` or, for many, `index_rest`.
    """
    fields = {name for of_one in changed.values() for name, _, _ in of_one}
    for field in fields:
        connection.executemany(
            f"UPDATE identities SET {field} = ? WHERE id = ?",
            (
                (_to_column(field, after), identity)
                for identity, of_one in changed.items()
                for name, _, after in of_one
                if name == field
            ),
        )
    if action is not None:
        actions.note_changes(
            connection,
            action,
            (
                (f"identity:{identity}", name, before, after)
                for identity, of_one in changed.items()
                for name, before, after in of_one
            ),
        )
    files = refresh_all(connection, list(changed))
    connection.execute(
        "UPDATE loras SET write_due = 1 WHERE id IN (SELECT value FROM json_each(?)) AND write_due != 1",
        (orjson.dumps(files).decode(),),
    )
    return files


def read_fields(connection: sqlite3.Connection, identities: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What the user said, by identity: every field, lists as lists, None where nothing was said."""
    rows = connection.execute(
        f"""SELECT i.id, {", ".join(f"i.{name}" for name in PLAIN + MARKS + LISTS)}
            FROM json_each(?) wanted JOIN identities i ON i.id = wanted.value""",
        (orjson.dumps(list(identities)).decode(),),
    )
    return {row["id"]: {name: _from_column(name, value) for name, value in dict(row).items()} for row in rows}


def _to_column(field: str, value: Any) -> Any:
    if field in MARKS:
        return int(bool(value))
    if field in LISTS:
        return None if value is None else orjson.dumps(value).decode()
    return value


def _from_column(field: str, value: Any) -> Any:
    if field in MARKS:
        return bool(value)
    return orjson.loads(value) if field in LISTS and value is not None else value


def _changed_fields(
    connection: sqlite3.Connection, identities: Sequence[int], changes: dict[str, Any]
) -> dict[int, list[tuple[str, Any, Any]]]:
    """(field, before, after) of what differs, by identity."""
    from_files = _tags_of_files(connection, identities) if _touches_tags(changes) else {}
    changed: dict[int, list[tuple[str, Any, Any]]] = {}
    for identity, before in read_fields(connection, identities).items():
        after = {name: changes[name] for name in PLAIN if name in changes}
        after |= {name: bool(changes[name]) for name in MARKS if name in changes}
        if "word_groups" in changes:
            after["word_groups"] = changes["word_groups"]
        if "trigger_words" in changes:
            words = changes["trigger_words"]
            after["trigger_words"] = None if words is None else _distinct(words)
        if _touches_tags(changes):
            after |= _tag_differences(before, from_files.get(identity, {}), changes)
        of_one = [(name, before[name], value) for name, value in after.items() if before[name] != value]
        if of_one:
            changed[identity] = of_one
    return changed


def tag_changes(
    connection: sqlite3.Connection, added: dict[int, list[str]]
) -> dict[int, list[tuple[str, Any, Any]]]:
    """(field, before, after) by identity, of adding these tags."""
    from_files = _tags_of_files(connection, list(added))
    changed: dict[int, list[tuple[str, Any, Any]]] = {}
    for identity, before in read_fields(connection, list(added)).items():
        after = _tag_differences(before, from_files.get(identity, {}), {"add_tags": added[identity]})
        of_one = [(name, before[name], value) for name, value in after.items() if before[name] != value]
        if of_one:
            changed[identity] = of_one
    return changed


def _touches_tags(changes: dict[str, Any]) -> bool:
    return "tags" in changes or bool(changes.get("add_tags") or changes.get("remove_tags"))


def _tags_of_files(connection: sqlite3.Connection, identities: Sequence[int]) -> dict[int, dict[str, str]]:
    """Tags that the files bring, as the rules show them, by identity and lower-case name."""
    rules = tag_rules(connection)
    rows = connection.execute(
        "SELECT l.identity_id, l.tags FROM json_each(?) wanted JOIN loras l ON l.identity_id = wanted.value",
        (orjson.dumps(list(identities)).decode(),),
    )
    found: dict[int, dict[str, str]] = {}
    for row in rows:
        of_one = found.setdefault(row["identity_id"], {})
        of_one.update((tag.lower(), tag) for tag in under_rules(orjson.loads(row["tags"]), rules))
    return found


def _tag_differences(
    before: dict[str, Any], from_files: dict[str, str], changes: dict[str, Any]
) -> dict[str, list[str] | None]:
    """The user's tags as differences from the files' tags, so that both may change later."""
    added = {tag.lower(): tag for tag in before["tags_added"] or []}
    removed = {tag.lower(): tag for tag in before["tags_removed"] or []}
    if "tags" in changes:
        wanted = {tag.lower(): tag for tag in _distinct(changes["tags"] or [])}
        if changes["tags"] is None:
            added, removed = {}, {}
        else:
            added = {key: tag for key, tag in wanted.items() if key not in from_files}
            removed = {key: tag for key, tag in from_files.items() if key not in wanted}
    for tag in _distinct(changes.get("add_tags") or []):
        removed.pop(tag.lower(), None)
        if tag.lower() not in from_files:
            added.setdefault(tag.lower(), tag)
    for tag in _distinct(changes.get("remove_tags") or []):
        added.pop(tag.lower(), None)
        if tag.lower() in from_files:
            removed[tag.lower()] = from_files[tag.lower()]
    return {"tags_added": list(added.values()) or None, "tags_removed": list(removed.values()) or None}


def _distinct(words: list[str]) -> list[str]:
    return list({word.strip().lower(): word.strip() for word in words if word.strip()}.values())


def _change_membership(
    connection: sqlite3.Connection, action: int, identities: list[int], membership: Membership
) -> int:
    """Put identities into one collection and take them out of another; returns how many rows that changed."""
    moved = 0
    for collection, joins in ((membership.joins, True), (membership.leaves, False)):
        if collection is None:
            continue
        known = {
            row["identity_id"]: row["position"]
            for row in connection.execute(
                "SELECT identity_id, position FROM collection_items WHERE collection_id = ?", (collection,)
            )
        }
        last = max(known.values(), default=0)
        if joins:
            new = [identity for identity in identities if identity not in known]
            changes = [(identity, None, last + 1 + at) for at, identity in enumerate(new)]
        else:
            changes = [(identity, known[identity], None) for identity in identities if identity in known]
        set_positions(connection, collection, [(identity, after) for identity, _, after in changes])
        subject = f"collection:{collection}"
        actions.note_changes(
            connection, action, ((subject, str(identity), old, new) for identity, old, new in changes)
        )
        moved += len(changes)
    return moved


def set_positions(
    connection: sqlite3.Connection, collection: int, positions: list[tuple[int, int | None]]
) -> None:
    """Put identities at a position of a collection; None takes one out."""
    connection.executemany(
        "DELETE FROM collection_items WHERE collection_id = ? AND identity_id = ?",
        ((collection, identity) for identity, _ in positions),
    )
    connection.executemany(
        "INSERT INTO collection_items (collection_id, identity_id, position) VALUES (?, ?, ?)",
        ((collection, identity, at) for identity, at in positions if at is not None),
    )


def _check_unchanged(
    connection: sqlite3.Connection, lora_id: int, changes: dict[str, Any], was: dict[str, Any]
) -> None:
    row = connection.execute(
        """SELECT coalesce(i.title, l.title, l.stem) AS title, coalesce(i.weight, l.weight) AS weight,
                  coalesce(i.trigger_words, l.trigger_words) AS trigger_words, l.effective_tags AS tags,
                  coalesce(i.notes, t.notes, '') AS notes, l.favorite, l.hidden, nullif(l.rating, 0) AS rating,
                  l.label, l.nsfw, l.base_model, coalesce(i.negative_prompt, l.negative_prompt, '') AS negative_prompt
           FROM loras l LEFT JOIN identities i ON i.id = l.identity_id LEFT JOIN lora_texts t ON t.lora_id = l.id
           WHERE l.id = ?""",
        (lora_id,),
    ).fetchone()
    if row is None:
        return
    now = dict(row)
    now |= {name: orjson.loads(now[name]) for name in ("trigger_words", "tags")}
    now |= {name: bool(now[name]) for name in MARKS}
    differing = {
        name: now[name]
        for name, value in was.items()
        if name in now and name in changes and (now[name] or None) != (value or None)
    }
    if differing:
        names = ", ".join(name.replace("_", " ") for name in differing)
        raise Conflict(f"Meanwhile somebody else changed the {names}; look at what is there now.", differing)


def _summary(changes: dict[str, Any], membership: Membership, count: int) -> str:
    """What an edit did, in words, for the list of actions."""
    parts = []
    for name, value in changes.items():
        words = name.replace("_", " ")
        if name in ("add_tags", "remove_tags"):
            if value:
                parts.append(f"{words.split()[0]} {', '.join(value[:3])}{'…' if len(value) > 3 else ''}")
        elif value is None:
            parts.append(f"reset {words}")
        elif name in ("rating", "label", "weight", "nsfw", "base_model"):
            parts.append(f"{words} {value}")
        else:
            parts.append(words if value is not False else f"not {words}")
    if membership.joins is not None:
        parts.append("add to a collection")
    if membership.leaves is not None:
        parts.append("take out of a collection")
    what = "; ".join(parts) or "nothing"
    return f"{what[:1].upper()}{what[1:]} ({count:,} LoRA{'s' if count != 1 else ''})"
