"""Civitai's API over HTTP (https://github.com/civitai/civitai/wiki/REST-API-Reference): polite, patient, never trusting.

Every call has time limits; 429, 5xx and broken connections are tried again with growing pauses. The key is sent as
Authorization to the configured address alone: never in a URL, and not after a redirect to another place.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

import orjson

from sidecar import __version__
from sidecar.errors import SidecarError
from sidecar.library.foreign import as_id
from sidecar.settings import Settings
from sidecar.tasks import Cancelled

if TYPE_CHECKING:
    import requests

log = logging.getLogger("lora-manager.civitai")

BATCH = 100
TIMES = 5
PAUSE_SECONDS = 0.4
BACKOFF_SECONDS = 2.0
LONGEST_PAUSE = 120.0
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
MAX_ANSWER = 64 * 1024 * 1024
MAX_REDIRECTS = 5


class CivitaiTrouble(SidecarError):
    """Civitai, or the address that stands for it, did not give what was asked for; the message says what to do."""

    status = 502
    code = "civitai"


class KeyNeeded(CivitaiTrouble):
    """Civitai wants to know who asks."""

    code = "civitai_key"


class Unreachable(CivitaiTrouble):
    """No sense in the answers after all tries: asking for something else would end the same way."""


class _Again(Exception):
    """Worth another try, after so many seconds if the other side named them."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Client:
    """One conversation with Civitai. `cancelled` ends waiting; then the calls raise `Cancelled`.

    With `within`, seconds for all of it, nothing is tried or waited for after that time.
    """

    def __init__(
        self, settings: Settings, cancelled: threading.Event | None = None, *, within: float | None = None
    ) -> None:
        import requests  # takes its time, and most starts never need it

        self._settings = settings
        self._cancelled = cancelled or threading.Event()
        self._last = 0.0
        self._deadline = None if within is None else time.monotonic() + within
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"lora-manager/{__version__}"
        self.failures: tuple[type[Exception], ...] = (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        )
        self._error: type[Exception] = requests.RequestException

    def close(self) -> None:
        """Drop the connections."""
        self._session.close()

    def version_by_hash(self, sha256: str) -> dict[str, Any] | None:
        """The model version that has a file of this SHA256, None when there is none."""
        return self._object("GET", f"model-versions/by-hash/{quote(sha256)}")

    def versions_by_hash(self, hashes: list[str]) -> list[dict[str, Any]]:
        """The model versions of up to 100 SHA256, in any order; those that are not known are left out."""
        answer = self._json("POST", "model-versions/by-hash", hashes)
        if answer is None:  # a mirror without the batch
            found = (self.version_by_hash(sha256) for sha256 in hashes)
            return [version for version in found if version]
        if not isinstance(answer, list):
            raise CivitaiTrouble(
                f"{self._name} answered a question for hashes with something else than a list."
            )
        return [version for version in answer if isinstance(version, dict)]

    def version(self, version_id: int) -> dict[str, Any] | None:
        """A model version, None when there is none."""
        return self._object("GET", f"model-versions/{version_id}")

    def model(self, model_id: int) -> dict[str, Any] | None:
        """A model with its versions, newest first, None when there is none."""
        return self._object("GET", f"models/{model_id}")

    def models(self, model_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Up to 100 models by id; those that are not known are left out."""
        ids = ",".join(map(str, model_ids))
        answer = self._object("GET", f"models?ids={ids}&limit={BATCH}&nsfw=true") or {}
        items = answer.get("items")
        if not isinstance(items, list):
            raise CivitaiTrouble(
                f"{self._name} answered a question for models with something else than a list."
            )
        found = ((as_id(item.get("id")), item) for item in items if isinstance(item, dict))
        return {model_id: item for model_id, item in found if model_id is not None}

    def archived(self, sha256: str) -> dict[str, Any] | None:
        """What the archive has of a SHA256, in its own shape; None when it has nothing, or no archive is set."""
        base = self._settings.civitai_archive_url
        if not base:
            return None
        answer = self._patiently("GET", f"{base.rstrip('/')}/api/sha256/{quote(sha256.lower())}", None)
        if answer is not None and not isinstance(answer, dict):
            raise CivitaiTrouble(f"{urlsplit(base).netloc} answered with something else than an object.")
        return answer

    @contextmanager
    def download(self, url: str, start: int) -> Iterator[requests.Response]:
        """The open answer for a file, from byte `start` on where the other side can; follows redirects itself.

        Raises:
            KeyNeeded, CivitaiTrouble: it is refused. OSError (of requests): the connection fails.
        """
        headers = {"Range": f"bytes={start}-"} if start else {}
        response = self._follow(url, headers)
        try:
            self._refuse_bad_download(response)
            yield response
        finally:
            response.close()

    def _follow(self, url: str, headers: dict[str, str]) -> requests.Response:
        for _ in range(MAX_REDIRECTS + 1):
            if urlsplit(url).scheme not in ("http", "https"):
                raise CivitaiTrouble("The download leads to an address that is no web address.")
            response = self._send("GET", url, headers=headers, stream=True)
            target = response.headers.get("Location")
            if response.status_code not in (301, 302, 303, 307, 308) or not target:
                return response
            response.close()
            url = urljoin(url, target)
        raise CivitaiTrouble("The download is passed on from one address to the next without end.")

    def _refuse_bad_download(self, response: requests.Response) -> None:
        status = response.status_code
        if status in (401, 403):
            raise KeyNeeded(
                "Civitai gives this file only to somebody it knows: set your API key in the settings (and see on the "
                "model's page whether it is in early access)."
            )
        if status == 404:
            raise CivitaiTrouble("Civitai no longer has this file.")
        if status not in (200, 206, 416):
            raise CivitaiTrouble(f"The download was answered with {status}; try again later.")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise KeyNeeded(
                "Civitai answered with a web page, which usually means: sign in. Set your API key."
            )

    @property
    def _name(self) -> str:
        return urlsplit(self._settings.civitai_url).netloc

    def _object(self, method: str, path: str) -> dict[str, Any] | None:
        answer = self._json(method, path)
        if answer is not None and not isinstance(answer, dict):
            raise CivitaiTrouble(
                f"{self._name} answered {path.partition('?')[0]} with something else than an object."
            )
        return answer

    def _json(self, method: str, path: str, body: Any = None) -> Any:
        return self._patiently(method, f"{self._settings.civitai_url.rstrip('/')}/api/v1/{path}", body)

    def _patiently(self, method: str, url: str, body: Any) -> Any:
        """The answer's JSON, None for 404 (and for 405 to a POST).

        Raises:
            Unreachable: no sense in it after several tries. CivitaiTrouble: refused. Cancelled: told to stop.
        """
        place = urlsplit(url).netloc
        for attempt in range(TIMES):
            try:
                return self._once(method, url, body)
            except _Again as reason:
                pause = BACKOFF_SECONDS * 2**attempt * random.uniform(0.75, 1.25)
                pause = min(LONGEST_PAUSE, pause if reason.after is None else reason.after)
                if attempt == TIMES - 1 or pause >= self._left(math.inf):
                    raise Unreachable(f"{place} {reason}; try again later.") from reason
                self._wait(pause)
                log.info("%s %s; asked again.", place, reason)
        raise AssertionError("the last attempt raises")

    def _once(self, method: str, url: str, body: Any) -> Any:
        self._wait(self._last + PAUSE_SECONDS - time.monotonic())
        try:
            response = self._send(method, url, json=body, stream=True)
            with response:
                return self._read(response)
        except self.failures as error:
            raise _Again(f"cannot be reached ({type(error).__name__})") from error
        except self._error as error:
            place = urlsplit(url).netloc
            raise CivitaiTrouble(f"{place} cannot be asked: {type(error).__name__}.") from None
        finally:
            self._last = time.monotonic()

    def _read(self, response: requests.Response) -> Any:
        status = response.status_code
        if status == 429:
            raise _Again("asks for a slower pace", _seconds(response.headers.get("Retry-After")))
        if status >= 500:
            raise _Again(f"has trouble of its own ({status})")
        if status == 404 or (status == 405 and response.request.method == "POST"):
            return None
        if status in (401, 403) and _origin(response.url) == _origin(self._settings.civitai_url):
            raise KeyNeeded("Civitai refuses this without a valid API key; set one in the settings.")
        if status != 200:
            raise CivitaiTrouble(f"{urlsplit(response.url).netloc} answered with {status}.")
        content = bytearray()
        for chunk in response.iter_content(1 << 16):
            content += chunk
            if len(content) > MAX_ANSWER:
                raise CivitaiTrouble(
                    f"{urlsplit(response.url).netloc} sends more than {MAX_ANSWER >> 20} MB of data."
                )
        try:
            return orjson.loads(bytes(content))
        except orjson.JSONDecodeError as error:
            what = "a web page" if content.lstrip()[:1] == b"<" else "damaged data"
            raise _Again(f"answers with {what} instead of its data") from error

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        key = self._settings.civitai_key
        own = _origin(url) == _origin(self._settings.civitai_url)

        # an auth function also keeps requests from using a password of ~/.netrc
        def sign(request: Any) -> Any:
            if key is not None and own:
                request.headers["Authorization"] = f"Bearer {key.get_secret_value()}"
            return request

        return self._session.request(
            method,
            url,
            auth=sign,
            timeout=(self._left(CONNECT_SECONDS) or 0.1, self._left(READ_SECONDS) or 0.1),
            allow_redirects=False,
            **options,
        )

    def _left(self, seconds: float) -> float:
        """No more than `seconds`, nor than what is left of the time for all."""
        if self._deadline is None:
            return seconds
        return min(seconds, max(0.0, self._deadline - time.monotonic()))

    def _wait(self, seconds: float) -> None:
        if self._cancelled.wait(max(0.0, seconds)):
            raise Cancelled


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _seconds(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After header; a date counts as not given."""
    try:
        return min(LONGEST_PAUSE, max(0.0, float(retry_after))) if retry_after else None
    except ValueError:
        return None
