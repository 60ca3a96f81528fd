"""HTTP for Civitai."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["civitai"])
