"""The section "LoRA Manager" on the host's settings page, and what it says now."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from . import host

SECTION = ("lora_manager", "LoRA Manager")
COMPLETION = ("on", "tags only", "off")  # read by javascript/lora_manager_complete.js

# key, default, label, hint
OPTIONS: tuple[tuple[str, str | bool, str, str], ...] = (
    ("lora_manager_folders", "", "LoRA folders", "separated by commas; empty: the folders of this host"),
    (
        "lora_manager_data",
        "",
        "Data folder",
        "where tags, notes and history are kept; empty: the user's own folder",
    ),
    (
        "lora_manager_address",
        "",
        "Address of a shared sidecar",
        "for example http://192.168.1.5:7861; empty: this host starts its own",
    ),
    (
        "lora_manager_token_file",
        "",
        "File with the token of the shared sidecar",
        "outside of this host's folder; empty: the environment variable LORA_MANAGER_TOKEN",
    ),
    (
        "lora_manager_trigger_words",
        True,
        "Add missing trigger words to the prompt",
        "what the accordion in the prompt starts with; after a change, reload the UI",
    ),
    (
        "lora_manager_completion",
        COMPLETION[0],
        "Completion in the prompt boxes",
        "LoRAs, sets and trigger words as you type; tags only: nothing outside of <lora: and <set:",
    ),
    (
        "lora_manager_suggestions",
        True,
        "Suggestions under the prompt",
        "LoRAs that fit what you write, from their authors' examples and your own images",
    ),
    ("lora_manager_record", True, "Record generations", "which LoRAs and settings made which image"),
    (
        "lora_manager_embeddings",
        True,
        "Install text embeddings in the background",
        "up to 400 MB, only when the torch of this host can be used; a text model is never fetched by itself",
    ),
    (
        "lora_manager_names",
        "",
        "Further host names that this page is opened under",
        "separated by commas, for a reverse proxy with a name of its own; needed only when the host has no login",
    ),
)


@dataclass(frozen=True)
class Settings:
    """One reading of the settings; compared with the next one to notice changes."""

    folders: tuple[str, ...]
    data: Path
    address: str
    token: str
    trigger_words: bool
    record: bool
    embeddings: bool
    names: tuple[str, ...]


def register() -> None:
    for key, default, label, info in OPTIONS:
        choices = COMPLETION if key == "lora_manager_completion" else ()
        host.add_option(key, default, label, SECTION, info, choices)


def current() -> Settings:
    values = {key: host.option(key, default) for key, default, _, _ in OPTIONS}
    text = {key: str(value or "").strip() for key, value in values.items()}
    folders = _parts(text["lora_manager_folders"])
    address = text["lora_manager_address"].rstrip("/")
    if address and "://" not in address:
        address = f"http://{address}"
    return Settings(
        folders=tuple(os.path.abspath(os.path.expanduser(each)) for each in folders)
        or tuple(host.lora_folders()),
        data=data_folder(text["lora_manager_data"]),
        address=address,
        token=_token(text["lora_manager_token_file"]) if address else "",
        trigger_words=bool(values["lora_manager_trigger_words"]),
        record=bool(values["lora_manager_record"]),
        embeddings=bool(values["lora_manager_embeddings"]),
        names=tuple(_parts(text["lora_manager_names"])),
    )


def data_folder(named: str = "") -> Path:
    """The sidecar's data folder. The same places as its own default (platformdirs' user_data_dir)."""
    named = named or os.environ.get("LORA_MANAGER_DATA", "")
    if named:
        return Path(named).expanduser().absolute()
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "lora-manager"


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,;\n]", text) if part.strip()]


def _token(file: str) -> str:
    if file:
        try:
            return Path(file).expanduser().read_text("utf-8").strip()
        except OSError:
            return ""
    return os.environ.get("LORA_MANAGER_TOKEN", "").strip()
