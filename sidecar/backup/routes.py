"""HTTP for backups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field
from starlette.responses import FileResponse

from sidecar.backup import shelf
from sidecar.backup.restoring import restore_archive
from sidecar.responses import json_response
from sidecar.state import State, get_state
from sidecar.tasks import Task

router = APIRouter(tags=["backups"])

Sidecar = Annotated[State, Depends(get_state)]


class Wanted(BaseModel):
    """A backup to be made."""

    note: str = Field(default="", max_length=2_000)


@router.post("/backups", status_code=202)
def start_backup(state: Sidecar, wanted: Wanted | None = None) -> Response:
    """Take a backup while everything goes on; the task's result is the backup."""
    note = wanted.note.strip() if wanted else ""

    def work(task: Task) -> dict[str, Any]:
        task.total = 100

        def progress(percent: int, message: str) -> None:
            task.advance(percent - task.done, message)

        return shelf.make_backup(state.settings.data, shelf.MANUAL, note, progress).describe()

    return json_response({"task": state.tasks.start("backup", "Backup", work, alone=True).id}, 202)


@router.get("/backups")
def get_backups(state: Sidecar) -> Response:
    """The backups of this data folder, newest first."""
    items = [backup.describe() for backup in shelf.list_backups(state.settings.data)]
    return json_response({"items": items, "total": len(items), "next_cursor": None})


@router.get("/backups/{backup_id}/archive")
def get_archive(backup_id: str, state: Sidecar) -> Response:
    """The archive itself, to be kept elsewhere."""
    path = shelf.get_backup(state.settings.data, backup_id).path
    return FileResponse(path, media_type="application/zip", filename=f"lora-manager-{path.name}")


@router.post("/backups/{backup_id}/verify")
def verify_backup(backup_id: str, state: Sidecar) -> Response:
    """Read a backup to its end and look into its database."""
    problems = shelf.verify_backup(state.settings.data, backup_id)
    return json_response({"ok": not problems, "problems": problems})


class Target(BaseModel):
    """An empty data folder, by its full path."""

    data: Path


@router.post("/backups/{backup_id}/restore")
def restore_backup(backup_id: str, target: Target, state: Sidecar) -> Response:
    """Put a backup into an empty data folder, which a sidecar can then be started with."""
    path = shelf.get_backup(state.settings.data, backup_id).path
    manifest = restore_archive(path, target.data)
    return json_response(
        {"data": str(target.data), "schema": manifest.schema_version, "counts": manifest.counts}
    )


@router.delete("/backups/{backup_id}")
def delete_backup(backup_id: str, state: Sidecar) -> Response:
    """Delete a backup for good."""
    shelf.delete_backup(state.settings.data, backup_id)
    return json_response({"status": "ok"})
