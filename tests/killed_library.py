"""What `kill_nine.py` kills, in a small library of its own, and what must be true of that library afterwards."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from lora_files import add_side_file, make_lora, picture

from sidecar.database import Database
from sidecar.events import Events
from sidecar.library import folders
from sidecar.library.edits import edit_loras
from sidecar.library.files import journal
from sidecar.library.files.operations import change_side_files, delete_loras, move_loras, rename_lora
from sidecar.library.files.recovery import recover
from sidecar.library.files.trash import list_trash, restore_loras
from sidecar.library.files.undo import undo_files
from sidecar.library.organise.undo import undo_edits
from sidecar.library.service import Library
from sidecar.recommend.service import Recommender
from sidecar.settings import Settings
from sidecar.state import State
from sidecar.tasks import Tasks

NAMES = ("one", "two", "three")
ENDINGS = (".civitai.info", ".json", ".preview.png")
NOTES = "precious words about {}"


class World(NamedTuple):
    """A data folder and two LoRA folders, `away` on another device where there is one."""

    base: Path
    data: Path
    loras: Path
    away: Path


class Lost(Exception):
    """Something is not as it must be; the message says what."""


# What is killed


def ids_by_name(state: State) -> dict[str, int]:
    return {row["stem"]: row["id"] for row in state.database.reader().execute("SELECT id, stem FROM loras")}


def move(state: State, world: World) -> None:
    move_loras(state, sorted(ids_by_name(state).values()), "loras/new/place")


def move_to_another_device(state: State, world: World) -> None:
    move_loras(state, sorted(ids_by_name(state).values())[:2], "away/place")


def rename(state: State, world: World) -> None:
    rename_lora(state, ids_by_name(state)["one"], "uno")


def delete(state: State, world: World) -> None:
    delete_loras(state, sorted(ids_by_name(state).values())[:2])


def restore(state: State, world: World) -> None:
    entries = list_trash(state.database, 0, limit=10)["items"]
    restore_loras(state, [entry["id"] for entry in entries])


def replace_a_preview(state: State, world: World) -> None:
    change_side_files(
        state,
        ids_by_name(state)["one"],
        summary="New preview",
        remove=["one.preview.png"],
        add={"one.preview.png": world.loras / ".fresh"},
    )


def bulk_edit(state: State, world: World) -> None:
    edit_loras(
        state.database,
        sorted(ids_by_name(state).values()),
        {"add_tags": ["bulk"], "rating": 2, "notes": "edited"},
    )


def undo_a_move(state: State, world: World) -> None:
    action = state.database.reader().execute("SELECT max(id) FROM actions WHERE kind = 'files'").fetchone()[0]
    undo_files(state, action)


def put_a_fresh_preview(state: State, world: World) -> None:
    (world.loras / ".fresh").write_bytes(picture((7, 7), colour="red"))


# A world


def make_world(world: World) -> None:
    for folder in (world.data, world.loras, world.away):
        folder.mkdir(parents=True)
    for name in NAMES:
        path = make_lora(world.loras / f"{name}.safetensors", modelspec__tags="from file")
        for ending in ENDINGS:
            content: Any = {"notes": f"{name}{ending}"}
            add_side_file(
                path, ending, picture((20, 5 + NAMES.index(name))) if ending.endswith("png") else content
            )


def start(world: World) -> State:
    database = Database(world.data)
    if not folders.active_roots(database):
        folders.activate(database, [world.loras, world.away])
    events = Events()
    library = Library(database, events, watch=False)
    recommender = Recommender(database, events, world.data, lambda: False)
    return State(Settings(data=world.data), "x" * 16, database, events, library, Tasks(events), recommender)


def stop(state: State) -> None:
    state.library.stop()
    state.tasks.stop()
    state.database.close()


def scan(state: State) -> None:
    scanner = state.library.scanner
    scanner.request()
    if not scanner.started:
        scanner.start()
    if not scanner.idle.wait(30):
        raise Lost("the scan does not end")


def prepare(world: World, scenario: Scenario) -> None:
    """Scan, hash, say something about each LoRA, and do what comes before the scenario."""
    state = start(world)
    scan(state)
    state.library.hasher.start()
    while state.library.hasher.status()["pending"]:
        time.sleep(0.01)
    for name, lora_id in ids_by_name(state).items():
        edit_loras(
            state.database,
            [lora_id],
            {"notes": NOTES.format(name), "rating": 5, "add_tags": [f"tag of {name}"]},
        )
    scenario.before(state, world)
    stop(state)


# What must be true afterwards


def files_in(world: World) -> dict[str, bytes]:
    found = {}
    for folder in (world.loras, world.away):
        for path in folder.rglob("*"):
            if path.is_file():
                found[f"{folder.name}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    return found


def check(world: World, scenario: Scenario, before: dict[str, bytes]) -> str:
    """Recover, scan and look at everything; returns "done" or "not done".

    Raises:
        Lost: something is not as it must be.
    """
    state = start(world)
    recover(state.database)
    now = files_in(world)
    if Counter(now.values()) != Counter(before.values()):
        raise Lost(f"files are lost or double: {sorted(before)} became {sorted(now)}")
    if any(".lora-manager-" in path for path in now):
        raise Lost(f"a temporary is left: {sorted(now)}")
    if journal.open_operations(state.database):
        raise Lost("a plan is still open")
    moved = check_sets(before, now)
    check_catalogue(state, now)
    scan(state)
    check_catalogue(state, now)
    edited = check_words(state)
    scenario.after(state, world, before)
    now = files_in(world)
    if Counter(now.values()) != Counter(before.values()):
        raise Lost(f"files are lost or double in the end: {sorted(now)}")
    check_catalogue(state, now)
    stop(state)
    return "done" if moved or edited else "not done"


def check_sets(before: dict[str, bytes], now: dict[str, bytes]) -> bool:
    """All files of a LoRA have moved, or none; returns whether any has."""
    places = {content: path for path, content in now.items()}
    moved = {name: set[bool]() for name in NAMES}
    for path, content in before.items():
        stem = path.rsplit("/", 1)[1].split(".")[0]
        if stem in moved:
            moved[stem].add(places[content] != path)
    for stem, states in moved.items():
        if len(states) > 1 and "loras/.fresh" not in before:
            raise Lost(f"{stem} is half moved: {sorted(now)}")
    if "loras/.fresh" in before:
        fresh = places[before["loras/.fresh"]]
        old = places[before["loras/one.preview.png"]]
        if (fresh == "loras/one.preview.png") == (old == "loras/one.preview.png"):
            raise Lost(f"the preview is half replaced: {sorted(now)}")
    return any(True in states for states in moved.values())


def check_catalogue(state: State, now: dict[str, bytes]) -> None:
    """One row for each model on disk, where it is, and no other; one entry of the trash for each model in it."""
    rows = state.database.reader().execute(
        "SELECT r.label, l.folder, l.stem || l.extension AS name, l.present FROM loras l JOIN roots r ON r.id = l.root_id"
    )
    listed = sorted("/".join(filter(None, (row["label"], row["folder"], row["name"]))) for row in rows)
    there = sorted(path for path in now if path.endswith(".safetensors"))
    if listed != there:
        raise Lost(f"the catalogue lists {listed}, on disk are {there}")
    kept = sorted(
        f"loras/{row['place']}/{file['stored']}"
        for row in state.database.reader().execute("SELECT place, files FROM trash")
        for file in json.loads(row["files"])
    )
    trashed = sorted(path for path in now if path.endswith(".trashed"))
    if kept != trashed:
        raise Lost(f"the trash knows {kept}, on disk are {trashed}")


def check_words(state: State) -> bool:
    """What was said about each LoRA is there, and an edit of all is on all or on none; returns whether it is on."""
    rows = state.database.reader().execute("SELECT notes, rating, tags_added FROM identities").fetchall()
    said = sorted((row["notes"], row["rating"], tuple(sorted(json.loads(row["tags_added"])))) for row in rows)
    untouched = sorted((NOTES.format(name), 5, (f"tag of {name}",)) for name in NAMES)
    changed = sorted(("edited", 2, ("bulk", f"tag of {name}")) for name in NAMES)
    if said not in (untouched, changed):
        raise Lost(f"words are lost: {said}")
    for row in state.database.reader().execute("SELECT rating, effective_tags FROM loras"):
        if ("bulk" in json.loads(row["effective_tags"])) != (said == changed) or row["rating"] != said[0][1]:
            raise Lost("the list says something else than the words")
    actions = (
        state.database.reader().execute("SELECT count(*) FROM actions WHERE kind = 'edit'").fetchone()[0]
    )
    if actions != len(NAMES) + (said == changed):
        raise Lost("the edit and its action are not one")
    return said == changed


# What must still be possible afterwards


def last_action(state: State) -> Any:
    return state.database.reader().execute("SELECT * FROM actions ORDER BY id DESC LIMIT 1").fetchone()


def take_back(state: State, world: World, before: dict[str, bytes]) -> None:
    """Undo what was done, even in part: everything is where it was."""
    action = last_action(state)
    if action["kind"] == "files" and action["state"] == "done":
        outcome = undo_files(state, action["id"])
        if outcome["failed"]:
            raise Lost(f"it cannot be undone: {outcome['failed']}")
    now = files_in(world)
    if _outside_trash(now) != _outside_trash(before):
        raise Lost(f"undone, it is not as it was: {sorted(before)} became {sorted(now)}")


def _outside_trash(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in files.items() if not path.endswith((".trashed", "/.fresh"))}


def take_back_edit(state: State, world: World, before: dict[str, bytes]) -> None:
    """Undo the edit, if it was done at all: every word is as it was."""
    if last_action(state)["summary"] and _count(state, "actions") > len(NAMES):
        undo_edits(state.database, last_action(state)["id"])
    said = {row["notes"] for row in state.database.reader().execute("SELECT notes FROM identities")}
    if said != {NOTES.format(name) for name in NAMES}:
        raise Lost(f"the edit is undone, but not the words: {said}")


def _count(state: State, table: str) -> int:
    return int(state.database.reader().execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def go_on_with_undo(state: State, world: World, before: dict[str, bytes]) -> None:
    """An undo that was interrupted can be done again, and then it is complete."""
    action = last_action(state)
    if action["state"] == "done":
        undo_files(state, action["id"])
    if any("/new/" in path for path in files_in(world)):
        raise Lost("the undo that was interrupted cannot be finished")


def go_on_with_restore(state: State, world: World, before: dict[str, bytes]) -> None:
    """A restore that was interrupted can be done again, and then it is complete."""
    restore(state, world)
    if any(path.endswith(".trashed") for path in files_in(world)):
        raise Lost("the restore that was interrupted cannot be finished")


class Scenario(NamedTuple):
    """What is killed, what is done before it, and what must be possible after it."""

    work: Callable[[State, World], None]
    before: Callable[[State, World], None] = lambda state, world: None
    after: Callable[[State, World, dict[str, bytes]], None] = take_back


SCENARIOS = {
    "move": Scenario(move),
    "delete": Scenario(delete),
    "restore": Scenario(restore, before=delete, after=go_on_with_restore),
    "bulk edit": Scenario(bulk_edit, after=take_back_edit),
    "rename": Scenario(rename),
    "move to another device": Scenario(move_to_another_device),
    "replace a preview": Scenario(replace_a_preview, before=put_a_fresh_preview),
    "undo of a move": Scenario(undo_a_move, before=move, after=go_on_with_undo),
}
