"""Shows a file's folder in the file manager, where this machine has a desktop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from sidecar.database import Database
from sidecar.errors import Conflict, NotFound, Unavailable
from sidecar.library.files.filesets import read_loras


def can_open_folder() -> bool:
    """Whether this machine has a desktop to open a folder on."""
    if sys.platform in ("win32", "darwin"):
        return True
    has_desktop = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(has_desktop) and shutil.which("xdg-open") is not None


def open_folder(database: Database, lora_id: int) -> str:
    """Open the folder of a LoRA, with its file selected where the file manager can do that; returns the folder.

    Raises:
        NotFound: no such LoRA. Conflict: its folder cannot be reached. Unavailable: there is no desktop here.
    """
    found = read_loras(database.reader(), [lora_id])
    if not found:
        raise NotFound(f"There is no LoRA with the id {lora_id}.")
    lora = found[0]
    if not can_open_folder():
        raise Unavailable("The machine that the sidecar runs on has no desktop to open a folder on.")
    if not os.path.isdir(lora.directory):
        raise Conflict(f"{lora.directory} cannot be reached now.")
    try:
        subprocess.Popen(
            _command(lora.directory, os.path.join(lora.directory, lora.file)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(f"The file manager did not start: {error.strerror or error}.") from error
    return lora.directory


def _command(folder: str, file: str) -> list[str]:
    """The program and its arguments; never a shell's line."""
    selected = file if os.path.exists(file) else folder
    if sys.platform == "win32":
        return ["explorer", "/select,", os.path.normpath(selected)]
    if sys.platform == "darwin":
        return ["open", "-R", selected]
    return ["xdg-open", folder]
