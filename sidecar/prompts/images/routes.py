"""HTTP for prompts out of pictures."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response

from sidecar.errors import BadRequest, SidecarError
from sidecar.prompts.compose import MAX_PROMPT
from sidecar.prompts.images.matching import match_picture
from sidecar.prompts.images.reading import read_picture
from sidecar.responses import json_response
from sidecar.state import State, get_state

router = APIRouter(tags=["prompts"])

MAX_PICTURE = 100 * 2**20
# Pictures read at once, so that other requests are not kept waiting.
_READING = anyio.CapacityLimiter(2)
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class NothingToRead(SidecarError):
    """A picture that tells nothing of its making."""

    status = 422
    code = "no_infotext"


class PictureTooLarge(SidecarError):
    """More bytes than a picture has."""

    status = 413
    code = "too_large"


@router.post("/prompts/image", openapi_extra=_BODY)
async def post_image(request: Request, state: Annotated[State, Depends(get_state)]) -> Response:
    """What a picture tells of its making: the body is the picture, only its texts are read."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_PICTURE:
            raise PictureTooLarge(
                f"The picture is larger than {MAX_PICTURE >> 20} MB; a smaller copy made by its own program will do."
            )
    return await anyio.to_thread.run_sync(partial(_answer, state, content), limiter=_READING)


def _answer(state: State, content: bytearray) -> Response:
    found = read_picture(content)
    if found is None:
        raise NothingToRead(
            "This picture tells nothing of its making. Chats and social networks often take that out: use the original file."
        )
    if max(len(found.prompt), len(found.negative_prompt)) > MAX_PROMPT:
        raise BadRequest("The prompt in this picture is too long to be one.")
    return json_response(match_picture(state.database, found))
