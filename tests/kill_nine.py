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
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "sidecar")]
from killed_library import SCENARIOS, Lost, Scenario, World, check, files_in, make_world, prepare, start  # noqa: E402

from sidecar.library.files import disk  # noqa: E402
from sidecar.state import State  # noqa: E402

EVENTS = ("open", "os.", "shutil.", "sqlite3.")


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


def choose_steps(steps: dict[str, int], times: int) -> dict[str, list[int]]:
    """At which steps to kill, by scenario: each in proportion to how many it has, spread evenly, its last one always."""
    total, left = sum(steps.values()), times
    chosen: dict[str, list[int]] = {}
    for name, count in steps.items():
        is_last = len(chosen) == len(steps) - 1
        share = left if is_last else min(left, max(1, round(times * count / total)))
        chosen[name] = [count - number * count // share % count for number in range(share)]
        left -= share
    return chosen


def kill_all(times: int, base: Path, other_device: Path | None, say: Callable[[str], None]) -> int:
    """Kill `times` times, spread over all steps of all scenarios; returns how often something was lost."""
    stages = {}
    for number, (name, scenario) in enumerate(SCENARIOS.items()):
        away = other_device / str(number) if other_device else None
        stages[name] = Stage(base / str(number), away, scenario)
    steps = {name: stage.count_steps() for name, stage in stages.items()}
    chosen = choose_steps(steps, times)
    lost = 0
    for name, stage in stages.items():
        began, ended = time.monotonic(), Counter[str]()
        for step in chosen[name]:
            try:
                ended[stage.kill_at(step)] += 1
            except Lost as error:
                lost += 1
                say(f"  LOST  {name}, killed at step {step} of {steps[name]}: {error}")
        say(
            f"{name:<24} {steps[name]:>4} steps, killed {len(chosen[name]):>3} times: {ended['done']} found done or finished, "
            f"{ended['not done']} not done or taken back, {time.monotonic() - began:.1f} s"
        )
    say(f"killed {sum(map(len, chosen.values()))} times, something lost {lost} times")
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
