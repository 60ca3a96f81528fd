"""Vectors in the database: what is stored comes back, what is damaged or of another model does not count, and what goes."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np
import pytest

from sidecar.database import Database
from sidecar.recommend.documents import text_key
from sidecar.recommend.embeddings import store
from sidecar.recommend.embeddings.texts import count_read

SIZE = 8


def vector(seed: int, size: int = SIZE) -> Any:
    made = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    return made / np.linalg.norm(made)


def put(database: Database, text: str, blob: Any, model: str = "m") -> None:
    """A row as nobody of ours would write it."""
    database.write(
        lambda connection: connection.execute(
            "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)", (text_key(text), model, blob)
        )
    )


def texts_with(database: Database, texts: list[str], model: str = "m") -> list[str]:
    _, mask = store.vectors_for(database, model, texts)
    return [text for text, there in zip(texts, mask) if there]


def save(database: Database, texts: list[str], model: str = "m", size: int = SIZE) -> None:
    store.save(database, model, [(text_key(text), vector(len(text), size)) for text in texts])


def test_what_is_stored_comes_back_row_by_row(database: Database) -> None:
    store.save(database, "m", [(text_key("a"), vector(1)), (text_key("bb"), vector(2))])
    vectors, mask = store.vectors_for(database, "m", ["bb", "missing", "a", "bb"])
    assert mask.tolist() == [True, False, True, True]
    assert vectors.dtype == np.float32 and vectors.shape == (4, SIZE)
    assert vectors[0] == pytest.approx(vector(2), abs=1e-3) and vectors[2] == pytest.approx(
        vector(1), abs=1e-3
    )
    assert not vectors[1].any()


def test_many_texts_at_once_are_the_same(database: Database) -> None:
    texts = [f"text {number}" for number in range(store.FEW + 300)]
    store.save(database, "m", [(text_key(text), vector(at)) for at, text in enumerate(texts[::2])])
    vectors, mask = store.vectors_for(database, "m", texts)
    assert mask.tolist() == [at % 2 == 0 for at in range(len(texts))]
    assert vectors[1000] == pytest.approx(vector(500), abs=1e-3)


def test_of_nothing_there_is_nothing(database: Database) -> None:
    vectors, mask = store.vectors_for(database, "m", [])
    assert vectors.shape == (0, 0) and len(mask) == 0
    vectors, mask = store.vectors_for(database, "m", ["a"])
    assert vectors.shape == (1, 0) and not mask.any()


def test_another_models_vectors_do_not_count(database: Database) -> None:
    save(database, ["a"], "other")
    assert texts_with(database, ["a"]) == []


def test_vectors_of_another_size_are_ignored(database: Database) -> None:
    save(database, ["a", "bb", "ccc"])
    save(database, ["dddd"], size=5)
    assert texts_with(database, ["a", "bb", "ccc", "dddd"]) == ["a", "bb", "ccc"]
    vectors, mask = store.vectors_for(database, "m", ["a", "dddd"], 5)
    assert mask.tolist() == [False, True] and vectors.shape == (2, 5)
    assert store.usual_dimension(database, "m") == SIZE


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\x00",
        b"\x00" * (2 * SIZE + 1),
        b"\xff" * (2 * SIZE - 1),
        np.full(SIZE, np.nan, "<f2").tobytes(),
        np.full(SIZE, np.inf, "<f2").tobytes(),
        "text",
        "x" * 2 * SIZE,
        17,
        3.5,
    ],
)
def test_a_damaged_vector_counts_as_missing(database: Database, blob: Any) -> None:
    save(database, ["a", "bb"])
    put(database, "ccc", blob)
    assert texts_with(database, ["a", "bb", "ccc"]) == ["a", "bb"]
    assert store.usual_dimension(database, "m") == SIZE


def test_damaged_ones_go_so_that_they_are_made_anew(database: Database) -> None:
    save(database, ["a", "bb"])
    save(database, ["ccc"], size=3)
    put(database, "dddd", "x" * 2 * SIZE)
    put(database, "eeeee", np.full(SIZE, np.nan, "<f2").tobytes())
    save(database, ["a"], "other", size=3)
    assert store.remove_misfits(database, "m", SIZE) == 3
    assert store.known_keys(database, "m") == {text_key("a"), text_key("bb")}
    assert store.known_keys(database, "other") == {text_key("a")}


def test_other_models_go_some_at_a_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "REMOVED", 2)
    save(database, ["a"])
    save(database, [f"text {number}" for number in range(5)], "other")
    assert store.remove_others(database, "m") == 5
    assert count_read(database, "m") == 1 and count_read(database, "other") == 0


def test_texts_that_are_no_more_are_kept_until_they_are_many(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(database, ["a", "bb", "ccc", "dddd"])
    assert store.remove_orphans(database, "m", {text_key("a")}) == 0
    monkeypatch.setattr(store, "KEPT_ORPHANS", 2)
    assert store.remove_orphans(database, "m", {text_key("a"), text_key("bb")}) == 0
    assert store.remove_orphans(database, "m", {text_key("a")}) == 3
    assert store.known_keys(database, "m") == {text_key("a")}


def test_the_size_that_a_vector_has_in_the_table(database: Database) -> None:
    """float16, little-endian, nothing around it: others read it too."""
    store.save(database, "m", [(text_key("a"), vector(1))])
    row: sqlite3.Row = database.reader().execute("SELECT text_hash, vector FROM embeddings").fetchone()
    assert len(row["text_hash"]) == 16
    assert np.frombuffer(row["vector"], "<f2") == pytest.approx(vector(1), abs=1e-3)
