"""The sidecar as a process: start, one a data folder, stop, and what a bad setting says."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import pytest
from lora_files import add_side_file, make_lora
from waiting import wait_until

ROOT = Path(__file__).parents[2]


class Runner:
    """Starts sidecars on one data folder and ends them all."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, stdin: int | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", "serve", "--data", str(self.data), *arguments],
            cwd=ROOT, stderr=subprocess.PIPE, stdin=stdin, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.processes.append(process)
        return process

    def serving(self, *arguments: str, stdin: int | None = None) -> subprocess.Popen[str]:
        process = self.start("--port", "0", *arguments, stdin=stdin)
        wait_until(lambda: (self.data / "sidecar.json").exists() or process.poll() is not None)
        assert process.poll() is None, process.stderr and process.stderr.read()
        return process

    def get(self, path: str) -> Any:
        url = json.loads((self.data / "sidecar.json").read_text())["url"]
        token = (self.data / "token").read_text()
        request = Request(f"{url}/api/v1/{path}", headers={"Authorization": f"Bearer {token}"})
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)


@pytest.fixture
def runner(data: Path) -> Iterator[Runner]:
    runner = Runner(data)
    yield runner
    for process in runner.processes:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=20)
    return process.returncode, errors


def test_serves_the_folder_and_stops_cleanly(runner: Runner, loras: Path) -> None:
    make_lora(loras / "a.safetensors")
    process = runner.serving("--loras", str(loras))
    wait_until(lambda: runner.get("loras")["total"] == 1)
    health = runner.get("health")
    assert health["status"] == "ok" and health["loras"] == 1 and health["schema"] >= 1
    process.send_signal(signal.SIGTERM)
    code, errors = finish(process)
    assert code == 0
    assert "Traceback" not in errors
    assert not (runner.data / "sidecar.json").exists()
    assert not (runner.data / "lora-manager.db-wal").exists()


def test_a_second_one_on_the_same_data_folder_says_who_holds_it(runner: Runner) -> None:
    first = runner.serving()
    code, errors = finish(runner.start("--port", "0"))
    assert code == 3
    assert f"process {first.pid} at http://127.0.0.1:" in errors
    assert len(errors.strip().splitlines()) == 1
    assert first.poll() is None


def test_the_folder_is_free_again_after_a_kill(runner: Runner) -> None:
    process = runner.serving()
    process.kill()
    process.wait()
    runner.serving()
    wait_until(lambda: json.loads((runner.data / "sidecar.json").read_text())["pid"] != process.pid)
    assert runner.get("health")["status"] == "ok"


def test_it_stops_when_stdin_is_closed(runner: Runner) -> None:
    process = runner.serving("--watch-stdin", stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.close()
    process.stdin = None
    assert finish(process)[0] == 0


def test_it_stops_when_its_parent_has_gone(runner: Runner) -> None:
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    process = runner.serving("--parent", str(parent.pid))
    time.sleep(0.3)
    assert process.poll() is None
    parent.kill()
    parent.wait()
    assert finish(process)[0] == 0


def test_a_taken_port_is_said(runner: Runner) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, errors = finish(runner.start("--port", str(port)))
    assert code == 2
    assert f"Port {port}" in errors and "--port" in errors


@pytest.mark.skipif(
    sys.platform != "linux", reason="a folder that nobody may write, not even root, is at hand on Linux alone"
)
def test_a_read_only_data_folder_is_said(runner: Runner) -> None:
    runner.data = Path("/proc/lora-manager")
    code, errors = finish(runner.start("--port", "0"))
    assert code == 2 and "cannot be written" in errors and "--data" in errors


def test_a_data_folder_that_is_a_file_is_said(runner: Runner, tmp_path: Path) -> None:
    runner.data = tmp_path / "file"
    runner.data.write_text("")
    code, errors = finish(runner.start("--port", "0"))
    assert code == 2 and "cannot be written" in errors and "--data" in errors


def test_a_damaged_database_is_said_and_left_alone(runner: Runner) -> None:
    damaged = runner.data / "lora-manager.db"
    damaged.write_bytes(b"not a database " * 1000)
    code, errors = finish(runner.start("--port", "0"))
    assert code == 2 and "damaged" in errors and "Traceback" not in errors
    assert damaged.read_bytes() == b"not a database " * 1000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "settings.json"),
        ("[]", "JSON object"),
        ('{"log_level": "LOUD"}', "log_level"),
        ('{"port": 99999}', "port"),
    ],
)
def test_a_broken_settings_file_is_said(runner: Runner, content: str, said: str) -> None:
    (runner.data / "settings.json").write_text(content)
    code, errors = finish(runner.start())
    assert code == 2 and said in errors and "Traceback" not in errors


def test_settings_come_from_file_environment_and_command_line(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sidecar.settings import load_settings

    (data / "settings.json").write_text('{"port": 1001, "bind": "127.0.0.2", "log_level": "debug"}')
    monkeypatch.setenv("LORA_MANAGER_PORT", "1002")
    monkeypatch.setenv("LORA_MANAGER_BIND", "127.0.0.3")
    settings = load_settings(data=data, port=1003)
    assert (settings.port, settings.bind, settings.log_level) == (1003, "127.0.0.3", "DEBUG")


def test_a_change_on_disk_shows_by_itself(runner: Runner, loras: Path) -> None:
    make_lora(loras / "a.safetensors")
    runner.serving("--loras", str(loras))
    wait_until(lambda: runner.get("loras")["total"] == 1 and not runner.get("library/status")["scanning"])
    time.sleep(0.5)
    path = make_lora(loras / "new folder" / "b.safetensors")
    wait_until(lambda: runner.get("loras")["total"] == 2)
    add_side_file(path, ".json", {"activation text": "seen"})
    wait_until(lambda: runner.get("loras?q=seen")["total"] == 1)
    path.unlink()
    wait_until(lambda: runner.get("loras?state=missing")["total"] == 1)


def test_a_kill_while_it_scans_loses_nothing(runner: Runner, loras: Path) -> None:
    for number in range(600):
        make_lora(loras / f"l{number:03}.safetensors", modelspec__title=f"Word{number}")
    process = runner.serving("--loras", str(loras))
    wait_until(lambda: runner.get("loras?limit=1")["total"] > 0)
    readers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    wait_until(lambda: not any(reader.is_running() for reader in readers))
    (runner.data / "sidecar.json").unlink()
    runner.serving("--loras", str(loras))
    wait_until(
        lambda: runner.get("loras?limit=1")["total"] == 600 and not runner.get("library/status")["scanning"]
    )
    assert runner.get("loras?q=word599")["total"] == 1


def test_without_folders_a_demo_library_is_made_when_asked(runner: Runner) -> None:
    runner.serving("--demo")
    wait_until(lambda: runner.get("loras")["total"] == 12 and not runner.get("library/status")["scanning"])
    items = runner.get("loras")["items"]
    assert {item["state"] for item in items} == {"ok"}
    assert all(item["preview"] and item["trigger_words"] for item in items)


def test_scan_and_search_on_the_command_line(data: Path, loras: Path) -> None:
    make_lora(loras / "ink.safetensors", modelspec__trigger_phrase="ink wash")

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "sidecar", *arguments, "--data", str(data)]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
        ).stdout

    run("scan", "--loras", str(loras))
    assert run("search", "wash") == "<lora:ink:1>  SD 1.x  ink wash\n1 found.\n"
