"""The ways a request can fail; `app` maps each to a status and the error envelope in one place."""

from __future__ import annotations

from typing import Any


class SidecarError(Exception):
    """A failure with a code for programs and a message that tells a person what to do."""

    status = 500
    code = "internal"

    def __init__(self, message: str, detail: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class NotFound(SidecarError):
    """What was asked for is not in the catalogue."""

    status = 404
    code = "not_found"


class BadRequest(SidecarError):
    """The request cannot mean anything."""

    status = 400
    code = "bad_request"


class Unauthorized(SidecarError):
    """No token, or a wrong one."""

    status = 401
    code = "unauthorized"


class Forbidden(SidecarError):
    """The right token from the wrong place: another origin's page."""

    status = 403
    code = "forbidden"


class WrongHost(SidecarError):
    """The Host header names no address this process serves (DNS rebinding)."""

    status = 421
    code = "wrong_host"


class Conflict(SidecarError):
    """It cannot be done as things are now: a name is taken, or somebody changed the same thing meanwhile."""

    status = 409
    code = "conflict"


class Unavailable(SidecarError):
    """The database or disk cannot take the request now; nothing was changed."""

    status = 503
    code = "unavailable"


class StartError(Exception):
    """The sidecar cannot start; the message is one line that says what to do."""

    exit_code = 2


class DataFolderInUse(StartError):
    """Another sidecar holds the data folder."""

    exit_code = 3
