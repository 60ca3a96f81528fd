"""Does an operation's steps on disk, all or none: renames on one device; else copies first, removals last."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from enum import Enum

from sidecar.library.files import disk
from sidecar.library.files.journal import COPY, MOVE, Operation, Step


class StepsFailed(Exception):
    """The steps could not be done and everything is as it was; the message is the reason."""


class HalfDone(Exception):
    """The steps could not be done, nor all taken back (a drive went away): nothing is lost, and `recovery` tries again."""


class Done(Enum):
    """How the steps ended: completely, or with sources left on a device that can no longer be written."""

    ALL = "all"
    LEFTOVER = "leftover"


class _OtherDevice(Exception):
    """A rename leads to another device."""


def do_steps(operation: Operation) -> Done:
    """Do all steps.

    Raises:
        StepsFailed: nothing has changed. HalfDone: some steps stay done until `recovery` settles the operation.
    """
    try:
        for folder in operation.change["made"]:
            os.makedirs(folder, exist_ok=True)
    except OSError as error:
        disk.remove_empty(reversed(operation.change["made"]))
        raise StepsFailed(disk.reason_of(error)) from error
    try:
        try:
            _rename_all(operation)
            return Done.ALL
        except _OtherDevice:
            return _copy_all(operation)
    except StepsFailed:
        disk.remove_empty(reversed(operation.change["made"]))
        raise


def _rename_all(operation: Operation) -> None:
    done: list[Step] = []
    try:
        for step in operation.steps:
            # Side files are small, and a new one may come from the data folder; a LoRA is copied only as a whole.
            (do_anywhere if operation.kind == "files" else do_step)(operation, step)
            done.append(step)
    except OSError as error:
        _take_back(operation, done, error)
        if error.errno == errno.EXDEV:
            raise _OtherDevice from error
        raise StepsFailed(disk.reason_of(error)) from error


def do_step(operation: Operation, step: Step) -> None:
    """One step by itself, on one device.

    Raises:
        OSError: EXDEV for a move to another device, and whatever the disk says.
    """
    temporary = operation.temporary(step)
    if step.kind == COPY or _is_relative_link(step):
        disk.copy_new(step.source, step.target, temporary)
        if step.kind == MOVE:
            os.unlink(step.source)
    elif os.path.lexists(step.target) and disk.is_same_entry(step.source, step.target):
        disk.rename_new(step.source, temporary)  # another spelling of the same name
        disk.rename_new(temporary, step.target)
    else:
        disk.rename_new(step.source, step.target)


def _is_relative_link(step: Step) -> bool:
    """A link that would point elsewhere from its new folder."""
    if not os.path.islink(step.source) or os.path.isabs(os.readlink(step.source)):
        return False
    return os.path.dirname(step.source) != os.path.dirname(step.target)


def undo_step(operation: Operation, step: Step) -> None:
    """Take one step that was done back.

    Raises:
        OSError: the source's name is taken again, or whatever the disk says.
    """
    if step.kind == COPY:
        os.unlink(step.target)
    elif os.path.lexists(step.source) and disk.is_same_entry(step.source, step.target):
        disk.rename_new(step.target, operation.temporary(step))
        disk.rename_new(operation.temporary(step), step.source)
    else:
        disk.rename_new(step.target, step.source)


def do_anywhere(operation: Operation, step: Step) -> None:
    """One step by itself, to whatever device.

    Raises:
        OSError: as the disk says.
    """
    try:
        do_step(operation, step)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        disk.copy_new(step.source, step.target, operation.temporary(step))
        os.unlink(step.source)


def undo_anywhere(operation: Operation, step: Step) -> None:
    """Take one step back, from whatever device.

    Raises:
        OSError: as the disk says.
    """
    try:
        undo_step(operation, step)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        disk.copy_new(step.target, step.source, f"{step.source}.{operation.change['token']}.part")
        os.unlink(step.target)


def _take_back(operation: Operation, done: list[Step], reason: OSError) -> None:
    for step in reversed(done):
        try:
            undo_anywhere(operation, step)
        except OSError as error:
            raise HalfDone(
                f"{disk.reason_of(reason)} What was moved already could not be moved back ({disk.reason_of(error)}): "
                "that is tried again later, nothing is lost."
            ) from error


def _copy_all(operation: Operation) -> Done:
    """To another device: every copy complete, then all named, and only then are the sources removed."""
    needed = sum(step.size for step in operation.steps)
    copied: list[Step] = []
    try:
        _refuse_too_little_space(operation, needed)
        for step in operation.steps:
            known = operation.change.get("sha256", {}).get(os.path.basename(step.source))
            disk.make_copy(step.source, operation.temporary(step), known)
        for step in operation.steps:
            disk.rename_new(operation.temporary(step), step.target)
            copied.append(step)
    except OSError as error:
        _remove_copies(operation, copied)
        raise StepsFailed(disk.reason_of(error, needed)) from error
    disk.fsync_folders({os.path.dirname(step.target) for step in operation.steps})
    return _remove_sources(operation)


def _refuse_too_little_space(operation: Operation, needed: int) -> None:
    folder = os.path.dirname(operation.steps[-1].target)
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), operation.steps[-1].target)


def _remove_sources(operation: Operation) -> Done:
    moved = [step for step in operation.steps if step.kind == MOVE]
    for number, step in enumerate(moved):
        try:
            os.unlink(step.source)
        except OSError as error:
            if number:
                return Done.LEFTOVER  # every copy is whole, so it goes on as done
            _remove_copies(operation, operation.steps)
            raise StepsFailed(disk.reason_of(error)) from error
    return Done.ALL


def _remove_copies(operation: Operation, copied: list[Step]) -> None:
    """Remove copies whose sources are all still there."""
    for step in operation.steps:
        with suppress(OSError):
            os.unlink(operation.temporary(step))
    try:
        for step in copied:
            os.unlink(step.target)
    except OSError as error:
        raise HalfDone(
            f"The copies could not be removed again ({disk.reason_of(error)}): that is tried later, nothing is lost."
        ) from error
