"""Finishes or takes back, from what lies on disk, the operations that a crash or a vanished drive left half done.

Nothing is ever removed here but a copy whose twin is there, and temporary files of our own.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable

from sidecar.database import Database
from sidecar.library.files import disk, journal
from sidecar.library.files.journal import COPY, LEFTOVER, LOCK, MOVE, Operation, Step
from sidecar.library.files.steps import do_anywhere, do_step, undo_anywhere, undo_step

log = logging.getLogger("lora-manager.files")


class _Blocked(Exception):
    """It cannot go on in this direction: a name has been taken by somebody else."""


class _Away(Exception):
    """None of the files can be seen now: their drive is not there."""


def recover(database: Database, on_moved: Callable[[], None] = lambda: None, *, wait: bool = True) -> int:
    """Settle whatever is not settled; what cannot be now is left for the next time. Returns how many were settled.

    `on_moved` is called between the last step on disk and the change of the catalogue. Without `wait` nothing is done
    while a file operation is under way.
    """
    if not LOCK.acquire(blocking=wait):
        return 0
    try:
        return _recover(database, on_moved)
    finally:
        LOCK.release()


def take_back(operation: Operation) -> None:
    """Take back the steps of an operation that was done on disk but could not be settled, as far as that goes now; the
    journal still has it as planned."""
    try:
        _take_back(operation)
    except OSError as error:
        log.warning("Left half done, tried again later: %s: %s", _describe(operation), disk.reason_of(error))


def _recover(database: Database, on_moved: Callable[[], None]) -> int:
    done: list[Operation] = []
    taken_back: list[Operation] = []
    for operation in journal.open_operations(database):
        try:
            if operation.state == LEFTOVER:
                _remove_leftovers(operation)
                on_moved()
                journal.settle_leftover(database, operation)
            elif _settle_on_disk(operation):
                done.append(operation)
            else:
                taken_back.append(operation)
        except _Away:
            log.info("Left half done until its drive is back: %s", _describe(operation))
        except OSError as error:
            log.warning(
                "Left half done, tried again later: %s: %s", _describe(operation), disk.reason_of(error)
            )
    if done or taken_back:
        on_moved()
        _sync(done + taken_back)
        journal.settle(database, done, taken_back)
        for action in {operation.action for operation in done + taken_back if operation.action}:
            journal.close_action(database, action)
        log.info(
            "After an interruption: %d file operations finished, %d taken back.", len(done), len(taken_back)
        )
    return len(done) + len(taken_back)


def _settle_on_disk(operation: Operation) -> bool:
    """True when all steps are done now, False when none is.

    Raises:
        _Away: nothing of it can be seen. OSError: neither way works now.
    """
    _clear_temporaries(operation)
    moves = [step for step in operation.steps if step.kind == MOVE]
    if moves and not any(os.path.lexists(path) for step in moves for path in (step.source, step.target)):
        raise _Away
    if any(_has_moved(step) for step in moves):
        try:
            _finish(operation)
            return True
        except (_Blocked, OSError) as error:
            log.warning("Taken back, since it cannot be finished: %s: %s", _describe(operation), error)
    elif not moves and all(os.path.lexists(step.target) and _is_twin(step) for step in operation.steps):
        return True  # nothing but copies, or nothing but a row to be written
    _take_back(operation)
    disk.remove_empty(reversed(operation.change["made"]))
    return False


def _has_moved(step: Step) -> bool:
    source, target = disk.stat_of(step.source), disk.stat_of(step.target)
    if source is not None and target is not None and disk.is_same_entry(step.source, step.target):
        return _is_spelled(step.target)
    return source is None and target is not None and disk.looks_like(target, step.size, step.mtime_ns)


def _is_spelled(path: str) -> bool:
    """Whether a name is on disk in exactly this spelling."""
    return os.path.basename(path) in os.listdir(os.path.dirname(path))


def _clear_temporaries(operation: Operation) -> None:
    """A temporary is a copy that was not complete, or the file itself on the way to another spelling of its name."""
    for step in operation.steps:
        temporary = operation.temporary(step)
        if not os.path.lexists(temporary):
            continue
        if os.path.lexists(step.source) or os.path.lexists(step.target):
            os.unlink(temporary)
        else:
            disk.rename_new(temporary, step.target)


def _finish(operation: Operation) -> None:
    """Do what is still to be done.

    Raises:
        _Blocked: a target's name has been taken by another file. OSError: as the disk says.
    """
    for folder in operation.change["made"]:
        os.makedirs(folder, exist_ok=True)
    given_anew = {step.target for step in operation.steps}
    for step in operation.steps:
        source, target = os.path.lexists(step.source), os.path.lexists(step.target)
        if not source:
            continue  # moved, or gone by another hand
        if target and step.source in given_anew:
            continue  # moved, and its name has been given to another file since
        if not target:
            do_anywhere(operation, step)
        elif disk.is_same_entry(step.source, step.target):
            if not _is_spelled(step.target):
                do_step(operation, step)
        elif step.kind == COPY:
            if not _is_twin(step):
                raise _Blocked(f"{step.target} is another file")
        elif _is_twin(step):
            os.unlink(step.source)
        else:
            raise _Blocked(f"{step.target} is another file")


def _take_back(operation: Operation) -> None:
    """Put everything back where it was; another's file under a target's name is left alone.

    Raises:
        FileExistsError: another's file has a source's name. OSError: as the disk says.
    """
    sources = {step.source for step in operation.steps}
    for step in reversed(operation.steps):
        source, target = os.path.lexists(step.source), os.path.lexists(step.target)
        if not target:
            continue
        if source and disk.is_same_entry(step.source, step.target):
            if _is_spelled(step.target):
                undo_step(operation, step)
        elif source:
            _remove_copy(step, is_own=step.target not in sources)
        elif step.kind == MOVE:
            os.makedirs(os.path.dirname(step.source), exist_ok=True)
            undo_anywhere(operation, step)


def _remove_copy(step: Step, *, is_own: bool) -> None:
    """Both a source and its target are there: the target is a copy of ours, or one of the two is another's file."""
    if not is_own:
        return  # it is still the file that was to make room
    if _is_twin(step):
        os.unlink(step.target)
    elif step.kind == MOVE and disk.looks_like(os.lstat(step.target), step.size, step.mtime_ns):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), step.source)


def _is_twin(step: Step) -> bool:
    """Whether source and target are two names or two copies of the same."""
    return os.path.samestat(os.lstat(step.source), os.lstat(step.target)) or disk.holds_the_same(
        step.source, step.target
    )


def _remove_leftovers(operation: Operation) -> None:
    """Remove sources that stayed on a device which could not be written, where their copies still are.

    Raises:
        _Away: the device is not there. OSError: as the disk says.
    """
    for step in operation.steps:
        if step.kind != MOVE:
            continue
        folder = os.path.dirname(step.source)
        if not os.path.isdir(folder) or not os.listdir(folder):  # an empty folder is what a mount leaves
            raise _Away
        if not os.path.lexists(step.source):
            continue
        if os.path.lexists(step.target) and disk.holds_the_same(step.source, step.target):
            os.unlink(step.source)


def _sync(operations: list[Operation]) -> None:
    paths = {path for one in operations for step in one.steps for path in (step.source, step.target)}
    disk.fsync_folders({os.path.dirname(path) for path in paths})


def _describe(operation: Operation) -> str:
    paths = [f"{step.source} to {step.target}" for step in operation.steps]
    return f"{operation.kind} {paths[-1]}" if paths else operation.kind
