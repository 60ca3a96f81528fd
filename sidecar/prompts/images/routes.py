"""HTTP for prompts out of pictures."""

from __future__ import annotations

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response

from sidecar.errors import SidecarError
from sidecar.prompts.images.matching import match_picture
from sidecar.prompts.images.reading import read_picture
from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["prompts"])

MAX_PICTURE = 100 * 2**20


class NothingToRead(SidecarError):
    """A picture that tells nothing of its making."""

    status = 422
    code = "no_infotext"


class PictureTooLarge(SidecarError):
    """More bytes than a picture has."""

    status = 413
    code = "too_large"


@router.post("/prompts/image")
async def post_image(request: Request, state: Annotated[State, Depends(get_state)]) -> Response:
    """What a picture tells of its making: the body is the picture, only its texts are read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_PICTURE:
            raise PictureTooLarge(f"A picture may have up to {MAX_PICTURE >> 20} MB.")
    return await anyio.to_thread.run_sync(_answer, state, bytes(body))


def _answer(state: State, content: bytes) -> Response:
    found = read_picture(content)
    if found is None:
        raise NothingToRead(
            "This picture tells nothing of its making. Programs that send pictures on (chats, social media) often take it out: "
            "use the original file."
        )
    return json_response(match_picture(state.database, found))
