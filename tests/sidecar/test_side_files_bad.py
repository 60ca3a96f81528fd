"""Side files of any shape: whatever is in them, a LoRA is read and its record can be kept."""

from __future__ import annotations

import json
import sqlite3
import struct
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lora_files import header_bytes

from sidecar.library.record import read_lora
from sidecar.library.sources import FileJob, read_sources
from sidecar.library.texts import read_texts
from sidecar.library.values import all_values, clean_html, pictures_in

ENDINGS = (".json", ".metadata.json", ".civitai.info", ".description.txt", ".txt")
# Every key that any dialect reads, so that random objects meet the code that reads them.
KEYS = [
    "activation text", "preferred weight", "negative text", "notes", "description", "sd version", "modelId",
    "modelVersionId", "sha256", "modelVersions", "id", "name", "model", "trainedWords", "baseModel", "tags", "creator",
    "username", "files", "hashes", "AutoV3", "sizeKB", "images", "nsfwLevel", "nsfw", "meta", "prompt", "url", "steps",
    "model_name", "base_model", "civitai", "usage_tips", "strength", "modelDescription", "favorite", "hf_url",
    "preview_nsfw_level", "extensions", "sd_civitai_helper", "skeleton_file",
]  # fmt: skip
scalars = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20)
    | st.sampled_from(["<p>x</p>", "{}", "[]", '{"strength": "1e999"}', "0x", "https://x", "None", "SDXL", "a||b", "\0"])
)  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=6),
    max_leaves=25,
)  # fmt: skip
objects = st.dictionaries(st.sampled_from(KEYS), anything, max_size=12)
metadata = st.dictionaries(
    st.sampled_from(
        ["ss_tag_frequency", "modelspec.title", "modelspec.tags", "modelspec.trigger_phrase", "ssmd_rating", "ssmd_source",
         "ssmd_cover_images", "sshs_model_hash", "ss_output_name", "ss_training_comment", "modelspec.hash_sha256"]
    ),
    anything,
)  # fmt: skip


def check(job: FileJob) -> None:
    """Read all there is, and keep it as the catalogue does."""
    record, texts = read_lora(job), read_texts(job)
    assert record.state in ("ok", "broken")
    for name in ("trigger_words", "tags"):
        assert all(isinstance(word, str) and word for word in orjson.loads(getattr(record, name)))
    assert record.nsfw in (0, 1, 2, 4, 8, 16) and 0 <= record.rating <= 5 and record.favorite in (0, 1)
    assert record.weight is None or record.weight
    assert isinstance(orjson.loads(texts.facts), dict) and isinstance(orjson.loads(texts.examples), list)
    with sqlite3.connect(":memory:") as kept:
        for values in (record, texts):
            kept.execute(f"CREATE TABLE {type(values).__name__} ({', '.join(values._fields)})")
            kept.execute(
                f"INSERT INTO {type(values).__name__} VALUES ({', '.join('?' * len(values))})", values
            )
    orjson.dumps(all_values({}, read_sources(job)))
    pictures_in(texts.description or "")
    clean_html(texts.description or "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loras")


def job_in(folder: Path, side_files: dict[str, bytes], header: dict[str, Any]) -> FileJob:
    (folder / "a.safetensors").write_bytes(header_bytes({"__metadata__": header}))
    for ending, content in side_files.items():
        (folder / f"a{ending}").write_bytes(content)
    return FileJob(
        1, "", str(folder), "a.safetensors", 10, 0, 0, {ending: f"a{ending}" for ending in side_files}
    )


quickly = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@quickly
@given(st.dictionaries(st.sampled_from(ENDINGS), objects), metadata, objects)
def test_random_objects_of_known_keys_never_raise(
    folder: Path, contents: dict[str, Any], header: dict[str, Any], fetched: dict[str, Any]
) -> None:
    side_files = {ending: json.dumps(content).encode() for ending, content in contents.items()}
    check(job_in(folder, side_files, header)._replace(fetched=fetched))


@quickly
@given(st.dictionaries(st.sampled_from(ENDINGS), anything))
def test_random_json_never_raises(folder: Path, contents: dict[str, Any]) -> None:
    check(job_in(folder, {ending: json.dumps(content).encode() for ending, content in contents.items()}, {}))


@quickly
@given(st.dictionaries(st.sampled_from(ENDINGS), st.binary(max_size=200)), st.binary(max_size=100))
def test_random_bytes_never_raise(folder: Path, contents: dict[str, bytes], header: bytes) -> None:
    job = job_in(folder, contents, {})
    (folder / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    check(job)


DEEP = {
    "lists": b"[" * 100_000,
    "objects": b'{"model":' * 100_000,
    "closed objects": b'{"model":' * 5_000 + b"1" + b"}" * 5_000,
    "deep in a known key": b'{"modelVersions":' + b"[" * 900 + b"]" * 900 + b"}",
}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("ending", ENDINGS[:3])
def test_deep_nesting_is_survived(tmp_path: Path, name: str, ending: str) -> None:
    check(job_in(tmp_path, {ending: DEEP[name]}, {}))


def test_endless_lists_are_cut_to_what_anybody_means(tmp_path: Path) -> None:
    words = [f"word {number}" for number in range(50_000)]
    content = {"id": 1, "modelId": 1, "trainedWords": words, "model": {"name": "n" * 90_000, "tags": words}}
    record = read_lora(job_in(tmp_path, {".civitai.info": json.dumps(content).encode()}, {}))
    assert len(orjson.loads(record.trigger_words)) == len(orjson.loads(record.tags)) == 300
    assert record.title and len(record.title) == 500
