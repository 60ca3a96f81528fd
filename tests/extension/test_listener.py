"""The host reads its LoRA folder anew after files have changed, once, between generations, and whatever goes wrong goes on."""

from __future__ import annotations

import asyncio
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from until import wait_for

from extension import host, listener
from extension.client import Endpoint
from extension.listener import Listener


class Sidecar:
    """Answers `GET events/next` as the real one does; tests/sidecar/test_files_refresh.py has that."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.last = 100
        self.asked: list[dict[str, Any]] = []
        self.status = 200
        self.closed = False
        self.app = FastAPI()
        self.app.add_api_route("/api/v1/events/next", self.next, methods=["GET"])

    def change(self) -> None:
        self.last += 1
        self.numbers.append(self.last)

    async def next(self, wait: float, types: str, after: int | None = None) -> Any:
        self.asked.append({"after": after, "types": types, "wait": wait})
        if self.status != 200:
            from starlette.responses import Response

            return Response(status_code=self.status)
        if after is None:
            return {"n": self.last, "reset": False, "items": []}
        end = time.monotonic() + wait
        while time.monotonic() < end and not self.closed and after <= self.last:
            newer = [number for number in self.numbers if number > after]
            if newer:
                return {"n": self.last, "reset": False, "items": [{"n": one} for one in newer]}
            await asyncio.sleep(0.01)
        return {"n": self.last, "reset": after > self.last, "items": []}


@pytest.fixture
def sidecar() -> Sidecar:
    return Sidecar()


@pytest.fixture
def begin(
    sidecar: Sidecar, serve: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Listener]]:
    """Start a listener at the sidecar; `refreshes` counts."""
    for name in ("WAIT_SECONDS", "RETRY_SECONDS", "QUIET_SECONDS"):
        monkeypatch.setattr(listener, name, 0.2)
    started: list[Listener] = []
    endpoint = Endpoint(serve(sidecar.app), "token")

    def start(
        refresh: Callable[[], None], where: Callable[[], Endpoint | None] = lambda: endpoint
    ) -> Listener:
        one = Listener(where, refresh)
        one.nudge()
        started.append(one)
        return one

    yield start
    for one in started:
        one.stop()
        assert one._thread is not None
        one._thread.join(5)
        assert not one._thread.is_alive()


def test_changed_files_refresh_the_host_and_what_was_before_does_not(
    sidecar: Sidecar, begin: Callable[..., Listener]
) -> None:
    sidecar.change()
    refreshed: list[float] = []
    begin(lambda: refreshed.append(time.monotonic()))
    wait_for(lambda: len(sidecar.asked) > 2)
    assert refreshed == []
    sidecar.change()
    wait_for(lambda: refreshed)
    assert sidecar.asked[-1]["types"] == "files.changed"


def test_many_changes_at_once_are_one_refresh(sidecar: Sidecar, begin: Callable[..., Listener]) -> None:
    refreshed: list[int] = []
    begin(lambda: refreshed.append(sidecar.last))
    wait_for(lambda: len(sidecar.asked) > 1)
    for _ in range(10):
        sidecar.change()
        time.sleep(0.02)
    wait_for(lambda: refreshed)
    time.sleep(0.5)
    assert refreshed == [sidecar.last]


def test_a_refresh_that_fails_is_told_and_the_next_one_is_tried(
    sidecar: Sidecar, begin: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(listener.log, "exception", told.append)
    tried: list[int] = []

    def fail() -> None:
        tried.append(sidecar.last)
        raise RuntimeError("the host's own trouble")

    begin(fail)
    wait_for(lambda: len(sidecar.asked) > 1)
    for count in (1, 2):
        sidecar.change()
        wait_for(lambda count=count: len(tried) == count)
    assert all("refresh button" in text for text in told)


def test_a_sidecar_that_started_again_may_have_moved_files_at_its_start(
    sidecar: Sidecar, begin: Callable[..., Listener]
) -> None:
    refreshed: list[int] = []
    begin(lambda: refreshed.append(1))
    wait_for(lambda: len(sidecar.asked) > 1)
    sidecar.last = 5  # another count: it does not know our number
    wait_for(lambda: refreshed)


def test_nobody_is_asked_in_a_hurry_while_the_sidecar_is_away_stopping_or_too_old(
    sidecar: Sidecar, begin: Callable[..., Listener]
) -> None:
    where: list[Endpoint | None] = [None]
    looked: list[int] = []

    def endpoint() -> Endpoint | None:
        looked.append(1)
        return where[0]

    begin(lambda: None, endpoint)
    begin(lambda: None, lambda: Endpoint("http://127.0.0.1:1", "token"))
    time.sleep(1.0)
    assert len(looked) < 12
    sidecar.closed = True
    begin(lambda: None)
    time.sleep(1.0)
    assert len(sidecar.asked) < 12
    sidecar.status = 404
    wait_for(lambda: sidecar.asked)
    time.sleep(0.5)
    count = len(sidecar.asked)
    time.sleep(0.5)
    assert len(sidecar.asked) == count


def test_stopped_it_refreshes_nothing_any_more(sidecar: Sidecar, begin: Callable[..., Listener]) -> None:
    refreshed: list[int] = []
    one = begin(lambda: refreshed.append(1))
    wait_for(lambda: len(sidecar.asked) > 1)
    one.stop()
    sidecar.change()
    wait_for(lambda: not one._thread.is_alive())  # type: ignore[union-attr]
    one.nudge()
    assert refreshed == []


# What the host is asked to do


def test_sdnext_reads_its_folder_anew_under_its_lock(fake_host: Any) -> None:
    fake_host.be_sdnext()
    lock, held = threading.Lock(), []
    fake_host.module("modules.call_queue", queue_lock=lock)
    fake_host.module("modules.lora.lora_load", list_available_networks=lambda: held.append(lock.locked()))
    host.refresh_loras(None)
    assert held == [True] and not lock.locked()


def test_the_a1111_line_reads_its_folder_anew(fake_host: Any) -> None:
    called: list[int] = []
    fake_host.module("networks", list_available_networks=lambda: called.append(1))
    host.refresh_loras(None)
    assert called == [1]


@pytest.mark.usefixtures("no_loop_is_running")
@pytest.mark.parametrize("is_async", [True, False])
def test_a_host_that_has_only_the_address_is_asked_by_its_function(fake_host: Any, is_async: bool) -> None:
    called: list[int] = []

    async def refresh_later() -> None:
        called.append(1)

    def refresh() -> None:
        called.append(1)

    route = types.SimpleNamespace(
        path="/sdapi/v1/refresh-loras", endpoint=refresh_later if is_async else refresh
    )
    host.refresh_loras(types.SimpleNamespace(routes=[types.SimpleNamespace(path="/"), route]))
    assert called == [1]


def test_a_host_that_knows_no_way_says_so(fake_host: Any) -> None:
    with pytest.raises(LookupError):
        host.refresh_loras(types.SimpleNamespace(routes=[]))


def test_it_waits_for_a_generation_that_runs(fake_host: Any) -> None:
    lock, called = threading.Lock(), threading.Event()
    fake_host.module("modules.call_queue", queue_lock=lock)
    fake_host.module("networks", list_available_networks=called.set)
    with lock:
        thread = threading.Thread(target=host.refresh_loras, args=(None,))
        thread.start()
        assert not called.wait(0.3)
    assert called.wait(5)
    thread.join()
