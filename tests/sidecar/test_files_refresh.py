"""Who is told that files have changed: pages and hosts, by event; a host that runs elsewhere, by its own API. And the desktop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from files_library import id_of, make_set, message, move
from lora_files import make_lora
from starlette.testclient import TestClient
from test_process import Runner, finish, runner
from waiting import wait_until

from sidecar.events import Events
from sidecar.library.files import desktop, refresh
from sidecar.library.files.refresh import HostRefresh
from sidecar.state import State

__all__ = ["runner"]
Scan = Callable[[], None]


def news(api: TestClient, **query: Any) -> dict[str, Any]:
    answer = api.get("events/next", params={"types": "files.changed", **query})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_every_operation_tells_that_files_have_changed(loras: Path, scan: Scan, api: TestClient) -> None:
    make_set(loras / "a.safetensors")
    scan()
    lora_id = id_of(api, "a")
    position = news(api)["n"]
    done: list[Callable[[], Any]] = [
        lambda: api.post(f"loras/{lora_id}/rename", json={"name": "b"}),
        lambda: move(api, lora_id, to="loras/sub"),
        lambda: api.post("files/organise", json={"selection": {"ids": [lora_id]}, "dry_run": False}),
        lambda: api.delete(f"loras/{lora_id}"),
        lambda: api.post("trash/restore", json={"ids": [api.get("trash").json()["items"][0]["id"]]}),
        lambda: api.post(f"actions/{api.get('actions').json()['items'][0]['id']}/undo"),
    ]
    for operation in done:
        operation()
        answer = news(api, after=position, wait=5)
        assert [event["data"] for event in answer["items"]] == [{"count": 1}]
        assert not answer["reset"]
        position = answer["n"]
    api.post("files/organise", json={"selection": {"filter": {}}, "dry_run": True})
    assert news(api, after=position, wait=0.1) == {"n": position, "reset": False, "items": []}


def test_waiting_for_news_ends_with_the_first_of_its_types(api: TestClient, state: State) -> None:
    position = news(api)["n"]
    timer = threading.Timer(0.3, lambda: state.events.publish("files.changed", count=3))
    state.events.publish("library.scan")
    timer.start()
    answer = news(api, after=position, wait=10)
    assert [(event["type"], event["data"]) for event in answer["items"]] == [("files.changed", {"count": 3})]
    assert answer["n"] == position + 2
    everything = api.get("events/next", params={"after": position, "wait": 0}).json()["items"]
    assert [event["type"] for event in everything] == ["library.scan", "files.changed"]


def test_a_number_that_is_not_known_any_more_is_told(api: TestClient) -> None:
    for after in (5, 2**60):
        answer = news(api, after=after, wait=10)
        assert answer["reset"] and answer["items"] == [] and answer["n"] == news(api)["n"]
    assert message(api.get("events/next", params={"wait": 1000}), 422)


@pytest.mark.skipif(sys.platform == "win32", reason="stops with a POSIX signal")
def test_who_waits_for_news_gets_an_answer_when_the_sidecar_stops(runner: Runner, loras: Path) -> None:
    process = runner.serving("--loras", str(loras))
    position = runner.get("events/next")["n"]
    answers: list[Any] = []
    waiting = threading.Thread(
        target=lambda: answers.append(runner.get(f"events/next?after={position}&types=files.changed&wait=9"))
    )
    waiting.start()
    waiting.join(0.5)
    process.send_signal(signal.SIGTERM)
    code, errors = finish(process)
    waiting.join()
    assert (code, [answer["items"] for answer in answers]) == (0, [[]])
    assert "Traceback" not in errors


class _Host(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []
    status: ClassVar[int] = 200

    def do_POST(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def host() -> Iterator[str]:
    _Host.asked, _Host.status = [], 200
    server = HTTPServer(("127.0.0.1", 0), _Host)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def start_refresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Events, str], None]]:
    monkeypatch.setattr(refresh, "QUIET_SECONDS", 0.3)
    started: list[HostRefresh] = []

    def start(events: Events, url: str) -> None:
        started.append(HostRefresh(events, url))
        started[-1].start()

    yield start
    for one in started:
        one.stop()
        one._thread.join(5)
        assert not one._thread.is_alive()


def test_a_host_elsewhere_is_told_once_for_many_changes(
    host: str, start_refresh: Callable[[Events, str], None]
) -> None:
    events = Events()
    start_refresh(events, f"{host}/")
    events.publish("library.scan")
    for _ in range(5):
        events.publish("files.changed", count=1)
    wait_until(lambda: _Host.asked)
    assert _Host.asked == ["/sdapi/v1/refresh-loras"]
    events.publish("files.changed", count=1)
    wait_until(lambda: len(_Host.asked) == 2)


def test_a_host_that_refuses_or_is_away_costs_one_line_and_is_told_the_next_time(
    host: str, start_refresh: Callable[[Events, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    _Host.status = 401
    events, nobody = Events(), Events()
    start_refresh(events, host)
    start_refresh(nobody, "http://127.0.0.1:1")
    events.publish("files.changed")
    nobody.publish("files.changed")
    wait_until(lambda: len([record for record in caplog.records if record.levelname == "WARNING"]) == 2)
    assert all("\n" not in record.getMessage() for record in caplog.records)
    _Host.status = 200
    events.publish("files.changed")
    wait_until(lambda: len(_Host.asked) == 2)


def test_a_sidecar_started_with_a_hosts_address_tells_it_about_a_move(
    host: str, runner: Runner, loras: Path
) -> None:
    import json
    from urllib.request import Request, urlopen

    make_lora(loras / "a.safetensors")
    runner.serving("--loras", str(loras), "--host-url", host)
    wait_until(lambda: runner.get("loras")["total"] == 1)
    info = json.loads((runner.data / "sidecar.json").read_text())
    token = (runner.data / "token").read_text()
    request = Request(
        f"{info['url']}/api/v1/loras/{runner.get('loras')['items'][0]['id']}/rename",
        data=b'{"name": "b"}',
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    assert urlopen(request, timeout=10).status == 200
    wait_until(lambda: _Host.asked == ["/sdapi/v1/refresh-loras"])


# The desktop


def test_a_folder_is_opened_only_where_there_is_a_desktop(
    loras: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    lora_id = id_of(api, "a")
    monkeypatch.setattr(desktop, "can_open_folder", lambda: False)
    assert "no desktop" in message(api.post(f"loras/{lora_id}/open-folder"), 503)


def test_there_is_a_desktop_when_a_display_and_its_opener_are_there(
    api: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform in ("win32", "darwin"):
        assert desktop.can_open_folder()
        return
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert api.get("library/status").json()["can_open_folder"] is False
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not desktop.can_open_folder()
    (tmp_path / "xdg-open").write_text("#!/bin/sh\n")
    (tmp_path / "xdg-open").chmod(0o755)
    assert desktop.can_open_folder()


@pytest.mark.parametrize("folder", ["plain", "with space; rm -rf $(x) `y` & 'z'", "-dash"])
def test_the_opener_gets_the_folder_as_one_argument_and_no_shell_sees_it(
    loras: Path, tmp_path: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    if sys.platform in ("win32", "darwin"):
        pytest.skip("opens real windows")
    make_lora(loras / folder / "a.safetensors")
    scan()
    opener = tmp_path / "bin" / "xdg-open"
    opener.parent.mkdir()
    opener.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$#" "$1" > "{tmp_path}/opened.part"; mv "{tmp_path}/opened.part" "{tmp_path}/opened"\n'
    )
    opener.chmod(0o755)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PATH", f"{opener.parent}{os.pathsep}{os.environ['PATH']}")
    assert api.get(f"loras/{id_of(api, 'a')}").json()["can_open_folder"] is True
    answer = api.post(f"loras/{id_of(api, 'a')}/open-folder")
    assert answer.json() == {"folder": str(loras / folder)}
    wait_until((tmp_path / "opened").exists)
    assert (tmp_path / "opened").read_text().splitlines() == ["1", str(loras / folder)]


def test_an_opener_that_does_not_start_and_a_folder_that_is_gone_are_told(
    loras: Path, scan: Scan, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_lora(loras / "sub" / "a.safetensors")
    scan()
    lora_id = id_of(api, "a")
    monkeypatch.setattr(desktop, "can_open_folder", lambda: True)

    def fail(*_: Any, **__: Any) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(subprocess, "Popen", fail)
    assert "did not start" in message(api.post(f"loras/{lora_id}/open-folder"), 503)
    path.unlink()
    path.parent.rmdir()
    assert "cannot be reached" in message(api.post(f"loras/{lora_id}/open-folder"))
    assert message(api.post("loras/99/open-folder"), 404)
