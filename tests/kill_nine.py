"""Kills the sidecar's work with SIGKILL at every step of a move, a delete, a restore and a bulk edit, starts again, and
looks whether anything is lost.

    .venv/bin/python tests/kill_nine.py --times 200

A step is a statement of SQL, or an event of Python's audit hook (open, rename, link, remove, mkdir, …), or the moment
before and after the system's exclusive rename. The kills are spread evenly over all steps of all scenarios. After each,
a new process recovers, scans, and checks:

- every model and side file is there exactly once, with its content, and no temporary is left;
- all files of a LoRA are in one place under one name, the old or the new one;
- the catalogue lists exactly the models that are on disk, and no plan is open;
- tags, notes and ratings are there, and the edit is applied to all LoRAs or to none;
- the action can be undone (if it was done at all), and then everything is as it was before.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "sidecar")]

from lora_files import add_side_file, make_lora, picture  # noqa: E402

from sidecar.database import Database  # noqa: E402
from sidecar.events import Events  # noqa: E402
from sidecar.library import folders  # noqa: E402
from sidecar.library.edits import edit_loras  # noqa: E402
from sidecar.library.files import disk, journal  # noqa: E402
from sidecar.library.files.operations import (  # noqa: E402
    change_side_files,
    delete_loras,
    move_loras,
    rename_lora,
)
from sidecar.library.files.recovery import recover  # noqa: E402
from sidecar.library.files.trash import list_trash, restore_loras  # noqa: E402
from sidecar.library.files.undo import undo_files  # noqa: E402
from sidecar.library.organise.undo import undo_edits  # noqa: E402
from sidecar.library.service import Library  # noqa: E402
from sidecar.settings import Settings  # noqa: E402
from sidecar.state import State  # noqa: E402
from sidecar.tasks import Tasks  # noqa: E402

NAMES = ("one", "two", "three")
ENDINGS = (".civitai.info", ".json", ".preview.png")
NOTES = "precious words about {}"
EVENTS = ("open", "os.", "shutil.", "sqlite3.")


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


# A world, and a process in it


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
    return State(Settings(data=world.data), "x" * 16, database, events, library, Tasks(events))


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


def in_process(work: Callable[[], Any]) -> tuple[int, Any]:
    """Run `work` in a process of its own; returns its exit status and what it returned."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        code = 1
        try:
            result = work()
            os.write(writing, json.dumps(result).encode())
            code = 0
        except Lost as error:
            os.write(writing, json.dumps(str(error)).encode())
        except BaseException:
            os.write(writing, json.dumps(traceback.format_exc()).encode())
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(process, 0)
    return status, json.loads(content) if content else None


class Clock:
    """Counts steps; at the step `deadline` the process is killed."""

    def __init__(self, deadline: int | None) -> None:
        self.steps = 0
        self.deadline = deadline
        self.running = False

    def tick(self, *_: object) -> None:
        if self.running:
            self.steps += 1
            if self.steps == self.deadline:
                os.kill(os.getpid(), signal.SIGKILL)

    def on_audit(self, event: str, _: object) -> None:
        if self.running and event.startswith(EVENTS):
            self.tick()

    def watch(self, state: State) -> None:
        """Tick at everything that changes something."""
        database = state.database
        database._writer.submit(database._connection.set_trace_callback, self.tick).result()
        exclusive = disk._exclusive_rename()
        if exclusive is not None:

            def rename(source: bytes, target: bytes) -> int:
                self.tick()
                number = exclusive(source, target)
                self.tick()
                return number

            disk._exclusive_rename = lambda: rename  # type: ignore[assignment]
        sys.addaudithook(self.on_audit)
        self.running = True


def live(world: World, scenario: Scenario, deadline: int | None) -> int:
    """Do a scenario, and die at the step `deadline`; returns how many steps there were."""
    state = start(world)
    clock = Clock(deadline)
    clock.watch(state)
    scenario.work(state, world)
    clock.tick()  # done, and not yet stopped
    clock.running = False
    return clock.steps


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


# The run


class Stage:
    """A world made once for a scenario, and set up anew for each kill."""

    def __init__(self, base: Path, other_device: Path | None, scenario: Scenario) -> None:
        self.world = World(base, base / "data", base / "loras", (other_device or base) / "away")
        self.scenario = scenario
        make_world(self.world)
        _must(in_process(lambda: prepare(self.world, scenario)))
        self._kept = base / "kept"
        for folder in self._folders():
            shutil.copytree(folder, self._kept / folder.name)
        self.before = files_in(self.world)

    def _folders(self) -> tuple[Path, ...]:
        return self.world.data, self.world.loras, self.world.away

    def set_up(self) -> None:
        for folder in self._folders():
            shutil.rmtree(folder)
            shutil.copytree(self._kept / folder.name, folder)

    def count_steps(self) -> int:
        return int(_must(in_process(lambda: live(self.world, self.scenario, None))))

    def kill_at(self, step: int) -> str:
        """Kill the scenario at a step and check what is left; returns "done" or "not done".

        Raises:
            Lost: something is not as it must be.
        """
        self.set_up()
        status, answer = in_process(lambda: live(self.world, self.scenario, step))
        if not os.WIFSIGNALED(status):
            raise Lost(f"it was not killed: {answer}")
        return str(_must(in_process(lambda: check(self.world, self.scenario, self.before))))


def _must(outcome: tuple[int, Any]) -> Any:
    status, answer = outcome
    if status != 0:
        raise Lost(str(answer))
    return answer


def kill_all(times: int, base: Path, other_device: Path | None, say: Callable[[str], None]) -> int:
    """Kill `times` times, spread over all steps of all scenarios; returns how often something was lost."""
    stages = {}
    for number, (name, scenario) in enumerate(SCENARIOS.items()):
        away = other_device / str(number) if other_device else None
        stages[name] = Stage(base / str(number), away, scenario)
    steps = {name: stage.count_steps() for name, stage in stages.items()}
    total, lost = sum(steps.values()), 0
    every = [(name, step) for name in stages for step in range(1, steps[name] + 1)]
    chosen = [every[number * total // times] for number in range(times)] if times < total else every
    while len(chosen) < times:
        chosen += every[: times - len(chosen)]
    for name, stage in stages.items():
        began, ended = time.monotonic(), Counter[str]()
        mine = [step for of_name, step in chosen if of_name == name]
        for step in mine:
            try:
                ended[stage.kill_at(step)] += 1
            except Lost as error:
                lost += 1
                say(f"  LOST  {name}, killed at step {step} of {steps[name]}: {error}")
        say(
            f"{name:<24} {steps[name]:>4} steps, killed {len(mine):>3} times: {ended['done']} found done or finished, "
            f"{ended['not done']} not done or taken back, {time.monotonic() - began:.1f} s"
        )
    say(f"killed {len(chosen)} times, something lost {lost} times")
    return lost


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--times", type=int, default=200, help="how often to kill (200)")
    times: int = parser.parse_args().times
    if not hasattr(os, "fork"):
        print("This needs a system with fork.")
        return 2
    base = Path(tempfile.mkdtemp(prefix="kill-nine-"))
    shm = Path("/dev/shm")
    has_other = shm.is_dir() and os.access(shm, os.W_OK) and shm.stat().st_dev != base.stat().st_dev
    other = Path(tempfile.mkdtemp(prefix="kill-nine-", dir=shm)) if has_other else None
    try:
        return 1 if kill_all(times, base, other, lambda line: print(line, flush=True)) else 0
    finally:
        for folder in filter(None, (base, other)):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
