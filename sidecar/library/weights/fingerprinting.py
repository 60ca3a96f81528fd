"""Finds contents that are the same weights saved otherwise: in the background, once everything is hashed.

First each content's fingerprint (small files first), compared with all others of the same layers in memory; then the
pairs that look alike are compared in full. What is done is stored as it goes, so it goes on where it ended.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from array import array
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import orjson

from sidecar.database import Database
from sidecar.errors import SidecarError
from sidecar.events import Events
from sidecar.library.header import BrokenHeader

if TYPE_CHECKING:  # numpy is loaded when there is work
    from sidecar.library.weights.fingerprint import Fingerprint
    from sidecar.library.weights.matching import Matcher

log = logging.getLogger("lora-manager.weights")

STEP = 64
WRITE_SECONDS = 1.0
LOOK_SECONDS = 1.0
IDLE_SECONDS = 60.0
REST = 0.5  # of the time that was worked, left to others

# A file that has the content and can be read now.
READABLE = """FROM loras l JOIN roots r ON r.id = l.root_id
    WHERE l.present AND l.state = 'ok' AND l.hash_state = 'done' AND r.active AND r.online"""
_UNKNOWN = """SELECT body_hash FROM loras WHERE body_hash IS NOT NULL
    AND body_hash NOT IN (SELECT body_hash FROM fingerprints)"""


class Content(NamedTuple):
    """A content and a file that has it."""

    body_hash: str
    path: str


class Fingerprinter:
    """Works off contents without a fingerprint, then pairs to be compared, until stopped; rests while files are hashed.

    `busy` tells whether it has to wait: hashing goes on, or the user paused it.
    """

    def __init__(self, database: Database, events: Events, busy: Callable[[], bool]) -> None:
        self._database = database
        self._events = events
        self._busy = busy
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._unreadable: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="library-weights", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """There may be new contents."""
        self._unreadable.clear()
        self._wake.set()

    def stop(self) -> None:
        """End after the file that is being read."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped.is_set():
            waiting = IDLE_SECONDS
            try:
                if self._busy():
                    waiting = LOOK_SECONDS
                else:
                    self.work_off()
                    if self._busy():
                        waiting = LOOK_SECONDS
            except SidecarError as error:
                log.error("Comparing weights waits: %s", error.message)
            except Exception:  # the thread's outer edge: it must go on later
                log.exception("Comparing weights waits after an internal error")
            self._wake.wait(timeout=waiting)
            self._wake.clear()

    def work_off(self) -> None:
        """Do what there is to do now, in this thread; returns early when stopped or when files are to be hashed."""
        due = self._due()
        if due:
            self._take_all(due)
        self._compare_all()

    def _due(self) -> array[int]:
        """Ids of files with contents that have no fingerprint, small ones first."""
        rows = self._database.reader().execute(
            f"SELECT l.id {READABLE} AND l.body_hash IN ({_UNKNOWN}) ORDER BY l.size"
        )
        return array("q", (row[0] for row in rows))

    def _take_all(self, due: array[int]) -> None:
        from sidecar.library.weights.fingerprint import forget_signs
        from sidecar.library.weights.matching import Matcher

        matcher = Matcher(self._database)
        taken: dict[str, Fingerprint] = {}
        last_write = time.monotonic()
        for start in range(0, len(due), STEP):
            if self._must_rest():
                break
            for content in self._contents(due[start : start + STEP]):
                if self._stopped.is_set():
                    break
                if content.body_hash not in taken and content.body_hash not in self._unreadable:
                    self._take(content, taken)
            if time.monotonic() - last_write > WRITE_SECONDS:
                self._save(taken, matcher)
                self._events.publish("library.weights", pending=max(0, len(due) - start - STEP))
                taken, last_write = {}, time.monotonic()
        self._save(taken, matcher)
        self._events.publish("library.weights", pending=count_due(self._database))
        forget_signs()

    def _must_rest(self) -> bool:
        return self._stopped.is_set() or self._busy()

    def _contents(self, lora_ids: array[int]) -> list[Content]:
        rows = self._database.reader().execute(
            f"""SELECT l.body_hash, r.path AS root, l.folder, l.stem || l.extension AS name {READABLE}
                AND l.id IN (SELECT value FROM json_each(?)) ORDER BY l.size""",
            (orjson.dumps(lora_ids.tolist()).decode(),),
        )
        return [_content(row) for row in rows]

    def _take(self, content: Content, taken: dict[str, Fingerprint]) -> None:
        from sidecar.library.weights.fingerprint import Fingerprint, take_fingerprint

        begin = time.monotonic()
        try:
            taken[content.body_hash] = take_fingerprint(content.path)
        except BrokenHeader as error:
            taken[content.body_hash] = Fingerprint(None, "", 0, 0, None, str(error))
        except OSError as error:
            log.info("Not compared with others: %s", error)
            self._unreadable.add(content.body_hash)
        except Exception:  # one odd file must not keep the others from it
            log.exception("Not compared with others: %s", content.path)
            self._unreadable.add(content.body_hash)
        self._stopped.wait((time.monotonic() - begin) * REST)

    def _save(self, taken: dict[str, Fingerprint], matcher: Matcher) -> None:
        if not taken or self._stopped.is_set():
            return
        pairs = matcher.match(taken)
        self._database.write(partial(_save_fingerprints, taken=taken, pairs=pairs))
        matcher.add(taken)

    def _compare_all(self) -> None:
        """Compare the candidates in full, the most alike first."""
        pairs = (
            self._database.reader()
            .execute("SELECT a, b FROM resaved WHERE state = 'candidate' ORDER BY similarity DESC, a, b")
            .fetchall()
        )
        for pair in pairs:
            if self._must_rest():
                return
            begin = time.monotonic()
            self._compare(pair["a"], pair["b"])
            self._stopped.wait((time.monotonic() - begin) * REST)

    def _compare(self, first: str, second: str) -> None:
        """Compare two contents and store the verdict; one of them out of reach, the pair waits for another time."""
        from sidecar.library.weights.alike import Likeness, compare_files
        from sidecar.library.weights.tensors import BrokenTensor

        paths = [self._path(body_hash) for body_hash in (first, second)]
        if paths[0] is None or paths[1] is None:
            return
        try:
            likeness = compare_files(paths[0], paths[1], self._stopped.is_set) or Likeness(False, 0.0)
        except (BrokenHeader, BrokenTensor) as error:
            log.info("Not compared: %s and %s: %s", *paths, error)
            likeness = Likeness(False, 0.0)
        except OSError as error:
            log.info("Not compared: %s", error)
            return
        self._database.write(
            lambda connection: connection.execute(
                "UPDATE resaved SET state = ?, similarity = ? WHERE a = ? AND b = ?",
                ("same" if likeness.same else "different", likeness.cosine, first, second),
            )
        )
        if likeness.same:
            self._events.publish("duplicates.changed")

    def _path(self, body_hash: str) -> str | None:
        row = (
            self._database.reader()
            .execute(
                f"""SELECT l.body_hash, r.path AS root, l.folder, l.stem || l.extension AS name {READABLE}
                    AND l.body_hash = ? LIMIT 1""",
                (body_hash,),
            )
            .fetchone()
        )
        return None if row is None else _content(row).path


