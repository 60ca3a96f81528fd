"""Sorts LoRAs into folders by a template; a dry run says beforehand what would become of each."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence

import orjson

from sidecar.errors import BadRequest, Conflict
from sidecar.library.files.batch import CONFLICT, SAME, Batch, Item, Outcome
from sidecar.library.files.filesets import Lora, Spot
from sidecar.library.files.journal import LOCK
from sidecar.library.files.names import folder_problem, name_problem
from sidecar.library.files.operations import by_stem, chunks, plural
from sidecar.library.files.plans import plan_move
from sidecar.library.files.template import Template, read_template, values_of
from sidecar.library.folders import Root, active_roots
from sidecar.state import State
from sidecar.tasks import Task


def organise_loras(
    state: State,
    ids: Sequence[int],
    template: str,
    *,
    root: str | None = None,
    dry_run: bool,
    task: Task | None = None,
) -> Outcome:
    """Move LoRAs to where the template puts them, in their own LoRA folder or all in the one labelled `root`.

    A dry run changes nothing; its items have the state that each would end in, as far as that can be told beforehand.

    Raises:
        BadTemplate: with the place. BadRequest: no such LoRA folder. Unavailable: the database takes no changes now.
    """
    filled = read_template(template)
    target = _find_root(state, root) if root is not None else None
    with Batch(state, lambda count: f"Organised {plural(count)} by {template}") as batch:
        for loras in chunks(state, batch, ids, task):
            with LOCK:
                _organise_some(state, batch, loras, filled, target, None if dry_run else len(ids))
    return batch.outcome


def _organise_some(
    state: State,
    batch: Batch,
    loras: list[Lora],
    template: Template,
    target: Root | None,
    count: int | None,
) -> None:
    """Plan a portion, and unless `count` is None (a dry run) carry it out."""
    reader, listings = state.database.reader(), batch.listings(keep=count is None)
    spots = _spots(reader, loras, template, target)
    planned = []
    for group in by_stem(loras):
        spot = spots[group[0].id]
        if spot.holds(group[0]):
            batch.refuse(Item(one.id, one.shown, one.shown, SAME) for one in group)
            continue
        try:
            problem = folder_problem(spot.root, spot.folder)
            if problem is None and spot.stem != group[0].stem:
                problem = name_problem(spot.stem)
            if problem:
                raise Conflict(problem)
            one = plan_move(reader, listings, group, spot, emptied=_folders_up(group[0]))
        except Conflict as error:
            batch.refuse(
                Item(one.id, one.shown, spot.shown(one.extension), CONFLICT, error.message) for one in group
            )
            continue
        planned.append(one)
    if count is None:
        batch.refuse(item for one in planned for item in one.items)
    else:
        batch.carry_out(planned, count)


def _spots(
    reader: sqlite3.Connection, loras: Sequence[Lora], template: Template, target: Root | None
) -> dict[int, Spot]:
    """Where the template puts each LoRA, by id."""
    rows = reader.execute(
        """SELECT l.id, l.stem, l.folder, l.base_model, l.network, l.modified, l.nsfw, l.label, l.rating,
                  l.effective_tags, coalesce(i.title, l.title) AS title, r.label AS root_label,
                  json_extract(t.facts, '$.author') AS author
           FROM json_each(?) wanted JOIN loras l ON l.id = wanted.value JOIN roots r ON r.id = l.root_id
           LEFT JOIN identities i ON i.id = l.identity_id LEFT JOIN lora_texts t ON t.lora_id = l.id""",
        (orjson.dumps([lora.id for lora in loras]).decode(),),
    )
    places = {row["id"]: template.fill(values_of(row, orjson.loads(row["effective_tags"]))) for row in rows}
    spots = {}
    for lora in loras:
        root = target or Root(lora.root_id, lora.root, lora.label)
        spots[lora.id] = Spot(root.id, root.path, root.label, *places[lora.id])
    return spots


def _find_root(state: State, label: str) -> Root:
    roots = active_roots(state.database)
    found = next((root for root in roots if root.label == label), None)
    if found is None:
        raise BadRequest(
            f"There is no LoRA folder {label!r}; there are {', '.join(root.label for root in roots)}."
        )
    return found


def _folders_up(lora: Lora) -> list[str]:
    """The folder of a LoRA and those above it, below the LoRA folder itself."""
    folders, folder = [], lora.directory
    while len(folder) > len(lora.root):
        folders.append(folder)
        folder = os.path.dirname(folder)
    return folders
