"""The worker that writes what the user said into side files, when the setting `write_back` asks for it.

Edits mark rows (`loras.write_due` = 1) in their own transaction. What is written and what is not is decided in
`written_files`; here it is made to happen: what stood there is noted before anything is changed, the file is written, and
the mark goes if the user has said nothing new meanwhile. A refused row (2) is looked at again after an edit, a change of
the setting, and now and then after a scan. While the setting is off the marks stay.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

from sidecar.database import Database
from sidecar.errors import SidecarError
from sidecar.events import Events
from sidecar.library.files import journal
from sidecar.library.written_files import (
    ENDINGS,
    Facts,
    Kept,
    Lora,
    NotYet,
    Plan,
    Refused,
    plan_write,
    replace_file,
    wanted_values,
)

log = logging.getLogger("lora-manager.write-back")

OFF, DUE, REFUSED = "off", 1, 2
BATCH = 50
PAUSE_SECONDS = 0.3  # a note is saved as it is typed
AGAIN_SECONDS = 60.0

_ROW = """
SELECT l.id, r.path AS root, l.folder, l.stem, l.extension, l.present, l.sha256, l.base_model AS shown_base_model, l.write_due,
       l.effective_tags, i.title, i.trigger_words, i.weight, i.negative_prompt, i.notes, i.base_model, i.nsfw, i.favorite,
       i.tags_added, i.tags_removed
