"""What Civitai says, in whichever file its answer was kept."""

from __future__ import annotations

from typing import Any

from sidecar.library import base_model
from sidecar.library.foreign import as_id, as_list, as_number, as_object, as_string, as_strings, as_url
from sidecar.library.source import BaseModel, Source

MAX_EXAMPLES = 50
X_RATED = 8
# The old API's words for the level of a picture.
_LEVEL_WORDS = {"none": 1, "soft": 2, "mature": 4, "x": 8, "xxx": 16}


class CivitaiVersion(Source):
    """A Civitai model version with its model inside, wherever it was found."""

    def __init__(self, name: str, version: dict[str, Any]) -> None:
        self.name = name
        self._version = version
        self._model = as_object(version.get("model"))

    def title(self) -> str | None:
        return as_string(self._model.get("name"))

    def trigger_words(self) -> list[str]:
        return as_strings(self._version.get("trainedWords"))

    def description(self) -> str | None:
        of_model = as_string(self._model.get("description"))
        of_version = as_string(self._version.get("description"))
        if of_model and of_version and of_version not in of_model:
            return f"{of_model}<h3>About this version</h3>{of_version}"
        return of_model or of_version

    def tags(self) -> list[str]:
        tags = as_list(self._model.get("tags"))
        return as_strings([tag.get("name") if isinstance(tag, dict) else tag for tag in tags])

    def base_model(self) -> BaseModel | None:
        stated = as_string(self._version.get("baseModel"))
        name = base_model.from_civitai(stated or "")
        if name == base_model.UNKNOWN:
            return None
        return BaseModel(name, f"Civitai says {stated!r}.", self.name)

    def author(self) -> str | None:
        creator = as_object(self._version.get("creator")) or as_object(self._model.get("creator"))
        return as_string(creator.get("username"))

    def url(self) -> str | None:
        model_id = self._version.get("modelId") or self._model.get("id")
        return civitai_page(model_id, self._version.get("id"))

    def version(self) -> str | None:
        return as_string(self._version.get("name"))

    def nsfw(self) -> int:
        """The level of the first picture, which is the one that is saved as preview; of a gallery's bits the mildest.

        What Civitai marks as NSFW as a whole is at least X.
        """
        first = next(iter(as_list(self._version.get("images"))), None)
        level = max(nsfw_levels(as_object(first).get(key), default=0)[1] for key in ("nsfwLevel", "nsfw"))
        low, high = nsfw_levels(self._version.get("nsfwLevel") or self._model.get("nsfwLevel"), default=0)
        if self._model.get("nsfw") is True:
            return max(level, high, X_RATED)
        return level or low

    def examples(self) -> list[dict[str, Any]]:
        found = []
        for image in as_list(self._version.get("images")):
            example = _example(as_object(image))
            if example:
                found.append(example)
            if len(found) == MAX_EXAMPLES:
                break
        return found


def nsfw_levels(value: Any, *, default: int) -> tuple[int, int]:
    """The mildest and the strongest level in Civitai's bits (1 PG, 2 PG-13, 4 R, 8 X, 16 XXX, 32 blocked), or an old word's."""
    if isinstance(value, str):
        level = _LEVEL_WORDS.get(value.strip().lower(), default)
        return level, level
    if type(value) is not int or not 0 < value < 1024:
        return default, default
    return min(value & -value, 16), min(1 << (value.bit_length() - 1), 16)


def civitai_version(
    content: dict[str, Any], file_name: str, size: int = 0, claimed_autov3: str = ""
) -> dict[str, Any]:
    """The version in a Civitai object, its model inside; of a whole model the one that this file belongs to.

    That is the version that lists the file's name, else its body hash, else its size, else the newest, as SDNext has it.
    """
    if "modelVersions" not in content:
        return content
    versions = [version for version in as_list(content["modelVersions"]) if isinstance(version, dict)]
    files = [
        (as_object(file), version) for version in versions for file in as_list(version.get("files"))
    ]  # newest first
    belonging = (
        *(version for file, version in files if file.get("name") == file_name),
        *(version for file, version in files if _has_body(file, claimed_autov3)),
        *(version for file, version in files if size and _size_of(file) == size),
        *versions,
    )
    return {**(belonging[0] if belonging else {}), "modelId": content.get("id"), "model": content}


def _has_body(file: dict[str, Any], autov3: str) -> bool:
    stated = as_string(as_object(file.get("hashes")).get("AutoV3"))
    return bool(autov3 and stated) and str(stated).lower()[:12] == autov3[:12]


def _size_of(file: dict[str, Any]) -> int:
    return round((as_number(file.get("sizeKB")) or 0) * 1024)


def civitai_page(model_id: Any, version_id: Any) -> str | None:
    """A model's page on Civitai."""
    model, version = as_id(model_id), as_id(version_id)
    if model is None:
        return None
    return f"https://civitai.com/models/{model}" + (f"?modelVersionId={version}" if version else "")


def _example(image: dict[str, Any]) -> dict[str, Any] | None:
    """An example prompt from one of Civitai's pictures, if it has one."""
    meta = as_object(image.get("meta"))
    if "prompt" not in meta:
        meta = as_object(meta.get("meta"))  # as newer answers have it
    prompt = as_string(meta.get("prompt"))
    if prompt is None:
        return None
    return {
        "prompt": prompt[:8000],
        "negative_prompt": (as_string(meta.get("negativePrompt")) or "")[:8000],
        "sampler": as_string(meta.get("sampler")),
        "steps": as_number(meta.get("steps")),
        "cfg": as_number(meta.get("cfgScale")),
        "seed": as_number(meta.get("seed")),
        "size": as_string(meta.get("Size")),
        "checkpoint": as_string(meta.get("Model")),
        "url": as_url(image.get("url")),
        "nsfw": max(nsfw_levels(image.get(key), default=0)[1] for key in ("nsfwLevel", "nsfw")),
    }
