"""The archive's answers (civarchive.com/api/sha256/HASH) in Civitai's shape, as far as both know the same."""

from __future__ import annotations

from typing import Any

from sidecar.library.foreign import as_id, as_list, as_object, as_string


def to_version(answer: dict[str, Any]) -> dict[str, Any] | None:
    """A model version with its `model` inside, from `{"data": {model fields, "version": {…}}}`; None without one."""
    content = as_object(answer.get("data")) or answer
    model = {**content, **as_object(content.get("model"))}
    version = as_object(model.get("version")) or as_object(content.get("version"))
    version_id, model_id = as_id(version.get("id")), as_id(version.get("modelId", model.get("id")))
    if version_id is None:
        return None
    words = version.get("trainedWords", version.get("trigger"))
    files = as_list(version.get("files"))
    return {
        "id": version_id,
        "modelId": model_id,
        "name": version.get("name"),
        "baseModel": version.get("baseModel"),
        "description": version.get("description"),
        "publishedAt": version.get("publishedAt", version.get("createdAt")),
        "trainedWords": words if isinstance(words, list) else [words] if as_string(words) else [],
        "nsfwLevel": version.get("nsfw_level", model.get("nsfw_level")),
        "images": as_list(version.get("images")),
        "files": [_to_file(file) for file in files if isinstance(file, dict)],
        "model": {
            "name": model.get("name"),
            "type": model.get("type"),
            "nsfw": bool(model.get("is_nsfw")),
            "description": model.get("description"),
            "tags": as_list(model.get("tags")),
            "creator": {"username": model.get("creator_username") or model.get("username")},
        },
    }


def _to_file(file: dict[str, Any]) -> dict[str, Any]:
    sha256 = as_string(file.get("sha256"))
    return {
        "id": file.get("id"),
        "name": file.get("name"),
        "type": file.get("type"),
        "sizeKB": file.get("sizeKB"),
        "downloadUrl": file.get("downloadUrl"),
        "hashes": {"SHA256": sha256.upper()} if sha256 else as_object(file.get("hashes")),
    }
