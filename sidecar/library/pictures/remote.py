"""Which pictures from elsewhere a LoRA's examples and description name. Nothing here fetches any."""

from __future__ import annotations

from urllib.parse import urlsplit

import orjson

from sidecar.database import Database
from sidecar.errors import NotFound
from sidecar.library.values import pictures_in
from sidecar.settings import Settings

_PORTS = {"http": 80, "https": 443}


def example_picture(database: Database, lora_id: int, number: int) -> str:
    """The address of the picture of a LoRA's example; `number` counts from 0, as in `GET loras/{id}/examples`.

    Raises:
        NotFound: no such LoRA or example, or it has no picture.
    """
    examples = orjson.loads(_text(database, lora_id, "examples") or "[]")
    url = examples[number].get("url") if 0 <= number < len(examples) else None
    if not isinstance(url, str) or not url:
        raise NotFound(f"There is no picture for the example {number} of this LoRA.")
    return url


def description_picture(database: Database, lora_id: int, number: int) -> str:
    """The address of a picture of a LoRA's description; `number` counts from 0, as in `pictures` of `GET loras/{id}`.

    Raises:
        NotFound: no such LoRA or picture.
    """
    pictures = pictures_in(_text(database, lora_id, "description") or "")
    if not 0 <= number < len(pictures):
        raise NotFound(f"The description of this LoRA has no picture {number}; it has {len(pictures)}.")
    return pictures[number]


def configured_hosts(settings: Settings) -> frozenset[str]:
    """The servers ("host:port") that the user configured: these may be in the user's own network."""
    hosts = set()
    for url in (settings.civitai_url, settings.civitai_archive_url):
        parts = urlsplit(url)
        if parts.hostname:
            hosts.add(f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}")
    return frozenset(hosts)


def _text(database: Database, lora_id: int, column: str) -> str | None:
    row = (
        database.reader()
        .execute(
            f"SELECT t.{column} FROM loras l LEFT JOIN lora_texts t ON t.lora_id = l.id WHERE l.id = ?",
            (lora_id,),
        )
        .fetchone()
    )
    if row is None:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    text: str | None = row[0]
    return text
