"""What the routes share: one object, made by `app`, found on the FastAPI application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from starlette.requests import HTTPConnection

from sidecar.database import Database
from sidecar.events import Events
from sidecar.library.service import Library
from sidecar.prompts.facts import Hosts
from sidecar.recommend.service import Recommender
from sidecar.settings import Settings
from sidecar.tasks import Tasks


@dataclass(frozen=True)
class State:
    """The parts of a running sidecar."""

    settings: Settings
    token: str
    database: Database
    events: Events
    library: Library
    tasks: Tasks
    recommender: Recommender
    hosts: Hosts = field(default_factory=Hosts)


def get_state(connection: HTTPConnection) -> State:
    """FastAPI dependency: the running sidecar's parts."""
    return cast(State, connection.app.state.sidecar)
