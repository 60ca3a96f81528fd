"""The one door: token or cookie, Host and Origin. Plain ASGI, so that HTTP and WebSocket pass the same checks."""

from __future__ import annotations

import hmac
import os
import secrets
import tempfile
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sidecar.errors import Forbidden, SidecarError, StartError, Unauthorized, WrongHost
from sidecar.responses import error_response

COOKIE = "lora_manager"
TOKEN_FILE = "token"
_LOCAL = {"127.0.0.1", "localhost", "::1"}
_READING = {"GET", "HEAD", "OPTIONS"}


def load_token(data: Path, given: str | None) -> str:
    """The token of this data folder: the given one, else the kept one, else a new one that only its owner can read.

    Raises:
        StartError: the file cannot be read or written.
    """
    path = data / TOKEN_FILE
    try:
        if given is None and path.exists():
            kept = path.read_text().strip()
            if len(kept) >= 16:
                return kept
        token = given or secrets.token_urlsafe(32)
        handle, temporary = tempfile.mkstemp(dir=data)  # mode 0600 from the start
        with os.fdopen(handle, "w") as file:
            file.write(token)
        os.replace(temporary, path)
    except OSError as error:
        raise StartError(f"The token file {path} cannot be used: {error.strerror or error}.") from error
    return token


class Door:
    """Lets a request in when it may; answers with the error envelope when not.

    The API needs the token as `Authorization: Bearer`, or the cookie that `POST session` gave. A cookie counts only
    for a page of this very address: writing requests and WebSockets must carry a matching Origin. The app's own files
    are open, since they hold no data.
    """

    def __init__(self, app: ASGIApp, token: str, allowed_hosts: list[str], prefix: str = "/api/") -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = _LOCAL | {host.lower() for host in allowed_hosts}
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            try:
                self._check(scope)
            except SidecarError as error:
                await _refuse(error, scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if (urlsplit(f"//{host}").hostname or "").lower() not in self._hosts and "*" not in self._hosts:
            raise WrongHost(
                f"This address ({host!r}) is not served; add it to the setting allowed_hosts if it should be."
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise Forbidden("Another site's page asked for this; only the app's own page may.")
        if not scope["path"].startswith(self._prefix):
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._matches(given):
            return
        if not self._matches(_cookie(headers)):
            raise Unauthorized(
                f"The request needs the token; it is in the file {TOKEN_FILE} of the data folder."
            )
        writes = scope["type"] == "websocket" or scope["method"] not in _READING
        if writes and origin is None:
            raise Forbidden("A request with the cookie needs an Origin header; use the token instead.")

    def _matches(self, given: str) -> bool:
        return hmac.compare_digest(given.strip().encode(), self._token)


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


async def _refuse(error: SidecarError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 4401 if isinstance(error, Unauthorized) else 4403})
        return
    await error_response(error)(scope, receive, send)
