"""What people's own side files say: A1111's user metadata, descriptions, ComfyUI LoRA Manager's metadata."""

from __future__ import annotations

from typing import Any

import orjson

from sidecar.library import base_model
from sidecar.library.foreign import as_html, as_number, as_object, as_string, as_strings, as_url, split
from sidecar.library.source import BaseModel, Source
from sidecar.library.source_civitai import X_RATED, CivitaiVersion, civitai_page, nsfw_levels

# A1111's "sd version" by our names of base models.
SD_VERSIONS = {"SD1": "SD 1.x", "SD2": "SD 2.x", "SDXL": "SDXL", "SD3": "SD 3"}


class UserMetadata(Source):
    """`NAME.json` by A1111's editor, also with Civitai Browser+'s or Civitai Helper's keys in it."""

    name = "a1111"

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content

    def trigger_words(self) -> list[str]:
        text = self._content.get("activation text")
        if isinstance(text, str) and "||" in text:  # Civitai Helper: whole prompts, one or the other
            return as_strings(text.split("||"))
        return split(text)

    def weight(self) -> float | None:
        return as_number(self._content.get("preferred weight")) or None

    def negative_prompt(self) -> str | None:
        return as_string(self._content.get("negative text"))

    def notes(self) -> str | None:
        return as_string(self._content.get("notes"))

    def description(self) -> str | None:
        return as_html(as_string(self._content.get("description")))

    def base_model(self) -> BaseModel | None:
        stated = self._content.get("sd version")
        name = SD_VERSIONS.get(stated) if isinstance(stated, str) else None
        return BaseModel(name, f"The .json file says {stated!r}.", self.name) if name else None

    def url(self) -> str | None:
        return civitai_page(self._content.get("modelId"), self._content.get("modelVersionId"))


class Text(Source):
    """`NAME.description.txt` or `NAME.txt`."""

    name = "text"

    def __init__(self, text: str) -> None:
        self._text = text

    def description(self) -> str | None:
        return as_html(as_string(self._text))


class Manager(Source):
    """`NAME.metadata.json` by ComfyUI LoRA Manager; where a person has changed what Civitai said, it is changed in there."""

    name = "manager"

    def __init__(self, content: dict[str, Any], stem: str) -> None:
        self._content = content
        self._stem = stem
        self._civitai = CivitaiVersion(self.name, as_object(content.get("civitai")))

    def title(self) -> str | None:
        name = as_string(self._content.get("model_name"))
        return (
            name if name != self._stem else self._civitai.title()
        )  # it writes the file's name when it knows none

    def trigger_words(self) -> list[str]:
        return self._civitai.trigger_words() or as_strings(self._content.get("trainedWords"))

    def weight(self) -> float | None:
        return as_number(usage_tips(self._content).get("strength")) or None

    def notes(self) -> str | None:
        return as_string(self._content.get("notes"))

    def description(self) -> str | None:
        return as_html(as_string(self._content.get("modelDescription"))) or self._civitai.description()

    def tags(self) -> list[str]:
        return as_strings(self._content.get("tags")) or self._civitai.tags()

    def base_model(self) -> BaseModel | None:
        stated = as_string(self._content.get("base_model")) or ""
        name = base_model.from_civitai(stated)
        if name == base_model.UNKNOWN:
            return self._civitai.base_model()
        return BaseModel(name, f"The .metadata.json file says {stated!r}.", self.name)

    def author(self) -> str | None:
        return self._civitai.author()

    def url(self) -> str | None:
        return self._civitai.url() or as_url(self._content.get("hf_url"))

    def version(self) -> str | None:
        return self._civitai.version()

    def nsfw(self) -> int:
        """The level of the preview; what Civitai marks as NSFW as a whole is at least X."""
        of_preview = nsfw_levels(self._content.get("preview_nsfw_level"), default=0)[1]
        of_model = self._civitai.nsfw()
        return max(of_preview, of_model) if of_model >= X_RATED else of_preview or of_model

    def favorite(self) -> bool:
        return self._content.get("favorite") is True

    def examples(self) -> list[dict[str, Any]]:
        return self._civitai.examples()


def usage_tips(content: dict[str, Any]) -> dict[str, Any]:
    """LoRA Manager's usage_tips: JSON within JSON, or already an object."""
    tips = content.get("usage_tips")
    if isinstance(tips, str):
        try:
            tips = orjson.loads(tips or "{}")
        except orjson.JSONDecodeError:
            return {}
    return as_object(tips)
