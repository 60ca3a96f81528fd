"""HTTP for backups."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["backups"])
