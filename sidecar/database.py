"""One SQLite file: one writer thread, a reader connection per thread. Queries live with the functions that need them."""

from __future__ import annotations

import gc
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import sqlite_utils

from sidecar.errors import SidecarError, StartError, Unavailable
from sidecar.migrations import migrations

T = TypeVar("T")

FILE_NAME = "lora-manager.db"
BUSY_SECONDS = 5.0
KEPT_CHANGES = 1_000
# Whatever is counted of LoRAs (library/columns.py) is noted as it changes, whoever changes it.
_COUNTED = "root_id, folder, present, state, base_model, label, rating, network, nsfw, favorite, hidden, used, effective_tags"
_NOTE_CHANGES = tuple(
    f"CREATE TEMP TRIGGER note_{event} AFTER {what} ON main.loras BEGIN SELECT note_change({row}.id); END"
    for event, what, row in (
        ("insert", "INSERT", "new"),
        ("update", f"UPDATE OF {_COUNTED}", "new"),
        ("delete", "DELETE", "old"),
    )
)


class Database:
    """The catalogue's file.

    Readers see the last committed state and never wait for the writer (WAL). Every write is one function that runs
    on the writer thread inside `BEGIN IMMEDIATE … COMMIT`; it returns a value or raises, and then nothing has changed.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        """`read_only`: for another process than the one that writes; nothing is opened but readers."""
        self.path = folder / FILE_NAME
        self.revision = 0
        """Rises with every change, so that what was worked out from the data knows when it is stale."""
        self._changes: deque[tuple[int, frozenset[int]]] = deque(maxlen=KEPT_CHANGES)
        self._changing: set[int] = set()
        self._local = threading.local()
        self._readers: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._closed = False
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database-writer")
        if read_only:
            self._writer.shutdown()
            return
        try:
            self._connection = self._writer.submit(self._open_writer).result()
        except StartError:
            self._writer.shutdown()
            raise
        except sqlite3.Error as error:
            self._writer.shutdown()
            raise StartError(
                f"The database {self.path} cannot be opened: {error}. {_advice(error)}"
            ) from error

    def _open_writer(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-8000")
        connection.execute("PRAGMA wal_autocheckpoint=8000")
        self._bring_up_to_date(sqlite_utils.Database(connection))
        connection.create_function("note_change", 1, self._changing.add)
        for statement in _NOTE_CHANGES:
            connection.execute(statement)
        os.chmod(self.path, 0o600)
        return connection

    def _bring_up_to_date(self, db: sqlite_utils.Database) -> None:
        """Apply the migrations that are due; a database that has seen some before is backed up first."""
        if migrations.applied(db) and migrations.pending(db):
            # Here, since it is hardly ever needed and takes its time.
            from sidecar.backup.shelf import back_up_before_migration

            try:
                back_up_before_migration(self.path.parent)
            except SidecarError as error:
                raise StartError(
                    f"The database {self.path} is of an older version. It is backed up before it is changed, and that "
                    f"failed: {error.message} Nothing was changed; start again then."
                ) from error
        migrations.apply(db)

    def changes_since(self, revision: int) -> set[int] | None:
        """Ids of LoRAs whose row or tags changed after `revision`; None when that is too long ago to tell."""
        kept = list(self._changes)
        if revision < 0 or revision < (kept[0][0] - 1 if kept else self.revision):
            return None
        return {lora_id for number, ids in kept if number > revision for lora_id in ids}

    @property
    def schema(self) -> int:
        """How many migrations the file has seen."""
        return int(self.reader().execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0])

    def reader(self) -> sqlite3.Connection:
        """This thread's read-only connection, with `sqlite3.Row` rows.

        Raises:
            Unavailable: the database is closed.
        """
        if self._closed:
            raise Unavailable("The database is closed: the sidecar is stopping.")
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA cache_size=-2000")
            self._local.connection = connection
            self._readers.append((threading.current_thread(), connection))
        return connection

    def submit(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> Future[T]:
        """Queue `work` for the writer thread; the future carries its value or its error."""
        return self._writer.submit(self._durably if durable else self._transaction, work)

    def write(self, work: Callable[[sqlite3.Connection], T], *, durable: bool = False) -> T:
        """Run `work` on the writer thread and wait for it.

        A commit outlives the end of this process; a `durable` one also a power cut, for what must be known before the
        next step on disk.

        Raises:
            Unavailable: the file is locked by another program, or the disk is full or read-only.
        """
        return self.submit(work, durable=durable).result()

    def _durably(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._connection.execute("PRAGMA synchronous=FULL")
        try:
            return self._transaction(work)
        finally:
            self._connection.execute("PRAGMA synchronous=NORMAL")

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                value = work(connection)
                connection.execute("COMMIT")
                self._changes.append((self.revision + 1, frozenset(self._changing)))
                self.revision += 1
                return value
            finally:
                self._changing.clear()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            raise Unavailable(f"The database did not take the change: {error}. {_advice(error)}") from error

    def close(self) -> None:
        """Finish queued writes, fold the WAL into the file and close every connection.

        One that another thread is reading from closes when that thread is done: SQLite must not lose it under a query.
        """
        self._closed = True
        me, busy = threading.current_thread(), False
        while self._readers:
            thread, connection = self._readers.pop()
            if thread is me or not thread.is_alive():
                connection.close()
            else:
                busy = True
            del connection
        self._local = threading.local()
        if busy:
            gc.collect()  # closes what no thread holds any more
        self._writer.submit(self._connection.close).result()
        self._writer.shutdown()


def _advice(error: sqlite3.Error) -> str:
    text = str(error)
    if "full" in text:
        return "Free some space on its disk; nothing was lost."
    if "readonly" in text or "unable to open" in text:
        return "Make the data folder writable, or choose another one with --data."
    if "locked" in text or "busy" in text:
        return "Another program holds it; close that program and try again."
    if "not a database" in text or "malformed" in text:
        return "The file is damaged: move it away to start afresh, or put a backup in its place."
    return "Nothing was changed."
