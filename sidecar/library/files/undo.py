"""Takes a file action back: whatever can be is moved back, restored or put into the trash again; the rest is told."""

from __future__ import annotations

from typing import Any

from sidecar.errors import Conflict
from sidecar.library.files import journal
from sidecar.library.files.batch import CHUNK, FAILED, Batch, Item, Planned
from sidecar.library.files.filesets import Listings, Lora, Spot, read_loras
from sidecar.library.files.journal import COPY, LOCK, Operation
from sidecar.library.files.plans import plan_delete, plan_move
from sidecar.library.files.plans_back import plan_swap_back
from sidecar.library.files.trash import entries_from, entries_of, plan_back
from sidecar.library.organise import actions
from sidecar.library.organise.undo import undo_edits
from sidecar.state import State


def undo_files(state: State, action_id: int) -> dict[str, Any]:
    """Take a file action back, and the edits that went with it.

    What cannot be taken back now (its old name is taken, it was moved again, it is no longer in the trash) is told; then
    the action stays, and undoing it once more tries the rest.

    Returns {"undone": how many, "skipped": fields that were edited again since, "failed": [{"id", "name", "reason"}]}.

    Raises:
        NotFound: no such action. Conflict: it has been undone already. Unavailable: the database takes no changes now.
    """
    actions.get_action(state.database.reader(), action_id)
    operations = [
        one
        for one in reversed(journal.operations_of(state.database, action_id))
        if one.state in (journal.DONE, journal.LEFTOVER)
    ]
    undone = 0
    with Batch(state, lambda _: "", action=0) as batch:
        for start in range(0, len(operations), CHUNK):
            with LOCK:
                undone += _undo_some(state, batch, operations[start : start + CHUNK])
    failed = [
        {"id": item.id, "name": item.source.rpartition("/")[2], "reason": item.reason}
        for item in batch.outcome.items
        if item.reason is not None
    ]
    edits = undo_edits(state.database, action_id, mark=False)
    if not failed:
        state.database.write(lambda connection: actions.mark_undone(connection, action_id))
    return {"undone": undone + edits["undone"], "skipped": edits["skipped"], "failed": failed}


def _undo_some(state: State, batch: Batch, operations: list[Operation]) -> int:
    """Undo operations in the order given; returns of how many LoRAs. Those that follow from each other go one by one."""
    done: list[Operation] = []
    waiting: list[tuple[Operation, Planned]] = []
    listings = Listings()

    def carry_out() -> None:
        nonlocal listings
        carried = {id(one) for one in batch.carry_out([planned for _, planned in waiting], 0)}
        done.extend(operation for operation, planned in waiting if id(planned) in carried)
        waiting.clear()
        listings = Listings()

    for operation in operations:
        if waiting and (operation.kind == "files" or waiting[-1][0].kind != operation.kind):
            carry_out()
        try:
            if any(step.kind == COPY for step in operation.steps) and operation.kind == "move":
                carry_out()
                _discard_copies(state, batch, operation)
                listings = Listings()
            waiting.append((operation, _plan_undo(state, listings, operation)))
        except Conflict as error:
            for lora_id in operation.loras:
                batch.refuse([Item(lora_id, _name(operation), None, FAILED, error.message)])
    carry_out()
    journal.set_state(state.database, [one.id for one in done], journal.UNDONE)
    return sum(len(one.loras) for one in done)


def _plan_undo(state: State, listings: Listings, operation: Operation) -> Planned:
    """The opposite of an operation that was done.

    Raises:
        Conflict: it cannot be taken back as things are now.
    """
    if operation.kind == "delete":
        entries = entries_of(state.database, operation.id) or entries_from(
            state.database, operation.loras[0], operation.change
        )
        if not entries:
            raise Conflict("It is no longer in the trash.")
        return plan_back(state.database, listings, entries[0])
    loras = _loras(state, operation)
    if operation.kind == "move":
        spot = _spot(state, operation.change["from"])
        emptied, beside = operation.change["made"][::-1], operation.change["beside"]
        return plan_move(state.database.reader(), listings, loras, spot, emptied=emptied, beside=beside)
    if operation.kind == "restore":
        return plan_delete(listings, loras[0])
    lora, change = loras[0], operation.change
    entries = entries_of(state.database, operation.id)
    if change["trash"] and not entries:
        raise Conflict("The files that were there before are no longer in the trash.")
    return plan_swap_back(listings, lora, entries[0] if entries else None, _names_now(lora, change))


def _loras(state: State, operation: Operation) -> list[Lora]:
    """The LoRAs of an operation, where it has left them; side files follow their LoRA wherever it is.

    Raises:
        Conflict: they are no longer there.
    """
    loras = read_loras(state.database.reader(), operation.loras)
    if len(loras) < len(operation.loras):
        raise Conflict("It is no longer in the library.")
    for lora in loras if operation.kind != "files" else ():
        if [lora.root_id, lora.folder, lora.stem] != operation.change["to"]:
            raise Conflict(f"It was moved again since, to {lora.shown}.")
    return loras


def _names_now(lora: Lora, change: dict[str, Any]) -> list[str]:
    """The names that an operation's new side files have by now."""
    return [lora.stem + name[len(change["stem"]) :] for name in change["added"]]


def _discard_copies(state: State, batch: Batch, operation: Operation) -> None:
    """Put the copies of shared side files into the trash: the ones they were made from are still where they were.

    Raises:
        Conflict: as `_loras`.
    """
    lora = _loras(state, operation)[0]
    names = [
        operation.change["names"][step.source.replace("\\", "/").rpartition("/")[2]]
        for step in operation.steps
        if step.kind == COPY
    ]
    batch.carry_out([plan_swap_back(Listings(), lora, None, names)], 0)


def _spot(state: State, place: list[Any]) -> Spot:
    root_id, folder, stem = place
    row = state.database.reader().execute("SELECT path, label, active FROM roots WHERE id = ?", (root_id,))
    path, label, active = row.fetchone()
    if not active:
        raise Conflict(f"{path} is not one of the LoRA folders in use now.")
    return Spot(root_id, path, label, folder, stem)


def _name(operation: Operation) -> str:
    change = operation.change
    return str(change["to"][2] if "to" in change else change.get("stem", ""))
