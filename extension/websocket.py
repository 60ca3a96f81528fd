"""The WebSocket half of the proxy: two pumps between the browser and the sidecar, each ending the other."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from typing import Any

from .client import Endpoint
from .log import log

GOING_AWAY, TRY_AGAIN = 1001, 1013


async def refuse(receive: Any, send: Any, code: int = 1008) -> None:
    """Close before accepting: the browser sees HTTP 403."""
    await receive()
    await send({"type": "websocket.close", "code": code})


def _connect(url: str, token: str) -> Any:
    """websockets' client at whatever version the host has: 10 to 13 say extra_headers, 14 on additional_headers."""
    connect: Any = importlib.import_module("websockets").connect
    known = inspect.signature(connect.__init__).parameters if inspect.isclass(connect) else {}
    name = "additional_headers" if "additional_headers" in known else "extra_headers"
    options: dict[str, Any] = {
        name: {"Authorization": f"Bearer {token}"},
        "max_size": None,
        "open_timeout": 5,
    }
    if "proxy" in known:
        options["proxy"] = None
    return connect(url, compression=None, **options)


async def forward(scope: Any, receive: Any, send: Any, endpoint: Endpoint | None, target: str) -> None:
    """Connect the browser's WebSocket with the sidecar's at `target` (path and query)."""
    if endpoint is None:
        await refuse(receive, send, TRY_AGAIN)
        return
    url = f"ws{endpoint.url.removeprefix('http')}{target}"
    errors = importlib.import_module("websockets.exceptions")
    try:
        upstream = await _connect(url, endpoint.token)
    except (OSError, TimeoutError, asyncio.TimeoutError, errors.WebSocketException) as error:
        log.warning("the sidecar's events cannot be reached (%s)", error)
        await refuse(receive, send, TRY_AGAIN)
        return
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    to_sidecar = asyncio.ensure_future(_to_sidecar(receive, upstream, errors))
    to_browser = asyncio.ensure_future(_to_browser(upstream, send, errors))
    try:
        done, _ = await asyncio.wait({to_sidecar, to_browser}, return_when=asyncio.FIRST_COMPLETED)
        if to_browser in done and to_browser.exception() is None:
            await send({"type": "websocket.close", "code": to_browser.result()})
    finally:
        to_sidecar.cancel()
        to_browser.cancel()
        await asyncio.gather(to_sidecar, to_browser, return_exceptions=True)
        await upstream.close()


async def _to_sidecar(receive: Any, upstream: Any, errors: Any) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        try:
            await upstream.send(text if text is not None else message.get("bytes") or b"")
        except errors.ConnectionClosed:
            return


async def _to_browser(upstream: Any, send: Any, errors: Any) -> int:
    """Pass on until the sidecar closes; returns the code for the browser."""
    while True:
        try:
            message = await upstream.recv()
        except errors.ConnectionClosed as closed:
            code = closed.rcvd.code if getattr(closed, "rcvd", None) else GOING_AWAY
            return code if code in (1000, 1001) or 3000 <= code < 5000 else TRY_AGAIN
        kind = "text" if isinstance(message, str) else "bytes"
        await send({"type": "websocket.send", kind: message})
