"""The sidecar hears what the host is: when it comes up, when something changes, and not otherwise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response
from until import wait_for

from extension import telling
from extension.client import Client, Endpoint
from extension.telling import Teller


class Host:
    def __init__(self) -> None:
        self.now: dict[str, Any] = {"host": "sdnext", "checkpoint": "a", "facts": {}}
        self.told: list[dict[str, Any]] = []
        self.status = 200
        self.threads: set[str] = set()
        self.app = FastAPI()
        self.app.add_api_route("/api/v1/prompts/host", self._put, methods=["PUT"])

    async def _put(self, request: Request) -> Response:
        self.told.append(await request.json())
        return JSONResponse({}, self.status)

    def describe(self) -> dict[str, Any]:
        self.threads.add(threading.current_thread().name)
        return dict(self.now)


@pytest.fixture
def told_of() -> Host:
    return Host()


@pytest.fixture
def teller(serve: Callable[[Any], str], told_of: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[Teller]:
    monkeypatch.setattr(telling, "LEAST_SECONDS", 0.01)
    endpoint = Endpoint(serve(told_of.app), "t")
    teller = Teller(Client(lambda: endpoint), told_of.describe)
    yield teller
    teller.stop()


def nudge_often(teller: Teller) -> None:
    for _ in range(5):
        teller.nudge()
        time.sleep(0.03)


def test_it_is_told_once_and_again_when_it_changes(teller: Teller, told_of: Host) -> None:
    nudge_often(teller)
    wait_for(lambda: told_of.told)
    told_of.now["checkpoint"] = "b"
    nudge_often(teller)
    wait_for(lambda: len(told_of.told) > 1)
    assert [each["checkpoint"] for each in told_of.told] == ["a", "b"]
    assert told_of.threads == {"lora-manager-facts"}, "never on the host's own threads"


def test_a_sidecar_that_was_started_anew_is_told_again(teller: Teller, told_of: Host) -> None:
    nudge_often(teller)
    wait_for(lambda: told_of.told)
    teller.forget()
    nudge_often(teller)
    wait_for(lambda: len(told_of.told) == 2)


@pytest.mark.parametrize("status", [404, 405, 500])
def test_an_older_sidecar_is_left_alone_until_there_is_another(
    teller: Teller, told_of: Host, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(telling.log, "warning", lambda text, *values: said.append(text % values))
    told_of.status = status
    nudge_often(teller)
    wait_for(lambda: told_of.told)
    nudge_often(teller)
    assert len(told_of.told) == 1 and len(said) == (status == 500)
    told_of.status = 200
    teller.forget()
    nudge_often(teller)
    wait_for(lambda: len(told_of.told) == 2)


def test_a_host_that_cannot_be_described_is_no_harm(teller: Teller, told_of: Host) -> None:
    def fail() -> dict[str, Any]:
        raise RuntimeError("a host of the future")

    teller._describe = fail
    nudge_often(teller)
    teller._describe = told_of.describe
    teller.forget()
    nudge_often(teller)
    wait_for(lambda: told_of.told)


def test_it_ends_when_the_page_is_reloaded(teller: Teller, told_of: Host) -> None:
    nudge_often(teller)
    teller.stop()
    assert teller._thread is not None
    teller._thread.join(5)
    assert not teller._thread.is_alive()


def test_nothing_is_lost_while_the_sidecar_is_away(told_of: Host, serve: Callable[[Any], str]) -> None:
    endpoint: list[Endpoint | None] = [None]
    teller = Teller(Client(lambda: endpoint[0]), told_of.describe)
    teller._look()
    endpoint[0] = Endpoint(serve(told_of.app), "t")
    teller._look()
    assert len(told_of.told) == 1


def test_the_body_is_what_the_address_takes(fake_host: Any) -> None:
    fake_host.opts.data["sd_model_checkpoint"] = "a.safetensors [31e35c80fc]"
    now = telling.describe()
    assert (now["host"], now["checkpoint"]) == ("a1111", "a.safetensors")
    assert "checkpoint_base" in now["facts"] and "batch_size" not in now["facts"]
