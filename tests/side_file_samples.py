"""One side file of each kind, as the tools write them, and reading a LoRA that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lora_files import add_side_file

from sidecar.library.sources import FileJob
from sidecar.library.walking import list_folder

A1111 = {
    "description": "A plain\ntext", "sd version": "SDXL", "activation text": "one, two", "preferred weight": 0.7,
    "negative text": "blurry", "notes": "by hand", "my own key": 1,
}  # fmt: skip
MODEL: dict[str, Any] = {
    "id": 7, "name": "The model", "type": "LORA", "nsfw": False, "tags": ["style"], "description": "<p>Long</p>",
    "creator": {"username": "painter"},
}  # fmt: skip
VERSION: dict[str, Any] = {
    "id": 70, "modelId": 7, "name": "v2", "baseModel": "Pony", "trainedWords": ["three", "four,"], "model": MODEL,
    "images": [{"url": "https://x.example/1.jpeg", "nsfwLevel": 2, "meta": {"prompt": "a hill", "steps": 20}}],
}  # fmt: skip
WHOLE_MODEL = {**MODEL, "modelVersions": [{**VERSION, "model": None, "files": [{"name": "a.safetensors"}]}]}
MANAGER = {
    "file_name": "a", "model_name": "Named by me", "file_path": "/x/a.safetensors", "size": 1, "modified": 1.0,
    "sha256": "", "base_model": "Illustrious", "preview_url": "", "preview_nsfw_level": 4, "notes": "tool notes",
    "from_civitai": True, "civitai": VERSION, "tags": ["painted"], "modelDescription": "<p>In the tool</p>",
    "favorite": True, "usage_tips": '{"strength": 0.9, "strength_min": 0.5}',
}  # fmt: skip


def job_of(path: Path) -> FileJob:
    folder = list_folder(str(path.parent), "")
    file = next(file for file in folder.files if file.name == path.name)
    return FileJob(1, "", folder.path, *file)


def everywhere(path: Path) -> None:
    """A LoRA about which everybody says something."""
    add_side_file(path, ".json", A1111)
    add_side_file(path, ".description.txt", b"The text file")
    add_side_file(path, ".metadata.json", MANAGER)
    add_side_file(path, ".civitai.info", VERSION)
