"""What the user said as it stands in another tool's side file: which keys, what is refused, and how a file is replaced.

`NAME.json` in A1111's dialect, or `NAME.metadata.json` as ComfyUI LoRA Manager has it; never one turned into the other.
Unknown keys and the order of keys stay. What our values replaced is kept, and comes back when the user takes one back.
"""

from __future__ import annotations

import json
import os
import re
import stat as modes
from contextlib import suppress
from typing import Any, NamedTuple

from sidecar.library import base_model, dialects
from sidecar.library.files.disk import fsync_folders, reason_of, rename_new
from sidecar.library.foreign import as_object
from sidecar.library.side_files import MAX_SIDE_FILE
from sidecar.library.source_files import SD_VERSIONS, usage_tips

ENDINGS = {"a1111": ".json", "metadata": ".metadata.json"}
_INDENTS = {".json": 4, ".metadata.json": 2}
_INDENT = re.compile(r'\{\r?\n([ \t]+)"')
# Without these keys LoRA Manager drops the model (BaseModelMetadata.from_dict).
_REQUIRED = {
    "file_name", "model_name", "file_path", "size", "modified", "sha256", "base_model", "preview_url",
}  # fmt: skip
_SD_VERSION_OF = {ours: theirs for theirs, ours in SD_VERSIONS.items()}
_SD_VERSION_OF |= dict.fromkeys(("Pony", "Illustrious", "NoobAI"), "SDXL")
_CIVITAI_NAMES = {"SD 1.x": "SD 1.5", "SD 2.x": "SD 2.1", "SDXL": "SDXL 1.0", "Flux": "Flux.1 D"}
_WHAT = {
    dialects.SDNEXT: "holds a whole Civitai model, written by SDNext",
    dialects.SDNEXT_SAVED: "holds a Civitai model, written by SDNext",
    dialects.CIVITAI: "holds a Civitai model version",
    dialects.NOT_FOUND: "was written by Civitai Helper",
    dialects.UNKNOWN: "is not of a kind known here",
}


class Refused(Exception):
    """A side file is left alone; the message says why, and what to do."""


class NotYet(Refused):
    """It can be written later."""


class Lora(NamedTuple):
    """The model file that is spoken of."""

    id: int
    path: str
    stem: str
    sha256: str | None
    base_model: str
    present: bool

    def is_there(self) -> bool:
        """Whether it lies where the catalogue has it."""
        return self.present and os.path.exists(self.path)


class Facts(NamedTuple):
    """What the user said; None where the files speak for themselves."""

    title: str | None = None
    trigger_words: tuple[str, ...] | None = None
    weight: float | None = None
    negative_prompt: str | None = None
    notes: str | None = None
    base_model: str | None = None
    nsfw: int | None = None
    favorite: bool | None = None
    tags: tuple[str, ...] | None = None


class Kept(NamedTuple):
    """A value that our writing replaced and the one it wrote, each in a tuple; None where there was no such key."""

    before: tuple[Any] | None
    after: tuple[Any] | None


class Plan(NamedTuple):
    """What is to be written: nothing when `blob` is None. `before` is what the file must hold then (None: no file)."""

    path: str
    blob: bytes | None
    before: bytes | None
    kept: dict[str, Kept]


def plan_write(lora: Lora, facts: Facts, mode: str, kept: dict[str, Kept]) -> Plan:
    """What to write for one LoRA, from the file as it is now.

    Args:
        mode: "a1111" or "metadata".
        kept: what earlier writing has replaced, by key.

    Raises:
        Refused: the file is of another dialect, broken, or cannot be written. NotYet: something is still to be known.
    """
    ending = ENDINGS[mode]
    path = os.path.realpath(os.path.join(os.path.dirname(lora.path), lora.stem + ending))
    wanted = wanted_values(facts, mode)
    before = _read_bytes(path)
    if before is None and not wanted:
        return Plan(path, None, None, {})
    if before is None and mode == "metadata":
        content = _new_metadata(lora)
    else:
        content = _parse(path, before or b"", mode)
    changed, kept = _apply(content, wanted, kept)
    if not changed:
        return Plan(path, None, before, kept)
    _refuse_read_only(path)
    return Plan(path, _dump(content, before or b"", _INDENTS[ending]), before, kept)


