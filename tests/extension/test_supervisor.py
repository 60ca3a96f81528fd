"""With real child processes: the sidecar is started, shared, started again, and gone when its host is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from until import wait_for

from extension import process, supervisor
from extension.kept import kept
from extension.settings import Settings
from extension.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(fake_host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "loras").mkdir()
    monkeypatch.setattr(process, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(
        process, "run_install", lambda *_arguments, **_options: 0
    )  # tests/test_install.py has it
    monkeypatch.setattr(supervisor, "CHECK_SECONDS", 0.2)
    return Settings((str(tmp_path / "loras"),), tmp_path / "data", "", "", True, True, False, ())


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., Supervisor]]:
    started: list[Supervisor] = []

    def begin(given: Callable[[], Settings] = lambda: settings) -> Supervisor:
        one = Supervisor(given)
        one.start()
        started.append(one)
        return one

    yield begin
    for one in started:
        one.shut_down()


def sidecar_of(data: Path) -> psutil.Process:
    return psutil.Process(process._read_json(data / "sidecar.json")["pid"])


def test_starting_takes_no_time_and_the_sidecar_comes_up(start: Any, settings: Settings) -> None:
    began = time.perf_counter()
    one = start()
    assert time.perf_counter() - began < 0.05
    endpoint = wait_for(one.endpoint)
    health = httpx.get(f"{endpoint.url}/api/v1/health", headers={"authorization": f"Bearer {endpoint.token}"})
    assert health.json()["status"] == "ok"
    assert one.status.state == "up"


def test_the_token_is_on_no_command_line(start: Any, settings: Settings) -> None:
    endpoint = wait_for(start().endpoint)
    child = sidecar_of(settings.data)
    assert len(endpoint.token) >= 16 and endpoint.token not in " ".join(child.cmdline())
    assert str(settings.data) in child.cmdline()


def test_killed_it_is_started_again(start: Any, settings: Settings) -> None:
    one = start()
    first = wait_for(one.endpoint)
    sidecar_of(settings.data).kill()
    one.poke()
    second = wait_for(lambda: one.endpoint() if one.endpoint() not in (None, first) else None)
    assert second.url != first.url


def test_a_second_one_shares_what_serves_the_same_data(
    start: Any, settings: Settings, tmp_path: Path
) -> None:
    first = wait_for(start().endpoint)
    folder = tmp_path / "more"
    folder.mkdir()
    mine = kept().pop("sidecar")  # the other host is another process with a memory of its own
    two = start(lambda: replace(settings, folders=(str(folder),)))
    assert wait_for(two.endpoint) == first
    kept()["sidecar"] = mine
    answer = httpx.get(
        f"{first.url}/api/v1/library/folders", headers={"authorization": f"Bearer {first.token}"}
    )
    assert str(folder) in [each["path"] for each in answer.json()["items"]]


def test_a_reload_of_the_ui_keeps_the_process(start: Any, settings: Settings) -> None:
    one = start()
    first = wait_for(one.endpoint)
    pid = sidecar_of(settings.data).pid
    one.release()
    assert one.endpoint() is None
    two = start()
    assert wait_for(two.endpoint) == first
    assert sidecar_of(settings.data).pid == pid


def test_an_extension_that_does_not_come_back_ends_its_sidecar(
    start: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", 0.1)
    one = start()
    wait_for(one.endpoint)
    child = sidecar_of(settings.data)
    one.release()
    wait_for(lambda: not child.is_running())


def test_a_changed_data_folder_moves_the_sidecar(start: Any, settings: Settings, tmp_path: Path) -> None:
    now = [settings]
    one = start(lambda: now[0])
    first = wait_for(one.endpoint)
    now[0] = replace(settings, data=tmp_path / "other")
    wait_for(lambda: one.endpoint() not in (None, first))
    assert sidecar_of(tmp_path / "other").is_running()
    assert not (settings.data / "sidecar.json").exists()


def test_a_shared_address_is_used_and_starts_nothing(start: Any, settings: Settings, tmp_path: Path) -> None:
    first = wait_for(start().endpoint)
    kept().pop("sidecar")
    elsewhere = replace(settings, data=tmp_path / "unused", address=first.url, token=first.token)
    two = start(lambda: elsewhere)
    assert wait_for(two.endpoint) == first
    assert not (tmp_path / "unused").exists()


def test_a_shared_address_that_is_silent_is_told(start: Any, settings: Settings) -> None:
    one = start(lambda: replace(settings, address="http://127.0.0.1:1", token="t"))
    wait_for(lambda: one.status.state == "failed")
    assert "http://127.0.0.1:1" in one.status.message


def test_settings_it_cannot_work_with_are_told_in_plain_words(
    start: Any, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    one = start(lambda: replace(settings, data=tmp_path / "file"))
    wait_for(lambda: one.status.state == "failed")
    assert str(tmp_path / "file") in one.status.message


def test_a_failed_installation_is_told(
    start: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_arguments: Any, on_line: Callable[[str], None], **_options: Any) -> int:
        on_line("not installed: no connection to the package index")
        return 1

    monkeypatch.setattr(process, "run_install", fail)
    one = start()
    wait_for(lambda: one.status.state == "failed")
    assert "no connection" in one.status.message


@pytest.mark.skipif(os.name == "nt", reason="ends the host with a POSIX signal")
def test_the_sidecar_goes_when_its_host_is_killed(settings: Settings) -> None:
    program = (
        "import sys, time; from pathlib import Path; from extension import process\n"
        "process.PYTHON = Path(sys.executable)\n"
        f"process.start_sidecar(Path({str(settings.data)!r}), [], None, ())\n"
        "time.sleep(60)"
    )
    host = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        wait_for(lambda: (settings.data / "sidecar.json").exists())
        child = sidecar_of(settings.data)
        host.send_signal(signal.SIGKILL)
        wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    finally:
        host.kill()
        host.wait()


def test_warnings_of_the_sidecar_reach_the_hosts_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    path = settings.data / "sidecar.log"
    path.parent.mkdir(parents=True)
    path.write_text(
        "2026-01-01 00:00:00 INFO lora-manager: a\n2026-01-01 00:00:00 WARNING lora-manager: b\n2026"
    )
    quiet = subprocess.Popen([sys.executable, "-c", ""])
    quiet.wait()
    told: list[str] = []
    one = Supervisor(lambda: settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor.log, "warning", lambda text, *values: told.append(text % values))
        sidecar = process.Sidecar(quiet, (), "", path)  # type: ignore[arg-type]
        one._relay_log(sidecar)
        one._relay_log(sidecar)
    assert told == ["2026-01-01 00:00:00 WARNING lora-manager: b"]


def test_no_thread_is_left_behind(start: Any) -> None:
    one = start()
    wait_for(one.endpoint)
    one.shut_down()
    wait_for(lambda: not [each for each in threading.enumerate() if each.name == "lora-manager-supervisor"])
