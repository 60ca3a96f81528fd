"""Rename, move and delete LoRAs, and change their side files: what the package offers, see its docstring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike, fspath

from sidecar.errors import BadRequest, Conflict, NotFound
from sidecar.library.files.batch import CHUNK, CONFLICT, FAILED, SAME, Batch, Item, Outcome, Planned
from sidecar.library.files.filesets import Listings, Lora, Spot, read_loras
from sidecar.library.files.journal import LOCK
from sidecar.library.files.names import find_folder, name_problem
from sidecar.library.files.plans import plan_delete, plan_move, plan_side_files
from sidecar.state import State
from sidecar.tasks import Task


def rename_lora(state: State, lora_id: int, name: str) -> Outcome:
    """Give a LoRA's files another stem, in the folder where they are.

    Raises:
        NotFound: no such LoRA. BadRequest: a name that cannot be. Conflict: it cannot be done, with the reason.
    """
    found = read_loras(state.database.reader(), [lora_id])
    if not found:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    lora = found[0]
    if name.lower().endswith(lora.extension.lower()):
        name = name[: -len(lora.extension)]
    problem = name_problem(name)
    if problem:
        raise BadRequest(problem)
    spot = Spot(lora.root_id, lora.root, lora.label, lora.folder, name)
    with Batch(state, lambda _: f"Renamed {lora.stem} to {name}") as batch:
        move_to(state, batch, [lora], lambda _: spot, 1)
    _raise_refusal(batch.outcome)
    return batch.outcome


def check_folder(state: State, folder: str) -> None:
    """Refuse a folder that nothing can be moved to, before anything is begun.

    Raises:
        BadRequest: no such LoRA folder, or the path leaves it.
    """
    find_folder(state.database, folder)


def move_loras(
    state: State, ids: Sequence[int], folder: str, *, action: int | None = None, task: Task | None = None
) -> Outcome:
    """Move LoRAs into a folder ("Label/sub", made when it is not there), side files and all.

    Raises:
        BadRequest: no such LoRA folder, or the path leaves it. Unavailable: the database takes no changes now.
    """
    root, relative = find_folder(state.database, folder)

    def spot(lora: Lora) -> Spot:
        return Spot(root.id, root.path, root.label, relative, lora.stem)

    with Batch(state, lambda count: f"Moved {plural(count)} to {folder}", action) as batch:
        for loras in chunks(state, batch, ids, task):
            move_to(state, batch, loras, spot, len(ids))
    return batch.outcome


def move_to(
    state: State, batch: Batch, loras: Sequence[Lora], spot_of: Callable[[Lora], Spot], count: int
) -> None:
    """Move LoRAs of a batch to their spots; what cannot be is refused in its outcome."""
    planned: list[Planned] = []
    with LOCK:
        listings, reader = batch.listings(), state.database.reader()
        for group in by_stem(loras):
            spot = spot_of(group[0])
            try:
                if spot.holds(group[0]):
                    batch.refuse(Item(one.id, one.shown, one.shown, SAME) for one in group)
                    continue
                planned.append(plan_move(reader, listings, group, spot))
            except Conflict as error:
                reason = error.message
                batch.refuse(
                    Item(one.id, one.shown, spot.shown(one.extension), CONFLICT, reason) for one in group
                )
        batch.carry_out(planned, count)


def by_stem(loras: Sequence[Lora]) -> list[list[Lora]]:
    """LoRAs that share their side files together, in the order of the first of each."""
    groups: dict[tuple[int, str, str], list[Lora]] = {}
    for lora in loras:
        groups.setdefault((lora.root_id, lora.folder, lora.stem), []).append(lora)
    return list(groups.values())


def delete_loras(
    state: State, ids: Sequence[int], *, action: int | None = None, task: Task | None = None
) -> Outcome:
    """Put LoRAs into the trash, side files and all. One whose files are missing already is only taken off the list.

    Raises:
        Unavailable: the database takes no changes now.
    """
    name = ""

    def summary(count: int) -> str:
        return f"Deleted {name}" if len(ids) == 1 and name else f"Deleted {plural(count)}"

    with Batch(state, summary, action) as batch:
        for loras in chunks(state, batch, ids, task):
            name = loras[0].stem
            with LOCK:
                delete_in(batch, loras, len(ids))
    return batch.outcome


def delete_in(batch: Batch, loras: Sequence[Lora], count: int) -> None:
    """Put LoRAs of a batch into the trash; what cannot be is refused in its outcome."""
    planned: list[Planned] = []
    listings = batch.listings()
    for lora in loras:
        try:
            planned.append(plan_delete(listings, lora))
        except Conflict as error:
            batch.refuse([Item(lora.id, lora.shown, None, CONFLICT, error.message)])
    batch.carry_out(planned, count)


def change_side_files(
    state: State,
    lora_id: int,
    *,
    summary: str,
    remove: Sequence[str] = (),
    add: Mapping[str, str | PathLike[str]] | None = None,
    copy: Mapping[str, str | PathLike[str]] | None = None,
    action: int | None = None,
) -> int:
    """Change a LoRA's side files, all or none: `remove` some to the trash, move (`add`) or `copy` others beside it.

    See the package's docstring. Returns the id of the action.

    Raises:
        NotFound: no such LoRA. BadRequest: nothing to do. Conflict: it cannot be done, with the reason; nothing has
        changed. Unavailable: the database takes no changes now.
    """
    if not remove and not add and not copy:
        raise BadRequest("There is no side file to change.")
    found = read_loras(state.database.reader(), [lora_id])
    if not found:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    with LOCK, Batch(state, lambda _: summary, action) as batch:
        given = [{name: fspath(path) for name, path in (files or {}).items()} for files in (add, copy)]
        batch.carry_out([plan_side_files(Listings(), found[0], remove, *given)], 1)
    _raise_refusal(batch.outcome)
    assert batch.outcome.action is not None
    return batch.outcome.action


def chunks(state: State, batch: Batch, ids: Sequence[int], task: Task | None) -> Iterator[list[Lora]]:
    """The LoRAs of these ids in portions, each read when its turn comes, those of one stem together; unknown ids are
    refused. Tells progress.

    Raises:
        Cancelled: the user asked the task to stop; what is done stays done.
    """
    if task is not None:
        task.total = len(ids)
    reader = state.database.reader()
    found = read_loras(reader, ids)
    if len(found) > CHUNK:  # folder by folder, so that a portion touches few of them
        found.sort(key=lambda lora: (lora.root_id, lora.folder))
    groups = [[lora.id for lora in group] for group in by_stem(found)]
    unknown = set(ids).difference(*groups)
    batch.refuse(
        Item(one, "", None, FAILED, f"There is no LoRA with the id {one}.") for one in sorted(unknown)
    )
    portion: list[int] = []
    for number, group in enumerate(groups, start=1):
        portion += group
        if len(portion) >= CHUNK or number == len(groups):
            yield read_loras(reader, portion)
            if task is not None:
                task.advance(len(portion))
            portion = []


def plural(count: int) -> str:
    """ "1 LoRA", "5 LoRAs"."""
    return "1 LoRA" if count == 1 else f"{count:,} LoRAs"


def _raise_refusal(outcome: Outcome) -> None:
    """What is asked of a single LoRA is refused as an error.

    Raises:
        Conflict: it was not done.
    """
    for item in outcome.items:
        if item.reason is not None:
            raise Conflict(item.reason)
