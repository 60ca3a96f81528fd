"""Texts are read on the GPU only when the user said so and the host has nothing to do; a real HTTP server is the host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sidecar.events import Events
from sidecar.recommend.embeddings import hostload
from sidecar.recommend.embeddings.placement import GPU_FROM, Placement
from sidecar.settings import Settings

IDLE = {"progress": 0.0, "state": {"job": "", "job_count": 0}}
BUSY = {"progress": 0.4, "state": {"job": "txt2img", "job_count": 1}}


class Host:
    """`answer` is what `/sdapi/v1/progress` says: JSON, or a status."""

    def __init__(self) -> None:
        self.answer: Any = IDLE
        self.asked: list[str] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.asked.append(self.path)
                self.send_response(host.answer if isinstance(host.answer, int) else 200)
                self.end_headers()
                self.wfile.write(json.dumps(host.answer).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(hostload, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(hostload, "QUIET_SECONDS", 0.0)
    host = Host()
    yield host
    host.server.shutdown()
    host.server.server_close()


@pytest.fixture
def events() -> Events:
    return Events()


def placement(tmp_path: Path, events: Events, url: str | None, device: Any = "gpu") -> Placement:
    return Placement(events, Settings(data=tmp_path, host_url=url, embedding_device=device))


def test_on_the_cpu_nobody_is_asked(host: Host, tmp_path: Path, events: Events) -> None:
    where = placement(tmp_path, events, host.url, "cpu")
    assert where.choose(100_000, False) == "cpu" and where.note is None and host.asked == []


def test_few_texts_are_not_worth_a_gpu(host: Host, tmp_path: Path, events: Events) -> None:
    assert placement(tmp_path, events, host.url).choose(GPU_FROM - 1, False) == "cpu"
    assert host.asked == []


def test_while_the_host_is_at_rest_the_gpu_is_used(host: Host, tmp_path: Path, events: Events) -> None:
    where = placement(tmp_path, events, host.url)
    assert where.choose(GPU_FROM, False) == "gpu" and where.note is None
    assert host.asked == ["/sdapi/v1/progress?skip_current_image=true"]
    host.answer = BUSY
    assert where.choose(GPU_FROM, False) == "cpu" and "the host needs the GPU" in str(where.note)
    host.answer = IDLE
    assert where.choose(GPU_FROM, False) == "gpu"


@pytest.mark.parametrize(
    "answer", [404, 500, [], {}, {"state": None}, {"state": {"job_count": "many"}}, "text"]
)
def test_a_host_that_does_not_say_keeps_its_gpu(
    host: Host, tmp_path: Path, events: Events, answer: Any
) -> None:
    host.answer = answer
    where = placement(tmp_path, events, host.url)
    assert where.choose(GPU_FROM, False) == "cpu" and "cannot be known" in str(where.note)


def test_a_host_that_is_gone_keeps_its_gpu(host: Host, tmp_path: Path, events: Events) -> None:
    url = host.url
    host.server.server_close()
    assert placement(tmp_path, events, url).choose(GPU_FROM, False) == "cpu"


def test_without_a_host_the_gpu_is_free(tmp_path: Path, events: Events) -> None:
    where = placement(tmp_path, events, None)
    assert where.choose(GPU_FROM, False) == "gpu"
    assert where.choose(GPU_FROM, True) == "cpu" and "torch finds no GPU" in str(where.note)


def test_after_an_image_the_next_one_is_likely(
    host: Host, tmp_path: Path, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = placement(tmp_path, events, host.url)
    where.start()
    assert where.choose(GPU_FROM, False) == "gpu"
    monkeypatch.setattr(hostload, "QUIET_SECONDS", 60.0)
    events.publish("generation.recorded", id=1)
    assert where.choose(GPU_FROM, False) == "cpu"
    where.stop()
