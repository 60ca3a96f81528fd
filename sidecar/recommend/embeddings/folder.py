"""A text model's folder, looked at without torch: whether it is whole, what it is called, and what stands for its content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from sidecar.library.header import BrokenHeader, read_header

MAX_JSON = 64 * 1024 * 1024
CHUNK = 64 * 1024
CHUNKS = 64
"""Parts of a file with weights that stand for all of it, evenly spread."""

_CONFIGS = ("modules.json", "config.json", "sentence_bert_config.json")
_HEADING = re.compile(r"^#\s+(\S.{0,99})$", re.MULTILINE)


class BrokenFolder(Exception):
    """The folder holds no whole model; the message says what is wrong, in a person's words."""


def check_folder(folder: Path) -> None:
    """See that there are modules, a configuration and whole weights.

    Raises:
        BrokenFolder: one of them is missing or damaged.
        OSError: a file cannot be read.
    """
    for module in _modules(folder):
        path = module.get("path", "")
        if not isinstance(path, str) or Path(path).is_absolute() or ".." in Path(path).parts:
            raise BrokenFolder("its modules.json names a place outside of the folder.")
    weights = list(_weights(folder))
    if not weights:
        raise BrokenFolder("no file with weights (model.safetensors) is in it.")
    for file in weights:
        if file.stat().st_size == 0:
            raise BrokenFolder(f"{file.name} is empty.")
        if file.suffix == ".safetensors":
            try:
                read_header(str(file))
            except BrokenHeader as error:
                raise BrokenFolder(f"{file.name} is damaged: {error}") from error


def identify(folder: Path) -> str:
    """32 hex digits that change when anything changes that vectors depend on: modules, configurations, words, weights.

    Raises:
        BrokenFolder: a configuration is damaged.
        OSError: a file cannot be read.
    """
    total = sha256()
    modules = _modules(folder)
    places = dict.fromkeys([folder, *(folder / one.get("path", "") for one in modules)])
    for place in places:
        for name in _CONFIGS:
            if (place / name).is_file():
                total.update(orjson.dumps([place.name if place != folder else "", name]))
                total.update(orjson.dumps(_read_json(place / name), option=orjson.OPT_SORT_KEYS))
        for name in ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model"):
            if (place / name).is_file():
                total.update((place / name).read_bytes())
    for file in _weights(folder):
        total.update(orjson.dumps([file.name, file.stat().st_size]))
        total.update(_sample(file))
    return total.hexdigest()[:32]


def name_of(folder: Path) -> str | None:
    """What the model's own description calls it, if it has one."""
    try:
        with (folder / "README.md").open(encoding="utf-8", errors="replace") as file:
            found = _HEADING.search(file.read(20_000))
    except OSError:
        return None
    name = found[1].strip().rpartition("/")[2] if found else ""
    return name if name and name.isprintable() else None


def _modules(folder: Path) -> list[dict[str, Any]]:
    """What modules.json lists; a plain transformer, without one, counts as one module."""
    if not (folder / "modules.json").is_file():
        if not (folder / "config.json").is_file():
            raise BrokenFolder("neither modules.json nor config.json is in it.")
        _read_json(folder / "config.json")
        return [{"path": ""}]
    modules = _read_json(folder / "modules.json")
    if not isinstance(modules, list) or not modules or not all(isinstance(one, dict) for one in modules):
        raise BrokenFolder("its modules.json lists no modules.")
    return modules


def _read_json(path: Path) -> Any:
    if path.stat().st_size > MAX_JSON:
        raise BrokenFolder(f"{path.name} is too large.")
    try:
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise BrokenFolder(f"{path.name} is damaged: {error}.") from error


def _weights(folder: Path) -> Iterator[Path]:
    """Files with weights of all modules, by place; of several formats the safe one."""
    paths = [str(one.get("path", "")) for one in _modules(folder)]
    for place in dict.fromkeys(folder / path for path in paths):
        if place.is_dir():
            files = sorted(place.glob("*.safetensors")) or sorted(place.glob("pytorch_model*.bin"))
            yield from (file for file in files if file.is_file())


def _sample(file: Path) -> bytes:
    size = file.stat().st_size
    total = sha256()
    with file.open("rb", buffering=0) as opened:
        step = max(CHUNK, size // CHUNKS)
        for start in range(0, size, step):
            opened.seek(start)
            total.update(opened.read(CHUNK))
    return total.digest()
