"""Decides who may pass to the sidecar: its API does whatever a request with its token asks, and the proxy adds that token.

Three questions, each with its own answer: is the request from this very page (Origin, Sec-Fetch-Site), was the page
opened under a name of this machine (against DNS rebinding, where the host has no login), has the user logged in.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from secrets import compare_digest
from typing import Any
from urllib.parse import urlsplit

from . import host

PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True)
class Refusal:
    """Why a request may not pass, as an HTTP status, a code for programs and a sentence for people."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)


def check(scope: Mapping[str, Any], app: Any, names: Sequence[str] = ()) -> Refusal | None:
    """None when the request may pass. `names`: further host names the user trusts."""
    headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
    return (
        _check_origin(headers, scope.get("method", "GET"), names)
        or _check_login(headers, app)
        or _check_name(headers, app, names)
    )


def _check_origin(headers: Mapping[str, str], method: str, names: Sequence[str]) -> Refusal | None:
    origin, address = headers.get("origin"), headers.get("host", "")
    if origin is not None:
        if not _same_place(origin, address) and not (_is_named(urlsplit(origin).hostname or "", names)):
            return Refusal(
                403, "wrong_origin", f"Requests from {origin[:100]} are not let through to {address[:100]}."
            )
        return None
    site = headers.get("sec-fetch-site", "same-origin")
    if site in ("same-origin", "none"):
        return None
    # a link that somebody clicks may open the page, nothing else may reach in from another site
    followed = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if followed and method in ("GET", "HEAD"):
        return None
    return Refusal(403, "wrong_origin", "Requests from other sites are not let through.")


def _same_place(origin: str, address: str) -> bool:
    """Whether an Origin names the host and port of a Host header (behind TLS that ends at a proxy, too)."""
    try:
        ours, theirs = urlsplit(f"//{address}"), urlsplit(origin)
        default = PORTS.get(theirs.scheme)
        same_port = (theirs.port or default) == (ours.port or default)
    except ValueError:
        return False
    return default is not None and bool(theirs.hostname) and theirs.hostname == ours.hostname and same_port


def _check_login(headers: Mapping[str, str], app: Any) -> Refusal | None:
    if not host.has_login(app) or _has_cookie(headers, app) or _has_password(headers, app):
        return None
    challenge = {}
    # only a page that is opened gets the browser's own password box; scripts get the plain answer
    if host.basic_credentials(app) and headers.get("sec-fetch-mode", "navigate") == "navigate":
        challenge["WWW-Authenticate"] = 'Basic realm="LoRA Manager"'
    return Refusal(401, "not_signed_in", "Sign in to the host first, then open this page again.", challenge)


def _has_cookie(headers: Mapping[str, str], app: Any) -> bool:
    """A login of gradio 3 (`access-token`, `access-token-unsecure`) or 4 (the same with `-` and an id behind)."""
    pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
    tokens = [value.strip('"') for name, _, value in pairs if name.startswith("access-token") and value]
    return any(token in each.tokens for each in host.login_apps(app) for token in tokens)


def _has_password(headers: Mapping[str, str], app: Any) -> bool:
    kind, _, encoded = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return False
    try:
        user, found, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    if not found:
        return False
    wanted = host.basic_credentials(app)
    right = compare_digest(password.encode(), wanted.get(user, "").encode()) and user in wanted
    # SDNext's page script sends the login token as the password (authFetch)
    as_token = user in wanted and any(password in each.tokens for each in host.login_apps(app))
    return right or as_token


def _check_name(headers: Mapping[str, str], app: Any, names: Sequence[str]) -> Refusal | None:
    if host.has_login(app):
        return None  # a rebound name carries no login
    try:
        name = (urlsplit(f"//{headers.get('host', '')}").hostname or "").rstrip(".")
    except ValueError:
        name = ""
    if name and (is_local_name(name) or _is_named(name, [*names, *host.own_names()])):
        return None
    return Refusal(
        421,
        "unknown_name",
        f"This host has no login, so LoRA Manager answers only under names of this machine, not under {name[:100]!r}. "
        "Add the name in Settings, LoRA Manager, Further host names, or start the host with a login.",
    )


def is_local_name(name: str) -> bool:
    """IP addresses, this machine's names, and names that no public DNS can hold."""
    name = name.lower()
    try:
        ipaddress.ip_address(name.split("%")[0])
        return True
    except ValueError:
        pass
    local_endings = (".localhost", ".local", ".lan", ".internal", ".home.arpa")
    return "." not in name or name.endswith(local_endings) or name == socket.gethostname().lower()


def _is_named(name: str, names: Sequence[str]) -> bool:
    """Whether a name is in a list whose entries are names, with or without a port, or endings like `.example.org`."""
    name = name.lower()
    for entry in names:
        wanted = entry.lower().split("//")[-1].split("/")[0].split(":")[0]
        if wanted and (name == wanted or (wanted.startswith(".") and name.endswith(wanted))):
            return True
    return False
