"""Plans of moving and deleting: which file goes where, or why it cannot. Nothing here changes anything."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sidecar.errors import Conflict
from sidecar.library.files import disk
from sidecar.library.files.batch import DONE, Item, Planned
from sidecar.library.files.filesets import (
    Listing,
    Listings,
    Lora,
    Spot,
    refuse_taken,
    side_stamp,
)
from sidecar.library.files.journal import COPY, MOVE, Operation, Step

TRASH = ".trash"
TRASHED = ".trashed"


def plan_move(
    reader: sqlite3.Connection,
    listings: Listings,
    loras: Sequence[Lora],
    spot: Spot,
    emptied: Sequence[str] = (),
    beside: Sequence[str] = (),
) -> Planned:
    """Move LoRAs of one stem (files `a.safetensors` and `a.pt` may share their side files) to a spot, side files and all.

    Side files that a LoRA shares with another one which stays are copied. Folders in `emptied` are removed afterwards
    if nothing is left in them. Going back, it may lie `beside` the models that it shared its stem with.

    Raises:
        Conflict: with the reason.
    """
    first = loras[0]
    refuse_out_of_reach(loras)
    refuse_root(spot.root)
    source, target = listings.of(first.directory), listings.of(spot.directory)
    models = [lora.file for lora in loras]
    for name in models:
        if name not in source:
            raise Conflict(f"{name} is no longer in its folder; it is listed as missing after the next scan.")
    shared = source.models_of(first.stem).difference(models)
    side_files = source.side_files_of(first.stem)
    new_names = {name: spot.stem + name[len(first.stem) :] for name in (*side_files, *models)}
    same_folder = source is target
    refuse_taken(
        target,
        spot.stem,
        [new_names[name] for name in models],
        [new_names[name] for name in side_files],
        leaving=list(new_names) if same_folder and not shared else models if same_folder else (),
        beside=beside,
    )
    _refuse_forgotten_words(reader, loras, spot)
    steps = [
        plan_step(COPY if shared else MOVE, source.directory, name, target.directory, new_names[name])
        for name in side_files
    ]
    # The model last: when it appears in its new place, all that belongs to it is there.
    steps += [plan_step(MOVE, source.directory, name, target.directory, new_names[name]) for name in models]
    for name, new in new_names.items():
        if not shared or name in models:
            source.remove(name)
        target.add(new)
    change = {
        "from": [first.root_id, first.folder, first.stem],
        "to": [spot.root_id, spot.folder, spot.stem],
        "stamp": [
            side_stamp(source.directory, side_files),
            side_stamp(source.directory, side_files, [new_names[name] for name in side_files]),
        ],
        "names": {name: new_names[name] for name in side_files},
        "sha256": _known_hashes(loras, steps),
        "emptied": list(emptied),
        "beside": sorted(shared),
        **to_be_made(spot.directory),
    }
    items = [Item(lora.id, lora.shown, spot.shown(lora.extension), DONE) for lora in loras]
    operation = Operation("move", [lora.id for lora in loras], steps, change)
    return Planned(operation, items, [(first.root_id, first.folder), (spot.root_id, spot.folder)])


def plan_delete(listings: Listings, lora: Lora) -> Planned:
    """Put a LoRA into the trash with its side files, unless another LoRA has the same stem and so still needs them.

    One whose files are gone already leaves nothing but the list.

    Raises:
        Conflict: with the reason.
    """
    refuse_out_of_reach([lora])
    listing = listings.of(lora.directory)
    names = [lora.file] if lora.file in listing else []
    if not listing.models_of(lora.stem).difference(names):
        names = [*listing.side_files_of(lora.stem), *names]
    trash, steps = plan_trash(listing, lora, names)
    for name in names:
        listing.remove(name)
    change = {
        "root_id": lora.root_id,
        "folder": lora.folder,
        "stem": lora.stem,
        "extension": lora.extension,
        "trash": trash,
        "sha256": _known_hashes([lora], steps),
        **to_be_made(os.path.dirname(steps[0].target) if steps else lora.root),
    }
    operation = Operation("delete", [lora.id], steps, change)
    return Planned(operation, [Item(lora.id, lora.shown, None, DONE)], [(lora.root_id, lora.folder)])


def plan_trash(listing: Listing, lora: Lora, names: Sequence[str]) -> tuple[dict[str, Any], list[Step]]:
    """What the trash is to keep of these files of a LoRA, and the steps that bring them there.

    The trash is a folder `.trash` as far up as the LoRA's device reaches, one folder in it for each operation. Files get
    an ending that no host takes for a model, wherever it looks.
    """
    place = f"{time.strftime('%Y-%m-%d %H-%M-%S')} {secrets.token_hex(3)}"
    top = _highest_on_device(lora.root, lora.directory) if names else lora.root
    folder = os.path.join(top, TRASH, place)
    files, steps = [], []
    for number, name in enumerate(names):
        stored = f"{name}{TRASHED}"
        if len(os.fsencode(stored)) > 255:
            stored = f"{name[:40]}~{number}{TRASHED}"
        step = plan_step(MOVE, listing.directory, name, folder, stored)
        steps.append(step)
        files.append({"name": name, "stored": stored, "size": step.size})
    relative = os.path.relpath(folder, lora.root).replace(os.sep, "/")
    return {"place": relative, "files": files, "title": lora.title}, steps


def plan_side_files(
    listings: Listings, lora: Lora, remove: Sequence[str], add: Mapping[str, str], copy: Mapping[str, str]
) -> Planned:
    """Change a LoRA's side files: see `change_side_files`.

    Raises:
        Conflict: with the reason.
    """
    refuse_out_of_reach([lora])
    listing = listings.of(lora.directory)
    if lora.file not in listing:
        raise Conflict(f"{lora.file} is no longer in its folder; its side files are left alone.")
    own = set(listing.side_files_of(lora.stem))
    for name in remove:
        if name not in own:
            raise Conflict(f"{name} is no side file of {lora.file}, or is no longer there.")
    for name in (*add, *copy):
        if not name.startswith(lora.stem) or listing.owner_of(name) != lora.stem:
            raise Conflict(f"{name} would not be a side file of {lora.file}.")
        if listing.has(name) and name not in remove:
            raise Conflict(f"{name} is there already.")
    trash, steps = plan_trash(listing, lora, list(remove)) if remove else (None, [])
    made = to_be_made(os.path.dirname(steps[0].target) if steps else lora.root)
    for kind, files in ((MOVE, add), (COPY, copy)):
        steps += [
            plan_step(kind, os.path.dirname(path), os.path.basename(path), lora.directory, name)
            for name, path in files.items()
        ]
    change = {
        "root_id": lora.root_id,
        "folder": lora.folder,
        "stem": lora.stem,
        "extension": lora.extension,
        "trash": trash,
        "added": [*add, *copy],
        "used": None,
        **made,
    }
    item = Item(lora.id, lora.shown, lora.shown, DONE)
    return Planned(Operation("files", [lora.id], steps, change), [item], [(lora.root_id, lora.folder)])


def refuse_out_of_reach(loras: Sequence[Lora]) -> None:
    """Refuse LoRAs whose folder is not in use, or not there now.

    Raises:
        Conflict: with the reason.
    """
    for lora in loras:
        if not lora.active:
            raise Conflict(f"{lora.root} is not one of the LoRA folders in use now.")
        refuse_root(lora.root)


def refuse_root(root: str) -> None:
    """Refuse a LoRA folder that is not there now.

    Raises:
        Conflict: with the reason.
    """
    if not os.path.isdir(root):
        raise Conflict(f"{root} cannot be reached now; connect its drive and try again.")


def _refuse_forgotten_words(reader: sqlite3.Connection, loras: Sequence[Lora], spot: Spot) -> None:
    """A missing LoRA whose content was never hashed has its notes by its place alone: do not take that place."""
    for lora in loras:
        row = reader.execute(
            """SELECT 1 FROM loras l JOIN identities i ON i.id = l.identity_id
               WHERE l.root_id = ? AND l.folder = ? AND l.stem = ? AND l.extension = ? AND l.id != ?
                 AND NOT l.present AND i.body_hash IS NULL""",
            (spot.root_id, spot.folder, spot.stem, lora.extension, lora.id),
        ).fetchone()
        if row:
            raise Conflict(
                f"A missing LoRA is listed as {spot.shown(lora.extension)}, with what you noted about it; forget it first."
            )


def plan_step(kind: str, folder: str, name: str, new_folder: str, new_name: str) -> Step:
    """A step, with what the file looks like now.

    Raises:
        Conflict: it is gone.
    """
    source = os.path.join(folder, name)
    stat = disk.stat_of(source)
    if stat is None:
        raise Conflict(f"{name} is no longer there.")
    return Step(kind, source, os.path.join(new_folder, new_name), stat.st_size, stat.st_mtime_ns)


def _known_hashes(loras: Sequence[Lora], steps: Sequence[Step]) -> dict[str, str]:
    """SHA256 by file name, of models that are as they were when they were hashed."""
    known = {(lora.file, lora.size, lora.mtime_ns): lora.sha256 for lora in loras}
    found = {}
    for step in steps:
        name = os.path.basename(step.source)
        sha256 = known.get((name, step.size, step.mtime_ns))
        if sha256:
            found[name] = sha256
    return found


def to_be_made(folder: str) -> dict[str, Any]:
    """The part of a change about folders that are made for it, and a token for its temporaries."""
    return {"made": disk.missing_folders(folder), "token": secrets.token_hex(4)}


def _highest_on_device(root: str, folder: str) -> str:
    """The highest folder from `root` down to `folder` that is on the same device as `folder`."""
    device = os.stat(folder).st_dev
    while folder != root and os.stat(os.path.dirname(folder)).st_dev == device:
        folder = os.path.dirname(folder)
    return folder
