"""The journal: what is to happen on disk is written down before the first step, and settled after the last.

An operation concerns one LoRA (or several of one stem) and is done completely or not at all. While its state is
"planned", `recovery` can finish it or take it back from what lies on disk. The catalogue changes in the same transaction
that settles the operation.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from sidecar.database import Database
from sidecar.library.files import catalogue
from sidecar.library.organise.actions import begin

LOCK = threading.RLock()
"""Held from an operation's plan to its settlement: one at a time, and no recovery in between."""
plans_written = 0
"""Rises with every plan, so that who remembers what lies in a folder knows that somebody has moved files since."""
PLANNED, LEFTOVER, DONE, UNDONE = "planned", "leftover", "done", "undone"
MOVE, COPY = "move", "copy"


class Step(NamedTuple):
    """One file: `move` it (rename, or copy and remove on another device) or `copy` it. Full paths; size and time as
    they were when it was planned."""

    kind: str
    source: str
    target: str
    size: int
    mtime_ns: int


@dataclass
class Operation:
    """What happens to the files of a LoRA.

    kind: move, delete, restore or files (side files alone).
    change: what `catalogue.apply_change` makes of it; besides, "made": folders that are made for it, and "token": what
    its temporary files have in their names.
    """

    kind: str
    loras: list[int]
    steps: list[Step]
    change: dict[str, Any] = field(default_factory=dict)
    id: int = 0
    action: int | None = None
    state: str = PLANNED

    def temporary(self, step: Step) -> str:
        """The path beside a step's target where a copy is made. Its ending belongs to no model or side file."""
        name = f".lora-manager-{self.change['token']}-{self.steps.index(step)}.part"
        return os.path.join(os.path.dirname(step.target), name)


def write_plans(
    database: Database, operations: Sequence[Operation], action: int | None, summary: str, count: int
) -> int:
    """Write down what is about to happen, so that a power cut after this loses nothing; gives every operation its id.

    Returns the action, begun here when `action` is None; with 0 the operations belong to none.
    """

    def work(connection: sqlite3.Connection) -> int:
        number = begin(connection, "files", summary, count) if action is None else action
        for operation in operations:
            operation.action = number or None
            cursor = connection.execute(
                "INSERT INTO file_operations (action_id, kind, state, loras, steps, change) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    operation.action, operation.kind, PLANNED, _json(operation.loras), _json(list(map(tuple, operation.steps))),
                    _json(operation.change),
                ),
            )  # fmt: skip
            operation.id = int(cursor.lastrowid or 0)
        return number

    global plans_written
    plans_written += 1
    return database.write(work, durable=True)


def settle(database: Database, done: Iterable[Operation], dropped: Iterable[Operation]) -> None:
    """Note what was done, with what it means for the catalogue, and forget what was taken back."""

    def work(connection: sqlite3.Connection) -> None:
        for operation in done:
            catalogue.apply_change(
                connection, operation.id, operation.kind, operation.loras, operation.change
            )
            state = LEFTOVER if operation.state == LEFTOVER else DONE
            connection.execute("UPDATE file_operations SET state = ? WHERE id = ?", (state, operation.id))
        connection.executemany(
            "DELETE FROM file_operations WHERE id = ?", ((operation.id,) for operation in dropped)
        )

    database.write(work, durable=True)


def settle_leftover(database: Database, operation: Operation) -> None:
    """Note that the sources of a move to another device are removed at last, and forget what a scan saw in them."""

    def work(connection: sqlite3.Connection) -> None:
        if operation.kind == "move":
            catalogue.forget_sources(connection, operation.loras, operation.change)
        connection.execute("UPDATE file_operations SET state = ? WHERE id = ?", (DONE, operation.id))

    database.write(work)


def prune(database: Database) -> None:
    """Forget operations that no action needs for its undo: those that took others back."""
    database.write(
        lambda connection: connection.execute(
            "DELETE FROM file_operations WHERE action_id IS NULL AND state IN (?, ?)", (DONE, UNDONE)
        )
    )


def set_state(database: Database, operations: Iterable[int], state: str) -> None:
    """Change nothing but the state of operations."""
    rows = [(state, number) for number in operations]
    database.write(
        lambda connection: connection.executemany("UPDATE file_operations SET state = ? WHERE id = ?", rows)
    )


def close_action(database: Database, action: int, summary: str | None = None) -> int:
    """Bring an action's count in line with what was really done; one that did nothing is removed. Returns the count."""

    def work(connection: sqlite3.Connection) -> int:
        states = [
            (row["state"], len(orjson.loads(row["loras"])))
            for row in connection.execute(
                "SELECT state, loras FROM file_operations WHERE action_id = ?", (action,)
            )
        ]
        count = sum(loras for state, loras in states if state != PLANNED)
        edited = connection.execute("SELECT 1 FROM action_changes WHERE action_id = ?", (action,)).fetchone()
        if not states and edited is None:
            connection.execute("DELETE FROM actions WHERE id = ?", (action,))
        else:
            connection.execute(
                "UPDATE actions SET count = ?, summary = coalesce(?, summary) WHERE id = ?",
                (count, summary, action),
            )
        return count

    return database.write(work)


def open_operations(database: Database) -> list[Operation]:
    """Operations that are not settled, in their order."""
    return read_operations(database, "state IN ('planned', 'leftover')")


def operations_of(database: Database, action: int) -> list[Operation]:
    """An action's operations, in their order."""
    return read_operations(database, "action_id = ?", action)


def read_operations(database: Database, where: str, *values: Any) -> list[Operation]:
    """Operations by a condition of our own."""
    rows = database.reader().execute(f"SELECT * FROM file_operations WHERE {where} ORDER BY id", values)
    return [
        Operation(
            kind=row["kind"],
            loras=orjson.loads(row["loras"]),
            steps=[Step(*step) for step in orjson.loads(row["steps"])],
            change=orjson.loads(row["change"]),
            id=row["id"],
            action=row["action_id"],
            state=row["state"],
        )
        for row in rows
    ]


def loras_of(database: Database, operation: int) -> list[int]:
    """The ids that an operation's LoRAs have after it."""
    row = database.reader().execute("SELECT loras FROM file_operations WHERE id = ?", (operation,)).fetchone()
    ids: list[int] = orjson.loads(row["loras"])
    return ids


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
