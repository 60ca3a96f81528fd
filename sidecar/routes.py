"""HTTP for the sidecar itself: health, session, events, tasks and settings."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Body, Depends, Query, Request, Response, WebSocket, WebSocketDisconnect

from sidecar import __version__
from sidecar.events import Event
from sidecar.preferences import change_settings, describe_settings
from sidecar.recommend.embeddings.status import embedding_status
from sidecar.responses import json_response
from sidecar.security import COOKIE
from sidecar.state import State, get_state

router = APIRouter(tags=["sidecar"])


@router.get("/health")
def get_health(state: Annotated[State, Depends(get_state)]) -> Response:
    """Whether it works, and what it holds."""
    count = (
        state.database.reader()
        .execute("SELECT count(*) FROM loras WHERE root_id IN (SELECT id FROM roots WHERE active)")
        .fetchone()[0]
    )
    embeddings = embedding_status(state)
    return json_response(
        {
            "status": "ok",
            "version": __version__,
            "schema": state.database.schema,
            "loras": count,
            "embeddings": {name: embeddings[name] for name in ("model", "pending")},
            "hashing": {"pending": state.library.hasher.status()["pending"]},
            "scanning": state.library.scanner.status.scanning,
            "host": state.settings.host_url,
            "data": str(state.settings.data),
        }
    )


@router.post("/session")
def open_session(request: Request, state: Annotated[State, Depends(get_state)]) -> Response:
    """Give a page that knows the token a cookie, so that pictures and the event stream need no token in their URL."""
    response = json_response({"status": "ok"})
    response.set_cookie(
        COOKIE, state.token, max_age=365 * 86_400, path="/", httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return response


@router.delete("/session")
def close_session() -> Response:
    """Take the cookie back."""
    response = json_response({"status": "ok"})
    response.delete_cookie(COOKIE, path="/")
    return response


@router.websocket("/events")
async def stream_events(websocket: WebSocket, after: int | None = None) -> None:
    """Events after number `after`, then each as it comes. The first message tells whether some were missed."""
    events = get_state(websocket).events
    await websocket.accept()
    missed = events.after(after) if after is not None else []
    position = events.last if missed is None or after is None else after
    try:
        await websocket.send_json({"n": position, "type": "hello", "data": {"reset": missed is None}})
        async with anyio.create_task_group() as tasks:

            async def watch_for_close() -> None:
                while (await websocket.receive())["type"] != "websocket.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch_for_close)
            while not events.closed:
                for event in events.after(position) or []:
                    await websocket.send_json(_message(event))
                    position = event.n
                await events.wait(position)
            tasks.cancel_scope.cancel()
    except (WebSocketDisconnect, RuntimeError):
        pass  # the page has gone


@router.get("/events/next")
async def get_next_events(
    state: Annotated[State, Depends(get_state)],
    after: int | None = None,
    types: str = "",
    wait: Annotated[float, Query(ge=0, le=60)] = 25,
) -> Response:
    """For programs that know no WebSocket: events after number `after`, waiting up to `wait` seconds for the first one
    of `types` (separated by commas; default all). Without `after` it answers at once with the number to begin with."""
    events = state.events
    wanted = set(types.split(",")) - {""}
    position = events.last if after is None else after
    found: list[Event] = []
    missed = events.after(position) is None
    with anyio.move_on_after(0 if after is None else wait):
        while not missed and not found and not events.closed:
            await events.wait(position)
            newer = events.after(position)
            missed = newer is None
            found = [event for event in newer or () if not wanted or event.type in wanted]
            position = newer[-1].n if newer else position
    position = events.last if missed else position
    return json_response({"n": position, "reset": missed, "items": [_message(event) for event in found]})


def _message(event: Event) -> dict[str, Any]:
    return {"n": event.n, "type": event.type, "data": event.data}


@router.get("/tasks")
def get_tasks(state: Annotated[State, Depends(get_state)]) -> Response:
    """Longer work that runs or ended lately, newest first."""
    items = [task.describe() for task in state.tasks.all()]
    return json_response({"items": items, "total": len(items), "next_cursor": None})


@router.get("/tasks/{task_id}")
def get_task(task_id: int, state: Annotated[State, Depends(get_state)]) -> Response:
    """One task."""
    return json_response(state.tasks.get(task_id).describe())


@router.post("/tasks/{task_id}/cancel")
def cancel_task(task_id: int, state: Annotated[State, Depends(get_state)]) -> Response:
    """Ask a task to stop at its next step; what it did so far stays."""
    return json_response(state.tasks.cancel(task_id).describe())


@router.get("/settings")
def get_settings(state: Annotated[State, Depends(get_state)]) -> Response:
    """The settings that may change while it runs; secrets only as whether they are set."""
    return json_response(describe_settings(state.settings))


@router.patch("/settings")
def patch_settings(
    changes: Annotated[dict[str, Any], Body()], state: Annotated[State, Depends(get_state)]
) -> Response:
    """Change settings for this run and the next ones; null takes one back to its default."""
    change_settings(state.settings, changes)
    state.library.write_back.wake(again=True)
    state.events.publish("settings.changed")
    return json_response(describe_settings(state.settings))
