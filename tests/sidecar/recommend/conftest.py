"""Recommendations on a machine that may be busy: what is being brought up to date is waited for."""

from __future__ import annotations

import pytest

from sidecar.recommend.use import keeper, meaning


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is answered from what was known before."""
    for module in (keeper, meaning):
        monkeypatch.setattr(module, "WAIT_SECONDS", 30.0)
