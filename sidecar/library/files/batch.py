"""Carries out file operations for one user's action, and tells scanner, pages and hosts what has changed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple

from sidecar.errors import Unavailable
from sidecar.library import folders
from sidecar.library.files import disk, journal
from sidecar.library.files.filesets import Listings, folder_path
from sidecar.library.files.journal import LOCK, Operation
from sidecar.library.files.recovery import take_back
from sidecar.library.files.steps import Done, HalfDone, StepsFailed, do_steps
from sidecar.library.scanning import Place
from sidecar.state import State

log = logging.getLogger("lora-manager.files")

CHUNK = 50
LISTED_SECONDS = 5.0
MAX_TOLD = 1_000
SAME, CONFLICT, FAILED, DONE = "same", "conflict", "failed", "done"


class Item(NamedTuple):
    """What became of one LoRA. Places as the API names them."""

    id: int
    source: str
    target: str | None
    state: str
    reason: str | None = None

    def describe(self) -> dict[str, Any]:
        """As the API gives it."""
        return {
            "id": self.id, "from": self.source, "to": self.target, "state": self.state, "reason": self.reason,
        }  # fmt: skip


@dataclass
class Outcome:
    """What became of all LoRAs of an action; `action` is None when nothing was done."""

    action: int | None = None
    items: list[Item] = field(default_factory=list)

    def count(self, state: str) -> int:
        """How many ended so."""
        return sum(item.state == state for item in self.items)

    def describe(self) -> dict[str, Any]:
        """As the API gives it. Of very many, those come first that need a look; the rest is only counted."""
        told = sorted(self.items, key=lambda item: item.state not in (CONFLICT, FAILED))[:MAX_TOLD]
        counts = {state: self.count(state) for state in (DONE, SAME, CONFLICT, FAILED)}
        items = [item.describe() for item in (self.items if len(self.items) <= MAX_TOLD else told)]
        return {"action": self.action, **counts, "total": len(self.items), "items": items}


@dataclass
class Planned:
    """An operation, what to say about each of its LoRAs once it is done, and the folders of the library it touches."""

    operation: Operation
    items: list[Item]
    places: list[tuple[int, str]]


class Batch:
    """One action over LoRAs, in chunks: each is planned, journaled, done and settled before the next.

    Use as a context manager; at its end the action's count is right, whatever happened on the way.
    """

    def __init__(self, state: State, summary: Callable[[int], str], action: int | None = None) -> None:
        self.outcome = Outcome()
        self._state = state
        self._summary = summary
        self._given = action
        self._action = action
        self._places: set[tuple[int, str]] = set()
        self._changed = 0
        self._listings = Listings()
        self._listed = (-1, 0.0)

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._action and self._given is None:
            done = self._summary(self.outcome.count(DONE))
            if not journal.close_action(self._state.database, self._action, done):
                self._action = None
        self.outcome.action = self._action or None
        if self._changed:
            announce(self._state, self._changed, self._places)

    def refuse(self, items: Iterable[Item]) -> None:
        """Note LoRAs with which nothing is to be done."""
        self.outcome.items.extend(items)

    def listings(self, *, keep: bool = False) -> Listings:
        """What lies in folders, with what this batch has done in it. Read anew once another operation has moved files,
        one of this batch has failed, or a moment has passed; not with `keep`. To be called with `LOCK` held."""
        plans, listed = self._listed
        if keep:
            return self._listings
        if plans != journal.plans_written or time.monotonic() - listed > LISTED_SECONDS:
            self._listings = Listings()
            self._listed = (journal.plans_written, time.monotonic())
        return self._listings

    def carry_out(self, planned: Sequence[Planned], count: int) -> list[Planned]:
        """Do these operations and return those that were done; `count` is how many LoRAs the whole action is about.

        Raises:
            Unavailable: the database did not take the plan (nothing has changed) or the outcome (what was done is
                taken back, or settled at the next start).
        """
        if not planned:
            return []
        operations = [one.operation for one in planned]
        state = self._state
        with LOCK:
            self._action = journal.write_plans(
                state.database, operations, self._action, self._summary(count), count
            )
            done: list[Planned] = []
            dropped: list[Operation] = []
            for one in planned:
                reason = self._do(one.operation, dropped)
                if reason is None:
                    done.append(one)
                else:
                    self.refuse(item._replace(state=FAILED, reason=reason) for item in one.items)
            if len(done) == len(planned) and self._listed[0] == journal.plans_written - 1:
                self._listed = (journal.plans_written, self._listed[1])
            state.library.scanner.files_moved()
            self._sync(done)
            try:
                journal.settle(state.database, [one.operation for one in done], dropped)
            except Unavailable:
                for one in reversed(done):
                    take_back(one.operation)
                raise
        emptied = {folder for one in done for folder in one.operation.change.get("emptied", ())}
        disk.remove_empty(sorted(emptied, key=len, reverse=True))
        for one in done:
            self.outcome.items.extend(self._with_ids(one))
            self._places.update(one.places)
            self._changed += len(one.items)
        return done

    def _with_ids(self, done: Planned) -> list[Item]:
        """Its items with the ids as they are now: what was restored may have a new one."""
        if done.operation.kind != "restore":
            return done.items
        ids = journal.loras_of(self._state.database, done.operation.id)
        return [item._replace(id=lora_id) for item, lora_id in zip(done.items, ids)]

    def _do(self, operation: Operation, dropped: list[Operation]) -> str | None:
        """Do one operation's steps; returns why it could not be done, or None."""
        try:
            if do_steps(operation) is Done.LEFTOVER:
                operation.state = journal.LEFTOVER
                log.warning(
                    "Moved, but the old files could not be removed yet: %s", operation.steps[-1].source
                )
        except StepsFailed as error:
            dropped.append(operation)
            return str(error)
        except HalfDone as error:
            log.warning("%s", error)
            return str(error)
        return None

    def _sync(self, done: Sequence[Planned]) -> None:
        """Bring the renames down to the disk before the journal says that they are done."""
        paths = {path for one in done for step in one.operation.steps for path in (step.source, step.target)}
        disk.fsync_folders({os.path.dirname(path) for path in paths})


def announce(state: State, changed: int, places: Iterable[tuple[int, str]]) -> None:
    """Tell pages and hosts, and have the scan look at the folders (root, folder) once more."""
    state.events.publish("library.changed", added=0, removed=0, changed=changed)
    state.events.publish("files.changed", count=changed)
    roots = {root.id: root for root in folders.active_roots(state.database)}
    wanted = [
        Place(roots[root_id], folder, recursive=False)
        for root_id, folder in sorted(places)
        if root_id in roots and os.path.isdir(folder_path(roots[root_id].path, folder))
    ]
    if wanted:
        state.library.scanner.request(wanted)
