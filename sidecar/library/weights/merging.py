"""The best of what is known of several duplicates, given to the one that stays; and that taken back.

What the user said wins over what files say. Each of the kept one's facts stays; an empty one is filled, from the user's
word first. Tags, collections, notes, the higher rating, favourite, counts and history of use come together.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import orjson

from sidecar.library import base_model
from sidecar.library.edits import read_fields, save_fields, set_positions, tag_changes
from sidecar.library.identities import identities_of, refresh_all
from sidecar.library.organise import actions

_FILLED = (
    "title",
    "weight",
    "trigger_words",
    "negative_prompt",
    "base_model",
    "label",
    "nsfw",
    "word_groups",
)


def merge_facts(connection: sqlite3.Connection, action: int, keep: int, removed: list[int]) -> None:
    """Give the kept LoRA's identity what the others have, and note each change with the action."""
    if not removed:
        return
    identities = identities_of(connection, [keep, *removed])
    own = identities[keep]
    others = [one for one in dict.fromkeys(identities[lora_id] for lora_id in removed) if one != own]
    said = read_fields(connection, [own, *others])
    files = {lora_id: _from_files(connection, lora_id) for lora_id in (keep, *removed)}
    before = said[own]
    after = _merged(before, [said[one] for one in others], files[keep], [files[one] for one in removed])
    changed = [(name, before[name], value) for name, value in after.items() if before[name] != value]
    new_tags = [tag for lora_id in removed for tag in files[lora_id]["tags"]]
    hidden_tags = {tag.lower() for tag in before["tags_removed"] or []}
    added = tag_changes(connection, {own: [tag for tag in new_tags if tag.lower() not in hidden_tags]})
    if changed or added.get(own):
        save_fields(connection, action, {own: changed + added.get(own, [])})
    for other in others:
        _join_collections(connection, action, own, other)
        _move_history(connection, action, own, other)


def _from_files(connection: sqlite3.Connection, lora_id: int) -> dict[str, Any]:
    """What a file and its side files say, and the tags it is shown with."""
    row = connection.execute(
        """SELECT l.title, l.weight, l.trigger_words, l.negative_prompt, l.detected_base_model AS base_model,
                  l.effective_tags AS tags, t.notes
           FROM loras l LEFT JOIN lora_texts t ON t.lora_id = l.id WHERE l.id = ?""",
        (lora_id,),
    ).fetchone()
    facts = {name: row[name] for name in row.keys()}  # noqa: SIM118 (a Row iterates over values)
    facts |= {name: orjson.loads(facts[name]) for name in ("trigger_words", "tags")}
    if facts["base_model"] == base_model.UNKNOWN:
        facts["base_model"] = None
    return facts


def _merged(
    own: dict[str, Any], others: list[dict[str, Any]], file: dict[str, Any], files: list[dict[str, Any]]
) -> dict[str, Any]:
    """The kept one's facts after the merge: `own` and `others` are what the user said, `file` and `files` what is on disk."""
    after: dict[str, Any] = {}
    for name in _FILLED:
        if own[name] is not None:
            continue
        after[name] = next((other[name] for other in others if other[name] is not None), None)
        if after[name] is None and not file.get(name):
            after[name] = next((other[name] for other in files if other.get(name)), None)
    after["favorite"] = own["favorite"] or any(other["favorite"] for other in others)
    after["rating"] = max((fact["rating"] or 0 for fact in (own, *others)), default=0) or None
    after["notes"] = _joined_notes(own["notes"], others, file["notes"], files)
    return after


def _joined_notes(
    own: str | None, others: list[dict[str, Any]], in_file: str | None, files: list[dict[str, Any]]
) -> str | None:
    """Every note once, the kept one's first; None when the kept file's own note is all there is."""
    shown = own if own is not None else in_file or ""
    notes = [shown, *(other["notes"] for other in others), *(other["notes"] for other in files)]
    different: list[str] = []
    for note in (note.strip() for note in notes if note and note.strip()):
        if not any(note in known for known in different):
            different.append(note)
    joined = "\n\n".join(different)
    return own if joined == shown.strip() else joined


def _join_collections(connection: sqlite3.Connection, action: int, own: int, other: int) -> None:
    """The kept one joins every collection that the other is in, at its end."""
    rows = connection.execute(
        """SELECT c.collection_id AS id, (SELECT max(position) FROM collection_items l
                  WHERE l.collection_id = c.collection_id) AS last
           FROM collection_items c WHERE c.identity_id = ? AND NOT EXISTS (
               SELECT 1 FROM collection_items k WHERE k.collection_id = c.collection_id AND k.identity_id = ?)""",
        (other, own),
    ).fetchall()
    for row in rows:
        set_positions(connection, row["id"], [(own, row["last"] + 1)])
        actions.note_changes(
            connection, action, [(f"collection:{row['id']}", str(own), None, row["last"] + 1)]
        )


def _move_history(connection: sqlite3.Connection, action: int, own: int, other: int) -> None:
    """Pictures made with the other were made with the same weights: they count for the kept one."""
    used = {
        row["id"]: row
        for row in connection.execute(
            "SELECT id, used, last_used FROM identities WHERE id IN (?, ?)", (own, other)
        )
    }
    rows = connection.execute(
        "SELECT generation_id, position FROM generation_loras WHERE identity_id = ?", (other,)
    )
    generations = [list(row) for row in rows]
    if not generations and not used[other]["used"]:
        return
    kept = {"used": used[other]["used"], "last_used": used[own]["last_used"], "generations": generations}
    actions.note_changes(connection, action, [(f"history:{other}", str(own), kept, None)])
    connection.execute(
        """UPDATE identities SET used = used + ?, last_used = max(coalesce(last_used, 0), coalesce(?, 0))
           WHERE id = ?""",
        (used[other]["used"], used[other]["last_used"], own),
    )
    connection.execute("UPDATE identities SET used = 0 WHERE id = ?", (other,))
    _hand_over(connection, generations, own)
    refresh_all(connection, [own, other])


def take_back_history(connection: sqlite3.Connection, changes: list[tuple[str, str, Any, Any]]) -> None:
    """Undo what `merge_facts` did to counts and history, from an action's changes."""
    for subject, field, before, _ in changes:
        kind, _, number = subject.partition(":")
        if kind != "history":
            continue
        own, other = int(field), int(number)
        connection.execute("UPDATE identities SET used = used + ? WHERE id = ?", (before["used"], other))
        _hand_over(connection, before["generations"], other)
        connection.execute(
            """UPDATE identities SET used = max(0, used - ?), last_used = coalesce((
                   SELECT max(g.created) FROM generation_loras x JOIN generations g ON g.id = x.generation_id
                   WHERE x.identity_id = identities.id), ?) WHERE id = ?""",
            (before["used"], before["last_used"], own),
        )
        refresh_all(connection, [own, other])


def _hand_over(connection: sqlite3.Connection, generations: list[list[int]], identity: int) -> None:
    connection.executemany(
        "UPDATE generation_loras SET identity_id = ? WHERE generation_id = ? AND position = ?",
        ((identity, generation, position) for generation, position in generations),
    )
