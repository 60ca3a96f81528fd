"""The process that holds torch and the text model: `python -m sidecar.recommend.embeddings.worker FOLDER cpu|gpu THREADS`.

It reads requests `{"id", "texts"}` from standard input and answers on standard output with `{"id", "count", "dimension"}` and the
vectors (float32, of unit length, row by row). Its first message says that the model is loaded, or why it is not. It ends
with its parent: when standard input is closed, whatever it is doing.
"""

from __future__ import annotations

import importlib
import os
import queue
import sys
import threading
import warnings
from typing import IO, Any

import orjson
import psutil

from sidecar.recommend.embeddings.wire import WireBroken, receive_json, send

MAX_TOKENS = 512
"""Of one text, whatever the model could take: time grows with them, and prompts are shorter."""
CHARACTERS = 16
"""Of a text that are looked at for each token: more than any has on average."""
NICENESS = 10
TOLD = 600


def main(folder: str, device: str, threads: int) -> None:
    answers, requests = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(0), "rb")
    os.dup2(2, 1)  # what a library prints is no answer
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, waiting), name="requests", daemon=True).start()
    _step_back()
    try:
        model, used = _load(folder, device, threads)
    except Exception as error:  # whatever a broken model or a broken torch raises
        send(answers, orjson.dumps({"error": f"{type(error).__name__}: {error}"[:TOLD]}))
        return
    limit = CHARACTERS * int(model.max_seq_length)
    send(answers, orjson.dumps({"device": used, "tokens": model.max_seq_length}))
    while True:
        request = waiting.get()
        try:
            vectors = _encode(model, [text[:limit] for text in request["texts"]])
        except Exception as error:  # one text must not cost all others
            send(
                answers,
                orjson.dumps({"id": request["id"], "error": f"{type(error).__name__}: {error}"[:TOLD]}),
            )
            continue
        count, dimension = vectors.shape
        send(
            answers,
            orjson.dumps({"id": request["id"], "count": count, "dimension": dimension}),
            vectors.tobytes(),
        )


def _read(pipe: IO[bytes], waiting: queue.SimpleQueue[dict[str, Any]]) -> None:
    try:
        while True:
            waiting.put(receive_json(pipe))
    except WireBroken:
        os._exit(0)  # the parent has gone


def _step_back() -> None:
    """Let everything else on this machine go first."""
    own = psutil.Process()
    if sys.platform == "win32":
        own.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    else:
        own.nice(NICENESS)


def _load(folder: str, device: str, threads: int) -> tuple[Any, str]:
    """The model, and the device it is on."""
    warnings.simplefilter("ignore")
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    package = importlib.import_module("sentence_transformers")
    used = _gpu_of(torch) if device == "gpu" else "cpu"
    model = package.SentenceTransformer(folder, device=used, local_files_only=True, trust_remote_code=False)
    model.max_seq_length = min(int(model.max_seq_length or MAX_TOKENS), MAX_TOKENS)
    model.eval()
    _encode(model, ["A first text takes longer than all others."])
    return model, used


def _gpu_of(torch: Any) -> str:
    """What torch calls the GPU it can use; "cpu" when there is none."""
    if torch.cuda.is_available():  # ROCm says so too
        return "cuda"
    if getattr(torch, "xpu", None) is not None and torch.xpu.is_available():
        return "xpu"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _encode(model: Any, texts: list[str]) -> Any:
    vectors = model.encode(
        texts,
        batch_size=max(1, len(texts)),
        normalize_embeddings=True,
        convert_to_numpy=True,
        show_progress_bar=False,
    )
    return vectors.astype("<f4", order="C", copy=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
