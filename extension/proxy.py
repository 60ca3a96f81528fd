"""Everything under `/lora-manager/` on the host's own address: guarded, then passed to the sidecar, HTTP and WebSocket.

One route object of our own instead of a mount or a middleware: it works the same on every starlette since 0.26, and
a host that has already built its middleware takes it as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Match, NoMatchFound

from . import guard, host, websocket
from .client import Endpoint
from .log import log
from .settings import Settings
from .supervisor import Supervisor
from .waiting import waiting_page

PREFIX = "/lora-manager"
HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)
# what belongs between browser and host alone: the host's login, and what the guard has already looked at
HOSTS_OWN = frozenset({"host", "cookie", "authorization", "origin", "referer", "forwarded"})
# the sidecar's cookie is of no use on the host's address, and the host adds these two lines itself
DROPPED_ANSWERS = HOP_BY_HOP | {"set-cookie", "date", "server"}
LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=32, keepalive_expiry=30)
WHOLE = 256 * 1024  # a body up to this size is passed on in one piece
TIMEOUT = httpx.Timeout(120.0, connect=3.0, pool=10.0)

Send = Callable[[Any], Any]


class ProxyRoute(BaseRoute):
    """Takes every request whose path is PREFIX or below it, with or without the host's sub-path."""

    def __init__(self, app: Any, supervisor: Supervisor, settings: Callable[[], Settings]) -> None:
        self._app = app
        self._supervisor = supervisor
        self._settings = settings
        self._client: httpx.AsyncClient | None = None
        self._of: tuple[Endpoint, asyncio.AbstractEventLoop] | None = None
        self._prefixes = tuple(dict.fromkeys([PREFIX, host.subpath() + PREFIX]))

    def matches(self, scope: Any) -> tuple[Match, Any]:
        if scope["type"] in ("http", "websocket") and self._below(scope["path"]) is not None:
            return Match.FULL, {}
        return Match.NONE, {}

    def url_path_for(self, name: str, /, **path_params: Any) -> Any:
        raise NoMatchFound(name, path_params)

    def _below(self, path: str) -> str | None:
        """The path as the sidecar knows it, "" for the prefix itself, None for other people's paths."""
        for prefix in self._prefixes:
            if path == prefix or path.startswith(f"{prefix}/"):
                return path[len(prefix) :]
        return None

    async def handle(self, scope: Any, receive: Any, send: Send) -> None:
        refusal = guard.check(scope, self._app, self._settings().names)
        if scope["type"] == "websocket":
            if refusal is not None:
                await websocket.refuse(receive, send)
                return
            await websocket.forward(scope, receive, send, self._supervisor.endpoint(), self._target(scope))
            return
        request = Request(scope, receive)
        response: Response
        if refusal is not None:
            response = JSONResponse(
                {"error": {"code": refusal.code, "message": refusal.message, "detail": None}},
                refusal.status,
                refusal.headers,
            )
            if _wants_page(request):
                response = HTMLResponse(waiting_page(refusal.message, False), refusal.status, refusal.headers)
        elif self._below(scope["path"]) == "":
            response = RedirectResponse(
                f"{PREFIX[1:]}/", 307
            )  # relative, so that any sub-path stays as it is
        else:
            response = await self._answer(request)
        await response(scope, receive, send)

    def _target(self, scope: Any) -> str:
        """Path and query for the sidecar, still encoded as they came."""
        raw = (scope.get("raw_path") or b"").decode("latin-1").partition("?")[0]
        below = self._below(raw)
        if below is None:  # an encoded prefix, or a server that gives no raw path
            below = httpx.URL("http://x", path=self._below(scope["path"]) or "/").raw_path.decode("ascii")
        query = scope.get("query_string", b"").decode("latin-1")
        return f"{below or '/'}?{query}" if query else below or "/"

    def _http(self, endpoint: Endpoint) -> httpx.AsyncClient:
        """A client of the running event loop; hosts begin a new one with Reload UI."""
        of = (endpoint, asyncio.get_running_loop())
        if self._client is None or self._of != of:
            self._client = httpx.AsyncClient(
                timeout=TIMEOUT,
                limits=LIMITS,
                verify=endpoint.url.startswith("https:"),
                trust_env=False,
            )
            self._of = of
        return self._client

    async def _answer(self, request: Request) -> Response:
        endpoint = self._supervisor.endpoint()
        if endpoint is None:
            return self._away(request)
        client = self._http(endpoint)
        try:
            content = await _body(request)
        except ClientDisconnect:  # a page that takes its request back: nobody is there to be answered
            return Response(status_code=499)
        upstream = client.build_request(
            request.method,
            endpoint.url + self._target(request.scope),
            headers=[*_request_headers(request.headers.raw), ("authorization", f"Bearer {endpoint.token}")],
            content=content,
        )
        try:
            answer = await client.send(upstream, stream=True)
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.ReadError,
            httpx.RemoteProtocolError,
        ) as error:
            self._supervisor.poke()
            log.warning("%s %s did not reach the sidecar (%s)", request.method, request.url.path, error)
            return self._away(request, 502)
        except ClientDisconnect:
            return Response(status_code=499)
        except httpx.HTTPError as error:
            return _error(504, "sidecar_slow", f"The sidecar took too long to answer ({error!r}).")
        response = StreamingResponse(_stream(answer), answer.status_code)
        response.raw_headers = _response_headers(answer.headers.raw, endpoint)
        return response

    def _away(self, request: Request, status: int = 503) -> Response:
        now = self._supervisor.status
        if now.state == "up":
            now = type(now)(
                "starting", "LoRA Manager's own process does not answer; it is being looked after."
            )
        if _wants_page(request):
            return HTMLResponse(
                waiting_page(now.message, True), status, {"Retry-After": "1", "Cache-Control": "no-store"}
            )
        return _error(status, f"sidecar_{now.state}", now.message)


