"""Telling apart the kinds of side files by their names and keys. What each of them says is in the modules `source_…`.

Keys as in the public code that writes them: AUTOMATIC1111 (Lora/ui_edit_user_metadata.py), Civitai Browser+
(civitai_file_manage.py), SDNext (civitai/metadata_civitai.py, "save info" in ui_extra_networks.py), Civitai Helper
(ch_lib/model.py), ComfyUI LoRA Manager (py/utils/models.py, metadata_manager.py).
"""

from __future__ import annotations

from typing import Any

from sidecar.library.foreign import as_object

A1111, BROWSER, SDNEXT, SDNEXT_SAVED = "a1111", "browser+", "sdnext", "sdnext-saved"
MANAGER, CIVITAI, NOT_FOUND, TEXT, UNKNOWN = "lora-manager", "civitai", "civitai-404", "text", "unknown"

A1111_KEYS = {"description", "sd version", "activation text", "preferred weight", "negative text", "notes"}
_OWN_A1111_KEYS = A1111_KEYS - {"description"}
_VERSION_KEYS = {"trainedWords", "baseModel", "model"}
BROWSER_KEYS = {"sha256", "modelId", "modelVersionId"}
_HELPER = "sd_civitai_helper"


def dialect_of(name: str, content: Any) -> str:
    """The dialect of a side file, by its name and its parsed JSON (None for a text file or one that is broken).

    Returns:
        a1111: what A1111's editor writes. browser+: that with Civitai Browser+'s hash and ids in it.
        sdnext: a whole Civitai model. sdnext-saved: that, its versions lost when SDNext's "save info" wrote it again.
        civitai: a Civitai model version. civitai-404: asked for, and not found there.
        lora-manager: ComfyUI LoRA Manager. text: a description. unknown: none of these.
    """
    lower = name.lower()
    if lower.endswith(".txt"):
        return TEXT
    if not isinstance(content, dict):
        return UNKNOWN
    if lower.endswith(".metadata.json"):
        return MANAGER
    if lower.endswith(".civitai.info") and (not content or _is_skeleton(content)):
        return NOT_FOUND
    if isinstance(content.get("modelVersions"), list):
        return SDNEXT if content["modelVersions"] else SDNEXT_SAVED
    keys = content.keys()
    if keys & _VERSION_KEYS and keys & {"id", "modelId"} and not keys & _OWN_A1111_KEYS:
        return CIVITAI
    if keys & _OWN_A1111_KEYS or keys <= A1111_KEYS | BROWSER_KEYS:
        return BROWSER if keys & BROWSER_KEYS else A1111
    return UNKNOWN


def _is_skeleton(content: dict[str, Any]) -> bool:
    """What Civitai Helper leaves for a model that Civitai does not know."""
    return as_object(as_object(content.get("extensions")).get(_HELPER)).get("skeleton_file") is True
