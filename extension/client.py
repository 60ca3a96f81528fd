"""Speaks to the sidecar from the host's worker threads: JSON over one kept-open connection, within a time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

CONNECT_SECONDS = 0.5
PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class Endpoint:
    """Where a sidecar listens, and what it wants to see from those who ask."""

    url: str
    token: str


class Unavailable(Exception):
    """The sidecar cannot be asked now; the message says why."""


class Refused(Exception):
    """The sidecar answered with an error of its own; asking the same again is no use.

    status: of the HTTP answer; 200 when its content is what is wrong.
    """

    def __init__(self, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.status = status


def open_client(endpoint: Endpoint) -> httpx.Client:
    """A client for one endpoint. Proxies of the environment are for the internet and stay out of it."""
    return httpx.Client(
        base_url=f"{endpoint.url}/api/v1/",
        headers={"Authorization": f"Bearer {endpoint.token}"},
        verify=endpoint.url.startswith("https:"),
        trust_env=False,
        limits=httpx.Limits(max_connections=8, max_keepalive_connections=4, keepalive_expiry=60),
    )


class Client:
    """Asks whatever sidecar `endpoint` names at the time.

    After a time-out it does not ask again for a while, so that a stuck sidecar costs one generation its time, not each.
    """

    def __init__(
        self, endpoint: Callable[[], Endpoint | None], on_trouble: Callable[[], None] = lambda: None
    ) -> None:
        self._endpoint = endpoint
        self._on_trouble = on_trouble
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._of: Endpoint | None = None
        self._paused_until = 0.0

    def _open(self) -> httpx.Client:
        endpoint = self._endpoint()
        if endpoint is None:
            raise Unavailable("the sidecar is not running yet")
        with self._lock:
            if self._client is None or self._of != endpoint:
                if self._client is not None:
                    self._client.close()
                self._client, self._of = open_client(endpoint), endpoint
            return self._client

    def resume(self) -> None:
        """The sidecar has been seen to answer: ask it again, and open the connection before it is needed."""
        self._paused_until = 0.0

    def post(self, path: str, content: dict[str, Any], seconds: float) -> Any:
        """Send `content` and return the answer. Raises: as `send`."""
        return self.send("POST", path, content, seconds)

    def send(self, method: str, path: str, content: dict[str, Any], seconds: float) -> Any:
        """Send `content` and return the answer.

        Raises:
            Unavailable: not running, not reachable, or no answer within `seconds`.
            Refused: an answer other than 2xx.
        """
        if time.monotonic() < self._paused_until:
            raise Unavailable("the sidecar did not answer in time a moment ago")
        client = self._open()
        connect = min(CONNECT_SECONDS, seconds / 2)
        limits = httpx.Timeout(seconds - connect, connect=connect)
        try:
            response = client.request(method, path, json=content, timeout=limits)
        except httpx.TimeoutException as error:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            self._on_trouble()
            raise Unavailable(f"the sidecar gave no answer within {seconds:g} s") from error
        except httpx.HTTPError as error:
            self._on_trouble()
            raise Unavailable(f"the sidecar cannot be reached ({error})") from error
        if response.status_code // 100 != 2:
            reason = f"the sidecar answered {response.status_code}: {_message(response)}"
            raise Refused(reason, response.status_code)
        try:
            return response.json()
        except ValueError as error:
            raise Refused("the sidecar's answer is not JSON") from error


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
