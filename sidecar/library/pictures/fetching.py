"""Fetches one picture or video from elsewhere, and never from this machine or its network (SSRF).

A name is looked up once, every address it has must be a public one, and the connection goes to an address that was
looked at: nothing in between asks the name server again. The same holds for each redirect. No cookies, no referrer, no
proxy, no credentials. http.client rather than requests, since it takes a connected socket as it is, which is what makes
both that and a limit on the whole time possible.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Collection
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from sidecar import __version__
from sidecar.errors import BadRequest, SidecarError
from sidecar.library.pictures.checking import TooLarge
from sidecar.library.previews import MAX_SOURCE, sniff

MAX_REDIRECTS = 5
_CHUNK = 65_536
_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_HEADERS = {
    "Accept": "image/*, video/*;q=0.9",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": f"LoRA-Manager/{__version__}",
}


class AddressRefused(BadRequest):
    """The address is not one that is fetched: no http, or within this machine's own network."""

    code = "address_refused"


class FetchFailed(SidecarError):
    """The server did not give the picture."""

    status = 502
    code = "fetch_failed"


class Limits(NamedTuple):
    """Times in seconds: for connecting to one address, between two pieces of the answer, and for everything together."""

    connect: float = 10.0
    idle: float = 15.0
    total: float = 60.0


class _Target(NamedTuple):
    """An address taken apart: `host` without brackets, in ASCII; `path` with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def shown(self) -> str:
        """The host as it stands in an address."""
        return f"[{self.host}]" if ":" in self.host else self.host


def fetch(
    url: str,
    *,
    limit: int = MAX_SOURCE,
    allowed_hosts: Collection[str] = (),
    limits: Limits = Limits(),
) -> tuple[bytes, str]:
    """The picture or video at an address, with the media type that its first bytes tell.

    Args:
        limit: bytes.
        allowed_hosts: "host:port" of servers that may be in the user's own network, since the user configured them.

    Raises:
        AddressRefused: not http or https, or it leads into this machine's network. FetchFailed: no answer, not in
        time, an error, no picture or video, cut short. TooLarge: more than `limit`.
    """
    deadline = time.monotonic() + limits.total
    for _ in range(MAX_REDIRECTS + 1):
        target = _parse(url)
        try:
            answer = _get(target, limit, allowed_hosts, limits, deadline)
        except TimeoutError as error:
            raise FetchFailed(f"{target.shown} did not answer in time; try again later.") from error
        except ssl.SSLCertVerificationError as error:
            raise FetchFailed(f"{target.shown} has no valid certificate: {error.verify_message}.") from error
        except OSError as error:
            raise FetchFailed(f"{target.shown} cannot be reached: {error.strerror or error}.") from error
        except http.client.IncompleteRead as error:
            raise _cut_short(target) from error
        except http.client.HTTPException as error:
            raise FetchFailed(f"{target.shown} gave no proper answer ({type(error).__name__}).") from error
        if not isinstance(answer, str):
            return answer
        url = urljoin(url, answer)
    raise FetchFailed(f"{target.shown} redirects on and on; there is no picture to be had.")


def _parse(url: str) -> _Target:
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        host = (
            (parts.hostname or "").encode("idna").decode()
            if ":" not in (parts.hostname or "")
            else parts.hostname
        )
    except (ValueError, UnicodeError) as error:
        raise AddressRefused(f"This is no address of a picture: {error}.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise AddressRefused("A picture's address begins with http:// or https://.")
    if parts.username is not None:
        raise AddressRefused("An address with a name and password in it is not fetched.")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~?[]")
    return _Target(
        parts.scheme,
        host,
        port or (443 if parts.scheme == "https" else 80),
        f"{path}?{query}" if query else path,
    )


def _get(
    target: _Target, limit: int, allowed_hosts: Collection[str], limits: Limits, deadline: float
) -> tuple[bytes, str] | str:
    """One request: the content with its media type, or where it redirects to."""
    addresses = _public_addresses(target, allowed_hosts)
    with _connect(target, addresses, limits, deadline) as connected:
        connection = http.client.HTTPConnection(target.host, target.port)
        wire: Any = _Wire(connected, limits.idle, deadline)
        connection.sock = wire
        usual = target.port == (443 if target.scheme == "https" else 80)
        host = target.shown if usual else f"{target.shown}:{target.port}"
        connection.request("GET", target.path, headers={**_HEADERS, "Host": host})
        with connection.getresponse() as response:
            if response.status in _REDIRECTS and response.getheader("Location"):
                return response.getheader("Location") or ""
            if response.status != 200:
                raise FetchFailed(
                    f"{target.shown} answered {response.status} {response.reason}".rstrip() + "."
                )
            return _read(target, response, limit)


def _public_addresses(target: _Target, allowed_hosts: Collection[str]) -> list[Any]:
    """What the name stands for, as (family, address), all of them public unless the server is an allowed one."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise FetchFailed(f"There is no server {target.shown}, or this machine is offline.") from error
    if f"{target.host.lower()}:{target.port}" not in allowed_hosts:
        for _, _, _, _, address in found:
            if not is_public(str(address[0])):
                raise AddressRefused(
                    f"{target.shown} is in this machine's own network; pictures are fetched only from the internet."
                )
    return [(family, address) for family, _, _, _, address in found]


