"""Through a real server to a real server: what arrives, what comes back, and what is said while nobody is there."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import types
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from fastapi import FastAPI, Request, WebSocket
from starlette.responses import RedirectResponse, Response, StreamingResponse

from extension import proxy
from extension.client import Endpoint
from extension.settings import Settings
from extension.supervisor import Status

pytestmark = pytest.mark.usefixtures("no_loop_is_running")

SETTINGS = Settings((), Path("/nowhere"), "", "", True, True, False, ())


class FakeSupervisor:
    def __init__(self, status: Status) -> None:
        self.status, self.pokes = status, 0

    def endpoint(self) -> Endpoint | None:
        return self.status.endpoint

    def poke(self) -> None:
        self.pokes += 1


def make_sidecar() -> FastAPI:
    """Answers with what it was asked."""
    app = FastAPI()

    @app.websocket("/api/v1/events")
    async def events(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json([dict(socket.headers), socket.url.query])
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if message.get("text") == "close":
                    await socket.close(3003)
                    return
                await socket.send_bytes(message["bytes"]) if message.get("bytes") else await socket.send_text(
                    message["text"]
                )
        except RuntimeError:
            return

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for number in range(3):
                yield f"part {number}\n".encode()
                await asyncio.sleep(0.15)

        return StreamingResponse(parts(), headers={"content-encoding": "identity"})

    @app.get("/away")
    async def away() -> RedirectResponse:
        return RedirectResponse("/api/v1/there")

    @app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PATCH", "DELETE"])
    async def echo(request: Request) -> Response:
        body = await request.body()
        response = Response(
            json.dumps(
                {
                    "method": request.method,
                    "path": request.scope["raw_path"].decode(),
                    "query": request.url.query,
                    "headers": dict(request.headers),
                    "size": len(body),
                }
            ),
            201,
            media_type="application/json",
        )
        response.set_cookie("lora_manager", "x")
        response.headers["connection"] = "x-private"
        response.headers["x-private"] = "1"
        return response

    return app


def make_host(endpoint: Endpoint | None, state: str = "up", **members: Any) -> tuple[FastAPI, FakeSupervisor]:
    app = FastAPI()
    vars(app).update({"tokens": {}, "auth": None, **members})
    supervisor = FakeSupervisor(Status(state, "Being installed: fetching <b>", endpoint))
    proxy.mount(app, supervisor, lambda: SETTINGS)  # type: ignore[arg-type]
    return app, supervisor


@pytest.fixture
def site(fake_host: Any, serve: Callable[[Any], str]) -> str:
    sidecar = serve(make_sidecar())
    return serve(make_host(Endpoint(sidecar, "t0ken"))[0])


def test_method_path_query_and_body_arrive_as_they_were(site: str) -> None:
    answer = httpx.post(
        f"{site}/lora-manager/api/v1/lo%20ras%2Fx?q=a%26b&tag=1&tag=2", content=b"x" * 100_000
    )
    assert answer.status_code == 201
    content = answer.json()
    assert (content["method"], content["path"], content["query"], content["size"]) == (
        "POST",
        "/api/v1/lo%20ras%2Fx",
        "q=a%26b&tag=1&tag=2",
        100_000,
    )


def test_a_chunked_upload_arrives(site: str) -> None:
    answer = httpx.post(f"{site}/lora-manager/up", content=(b"y" * 1000 for _ in range(50)))
    assert answer.json()["size"] == 50_000


def test_a_request_that_is_taken_back_halfway_is_no_error_of_the_host(
    site: str, caplog: pytest.LogCaptureFixture
) -> None:
    address = httpx.URL(site)
    with socket.create_connection((address.host, address.port or 80)) as connection:
        connection.sendall(
            f"POST /lora-manager/up HTTP/1.1\r\nHost: {address.host}\r\nContent-Length: 9\r\n\r\nhalf".encode()
        )
    assert httpx.post(f"{site}/lora-manager/up", content=b"whole").json()["size"] == 5
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_the_hosts_own_secrets_stay_with_it_and_the_token_is_added(site: str) -> None:
    headers = {
        "cookie": "access-token=a",
        "authorization": "Basic eDp5",
        "origin": site,
        "x-forwarded-host": "x",
    }
    got = httpx.get(f"{site}/lora-manager/x", headers={**headers, "sec-fetch-site": "same-origin"}).json()[
        "headers"
    ]
    assert got["authorization"] == "Bearer t0ken"
    assert not {"cookie", "origin", "x-forwarded-host", "sec-fetch-site"} & set(got)


def test_cookies_and_hop_by_hop_headers_of_the_answer_are_dropped(site: str) -> None:
    answer = httpx.get(f"{site}/lora-manager/x")
    assert not {"set-cookie", "x-private"} & set(answer.headers)
    assert len(answer.headers.get_list("date")) == 1


def test_the_bare_prefix_leads_to_the_page_and_neighbours_are_left_alone(site: str) -> None:
    assert httpx.get(f"{site}/lora-manager").headers["location"] == "lora-manager/"
    assert httpx.get(f"{site}/lora-managers/x").status_code == 404


def test_a_redirect_of_the_sidecar_stays_below_the_prefix(site: str) -> None:
    assert httpx.get(f"{site}/lora-manager/away").headers["location"] == "/lora-manager/api/v1/there"


def test_an_answer_is_passed_on_as_it_comes(site: str) -> None:
    with httpx.stream("GET", f"{site}/lora-manager/stream") as answer:
        parts = list(answer.iter_raw())
    assert b"".join(parts) == b"part 0\npart 1\npart 2\n" and len(parts) >= 3


def test_it_answers_below_the_sub_path_too(fake_host: Any, serve: Callable[[Any], str]) -> None:
    fake_host.cmd_opts.subpath = "sub/"
    site = serve(make_host(Endpoint(serve(make_sidecar()), "t0ken"))[0])
    assert httpx.get(f"{site}/sub/lora-manager/api/v1/x").json()["path"] == "/api/v1/x"
    assert httpx.get(f"{site}/sub/lora-manager/away").headers["location"] == "/sub/lora-manager/api/v1/there"


def test_another_origin_reaches_nothing(site: str) -> None:
    answer = httpx.post(f"{site}/lora-manager/x", headers={"origin": "http://evil.example"})
    assert answer.status_code == 403 and answer.json()["error"]["code"] == "wrong_origin"


def test_without_its_login_nothing_passes(fake_host: Any, serve: Callable[[Any], str]) -> None:
    app, _ = make_host(Endpoint("http://127.0.0.1:1", "t"), auth={"ann": "secret"}, tokens={"c00kie": "ann"})
    site = serve(app)
    assert httpx.get(f"{site}/lora-manager/x").status_code == 401
    assert httpx.get(f"{site}/lora-manager/x", headers={"cookie": "access-token=c00kie"}).status_code == 502


def test_while_it_is_being_installed_the_page_says_so_and_looks_again(
    fake_host: Any, serve: Callable[[Any], str]
) -> None:
    site = serve(make_host(None, "installing")[0])
    page = httpx.get(f"{site}/lora-manager/", headers={"accept": "text/html"})
    assert page.status_code == 503 and "fetching &lt;b&gt;" in page.text and "location.reload" in page.text
    answer = httpx.get(f"{site}/lora-manager/api/v1/health", headers={"accept": "text/html"})
    assert answer.status_code == 503
    assert answer.json()["error"] == {
        "code": "sidecar_installing",
        "message": "Being installed: fetching <b>",
        "detail": None,
    }


def test_a_sidecar_that_has_just_gone_is_a_502_and_is_looked_after(
    fake_host: Any, serve: Callable[[Any], str]
) -> None:
    app, supervisor = make_host(Endpoint("http://127.0.0.1:1", "t"))
    assert httpx.get(f"{serve(app)}/lora-manager/api/v1/loras").status_code == 502
    assert supervisor.pokes == 1


def test_a_websocket_goes_both_ways_and_its_close_code_comes_back(site: str) -> None:
    async def talk() -> None:
        url = f"ws{site[4:]}/lora-manager/api/v1/events?after=7"
        async with websockets.connect(url, origin=site) as socket:  # type: ignore[arg-type]
            headers, query = json.loads(await socket.recv())
            assert headers["authorization"] == "Bearer t0ken" and query == "after=7"
            assert "origin" not in headers and "cookie" not in headers
            for message in ("a", "ü" * 70_000, b"\x00\x01"):
                await socket.send(message)
                assert await socket.recv() == message
            await socket.send("close")
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 3003

    asyncio.run(talk())


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_a_websocket_of_another_origin_is_refused(site: str, origin: str) -> None:
    async def talk() -> None:
        with pytest.raises(websockets.InvalidStatus):
            async with websockets.connect(f"ws{site[4:]}/lora-manager/api/v1/events", origin=origin):  # type: ignore[arg-type]
                pass

    asyncio.run(talk())


def test_a_websocket_while_nobody_is_there_is_refused(fake_host: Any, serve: Callable[[Any], str]) -> None:
    site = serve(make_host(None, "starting")[0])
    dead = serve(make_host(Endpoint("http://127.0.0.1:1", "t"))[0])

    async def talk(url: str) -> None:
        with pytest.raises(websockets.InvalidStatus):
            async with websockets.connect(f"ws{url[4:]}/lora-manager/api/v1/events"):
                pass

    asyncio.run(talk(site))
    asyncio.run(talk(dead))


@pytest.mark.parametrize("name", ["additional_headers", "extra_headers"])
def test_both_ways_of_naming_websocket_headers_are_known(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    from extension import websocket

    source = f"def __init__(self, url, *, compression, max_size, open_timeout, {name}): self.given = {name}"
    scope: dict[str, Any] = {}
    exec(source, scope)
    connect = type("connect", (), {"__init__": scope["__init__"]})
    monkeypatch.setitem(sys.modules, "websockets", types.SimpleNamespace(connect=connect))
    assert websocket._connect("ws://x", "t").given == {"Authorization": "Bearer t"}