def _wants_page(request: Request) -> bool:
    """A page that is opened, as against a script's request or a picture."""
    return (
        request.method == "GET"
        and "/api/" not in request.url.path
        and "text/html" in request.headers.get("accept", "")
    )


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse(
        {"error": {"code": code, "message": message, "detail": None}}, status, {"Retry-After": "1"}
    )


async def _body(request: Request) -> bytes | AsyncIterator[bytes] | None:
    """What a request carries: whole if it is small, so that the sidecar never sees half of what a page takes back while it
    is typed in, else as it comes.
    """
    if not _has_body(request):
        return None
    size = request.headers.get("content-length", "")
    return await request.body() if size.isdecimal() and int(size) <= WHOLE else request.stream()


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


def _named_in_connection(raw: Iterable[tuple[bytes, bytes]]) -> set[str]:
    values = [value.decode("latin-1") for name, value in raw if name.lower() == b"connection"]
    return {part.strip().lower() for value in values for part in value.split(",")}


def _request_headers(raw: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    dropped = HOP_BY_HOP | HOSTS_OWN | _named_in_connection(raw)
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw]
    return [
        (name, value)
        for name, value in headers
        if name not in dropped and not name.startswith(("sec-fetch-", "x-forwarded-"))
    ]


def _response_headers(raw: list[tuple[bytes, bytes]], endpoint: Endpoint) -> list[tuple[bytes, bytes]]:
    dropped = DROPPED_ANSWERS | _named_in_connection(raw)
    kept = [(name.lower(), value) for name, value in raw if name.decode("latin-1").lower() not in dropped]
    return [(name, _relocated(value, endpoint) if name == b"location" else value) for name, value in kept]


def _relocated(value: bytes, endpoint: Endpoint) -> bytes:
    """A redirect of the sidecar, which knows nothing of the prefix, as seen from the host."""
    location = value.decode("latin-1").removeprefix(endpoint.url)
    return (
        f"{host.subpath()}{PREFIX}{location}".encode("latin-1")
        if urlsplit(location).path.startswith("/")
        else value
    )


async def _stream(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it comes, still compressed; an early end of either side ends the other."""
    try:
        async for part in answer.aiter_raw():
            yield part
    except httpx.HTTPError as error:
        log.warning("an answer of the sidecar broke off (%s)", error)
        raise
    finally:
        await answer.aclose()


def mount(app: Any, supervisor: Supervisor, settings: Callable[[], Settings]) -> None:
    """Add the route to a host's FastAPI, before any catch-all."""
    host.be_lenient(PREFIX, f"{PREFIX}/api/v1/loras")
    app.router.routes.insert(0, ProxyRoute(app, supervisor, settings))
