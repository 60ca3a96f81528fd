"""The FastAPI application: the routes of every part, errors and the app's own files."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from sidecar import __version__
from sidecar.backup.routes import router as backup_router
from sidecar.errors import BadRequest, SidecarError, Unavailable
from sidecar.generation.routes import router as generation_router
from sidecar.library.civitai.routes import router as civitai_router
from sidecar.library.files.routes import router as files_router
from sidecar.library.organise.routes import router as organise_router
from sidecar.library.pictures.routes import router as pictures_router
from sidecar.library.routes import router as library_router
from sidecar.library.weights.routes import router as weights_router
from sidecar.prompts.complete_routes import router as complete_router
from sidecar.prompts.images.routes import router as images_router
from sidecar.prompts.routes import router as prompts_router
from sidecar.prompts.sets.routes import router as sets_router
from sidecar.recommend.map.routes import router as map_router
from sidecar.recommend.routes import router as recommend_router
from sidecar.recommend.use.routes import router as use_router
from sidecar.recommend.weightspace.routes import router as weightspace_router
from sidecar.responses import error_response
from sidecar.routes import router as sidecar_router
from sidecar.security import Door
from sidecar.state import State

log = logging.getLogger("lora-manager.http")

WEB = Path(__file__).parent / "web"
THREADS = 16  # each keeps a reader connection with its page cache; some wait for thumbnails
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'self'; frame-ancestors 'self'"
)

# The fixed addresses of a part before another part's `loras/{lora_id}`.
ROUTERS = (
    sidecar_router,
    organise_router,
    files_router,
    weights_router,
    civitai_router,
    pictures_router,
    library_router,
    prompts_router,
    images_router,
    sets_router,
    complete_router,
    generation_router,
    recommend_router,
    use_router,
    weightspace_router,
    map_router,
    backup_router,
)


def make_app(state: State) -> ASGIApp:
    """The whole sidecar over HTTP, behind its door."""
    app = FastAPI(
        title="LoRA Manager",
        version=__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
    )
    app.state.sidecar = state
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1")
    app.add_exception_handler(SidecarError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(sqlite3.OperationalError, _on_database_error)
    app.add_exception_handler(Exception, _on_crash)
    app.mount("/", _AppFiles(directory=WEB, html=True, check_dir=False))
    return Door(app, state.token, [*state.settings.allowed_hosts, state.settings.bind])


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


class _AppFiles(StaticFiles):
    """The app's files: always asked for again (with an ETag), under a strict content policy."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SidecarError)
    return error_response(error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    detail = [{"where": ".".join(map(str, one["loc"])), "message": one["msg"]} for one in error.errors()]
    failure = BadRequest(f"{where}: {first['msg']}", detail)
    failure.status, failure.code = 422, "invalid"
    return error_response(failure)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    failure = SidecarError(
        f"{request.method} {request.url.path}: {error.detail}. The addresses are in /api/v1/openapi.json."
    )
    failure.status = error.status_code
    failure.code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
    return error_response(failure)


async def _on_database_error(request: Request, error: Exception) -> Response:
    return error_response(Unavailable(f"The database cannot answer now: {error}. Try again in a moment."))


async def _on_crash(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return error_response(SidecarError("Something went wrong inside; the log has it."))
