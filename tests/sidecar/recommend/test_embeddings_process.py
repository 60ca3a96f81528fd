"""The text model's process: what it answers, what its death costs, and what is said when it does not speak as it should."""

from __future__ import annotations

import io
import os
import signal
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from text_models import BREAKS_THE_WIRE, DIES, RAISES, TAKES_LONG, make_model, stand_in
from waiting import wait_until

from sidecar.recommend.embeddings import holder as holding
from sidecar.recommend.embeddings.finding import Model, find_model
from sidecar.recommend.embeddings.holder import Holder
from sidecar.recommend.embeddings.process import ModelBroken, TextRefused, Worker, WorkerDied
from sidecar.recommend.embeddings.wire import WireBroken, receive, receive_json, send

SECONDS = 30.0


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    stand_in(tmp_path / "packages", monkeypatch)
    return find_model(str(make_model(tmp_path / "model")))


@pytest.fixture
def worker(model: Model) -> Iterator[Worker]:
    worker = Worker(model.folder, "cpu")
    yield worker
    worker.close()


@pytest.fixture
def holder() -> Iterator[Holder]:
    holder = Holder()
    yield holder
    holder.close()


def test_frames_arrive_as_they_were_sent() -> None:
    pipe = io.BytesIO()
    send(pipe, b"", b'{"a": 1}', b"x" * 100_000)
    pipe.seek(0)
    assert receive(pipe) == b"" and receive_json(pipe) == {"a": 1} and len(receive(pipe)) == 100_000
    with pytest.raises(WireBroken, match="has gone"):
        receive(pipe)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x05",
        struct.pack("<I", 10) + b"short",
        struct.pack("<I", 2**32 - 1),
        struct.pack("<I", 3) + b"{{{",
        struct.pack("<I", 2) + b"[]",
        struct.pack("<I", 2) + b"\xff\xfe",
    ],
)
def test_what_is_no_message_breaks_the_wire(content: bytes) -> None:
    with pytest.raises(WireBroken):
        receive_json(io.BytesIO(content))


def test_vectors_of_unit_length_row_by_row(worker: Worker) -> None:
    texts = ["a boat at sea", "", "x" * 100_000, "Ein Boot auf See, 海上的船, 🛶", "half a character \ud800"]
    vectors = worker.embed(texts, SECONDS)
    assert vectors.shape == (5, 32) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-4)
    assert worker.embed(texts[:1], SECONDS)[0] == pytest.approx(vectors[0])


def test_a_text_that_the_model_cannot_take_costs_only_itself(worker: Worker) -> None:
    with pytest.raises(TextRefused, match="too odd a text"):
        worker.embed([f"well {RAISES}"], SECONDS)
    assert len(worker.embed(["well"], SECONDS)) == 1


def test_a_killed_process_is_told_and_the_wait_ends(worker: Worker) -> None:
    wait_until(worker.ready.is_set)
    threading.Timer(0.1, lambda: os.kill(worker.pid, signal.SIGKILL)).start()
    with pytest.raises(WorkerDied, match="signal 9"):
        worker.embed([TAKES_LONG] * 3, SECONDS)
    with pytest.raises(WorkerDied):
        worker.embed(["again"], SECONDS)


def test_a_process_that_speaks_something_else_is_ended(worker: Worker) -> None:
    with pytest.raises(WorkerDied, match="did not speak as it should"):
        worker.embed([BREAKS_THE_WIRE], SECONDS)
    assert not psutil.pid_exists(worker.pid)


def test_it_ends_with_its_parent(worker: Worker) -> None:
    wait_until(worker.ready.is_set)
    process = psutil.Process(worker.pid)
    assert process.nice() >= 10 or os.name == "nt"
    worker.close()
    assert not process.is_running()


def test_too_long_a_wait_ends_and_the_late_answer_is_nobody_elses(worker: Worker) -> None:
    first = worker.embed(["first"], SECONDS)
    with pytest.raises(TimeoutError):
        worker.embed([TAKES_LONG], 0.05)
    assert worker.embed(["first"], SECONDS) == pytest.approx(first)


def test_who_cannot_wait_goes_first(worker: Worker) -> None:
    wait_until(worker.ready.is_set)
    order: list[str] = []

    def ask(name: str, hurry: bool) -> None:
        worker.embed([TAKES_LONG], SECONDS, hurry=hurry)
        order.append(name)

    threads = [threading.Thread(target=ask, args=("running", False))]
    threads[0].start()
    wait_until(worker._lock.locked)
    threads += [
        threading.Thread(target=ask, args=(name, name == "hurried")) for name in ("hurried", "patient")
    ]
    threads[1].start()
    wait_until(lambda: worker.hurried == 1)
    threads[2].start()
    for thread in threads:
        thread.join()
    assert order == ["running", "hurried", "patient"]


def test_a_model_that_cannot_be_loaded_is_told_once_and_rests(
    model: Model, holder: Holder, tmp_path: Path
) -> None:
    (tmp_path / "packages" / "torch" / "__init__.py").write_text("raise OSError('libcuda is broken')")
    with pytest.raises(ModelBroken, match="OSError: libcuda is broken"):
        holder.embed(model, "cpu", ["a"])
    assert holder.pid is None
    with pytest.raises(ModelBroken, match="cannot be loaded: OSError: libcuda"):
        holder.warm(model)
    assert holder.pid is None and "libcuda" in str(holder.trouble(model))
    (tmp_path / "packages" / "torch" / "__init__.py").write_text("def set_num_threads(count): pass")
    holder.forgive()
    assert holder.embed(model, "cpu", ["a"]).shape == (1, 32)


def test_after_some_deaths_it_is_not_started_again_and_again(model: Model, holder: Holder) -> None:
    for _ in range(holding.DEATHS):
        assert holder.trouble(model) is None
        with pytest.raises(WorkerDied):
            holder.embed(model, "cpu", [DIES])
    with pytest.raises(ModelBroken, match="keeps failing"):
        holder.embed(model, "cpu", ["well"])


def test_one_death_between_answers_does_not_count(model: Model, holder: Holder) -> None:
    for _ in range(holding.DEATHS + 1):
        with pytest.raises(WorkerDied):
            holder.embed(model, "cpu", [DIES])
        assert len(holder.embed(model, "cpu", ["well"])) == 1


def test_nobody_waits_for_a_model_that_is_being_loaded(model: Model, holder: Holder) -> None:
    assert holder.warm(model) is None and holder.device is None
    wait_until(lambda: holder.warm(model) is not None)
    assert holder.device == "cpu"


def test_a_process_that_nobody_needs_is_ended(
    model: Model, holder: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder.embed(model, "cpu", ["a"])
    holder.rest()
    assert holder.pid is not None
    monkeypatch.setattr(holding, "IDLE_SECONDS", 0.0)
    holder.rest()
    assert holder.pid is None and holder.device is None


def test_without_a_gpu_the_cpu_takes_over_and_that_is_known(model: Model, holder: Holder) -> None:
    holder.embed(model, "gpu", ["a"])
    assert holder.found_no_gpu and holder.device == "cpu"
