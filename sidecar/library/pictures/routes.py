"""HTTP for setting previews, and for pictures from elsewhere that the user asked to see."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import FileResponse

from sidecar.errors import BadRequest, SidecarError
from sidecar.library.civitai.stored import picture_of
from sidecar.library.pictures.checking import too_large
from sidecar.library.pictures.fetching import fetch
from sidecar.library.pictures.kept import keep_picture
from sidecar.library.pictures.remote import configured_hosts, description_picture, example_picture
from sidecar.library.pictures.setting import read_generated, remove_preview, set_preview
from sidecar.library.previews import MAX_SOURCE
from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["previews"])

Sidecar = Annotated[State, Depends(get_state)]
T = TypeVar("T")

# Waiting for servers elsewhere may take no more than this many of the threads that answer the page.
_FETCHING = anyio.CapacityLimiter(4)
_HEADERS = {
    "Cache-Control": "private, max-age=86400",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/*", "video/*")
        },
    }
}


class WrongType(SidecarError):
    """The body says of itself that it is neither picture nor video."""

    status = 415
    code = "wrong_type"


@router.put("/loras/{lora_id}/preview", openapi_extra=_BODY)
async def put_preview(lora_id: int, request: Request, state: Sidecar) -> Response:
    """Set an uploaded picture or video as the preview."""
    kind = request.headers.get("content-type", "").strip().lower()
    if not kind.startswith(("image/", "video/")):
        raise WrongType(
            "Send the picture or video itself as the body, with its content-type image/… or video/…."
        )
    content = await _read_body(request)
    return _changed(await anyio.to_thread.run_sync(partial(set_preview, state, lora_id, content)))


class PreviewSource(BaseModel):
    """Where the preview comes from: an address, what Civitai shows of a LoRA that was looked up, or a picture (its index
    or path) of a recorded generation."""

    url: Annotated[str, Field(max_length=8_000)] | None = None
    civitai: bool = False
    generation: int | None = None
    image: Annotated[int, Field(ge=0)] | Annotated[str, Field(max_length=4_096)] = 0


@router.post("/loras/{lora_id}/preview")
async def post_preview(lora_id: int, source: PreviewSource, state: Sidecar) -> Response:
    """Set a picture or video from elsewhere as the preview."""
    if [source.url is not None, source.civitai, source.generation is not None].count(True) != 1:
        raise BadRequest("Say where the preview is to come from: one of url, civitai or generation.")
    if source.generation is None:
        url = source.url
        if url is None:
            url = await anyio.to_thread.run_sync(picture_of, state.database, lora_id)
        hosts = configured_hosts(state.settings)
        fetched = await _fetching(partial(fetch, url, limit=MAX_SOURCE, allowed_hosts=hosts))
        content = fetched[0]
    else:
        generated = partial(read_generated, state.database, source.generation, source.image)
        content = await anyio.to_thread.run_sync(generated)
    return _changed(await anyio.to_thread.run_sync(partial(set_preview, state, lora_id, content)))


@router.delete("/loras/{lora_id}/preview")
def delete_preview(lora_id: int, state: Sidecar) -> Response:
    """Put the preview into the trash."""
    return _changed(remove_preview(state, lora_id))


@router.get("/loras/{lora_id}/examples/{number}/picture")
async def get_example_picture(lora_id: int, number: int, state: Sidecar) -> Response:
    """The picture of an example, fetched from where it is when it is first asked for."""
    return await _remote(state, partial(example_picture, state.database, lora_id, number))


@router.get("/loras/{lora_id}/pictures/{number}")
async def get_description_picture(lora_id: int, number: int, state: Sidecar) -> Response:
    """A picture of the description, fetched from where it is when it is first asked for."""
    return await _remote(state, partial(description_picture, state.database, lora_id, number))


async def _remote(state: State, find: Callable[[], str]) -> Response:
    url = await anyio.to_thread.run_sync(find)
    folder, hosts = state.settings.data / "pictures", configured_hosts(state.settings)
    picture = await _fetching(partial(keep_picture, folder, url, allowed_hosts=hosts))
    return FileResponse(picture.path, media_type=picture.media_type, headers=_HEADERS)


async def _fetching(work: Callable[[], T]) -> T:
    return await anyio.to_thread.run_sync(work, limiter=_FETCHING)


async def _read_body(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_SOURCE:
            raise too_large()
    return bytes(content)


def _changed(outcome: tuple[int, dict[str, Any] | None]) -> Response:
    action, preview = outcome
    return json_response({"action": action, "preview": preview})
