"""What a file's header says: kohya's additional networks (ssmd_*), the model spec (modelspec.*), training (ss_*), tensors."""

from __future__ import annotations

import re
from typing import Any

from sidecar.library import base_model
from sidecar.library.covers import cover_examples
from sidecar.library.foreign import as_html, as_number, as_string, as_url, split
from sidecar.library.header import Header
from sidecar.library.source import BaseModel, Source

# What sd-scripts writes when nobody gave a title: "LoRA@1700000000".
_NO_TITLE = re.compile(r"(LoRA|Checkpoint|TextualInversion)@\d+")


class Ssmd(Source):
    """ssmd_*: written by a person in the metadata editor of sd-webui-additional-networks."""

    name = "ssmd"

    def __init__(self, metadata: dict[str, str]) -> None:
        self._metadata = metadata

    def title(self) -> str | None:
        return as_string(self._metadata.get("ssmd_display_name"))

    def trigger_words(self) -> list[str]:
        return split(self._metadata.get("ssmd_keywords"))

    def description(self) -> str | None:
        return as_html(as_string(self._metadata.get("ssmd_description")))

    def tags(self) -> list[str]:
        return split(self._metadata.get("ssmd_tags"))

    def author(self) -> str | None:
        return as_string(self._metadata.get("ssmd_author"))

    def url(self) -> str | None:
        return as_url(self._metadata.get("ssmd_source"))

    def version(self) -> str | None:
        return as_string(self._metadata.get("ssmd_version"))

    def rating(self) -> int:
        """Its scale is 0 (unset) to 10."""
        number = as_number(self._metadata.get("ssmd_rating")) or 0
        return min(5, max(1, round(number / 2))) if number > 0 else 0

    def examples(self) -> list[dict[str, Any]]:
        return cover_examples(self._metadata)


class ModelSpec(Source):
    """modelspec.*: https://github.com/Stability-AI/ModelSpec, filled in by trainers."""

    name = "modelspec"

    def __init__(self, metadata: dict[str, str]) -> None:
        self._metadata = metadata

    def title(self) -> str | None:
        title = as_string(self._metadata.get("modelspec.title"))
        return None if title and _NO_TITLE.fullmatch(title) else title

    def trigger_words(self) -> list[str]:
        return split(self._metadata.get("modelspec.trigger_phrase"))

    def notes(self) -> str | None:
        return as_string(self._metadata.get("modelspec.usage_hint"))

    def description(self) -> str | None:
        return as_html(as_string(self._metadata.get("modelspec.description")))

    def tags(self) -> list[str]:
        return split(self._metadata.get("modelspec.tags"))

    def author(self) -> str | None:
        return as_string(self._metadata.get("modelspec.author"))


class Training(Source):
    """ss_*: what sd-scripts notes of a training, and the tensors that came of it."""

    name = "kohya"

    def __init__(self, header: Header) -> None:
        self._header = header

    def description(self) -> str | None:
        return as_html(as_string(self._header.metadata.get("ss_training_comment")))

    def base_model(self) -> BaseModel | None:
        found = base_model.detected(self._header)
        return None if found.name == base_model.UNKNOWN else found
