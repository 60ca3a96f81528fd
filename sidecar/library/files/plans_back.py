"""Plans of the way back: out of the trash, and side files as they were before. Nothing here changes anything."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence

import orjson

from sidecar.errors import Conflict
from sidecar.library.files.batch import DONE, Item, Planned
from sidecar.library.files.filesets import Listing, Listings, Lora, Spot, folder_path, refuse_taken
from sidecar.library.files.journal import MOVE, Operation
from sidecar.library.files.plans import (
    TRASH,
    plan_step,
    plan_trash,
    refuse_out_of_reach,
    refuse_root,
    to_be_made,
)


def plan_restore(reader: sqlite3.Connection, listings: Listings, trashed: sqlite3.Row, spot: Spot) -> Planned:
    """Bring a LoRA back out of the trash. `trashed` is a row of `trash` with `root` (path) and `label` of its root.

    Raises:
        Conflict: with the reason.
    """
    refuse_root(trashed["root"])
    folder, files = _stored_files(listings, trashed)
    target = listings.of(spot.directory)
    names = {name: spot.stem + name[len(trashed["stem"]) :] for name in files}
    model = trashed["stem"] + trashed["extension"]
    if model in files and not _shared_its_stem(reader, target, trashed, spot):
        side_files = [new for name, new in names.items() if name != model]
        refuse_taken(target, spot.stem, [names[model]], side_files)
    else:
        _refuse_any(target, names.values())
    ordered = sorted(files, key=lambda name: name == model)
    steps = [plan_step(MOVE, folder, files[name], spot.directory, names[name]) for name in ordered]
    for name in names.values():
        target.add(name)
    change = {
        "used": trashed["id"],
        "to": [spot.root_id, spot.folder, spot.stem],
        "emptied": [folder, os.path.dirname(folder)] if files else [],
        **to_be_made(spot.directory),
    }
    shown = spot.shown(trashed["extension"])
    item = Item(trashed["lora_id"], f"{TRASH}/{model}", shown, DONE)
    operation = Operation("restore", [trashed["lora_id"]], steps, change)
    return Planned(operation, [item], [(spot.root_id, spot.folder)])


def _shared_its_stem(reader: sqlite3.Connection, target: Listing, trashed: sqlite3.Row, spot: Spot) -> bool:
    """Whether the other models of its stem that are there now were so before it was deleted."""
    place = (trashed["root_id"], trashed["folder"], trashed["stem"])
    rows = reader.execute(
        """SELECT stem || extension AS name FROM loras WHERE root_id = ? AND folder = ? AND stem = ? AND added <= ?
           UNION SELECT stem || extension FROM trash WHERE root_id = ? AND folder = ? AND stem = ? AND kind = 'lora'""",
        (*place, trashed["deleted"], *place),
    )
    before = {row["name"] for row in rows} if spot.stem == trashed["stem"] else set()
    others = target.models_of(spot.stem)
    return bool(others) and others <= before


def plan_swap_back(
    listings: Listings, lora: Lora, trashed: sqlite3.Row | None, added: Sequence[str]
) -> Planned:
    """Bring side files back out of the trash, to where their LoRA is by now, and put the `added` ones there instead.

    Raises:
        Conflict: with the reason.
    """
    refuse_out_of_reach([lora])
    listing = listings.of(lora.directory)
    leaving = [name for name in added if name in listing]
    trash, steps = plan_trash(listing, lora, leaving) if leaving else (None, [])
    made = to_be_made(os.path.dirname(steps[0].target) if steps else lora.root)
    back: list[str] = []
    emptied: list[str] = []
    if trashed is not None:
        folder, files = _stored_files(listings, trashed)
        names = {name: lora.stem + name[len(trashed["stem"]) :] for name in files}
        back = list(names.values())
        _refuse_any(listing, [name for name in back if name not in leaving])
        steps += [plan_step(MOVE, folder, files[name], lora.directory, new) for name, new in names.items()]
        emptied = [folder]
    change = {
        "root_id": lora.root_id,
        "folder": lora.folder,
        "stem": lora.stem,
        "extension": lora.extension,
        "trash": trash,
        "added": back,
        "used": trashed["id"] if trashed is not None else None,
        "emptied": emptied,
        **made,
    }
    item = Item(lora.id, lora.shown, lora.shown, DONE)
    return Planned(Operation("files", [lora.id], steps, change), [item], [(lora.root_id, lora.folder)])


def _stored_files(listings: Listings, trashed: sqlite3.Row) -> tuple[str, dict[str, str]]:
    """The folder of a trash entry, and its files as name → stored name.

    Raises:
        Conflict: some are no longer there, or their drive is away.
    """
    folder = folder_path(trashed["root"], trashed["place"])
    files = {file["name"]: file["stored"] for file in orjson.loads(trashed["files"])}
    if files:
        stored = listings.of(folder)
        for name, one in files.items():
            if one not in stored:
                raise Conflict(f"{name} is no longer in the trash; look into {folder}.")
    return folder, files


def _refuse_any(listing: Listing, names: Iterable[str]) -> None:
    for name in names:
        if listing.has(name):
            raise Conflict(f"{name} is there already; rename that one first.")
