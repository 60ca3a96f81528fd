"""The LoRAs of a picture in the library: by hash first, then by name; the prompt has the names they have here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from infotext_pictures import Told, asking, graph_png, png, short
from lora_files import make_lora
from starlette.testclient import TestClient

LINE = "Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 8x8"
Read = Callable[..., Told]


@pytest.fixture
def read(prompt_library: Path, hash_all: Callable[[], None], api: TestClient) -> Read:
    """What an infotext tells over the library of traps, with its hashes."""
    hash_all()

    def look(prompt: str, **parameters: str) -> Told:
        further = "".join(f", {key.replace('_', ' ')}: {value}" for key, value in parameters.items())
        return asking(api)(png({"parameters": f"{prompt}\n{LINE}{further}"}))

    return look


def hashes_of(api: TestClient, name: str) -> dict[str, str]:
    items = api.get("loras", params={"limit": 1000}).json()["items"]
    lora = next(item["id"] for item in items if item["name"] == name)
    hashes: dict[str, str] = api.get(f"loras/{lora}").json()["hashes"]
    return hashes


@pytest.mark.parametrize(
    ("kind", "digits"),
    [("sha256", 64), ("sha256", 8), ("autov2", 10), ("autov3", 12), ("blake3", 64), ("crc32", 8)],
)
def test_a_renamed_lora_is_found_by_any_hash_and_renamed_in_the_prompt(
    read: Read, api: TestClient, kind: str, digits: int
) -> None:
    digest = hashes_of(api, "InkWash")[kind][:digits]
    for told_hash in (digest, digest.upper()):
        told = read("a <lora:old name:0.6:te=0.1>, b", Lora_hashes=f'"old name: {told_hash}"')
        assert told["prompt"] == "a <lora:InkWash:0.6:te=0.1>, b"
        assert short(told) == [("old name", 0.6, "hash")]
        assert told["loras"][0]["lora"]["name"] == "InkWash"
        assert told["missing"] == []


def test_the_hash_counts_before_the_name(read: Read, api: TestClient) -> None:
    """Somebody else's "one" is this library's "two"."""
    digest = hashes_of(api, "two")["autov3"]
    told = read("<lora:one:1> <lora:two:0.5>", Lora_hashes=f'"one: {digest}, two: 0123456789ab"')
    assert told["prompt"] == "<lora:two:1> <lora:two:0.5>"
    assert short(told) == [("one", 1, "hash"), ("two", 0.5, "name")]


@pytest.mark.parametrize(
    "name", ["inkwash", "INKWASH", "styles/InkWash", "InkWash.safetensors", "inkwash-000010", "plain_v1"]
)
def test_by_name_a_lora_is_found_as_hosts_write_it(read: Read, name: str) -> None:
    told = read(f"<lora:{name}:1>, b")
    found = "plain.v1" if name == "plain_v1" else "InkWash"
    assert told["prompt"] == f"<lora:{found}:1>, b"
    assert short(told) == [(name, 1, "name")]


def test_what_is_missing_is_said_and_stays_in_the_prompt(read: Read) -> None:
    told = read(
        "<lora:nobody:0.4> <lora:cut:1> <lora:shared:1> <lora:nobody:0.4>",
        Lora_hashes='"nobody: 00112233aabb"',
    )
    assert told["prompt"] == "<lora:nobody:0.4> <lora:cut:1> <lora:shared:1> <lora:nobody:0.4>"
    # "cut" is a broken file, "shared" is what two files call themselves.
    assert told["missing"] == ["nobody", "cut", "shared"]
    assert short(told) == [("nobody", 0.4, None), ("cut", 1, None), ("shared", 1, None)]
    assert [one["hash"] for one in told["loras"]] == ["00112233aabb", None, None]


def test_a_name_no_tag_can_hold_is_not_put_into_one(
    read: Read, loras: Path, scan: Any, hash_all: Any, api: TestClient
) -> None:
    make_lora(loras / "a=b.safetensors")
    scan()
    hash_all()
    told = read("<lora:ab:1>", Lora_hashes=f'"ab: {hashes_of(api, "a=b")["autov3"]}"')
    assert told["prompt"] == "<lora:ab:1>"
    assert short(told) == [("ab", 1, "hash")]


def test_names_with_what_a1111_leaves_out_still_have_their_hashes(read: Read, api: TestClient) -> None:
    digest = hashes_of(api, "InkWash")["autov3"]
    told = read("<lora:ink, wash:1>", Lora_hashes=f'"ink wash: {digest}"')
    assert told["prompt"] == "<lora:InkWash:1>"
    assert [one["name"] for one in told["loras"]] == ["ink, wash"]


def test_hashes_of_civitai_count_too(read: Read, api: TestClient) -> None:
    digest = hashes_of(api, "InkWash")["autov2"]
    told = read(
        "<lora:old:1>", Hashes=json.dumps({"model": "0123456789", "lora:old": digest, "embed:x": digest})
    )
    assert short(told) == [("old", 1, "hash")]
    assert told["prompt"] == "<lora:InkWash:1>"


def test_a_lora_known_by_its_hash_alone_is_not_forced_into_a_prompt_that_has_tags(
    read: Read, api: TestClient
) -> None:
    """A1111 lists the LoRAs of the hires pass with the others."""
    hashes = f"one: {hashes_of(api, 'one')['autov3']}, two: {hashes_of(api, 'two')['autov3']}"
    told = read("<lora:one:1>", Lora_hashes=f'"{hashes}"', Hires_prompt='"<lora:two:1>, sharp"')
    assert told["prompt"] == "<lora:one:1>"
    assert short(told) == [("one", 1, "hash"), ("two", None, "hash")]


def test_loras_of_a_graph_are_appended_with_the_names_they_have_here(
    prompt_library: Path, api: TestClient
) -> None:
    nodes = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "xl/big.safetensors"}},
        "2": {"class_type": "LoraLoader", "inputs": {"model": ["1", 0], "clip": ["1", 1], "lora_name": "old\\inkwash.safetensors", "strength_model": 0.65, "strength_clip": 1.0}},
        "3": {"class_type": "LoraLoaderModelOnly", "inputs": {"model": ["2", 0], "lora_name": "nobody.safetensors", "strength_model": -1}},
        "4": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 1], "text": "a castle"}},
        "5": {"class_type": "KSampler", "inputs": {"model": ["3", 0], "positive": ["4", 0], "negative": ["4", 0], "seed": 1, "steps": 2}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0]}},
    }  # fmt: skip
    told = asking(api)(graph_png(nodes))
    assert told["prompt"] == "a castle <lora:InkWash:0.65> <lora:nobody:-1>"
    assert short(told) == [("inkwash", 0.65, "name"), ("nobody", -1, None)]
    assert told["missing"] == ["nobody"]


def test_a_graph_without_a_prompt_gives_only_tags(prompt_library: Path, api: TestClient) -> None:
    nodes = {
        "1": {"class_type": "LoraLoader", "inputs": {"lora_name": "one.safetensors", "strength_model": 1}}
    }
    told = asking(api)(graph_png(nodes))
    assert (told["prompt"], told["software"]) == ("<lora:one:1>", "ComfyUI")


def test_draws_and_other_tags_stay_as_they_are(read: Read) -> None:
    prompt = "<lora:?tag:ink:0.5-0.9> <set:Ink> <hypernet:one:1> <lora:one:1>"
    told = read(prompt, LoRA_sets="Ink v3")
    assert (told["prompt"], told["sets"], short(told)) == (prompt, ["Ink"], [("one", 1, "name")])


def test_of_very_many_loras_the_first_are_looked_up(read: Read) -> None:
    prompt = "".join(f"<lora:nobody {number}:1>" for number in range(300)) + " <lora:InkWash.safetensors:1>"
    told = read(prompt, Lora_hashes='"one: 0123456789"')
    assert (told["prompt"], len(told["loras"])) == (prompt, 200)
