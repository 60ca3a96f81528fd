"""Finds the text model: a folder that the user named, a package that carries one, or Hugging Face's local cache.

Nothing is downloaded, and no package is imported for it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sidecar.recommend.embeddings.folder import BrokenFolder, check_folder, identify, name_of

DEFAULT = "all-MiniLM-L6-v2"
NEEDED = {"torch": "torch", "sentence_transformers": "sentence-transformers"}

_REPOSITORY = re.compile(r"(?!\.)[\w.-]+(/(?!\.)[\w.-]+)?", re.ASCII)
_OWN = Path(__file__).resolve().parents[3]


class Model(NamedTuple):
    """A text model on this machine. `id` stands for its content: the same content in another folder has the same id."""

    name: str
    folder: Path
    source: str
    """Where it was found: "folder", "package" or "cache"."""
    id: str


class NoModel(Exception):
    """There is no model that can be used; the message says why, and what to do."""


def find_model(configured: str = "") -> Model:
    """The model by the setting: a folder, a name, or "" for the default one.

    Raises:
        NoModel: none was found, it is broken, or what runs it is not installed.
    """
    missing = missing_packages()
    if missing:
        raise NoModel(
            f"Not installed: {' and '.join(missing)}. `python install.py embeddings` adds what recommendations by meaning need."
        )
    folder, source = _locate(configured.strip())
    try:
        check_folder(folder)
        return Model(_name(folder, source, configured.strip()), folder, source, identify(folder))
    except BrokenFolder as error:
        raise NoModel(
            f"The text model in {folder} cannot be used: {error} Put a whole copy there, or name another one in the "
            "settings."
        ) from error
    except OSError as error:
        raise NoModel(
            f"The text model in {folder} cannot be read ({error.strerror or error}); make it readable, or name another "
            "one in the settings."
        ) from error


def missing_packages() -> list[str]:
    """What of the packages that run a model is not installed; none of them is imported."""
    importlib.invalidate_caches()  # they may have been installed since
    return [name for module, name in NEEDED.items() if _spec_of(module) is None]


def _spec_of(module: str) -> object:
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError):  # a leftover of a removed package
        return None


def _locate(configured: str) -> tuple[Path, str]:
    path = Path(os.path.expanduser(configured)) if configured else None
    if path is not None and (path.is_absolute() or _is_folder(path)):
        if not _is_folder(path):
            raise NoModel(f"There is no folder {path}; name another text model in the settings.")
        return path, "folder"
    if configured and not _REPOSITORY.fullmatch(configured):
        raise NoModel(
            f"{configured!r} is neither a whole path nor a model's name such as {DEFAULT}; mend it in the settings."
        )
    wanted = configured or DEFAULT
    packages = list(_in_packages())
    named = [folder for folder in packages if _carries(folder, wanted)]
    if named or (packages and not configured):
        return (named or packages)[0], "package"
    for folder in _in_cache(wanted):
        return folder, "cache"
    if configured:
        raise NoModel(
            f"The text model {configured} is not on this machine: no package carries it, and it is not in Hugging Face's "
            "cache. Nothing is downloaded by itself; put it in a folder and name the folder in the settings."
        )
    raise NoModel(
        "There is no text model on this machine, and none is downloaded by itself. `python install.py embeddings --model "
        f"package` (or `--model huggingface`) fetches {DEFAULT}; or put it in a folder and name the folder in the settings."
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long, or with what no name can have
        return False


def _in_packages() -> Iterator[Path]:
    """Folders `model` of installed top-level packages that hold a model, by name."""
    for entry in dict.fromkeys(sys.path):
        try:
            if not entry or Path(entry).resolve() == _OWN:
                continue
            packages = sorted(name for name in os.listdir(entry) if name.isidentifier())
        except OSError:
            continue  # a zip, or gone
        for package in packages:
            folder = Path(entry, package, "model")
            configs = ("config_sentence_transformers.json", "sentence_bert_config.json")
            if (folder / "modules.json").is_file() and any((folder / name).is_file() for name in configs):
                yield folder


def _carries(folder: Path, wanted: str) -> bool:
    """Whether a package's model is the one of that name: by the package's name or by its own."""
    short = _plain(wanted.rpartition("/")[2])
    return short in _plain(folder.parent.name) or short == _plain(name_of(folder) or "")


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _in_cache(wanted: str) -> Iterator[Path]:
    """Folders of a model in Hugging Face's cache and in the older one of sentence-transformers, the one in use first."""
    whole = wanted if "/" in wanted else f"sentence-transformers/{wanted}"
    for cache in _caches():
        repository = cache / f"models--{whole.replace('/', '--')}"
        found: list[Path] = []
        with contextlib.suppress(OSError, ValueError):  # never asked for by its main branch
            found.append(repository / "snapshots" / (repository / "refs" / "main").read_text("ascii").strip())
        with contextlib.suppress(OSError):
            found += sorted((repository / "snapshots").iterdir(), key=os.path.getmtime, reverse=True)
        yield from filter(_is_folder, [*found, cache / whole.replace("/", "_")])


def _caches() -> Iterator[Path]:
    said = os.environ
    home = Path.home()
    if said.get("SENTENCE_TRANSFORMERS_HOME"):
        yield Path(said["SENTENCE_TRANSFORMERS_HOME"])
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if said.get(name):
            yield Path(said[name])
    if said.get("HF_HOME"):
        yield Path(said["HF_HOME"]) / "hub"
    yield Path(said.get("XDG_CACHE_HOME") or home / ".cache") / "huggingface" / "hub"
    yield Path(said.get("TORCH_HOME") or home / ".cache" / "torch") / "sentence_transformers"


def _name(folder: Path, source: str, configured: str) -> str:
    if source == "cache":
        return configured or DEFAULT
    return name_of(folder) or (folder.parent.name if source == "package" else folder.name)
