"""Answers: JSON made by orjson, and the error envelope `{"error": {"code", "message", "detail"}}`."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from sidecar.errors import SidecarError


def json_response(content: Any, status: int = 200) -> Response:
    """`content` as JSON."""
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")


def error_response(error: SidecarError) -> Response:
    """The envelope, with the status that the error's class has."""
    return json_response(
        {"error": {"code": error.code, "message": error.message, "detail": error.detail}}, error.status
    )
