"""HTTP for file operations and the trash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field
from starlette.responses import FileResponse

from sidecar.errors import Conflict, NotFound
from sidecar.library.files import desktop, operations, trash
from sidecar.library.files.batch import FAILED, Outcome
from sidecar.library.files.organise import organise_loras
from sidecar.library.files.purging import empty_trash
from sidecar.library.files.template import FIELDS, read_template
from sidecar.library.organise.selection import MAX_IDS, Selection, selected_ids
from sidecar.responses import json_response
from sidecar.state import State, get_state
from sidecar.tasks import Task

router = APIRouter(tags=["files"])

Sidecar = Annotated[State, Depends(get_state)]
TASK_FROM = 200


class Rename(BaseModel):
    """The new name, as it goes into a prompt: without folder and ending."""

    name: Annotated[str, Field(max_length=1_000)]


@router.post("/loras/{lora_id}/rename")
def rename_lora(lora_id: int, request: Rename, state: Sidecar) -> Response:
    """Rename a LoRA's files."""
    return json_response(operations.rename_lora(state, lora_id, request.name).describe())


@router.delete("/loras/{lora_id}")
def delete_lora(lora_id: int, state: Sidecar) -> Response:
    """Put one LoRA into the trash; a missing one only leaves the list."""
    outcome = operations.delete_loras(state, [lora_id])
    item = outcome.items[0]
    if item.reason is not None:
        raise (NotFound if item.state == FAILED and not item.source else Conflict)(item.reason)
    return json_response(outcome.describe())


class Move(BaseModel):
    """Which LoRAs, and the folder as the list names it ("Label/sub")."""

    selection: Selection
    folder: Annotated[str, Field(min_length=1, max_length=4_000)]


@router.post("/files/move")
def move_loras(request: Move, state: Sidecar) -> Response:
    """Move LoRAs to a folder."""
    operations.check_folder(state, request.folder)
    ids = selected_ids(state.database, request.selection)
    return _answer(
        state,
        f"Move {operations.plural(len(ids))}",
        len(ids),
        lambda task: operations.move_loras(state, ids, request.folder, task=task),
    )


class Delete(BaseModel):
    """Which LoRAs."""

    selection: Selection


@router.post("/files/delete")
def delete_loras(request: Delete, state: Sidecar) -> Response:
    """Put LoRAs into the trash; missing ones only leave the list."""
    ids = selected_ids(state.database, request.selection)
    return _answer(
        state,
        f"Delete {operations.plural(len(ids))}",
        len(ids),
        lambda task: operations.delete_loras(state, ids, task=task),
    )


class Organise(BaseModel):
    """Which LoRAs, by which template (default: the setting), in which LoRA folder (default: each in its own)."""

    selection: Selection
    template: Annotated[str, Field(max_length=500)] | None = None
    root: Annotated[str, Field(max_length=1_000)] | None = None
    dry_run: bool = True


@router.post("/files/organise")
def organise(request: Organise, state: Sidecar) -> Response:
    """Sort LoRAs into folders by a template; with `dry_run` only say what would happen."""
    template = request.template if request.template is not None else state.settings.organise_template
    read_template(template)
    ids = selected_ids(state.database, request.selection)
    title = f"{'Look at' if request.dry_run else 'Organise'} {operations.plural(len(ids))}"
    return _answer(
        state,
        title,
        len(ids),
        lambda task: organise_loras(
            state, ids, template, root=request.root, dry_run=request.dry_run, task=task
        ),
    )


@router.get("/files/template-fields")
def get_template_fields() -> Response:
    """The fields that a template may have."""
    items = [{"name": name, "meaning": meaning} for name, meaning in FIELDS.items()]
    return json_response({"items": items, "total": len(items), "next_cursor": None})


@router.get("/trash")
def get_trash(
    state: Sidecar, limit: Annotated[int, Query(ge=1, le=1_000)] = 200, cursor: int | None = None
) -> Response:
    """What lies in the trash, latest first."""
    days = state.settings.trash_days
    return json_response(trash.list_trash(state.database, days, limit=limit, before=cursor))


@router.get("/trash/{trash_id}/preview")
def get_trash_preview(trash_id: int, state: Sidecar) -> Response:
    """The picture of something in the trash."""
    path, media_type = trash.get_picture(state.database, trash_id)
    headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return FileResponse(path, media_type=media_type, headers=headers)


TrashIds = Annotated[list[int], Field(min_length=1, max_length=MAX_IDS)]


class Restore(BaseModel):
    """Entries of the trash; a single one may come back under another name."""

    ids: TrashIds
    name: Annotated[str, Field(max_length=1_000)] | None = None


@router.post("/trash/restore")
def restore(request: Restore, state: Sidecar) -> Response:
    """Bring entries of the trash back to where they were."""
    ids = list(dict.fromkeys(request.ids))
    return _answer(
        state,
        f"Restore {operations.plural(len(ids))}",
        len(ids),
        lambda task: trash.restore_loras(state, ids, name=request.name, task=task),
    )


class Empty(BaseModel):
    """Entries of the trash; none named: all."""

    ids: TrashIds | None = None


@router.post("/trash/empty")
def empty(state: Sidecar, request: Empty | None = None) -> Response:
    """Remove entries of the trash for good."""
    outcome = empty_trash(state.database, request.ids if request else None)
    state.events.publish("trash.changed")
    return json_response(outcome)


@router.post("/loras/{lora_id}/open-folder")
def open_folder(lora_id: int, state: Sidecar) -> Response:
    """Open a LoRA's folder on the desktop of the machine that the sidecar runs on."""
    return json_response({"folder": desktop.open_folder(state.database, lora_id)})


def _answer(state: State, title: str, count: int, work: Callable[[Task | None], Outcome]) -> Response:
    """Few at once, many as a task whose result is the same."""
    if count <= TASK_FROM:
        return json_response(work(None).describe())
    return json_response(
        {"task": state.tasks.start("files", title, lambda task: work(task).describe()).id}, 202
    )
