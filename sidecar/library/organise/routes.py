"""HTTP for the user's order."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(tags=["organise"])
