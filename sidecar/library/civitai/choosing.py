"""Which file of which version a download means, what it will be called, and the folder it belongs in."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit, urlunsplit

from sidecar.database import Database
from sidecar.errors import BadRequest
from sidecar.library import base_model
from sidecar.library.civitai.client import CivitaiTrouble, Client
from sidecar.library.civitai.lookup import add_models
from sidecar.library.civitai.updates import owned_versions, size_of
from sidecar.library.files.names import as_segment
from sidecar.library.files.template import read_template
from sidecar.library.folders import active_roots
from sidecar.library.foreign import as_id, as_list, as_object, as_string
from sidecar.library.queries import folder_name
from sidecar.library.side_files import MODEL_EXTENSIONS
from sidecar.settings import Settings

_AIR = re.compile(r"urn:air:[^:]+:[^:]+:civitai:([0-9]+)(?:@([0-9]+))?", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]+")
_MODEL = re.compile(r"/models/([0-9]+)")
_VERSION = re.compile(r"/(?:api/download/models|api/v1/model-versions|model-versions)/([0-9]+)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Chosen(NamedTuple):
    """A file to download; `size` in bytes is 0 and `sha256` "" when Civitai does not say."""

    version: dict[str, Any]
    file_id: int | None
    name: str
    url: str
    size: int
    sha256: str


def choose_file(client: Client, settings: Settings, version_id: int, file_id: int | None) -> Chosen:
    """Ask for a version and choose its file: the given one, else the main one, .safetensors before others.

    Raises:
        CivitaiTrouble: there is no such version, or it has no model file that may be kept.
    """
    version = client.version(version_id)
    if version is None:
        raise CivitaiTrouble(f"Civitai has no version {version_id} (any more).")
    add_models(client, [version])
    files = [as_object(file) for file in as_list(version.get("files"))]
    models = [file for file in files if _extension(file) and file.get("type", "Model") == "Model"]
    if file_id is not None:
        models = [file for file in models if file.get("id") == file_id]
    if not models:
        raise CivitaiTrouble("This version has no LoRA file to download.")
    file = min(models, key=lambda one: (_extension(one) != ".safetensors", not one.get("primary")))
    sha256 = (as_string(as_object(file.get("hashes")).get("SHA256")) or "").lower()
    return Chosen(
        version={**version, "id": version_id},
        file_id=as_id(file.get("id")),
        name=_file_name(file),
        url=_address(settings, version_id, as_string(file.get("downloadUrl"))),
        size=size_of(file),
        sha256=sha256 if _SHA256.fullmatch(sha256) else "",
    )


def read_address(client: Client, text: str) -> int:
    """The version that an address or AIR means; a model's address without version means its newest.

    Raises:
        BadRequest: neither, or a number that no id can be. CivitaiTrouble: there is no such model.
    """
    text = text.strip()
    air = _AIR.search(text)
    parts = urlsplit(text)
    version = air[2] if air else None
    model = air[1] if air else None
    if not air:
        named = parse_qs(parts.query).get("modelVersionId", [""])[0]
        found = _VERSION.search(parts.path)
        version = named if _DIGITS.fullmatch(named) else found[1] if found else None
        page = _MODEL.search(parts.path)
        model = page[1] if page else None
    if version:
        return _number(version)
    if not model:
        raise BadRequest("This is no address of a Civitai model, such as https://civitai.com/models/1234.")
    answer = client.model(_number(model))
    versions = answer.get("modelVersions") if answer else None
    newest = as_id(as_object(versions[0]).get("id")) if isinstance(versions, list) and versions else None
    if newest is None:
        raise CivitaiTrouble(f"Civitai has no model {model} (any more).")
    return newest


def _number(digits: str) -> int:
    number = as_id(int(digits)) if len(digits) < 20 else None
    if number is None:
        raise BadRequest(f"Civitai has no id {digits[:30]}; copy the address of the model's page again.")
    return number


def choose_folder(database: Database, settings: Settings, version: dict[str, Any]) -> str:
    """Where a version belongs, as the API names folders: beside other versions of its model, else by the template.

    Raises:
        BadRequest: there is no LoRA folder, or the template cannot be used.
    """
    model_id = version.get("modelId")
    siblings = [lora for lora, (model, _) in owned_versions(database).items() if model == model_id]
    if siblings:
        row = (
            database.reader()
            .execute(
                "SELECT r.label, l.folder FROM loras l JOIN roots r ON r.id = l.root_id WHERE l.id = ?",
                (siblings[-1],),
            )
            .fetchone()
        )
        return folder_name(row["label"], row["folder"])
    roots = active_roots(database)
    if not roots:
        raise BadRequest("There is no LoRA folder to download into; add one first.")
    folder, _ = read_template(settings.organise_template).fill(_values(version))
    return folder_name(roots[0].label, folder)


def _values(version: dict[str, Any]) -> dict[str, str]:
    model = as_object(version.get("model"))
    tags = model.get("tags")
    published = as_string(version.get("publishedAt")) or ""
    stated = base_model.from_civitai(as_string(version.get("baseModel")) or "")
    kinds = {"LOCON": "LoCon", "DORA": "DoRA"}
    return {
        "name": "",
        "title": as_string(model.get("name")) or "",
        "base_model": stated,
        "type": kinds.get(str(model.get("type")).upper(), "LoRA"),
        "author": as_string(as_object(model.get("creator")).get("username")) or "",
        "tag": str(tags[0]) if isinstance(tags, list) and tags else "",
        "year": published[:4],
        "month": published[5:7],
        "nsfw": "",
        "label": "",
        "rating": "",
        "folder": "",
    }


def _extension(file: dict[str, Any]) -> str | None:
    extension = os.path.splitext(as_string(file.get("name")) or "")[1].lower()
    return extension if extension in MODEL_EXTENSIONS else None


def _file_name(file: dict[str, Any]) -> str:
    stem, extension = os.path.splitext(os.path.basename(str(file["name"]).replace("\\", "/")))
    return as_segment(stem, "lora") + extension.lower()


def _address(settings: Settings, version_id: int, stated: str | None) -> str:
    """The download's address: Civitai's own are asked from wherever `civitai_url` leads."""
    base = urlsplit(settings.civitai_url)
    path = base.path.rstrip("/")
    if not stated:
        return urlunsplit((base.scheme, base.netloc, f"{path}/api/download/models/{version_id}", "", ""))
    parts = urlsplit(stated)
    if parts.hostname and parts.hostname.removeprefix("www.") in ("civitai.com", base.hostname):
        return urlunsplit((base.scheme, base.netloc, path + parts.path, parts.query, ""))
    return stated
