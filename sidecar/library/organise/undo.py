"""Takes an action's edits back, field by field; what was changed again since is left alone and told."""

from __future__ import annotations

import sqlite3
from typing import Any

from sidecar.database import Database
from sidecar.library.edits import LISTS, STEP, read_fields, save_fields, set_positions
from sidecar.library.organise import actions
from sidecar.library.organise.collections import bring_back
from sidecar.library.organise.tags import take_back_tags
from sidecar.library.store import index_rest
from sidecar.library.weights.merging import take_back_history


def undo_edits(database: Database, action: int, *, mark: bool = True) -> dict[str, int]:
    """Take back what `action_changes` has of an action: {"undone", "skipped"}, counted in fields.

    With `mark` off the action itself stays as it is, for whoever has more of it to take back.

    Raises:
        NotFound: no such action. Conflict: it has been undone already.
    """

    def work(connection: sqlite3.Connection) -> dict[str, int]:
        actions.get_action(connection, action)
        changes = actions.changes_of(connection, action)
        skipped = take_back_tags(connection, changes)
        skipped += _take_back_fields(connection, changes)
        skipped += _take_back_membership(connection, changes)
        take_back_history(connection, changes)
        if mark:
            actions.mark_undone(connection, action)
        return {"undone": len(changes) - skipped, "skipped": skipped}

    outcome = database.write(work)
    index_rest(database)
    return outcome


def _take_back_fields(connection: sqlite3.Connection, changes: list[tuple[str, str, Any, Any]]) -> int:
    """Returns how many fields were changed again since and are left as they are."""
    wanted = [
        (int(subject.partition(":")[2]), field, before, after)
        for subject, field, before, after in changes
        if subject.startswith("identity:")
    ]
    current = read_fields(connection, [identity for identity, _, _, _ in wanted])
    restored: dict[int, list[tuple[str, Any, Any]]] = {}
    skipped = 0
    for identity, field, before, after in wanted:
        now = current.get(identity)
        if now is None:
            skipped += 1
        elif now[field] == after:
            restored.setdefault(identity, []).append((field, now[field], before))
        elif field in LISTS and field not in ("trigger_words", "word_groups"):
            restored.setdefault(identity, []).append(
                (field, now[field], _taken_back(now[field], before, after))
            )
        else:
            skipped += 1
    identities = list(restored)
    for start in range(0, len(identities), STEP):
        step = identities[start : start + STEP]
        save_fields(connection, None, {identity: restored[identity] for identity in step})
    return skipped


def _taken_back(now: list[str] | None, before: list[str] | None, after: list[str] | None) -> list[str] | None:
    """A list that was changed again since, without what the action put in and with what it took out."""
    old, new = before or [], after or []
    kept = [word for word in now or [] if word not in new or word in old]
    return kept + [word for word in old if word not in new and word not in kept] or None


def _take_back_membership(connection: sqlite3.Connection, changes: list[tuple[str, str, Any, Any]]) -> int:
    skipped = 0
    for subject, field, before, _ in changes:
        kind, _, number = subject.partition(":")
        if kind == "collection" and field == "deleted":
            skipped += not bring_back(connection, before)
        if kind != "collection" or not field.isdigit():
            continue
        there = connection.execute(
            "SELECT 1 FROM collections c, identities i WHERE c.id = ? AND i.id = ?", (int(number), int(field))
        ).fetchone()
        if there:
            set_positions(connection, int(number), [(int(field), before)])
        else:
            skipped += 1
    return skipped
