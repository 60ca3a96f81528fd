"""What a LoRA, its files and its folders may be called, on every system and in every host's prompt."""

from __future__ import annotations

import os
import re

from sidecar.database import Database
from sidecar.errors import BadRequest
from sidecar.library.folders import Root, active_roots
from sidecar.library.walking import SKIPPED

# `<lora:NAME:W>` holds no : > = (hosts' regex `<(\w+):([^>]+)>`); Windows allows none of < > : " / \ | ? *
FORBIDDEN = '<>:"/\\|?*='
MAX_BYTES = 255
_BAD = re.compile(f"[{re.escape(FORBIDDEN)}\x00-\x1f\x7f]")
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\s*\..*)?", re.IGNORECASE)
_REPLACED = re.compile(rf"\s*{_BAD.pattern}+\s*")


def name_problem(name: str) -> str | None:
    """Why a file or folder cannot be given this name, or None."""
    if not name.strip():
        return "A name is needed."
    bad = _BAD.search(name)
    if bad:
        shown = bad[0] if bad[0].isprintable() else "a control character"
        return f"A name cannot have {shown} in it; none of {' '.join(FORBIDDEN)} fits into a prompt and every disk."
    if name != name.strip() or name.endswith("."):
        return "A name cannot begin or end with a space, or end with a dot."
    if name.startswith("."):
        return "A name that begins with a dot would be hidden."
    if _RESERVED.fullmatch(name):
        return f"{name} is a reserved name on Windows; choose another one."
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "The name is not valid Unicode."
    if length > MAX_BYTES:
        return f"The name is {length - MAX_BYTES} bytes too long; a disk takes {MAX_BYTES}."
    return None


def as_segment(value: str, fallback: str) -> str:
    """A value as the name of a folder or file: what cannot stand there becomes `_`, and it is cut to a sane length."""
    text = _REPLACED.sub("_", " ".join(value.split())).strip(" .")
    text = text.encode("utf-8", "ignore")[:120].decode("utf-8", "ignore").strip(" .")
    if not text.strip("_"):
        return fallback
    return f"{text}_" if _RESERVED.fullmatch(text) else text


def find_folder(database: Database, folder: str) -> tuple[Root, str]:
    """The LoRA folder and the path below it that "Label/sub" means; the path need not exist yet.

    Raises:
        BadRequest: no such LoRA folder, or the path leaves it or cannot be made.
    """
    label, _, relative = folder.partition("/")
    roots = active_roots(database)
    root = next((root for root in roots if root.label == label), None)
    if root is None:
        known = ", ".join(root.label for root in roots)
        raise BadRequest(f"{folder!r} is in no LoRA folder; a folder begins with one of: {known}.")
    problem = folder_problem(root.path, relative)
    if problem:
        raise BadRequest(f"{folder!r}: {problem}")
    return root, relative


def folder_problem(root: str, relative: str) -> str | None:
    """Why LoRAs cannot lie in the folder `relative` ("" or with `/`) of a root, or None. An odd name that is there
    already may stay; a new folder needs a name that every disk takes."""
    path = root
    for part in relative.split("/") if relative else ():
        if part in ("", ".", "..") or os.path.isabs(part):
            return "the path may not leave its LoRA folder or have empty parts."
        if part in SKIPPED:
            return f"{part} is not a folder for LoRAs."
        path = os.path.join(path, part)
        if "\\" in part or "\0" in part or not os.path.isdir(path):
            problem = name_problem(part)
            if problem:
                return problem
            if os.path.lexists(path):
                return f"{path} is a file, not a folder."
    return None