def count_due(database: Database) -> int:
    """How much is still to be done before all duplicates are known: files to hash, contents to take the fingerprint of,
    pairs to compare. What cannot be read now does not count."""
    readable = f"EXISTS (SELECT 1 {READABLE} AND l.body_hash = %s)"
    row = (
        database.reader()
        .execute(
            f"""SELECT (SELECT count(*) FROM loras WHERE hash_state = 'pending' AND present)
                + (SELECT count(*) FROM resaved p WHERE p.state = 'candidate'
                   AND {readable % "p.a"} AND {readable % "p.b"})
                + (SELECT count(DISTINCT l.body_hash) {READABLE} AND l.body_hash IN ({_UNKNOWN}))"""
        )
        .fetchone()
    )
    return int(row[0])


def _content(row: sqlite3.Row) -> Content:
    return Content(row["body_hash"], os.path.join(row["root"], *row["folder"].split("/"), row["name"]))


def _save_fingerprints(
    connection: sqlite3.Connection, taken: dict[str, Fingerprint], pairs: list[tuple[str, str, float]]
) -> None:
    connection.executemany(
        """INSERT OR REPLACE INTO fingerprints (body_hash, signature, reason, dtype, rank, ranks, vector)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (
            (
                body_hash, one.signature, one.reason, one.dtype, one.rank, one.ranks,
                None if one.vector is None else one.vector.astype("<f4").tobytes(),
            )
            for body_hash, one in taken.items()
        ),
    )  # fmt: skip
    connection.executemany(
        "INSERT OR IGNORE INTO resaved (a, b, state, similarity) VALUES (?, ?, 'candidate', ?)", pairs
    )
