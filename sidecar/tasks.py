"""Work that takes a while: runs in threads of its own, tells its progress as events, can be cancelled."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from sidecar.errors import Conflict, NotFound, SidecarError
from sidecar.events import Events

log = logging.getLogger("lora-manager.tasks")

KEPT = 100
THREADS = 4
EVENT_SECONDS = 0.2


class Cancelled(Exception):
    """The user stopped the task; what it did so far stays."""


class Task:
    """One piece of work. `state` is running, done, failed or cancelled; `total` is 0 while it is not known."""

    def __init__(self, number: int, kind: str, title: str, events: Events) -> None:
        self.id = number
        self.kind = kind
        self.title = title
        self.state = "running"
        self.done = 0
        self.total = 0
        self.message = ""
        self.result: Any = None
        self.started = time.time()
        self.cancel_asked = threading.Event()
        self._events = events
        self._told = 0.0

    def advance(self, count: int = 1, message: str | None = None) -> None:
        """Note progress; now and then it becomes an event.

        Raises:
            Cancelled: the user asked to stop.
        """
        self.done += count
        if message is not None:
            self.message = message
        if time.monotonic() - self._told >= EVENT_SECONDS:
            self.tell()
        if self.cancel_asked.is_set():
            raise Cancelled

    def tell(self) -> None:
        """Publish the state as it is."""
        self._told = time.monotonic()
        self._events.publish("task", **self.describe())

    def describe(self) -> dict[str, Any]:
        """As the API and the events tell it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "message": self.message,
            "result": self.result,
            "started": self.started,
        }


class Tasks:
    """The tasks that run, and the last ones that ended."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._tasks: OrderedDict[int, Task] = OrderedDict()
        self._numbers = itertools.count(int(time.time() * 1000))
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="task")

    def start(self, kind: str, title: str, work: Callable[[Task], Any], *, alone: bool = False) -> Task:
        """Run `work(task)` in a thread; what it returns becomes the task's `result`.

        Raises:
            Conflict: with `alone`, a task of this kind runs already.
        """
        task = self._add(kind, title, alone)
        self._pool.submit(self._run, task, work)
        return task

    def run(self, kind: str, title: str, work: Callable[[Task], Any]) -> Any:
        """Run `work(task)` in this thread and return its value or raise its error; others see the progress."""
        task = self._add(kind, title, alone=False)
        future: Future[Any] = Future()
        self._run(task, work, future)
        return future.result()

    def _add(self, kind: str, title: str, alone: bool) -> Task:
        with self._lock:
            if alone and any(task.kind == kind and task.state == "running" for task in self._tasks.values()):
                raise Conflict(f"{title}: this is being done already.")
            task = Task(next(self._numbers), kind, title, self._events)
            self._tasks[task.id] = task
            ended = [number for number, one in self._tasks.items() if one.state != "running"]
            for number in ended[: max(0, len(self._tasks) - KEPT)]:
                del self._tasks[number]
        return task

    def _run(self, task: Task, work: Callable[[Task], Any], future: Future[Any] | None = None) -> None:
        task.tell()
        try:
            task.result = work(task)
            task.state = "done"
            if future:
                future.set_result(task.result)
        except Cancelled as error:
            task.state = "cancelled"
            if future:
                future.set_exception(error)
        except SidecarError as error:
            task.state, task.message = "failed", error.message
            if future:
                future.set_exception(error)
            else:
                log.warning("%s: %s", task.title, error.message)
        except Exception as error:  # the thread's outer edge
            task.state, task.message = "failed", "It failed inside; the log has it."
            if future:
                future.set_exception(error)
            else:
                log.exception("%s failed", task.title)
        task.tell()

    def all(self) -> list[Task]:
        """Those that run and those that ended lately, newest first."""
        with self._lock:
            return list(self._tasks.values())[::-1]

    def get(self, number: int) -> Task:
        """One task.

        Raises:
            NotFound: no such task.
        """
        with self._lock:
            task = self._tasks.get(number)
        if task is None:
            raise NotFound(f"There is no task {number}.")
        return task

    def cancel(self, number: int) -> Task:
        """Ask a task to stop at its next step.

        Raises:
            NotFound: no such task.
        """
        task = self.get(number)
        task.cancel_asked.set()
        return task

    def stop(self) -> None:
        """Ask all to stop and wait for them."""
        for task in self.all():
            task.cancel_asked.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
