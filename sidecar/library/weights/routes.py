"""HTTP for inspection and duplicates."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["weights"])
