"""Which pictures from elsewhere a LoRA's examples and description name. Nothing here fetches any."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlsplit

import orjson

from sidecar.database import Database
from sidecar.errors import NotFound
from sidecar.settings import Settings

MAX_PICTURES = 50
_PORTS = {"http": 80, "https": 443}


def description_pictures(html: str) -> list[str]:
    """Addresses of the pictures (`<img src>`) in a description, http and https alone, each once, in order."""
    finder = _Finder()
    finder.feed(html)
    finder.close()
    return list(finder.found)[:MAX_PICTURES]


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
    """The address of a picture of a LoRA's description; `number` counts from 0.

    Raises:
        NotFound: no such LoRA or picture.
    """
    pictures = description_pictures(_text(database, lora_id, "description") or "")
    if not 0 <= number < len(pictures):
        raise NotFound(f"The description of this LoRA has no picture {number}; it has {len(pictures)}.")
    return pictures[number]


def configured_hosts(settings: Settings) -> frozenset[str]:
    """The servers ("host:port") that the user configured: these may be in the user's own network."""
    hosts = set()
    for url in (settings.civitai_url, settings.civitai_archive_url):
        parts = urlsplit(url or "")
        if parts.hostname:
            hosts.add(f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}")
    return frozenset(hosts)


class _Finder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        source = (dict(attrs).get("src") or "").strip() if tag == "img" else ""
        if source.startswith("//"):
            source = f"https:{source}"
        try:
            parts = urlsplit(source)
        except ValueError:
            return
        if parts.scheme in _PORTS and parts.hostname:
            self.found[source] = None


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