FROM loras l JOIN roots r ON r.id = l.root_id LEFT JOIN identities i ON i.id = l.identity_id WHERE l.id = ?"""


class WriteBack:
    """One thread that works off the marks; `wake` it after edits and after changes of the setting.

    `mode` tells the setting as it is now.
    """

    def __init__(self, database: Database, events: Events, mode: Callable[[], str]) -> None:
        self._database = database
        self._events = events
        self._mode_now = mode
        self._wake = threading.Event()
        self._again = threading.Event()
        self._stopped = threading.Event()
        self._mode = OFF
        self._looked_again = 0.0
        self._thread = threading.Thread(target=self._run, name="library-write-back", daemon=True)

    def start(self) -> None:
        """Start the thread, which begins with what earlier runs have left."""
        self._wake.set()
        self._thread.start()

    def wake(self, again: bool = False) -> None:
        """There may be something to write; with `again` also what was refused before is looked at once more."""
        if again:
            self._again.set()
        self._wake.set()

    def scanned(self) -> None:
        """A scan has ended: a drive may be back, a file mended."""
        self.wake(again=time.monotonic() - self._looked_again > AGAIN_SECONDS)

    @property
    def started(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End after the file being written; the rest stays marked."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(timeout=AGAIN_SECONDS)  # what waits for a hash is not called
            self._wake.clear()
            self._stopped.wait(PAUSE_SECONDS)
            try:
                self._work_off()
            except SidecarError as error:
                log.warning("Writing back waits: %s", error.message)
            except Exception:  # the thread's outer edge: the next edit must find it alive
                log.exception("Writing back waits after an internal error")

    def _work_off(self) -> None:
        mode = self._mode_now()
        if mode != OFF and mode != self._mode:
            self._database.write(lambda connection: _mark_for(connection, ENDINGS[mode]))
        self._mode = mode
        if self._again.is_set():
            self._again.clear()
            self._looked_again = time.monotonic()
            self._database.write(_mark_refused)
        written = refused = last = 0
        while self._mode_now() == mode != OFF and not self._stopped.is_set():
            ids = _due(self._database.reader(), last)
            if not ids:
                break
            last = ids[-1]
            outcomes = self._write(ids, mode)
            written += sum(outcome.written for outcome in outcomes)
            refused += sum(outcome.reason is not None for outcome in outcomes)
        if written or refused:
            log.info("Wrote back to %d side files; %d were left alone.", written, refused)
            self._events.publish("write_back", written=written, refused=refused)

    def _write(self, ids: Sequence[int], mode: str) -> list[_Outcome]:
        """Plan a batch, note what stands there now, write, and take the marks away."""
        reader = self._database.reader()
        planned: list[tuple[_Due, Plan]] = []
        outcomes: list[_Outcome] = []
        for lora_id in ids:
            due = _read(reader, lora_id)
            if due is None or not due.lora.is_there():
                continue  # a drive that is away: it is written when it is back
            try:
                planned.append((due, plan_write(due.lora, due.facts, mode, _kept(reader, lora_id, mode))))
            except NotYet:
                continue
            except Refused as reason:
                outcomes.append(_Outcome(due, reason=str(reason)))
        self._database.write(
            lambda connection: _keep(
                connection, [(due.lora.id, ENDINGS[mode], plan.kept) for due, plan in planned]
            )
        )
        outcomes += [self._carry_out(due, plan) for due, plan in planned]
        self._database.write(lambda connection: _settle(connection, outcomes))
        return outcomes

    def _carry_out(self, due: _Due, plan: Plan) -> _Outcome:
        if plan.blob is None:
            return _Outcome(due)
        with journal.LOCK:  # nobody renames or moves it meanwhile
            now = _read(self._database.reader(), due.lora.id)
            if now is None or now.lora.path != due.lora.path or not now.lora.is_there():
                return _Outcome(due, later=True)
            try:
                if not replace_file(plan.path, plan.blob, plan.before, like=due.lora.path):
                    return _Outcome(
                        due, later=True
                    )  # somebody else has just changed it: read again, then write
            except Refused as reason:
                return _Outcome(due, reason=str(reason))
            if plan.before is None:
                journal.plans_written += 1  # what a file operation remembers of this folder is out of date
        return _Outcome(due, written=True)


def describe_state(database: Database, lora_id: int, mode: str) -> dict[str, Any]:
    """How far writing back is for one LoRA.

    Returns:
        state: off, written (also when there is nothing to write), due or refused.
        file: the side file's name, None when there is nothing to write.
        reason: why it is not written.
    """
    if mode == OFF:
        return {"state": OFF, "file": None, "reason": None}
    reader = database.reader()
    due = _read(reader, lora_id)
    if due is None:
        return {"state": "written", "file": None, "reason": None}
    state, reason = _state(reader, due, mode)
    file = due.lora.stem + ENDINGS[mode] if wanted_values(due.facts, mode) else None
    return {"state": state, "file": file, "reason": reason}


def _state(reader: sqlite3.Connection, due: _Due, mode: str) -> tuple[str, str | None]:
    if not due.mark:
        return "written", None
    try:
        if due.lora.is_there():
            plan_write(due.lora, due.facts, mode, _kept(reader, due.lora.id, mode))
    except NotYet as reason:
        return "due", str(reason)
    except Refused as reason:
        return "refused", str(reason)
    return "due", None


class _Due(NamedTuple):
    """A marked row: the file, and what the user said when it was read."""

    lora: Lora
    facts: Facts
    mark: int


class _Outcome(NamedTuple):
    """What became of a row; `later` leaves it marked."""

    due: _Due
    written: bool = False
    later: bool = False
    reason: str | None = None


def _due(reader: sqlite3.Connection, after: int) -> list[int]:
    rows = reader.execute(
        "SELECT id FROM loras WHERE write_due AND write_due = ? AND present AND id > ? ORDER BY id LIMIT ?",
        (DUE, after, BATCH),
    )
    return [row["id"] for row in rows]


def _read(reader: sqlite3.Connection, lora_id: int) -> _Due | None:
    row = reader.execute(_ROW, (lora_id,)).fetchone()
    if row is None:
        return None
    path = os.path.join(row["root"], *row["folder"].split("/"), row["stem"] + row["extension"])
    touched_tags = row["tags_added"] or row["tags_removed"]
    return _Due(
        Lora(row["id"], path, row["stem"], row["sha256"], row["shown_base_model"], bool(row["present"])),
        Facts(
            title=row["title"],
            trigger_words=None if row["trigger_words"] is None else tuple(orjson.loads(row["trigger_words"])),
            weight=row["weight"],
            negative_prompt=row["negative_prompt"],
            notes=row["notes"],
            base_model=row["base_model"],
            nsfw=row["nsfw"],
            favorite=bool(row["favorite"]) or None,
            tags=tuple(orjson.loads(row["effective_tags"])) if touched_tags else None,
        ),
        row["write_due"],
    )


def _kept(reader: sqlite3.Connection, lora_id: int, mode: str) -> dict[str, Kept]:
    """What our writing has replaced in the file, by key."""
    rows = reader.execute(
        "SELECT key, before, after FROM written_back WHERE lora_id = ? AND ending = ?",
        (lora_id, ENDINGS[mode]),
    )
    return {
        row["key"]: Kept(
            *(None if row[name] is None else (orjson.loads(row[name]),) for name in ("before", "after"))
        )
        for row in rows
    }


def _keep(connection: sqlite3.Connection, plans: Sequence[tuple[int, str, dict[str, Kept]]]) -> None:
    connection.executemany(
        "DELETE FROM written_back WHERE lora_id = ? AND ending = ?",
        ((lora_id, ending) for lora_id, ending, _ in plans),
    )
    connection.executemany(
        "INSERT INTO written_back (lora_id, ending, key, before, after) SELECT id, ?, ?, ?, ? FROM loras WHERE id = ?",
        (
            (
                ending,
                key,
                *(None if value is None else orjson.dumps(value[0]).decode() for value in kept),
                lora_id,
            )
            for lora_id, ending, of_one in plans
            for key, kept in of_one.items()
        ),
    )


def _settle(connection: sqlite3.Connection, outcomes: Sequence[_Outcome]) -> None:
    """Take marks away where the user has said nothing new meanwhile."""
    for outcome in outcomes:
        now = _read(connection, outcome.due.lora.id)
        if now is None or outcome.later or now.facts != outcome.due.facts:
            continue
        connection.execute(
            "UPDATE loras SET write_due = ? WHERE id = ?",
            (REFUSED if outcome.reason else 0, outcome.due.lora.id),
        )


def _mark_refused(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE loras SET write_due = ? WHERE write_due AND write_due = ?", (DUE, REFUSED))


def _mark_for(connection: sqlite3.Connection, ending: str) -> None:
    """Mark what was refused, and what so far was written to the other kind of file alone."""
    _mark_refused(connection)
    connection.execute(
        """UPDATE loras SET write_due = ? WHERE NOT write_due
               AND id IN (SELECT lora_id FROM written_back WHERE ending != ?)
               AND id NOT IN (SELECT lora_id FROM written_back WHERE ending = ?)""",
        (DUE, ending, ending),
    )