def wanted_values(facts: Facts, mode: str) -> dict[str, Any]:
    """What is to stand in the file, by key; empty when the user said nothing that it has a place for."""
    return _a1111_values(facts) if mode == "a1111" else _manager_values(facts)


def _a1111_values(facts: Facts) -> dict[str, Any]:
    values = {
        "activation text": None if facts.trigger_words is None else ", ".join(facts.trigger_words),
        "preferred weight": facts.weight,
        "negative text": facts.negative_prompt,
        "notes": facts.notes,
        "sd version": _SD_VERSION_OF.get(facts.base_model or ""),
    }
    return {key: value for key, value in values.items() if value is not None}


def _manager_values(facts: Facts) -> dict[str, Any]:
    values = {
        "model_name": facts.title,
        "civitai.trainedWords": None if facts.trigger_words is None else list(facts.trigger_words),
        "usage_tips.strength": facts.weight,
        "notes": facts.notes,
        "base_model": facts.base_model and _CIVITAI_NAMES.get(facts.base_model, facts.base_model),
        "preview_nsfw_level": facts.nsfw,
        "favorite": facts.favorite,
        "tags": None if facts.tags is None else list(facts.tags),
    }
    return {key: value for key, value in values.items() if value is not None}


def _apply(
    content: dict[str, Any], wanted: dict[str, Any], kept: dict[str, Kept]
) -> tuple[bool, dict[str, Kept]]:
    """Put the wanted values into `content` and take back those no longer wanted; returns whether it changed, and what
    is to be kept of it."""
    changed = False
    keeps: dict[str, Kept] = {}
    for key in {**kept, **wanted}:
        now, ours = _get(content, key), kept.get(key)
        still_ours = ours is not None and now == ours.after
        if key not in wanted:
            if ours is not None and still_ours:
                _put(content, key, ours.before)
                changed = True
        elif now != (wanted[key],):
            keeps[key] = Kept(ours.before if ours is not None and still_ours else now, (wanted[key],))
            _put(content, key, (wanted[key],))
            changed = True
        elif ours is not None and still_ours:
            keeps[key] = ours
    return changed, keeps


def _get(content: dict[str, Any], key: str) -> tuple[Any] | None:
    """A value in a tuple, None where there is no such key. `a.b` is the key b in the object a; usage_tips is JSON text."""
    outer, _, inner = key.partition(".")
    if not inner:
        return (content[key],) if key in content else None
    within = usage_tips(content) if outer == "usage_tips" else as_object(content.get(outer))
    return (within[inner],) if inner in within else None


def _put(content: dict[str, Any], key: str, value: tuple[Any] | None) -> None:
    outer, _, inner = key.partition(".")
    within, name = content, key
    if inner:
        within = dict(usage_tips(content) if outer == "usage_tips" else as_object(content.get(outer)))
        name = inner
    if value is None:
        within.pop(name, None)
    else:
        within[name] = value[0]
    if inner:
        as_text = outer == "usage_tips" and not isinstance(content.get(outer), dict)
        content[outer] = json.dumps(within, ensure_ascii=False) if as_text else within