def is_public(text: str) -> bool:
    """Whether an IP address is one of the internet, and not of this machine, its network, or of a group (multicast)."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo:
            inner = address.teredo[1]
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            address = inner
        elif address.is_site_local:
            return False
    return address.is_global and not address.is_multicast


def _connect(target: _Target, addresses: list[Any], limits: Limits, deadline: float) -> socket.socket:
    """A socket to the first address that answers, with TLS where the scheme wants it."""
    failure: OSError = OSError("it has no address")
    for family, address in addresses:
        connected = socket.socket(family, socket.SOCK_STREAM)
        try:
            connected.settimeout(_time_left(deadline, limits.connect))
            connected.connect(address)
            if target.scheme == "http":
                return connected
            connected.settimeout(_time_left(deadline, limits.connect))
            return _tls().wrap_socket(connected, server_hostname=target.host)
        except OSError as error:
            connected.close()
            failure = error
    raise failure


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The system's authorities and certifi's, since a Python of its own may come without any."""
    import certifi  # read only when something is fetched

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _read(target: _Target, response: http.client.HTTPResponse, limit: int) -> tuple[bytes, str]:
    declared = response.length
    if declared is not None and declared > limit:
        raise _too_large(target, limit)
    content = bytearray()
    media_type = None
    while chunk := response.read1(_CHUNK):
        content += chunk
        if len(content) > limit:
            raise _too_large(target, limit)
        if media_type is None and len(content) >= 16:
            media_type = sniff(bytes(content[:16]))
            if media_type is None:
                break
    if declared is not None and len(content) < declared and (media_type or len(content) < 16):
        raise _cut_short(target)
    if media_type is None:
        said = response.getheader("Content-Type", "").partition(";")[0][:80] or "something else"
        raise FetchFailed(f"{target.shown} sent no picture or video but {said}.")
    return bytes(content), media_type


def _too_large(target: _Target, limit: int) -> TooLarge:
    return TooLarge(f"What {target.shown} sends is larger than {limit / (1 << 20):.4g} MB.")


def _cut_short(target: _Target) -> FetchFailed:
    return FetchFailed(f"The answer of {target.shown} was cut short; try again.")


def _time_left(deadline: float, longest: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return min(left, longest)


class _Wire:
    """What http.client needs of a socket, each wait of it limited. It closes nothing: that is left to the owner."""

    def __init__(self, connected: socket.socket, idle: float, deadline: float) -> None:
        self._socket = connected
        self._idle = idle
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(_time_left(self._deadline, self._idle))
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Answer(self._socket, self._idle, self._deadline), _CHUNK)

    def close(self) -> None:
        pass


class _Answer(io.RawIOBase):
    """The receiving half of a socket, within the time there is."""

    def __init__(self, connected: socket.socket, idle: float, deadline: float) -> None:
        self._socket = connected
        self._idle = idle
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(_time_left(self._deadline, self._idle))
        return self._socket.recv_into(buffer)