def _read_bytes(path: str) -> bytes | None:
    """The file as it is, None when there is none.

    Raises:
        Refused: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            if not modes.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Refused(f"{os.path.basename(path)} is no ordinary file.")
            return file.read(MAX_SIDE_FILE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(reason_of(error)) from error


def _parse(path: str, blob: bytes, mode: str) -> dict[str, Any]:
    """The object in a file that may be written to, exactly as it stands there.

    Raises:
        Refused: it is broken, or of another dialect.
    """
    name = os.path.basename(path)
    if len(blob) > MAX_SIDE_FILE:
        raise Refused(f"{name} is larger than {MAX_SIDE_FILE >> 20} MB and is left alone.")
    try:
        content = json.loads(blob.decode("utf-8-sig").strip() or "{}", parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{name} is not JSON and is left alone; mend it or move it away ({error}).") from error
    dialect = dialects.dialect_of(name, content)
    if mode == "a1111":
        fits = dialect in (dialects.A1111, dialects.BROWSER)
    else:
        fits = isinstance(content, dict) and content.keys() >= _REQUIRED
    if not fits:
        what = _WHAT.get(dialect, "is not one that LoRA Manager could read")
        other = ".metadata.json" if mode == "a1111" else "A1111's .json"
        raise Refused(f"{name} {what}, and is left alone. Choose {other} for writing, or move it away.")
    return as_object(content)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _dump(content: dict[str, Any], before: bytes, indent: int) -> bytes:
    """`content` in the form that the file had before."""
    text = before.decode("utf-8-sig", "replace")
    style: str | int | None = indent
    if found := _INDENT.match(text.lstrip()):
        style = found[1]
    elif text.strip() and "\n" not in text.strip():
        style = None
    end = "\n" if text.endswith("\n") else ""
    try:
        return (json.dumps(content, ensure_ascii=False, indent=style) + end).encode()
    except UnicodeEncodeError:  # half an emoji: it stays as it was written
        return (json.dumps(content, indent=style) + end).encode()


def _new_metadata(lora: Lora) -> dict[str, Any]:
    """What LoRA Manager writes for a file that it sees for the first time.

    Raises:
        NotYet: the file's SHA256 is not known.
    """
    if lora.sha256 is None:
        raise NotYet("A new .metadata.json needs the file's SHA256; it is written once the file is hashed.")
    try:
        stat = os.stat(lora.path)
    except OSError as error:
        raise Refused(reason_of(error)) from error
    return {
        "file_name": lora.stem,
        "model_name": lora.stem,
        "file_path": lora.path.replace(os.sep, "/"),
        "size": stat.st_size,
        "modified": stat.st_mtime,
        "sha256": lora.sha256,
        "base_model": _CIVITAI_NAMES.get(lora.base_model, lora.base_model or base_model.UNKNOWN),
        "preview_url": "",
        "preview_nsfw_level": 0,
        "notes": "",
        "from_civitai": True,
        "civitai": {},
        "tags": [],
        "modelDescription": "",
        "civitai_deleted": False,
        "favorite": False,
        "exclude": False,
        "usage_tips": "{}",
    }


def _refuse_read_only(path: str) -> None:
    """
    Raises:
        Refused: the disk is mounted read-only, or the folder may not be written to.
    """
    folder = os.path.dirname(path)
    if hasattr(os, "statvfs"):
        try:
            if os.statvfs(folder).f_flag & os.ST_RDONLY:
                raise Refused(f"{folder} is on a disk that is mounted read-only.")
        except OSError as error:
            raise Refused(reason_of(error)) from error
    if not os.access(folder, os.W_OK):
        raise Refused(f"{folder} cannot be written to; look at the rights of the folder.")


def replace_file(path: str, blob: bytes, before: bytes | None, *, like: str) -> bool:
    """Write a file anew beside the old one, down to the disk, and put it in its place; its mode stays.

    Args:
        before: what the file must hold, else nothing is done; None: there must be no file.
        like: a file whose mode a new one gets.

    Returns:
        Whether it was done.

    Raises:
        Refused: the disk does not take it; then nothing has changed.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.lora-manager-tmp")
    try:
        mode = modes.S_IMODE(os.stat(path if before is not None else like).st_mode) & 0o666
        with suppress(FileNotFoundError):
            os.unlink(temporary)  # of a writing that was cut short
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(blob)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, mode)
            if before is None:
                rename_new(temporary, path)
            elif _read_bytes(path) != before:
                return False
            else:
                os.replace(temporary, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
        fsync_folders([folder])
    except FileExistsError:
        return False
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Refused(reason_of(error)) from error
    return True
