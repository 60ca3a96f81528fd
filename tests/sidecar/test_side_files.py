"""Side files: every dialect told apart and read, in whatever state it is."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lora_files import add_side_file, make_lora, picture
from PIL import Image, PngImagePlugin
from side_file_samples import A1111, MANAGER, MODEL, VERSION, WHOLE_MODEL, job_of
from starlette.testclient import TestClient

from sidecar.library import side_files
from sidecar.library.base_model import from_civitai
from sidecar.library.dialects import dialect_of
from sidecar.library.record import read_lora
from sidecar.library.side_files import side_files_of
from sidecar.library.source_civitai import nsfw_levels
from sidecar.library.sources import read_sources, said
from sidecar.library.walking import list_folder

Scan = Callable[[], None]
Detail = Callable[[str], dict[str, Any]]


DIALECTS: list[tuple[str, Any, str]] = [
    ("a.json", A1111, "a1111"),
    ("a.json", {}, "a1111"),
    ("a.json", {"description": "only that"}, "a1111"),
    ("a.json", {**A1111, "sha256": "AB", "modelId": 1, "modelVersionId": 2}, "browser+"),
    (
        "a.json",
        {"sha256": "AB", "modelId": "Model not found", "modelVersionId": "Model not found"},
        "browser+",
    ),
    ("a.json", {**A1111, "extensions": {"sd_civitai_helper": {"skeleton_file": False}}}, "a1111"),
    ("a.json", WHOLE_MODEL, "sdnext"),
    ("a.json", {**MODEL, "modelVersions": []}, "sdnext-saved"),
    ("a.json", VERSION, "civitai"),
    ("a.json", {"description": "a workflow", "nodes": []}, "unknown"),
    ("a.json", {"learning_rate": 1}, "unknown"),
    ("a.json", [1], "unknown"),
    ("a.json", None, "unknown"),
    ("a.metadata.json", MANAGER, "lora-manager"),
    ("a.civitai.info", VERSION, "civitai"),
    ("a.civitai.info", {}, "civitai-404"),
    (
        "a.civitai.info",
        {"id": "", "extensions": {"sd_civitai_helper": {"skeleton_file": True}}},
        "civitai-404",
    ),
    ("A.Description.TXT", None, "text"),
]


@pytest.mark.parametrize(("name", "content", "dialect"), DIALECTS)
def test_dialects_are_told_apart(name: str, content: Any, dialect: str) -> None:
    assert dialect_of(name, content) == dialect


def test_a1111_user_metadata(loras: Path, detail: Detail) -> None:
    add_side_file(make_lora(loras / "a.safetensors"), ".json", A1111)
    shown = detail("a")
    assert (shown["trigger_words"], shown["weight"]) == (["one", "two"], 0.7)
    assert (shown["negative_prompt"], shown["notes"]) == ("blurry", "by hand")
    assert shown["description"] == "<p>A plain<br>text</p>"
    assert shown["base_model"] == "SD 1.x"  # by its tensors: A1111's own guess is the weakest
    assert shown["values"]["base_model"] == [
        {
            "source": "tensors",
            "value": "SD 1.x",
            "reason": "Cross-attention takes 768 values, as SD 1.x does.",
        },
        {"source": "a1111", "value": "SDXL", "reason": "The .json file says 'SDXL'."},
    ]
    assert {shown["sources"][name] for name in ("trigger_words", "weight", "notes", "negative_prompt")} == {
        "a1111"
    }


def test_a_weight_of_0_is_none_and_civitai_helpers_prompts_stay_whole(loras: Path, detail: Detail) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".json", {"activation text": "a, b || c, d", "preferred weight": 0, "notes": ""})
    shown = detail("a")
    assert shown["weight"] is None and "weight" not in shown["values"]
    assert shown["trigger_words"] == ["a, b", "c, d"]


def test_civitai_browsers_ids_give_the_page(loras: Path, detail: Detail) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".json", {**A1111, "sha256": "AB", "modelId": 11, "modelVersionId": 12})
    assert detail("a")["url"] == "https://civitai.com/models/11?modelVersionId=12"
    add_side_file(
        path, ".json", {"sha256": "AB", "modelId": "Model not found", "modelVersionId": "Model not found"}
    )
    assert detail("a")["url"] is None


def test_sdnexts_model_and_what_save_info_leaves_of_it(loras: Path, detail: Detail) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".json", WHOLE_MODEL)
    shown = detail("a")
    assert (shown["title"], shown["base_model"], shown["trigger_words"]) == (
        "The model",
        "Pony",
        ["three", "four"],
    )
    assert (shown["author"], shown["version"]) == ("painter", "v2")
    assert shown["sources"]["title"] == shown["sources"]["trigger_words"] == "sdnext"
    add_side_file(path, ".json", {**MODEL, "modelVersions": []})
    shown = detail("a")
    assert (shown["title"], shown["author"], shown["tags"]) == ("The model", "painter", ["style"])
    assert (shown["base_model"], shown["trigger_words"], shown["version"]) == ("SD 1.x", [], None)
    assert shown["url"] == "https://civitai.com/models/7"


def test_sdnexts_version_is_the_files_own_by_name_body_hash_or_size(loras: Path) -> None:
    path = make_lora(loras / "a.safetensors", sshs_model_hash="c0ffee" * 8)
    size = path.stat().st_size

    def chosen(**of_second: Any) -> list[str]:
        versions = [
            {"id": 2, "trainedWords": ["newest"], "files": [{"name": "x.safetensors", "sizeKB": 9}]},
            {"id": 1, "trainedWords": ["second"], "files": [{"name": "y.safetensors"}, of_second]},
        ]
        add_side_file(path, ".json", {"id": 7, "modelVersions": versions})
        return next(value for _, value in said(read_sources(job_of(path)).all, "trigger_words"))

    assert chosen(name="a.safetensors") == ["second"]
    assert chosen(hashes={"AutoV3": "C0FFEEC0FFEE"}) == ["second"]
    assert chosen(sizeKB=size / 1024) == ["second"]
    assert chosen(sizeKB=size) == ["newest"]


def test_lora_managers_metadata(loras: Path, detail: Detail) -> None:
    add_side_file(make_lora(loras / "a.safetensors"), ".metadata.json", MANAGER)
    shown = detail("a")
    assert (shown["title"], shown["base_model"], shown["weight"]) == ("Named by me", "Illustrious", 0.9)
    assert (shown["notes"], shown["tags"], shown["nsfw"]) == ("tool notes", ["painted"], 4)
    assert (shown["trigger_words"], shown["description"]) == (["three", "four"], "<p>In the tool</p>")
    assert shown["favorite"] is True and shown["sources"]["favorite"] == "manager"
    assert [example["prompt"] for example in shown["examples"]] == ["a hill"]
    assert set(shown["sources"].values()) == {"manager"}


def test_what_lora_manager_writes_when_it_knows_nothing_is_no_title(loras: Path, detail: Detail) -> None:
    blank = {
        "file_name": "a",
        "model_name": "a",
        "base_model": "Unknown",
        "civitai": {},
        "trainedWords": ["own"],
    }
    add_side_file(make_lora(loras / "a.safetensors"), ".metadata.json", blank)
    shown = detail("a")
    assert "title" not in shown["values"] and shown["base_model"] == "SD 1.x"
    assert shown["trigger_words"] == ["own"]


def test_civitai_info_and_a_404_that_helper_remembers(loras: Path, detail: Detail) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".civitai.info", {})
    assert detail("a")["not_on_civitai"] is True
    add_side_file(path, ".civitai.info", VERSION)
    shown = detail("a")
    assert shown["not_on_civitai"] is False
    assert (shown["title"], shown["url"]) == ("The model", "https://civitai.com/models/7?modelVersionId=70")
    assert shown["sources"]["title"] == "info"


def test_a_models_and_a_versions_description_come_together(loras: Path, detail: Detail) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".civitai.info", {**VERSION, "description": "<p>New in v2</p>"})
    assert detail("a")["description"] == "<p>Long</p><h3>About this version</h3><p>New in v2</p>"


def test_the_header_by_editor_model_spec_and_trainer(loras: Path, detail: Detail) -> None:
    make_lora(
        loras / "a.safetensors",
        ssmd_display_name="Display name",
        ssmd_keywords="kw1, kw2",
        ssmd_tags="art",
        ssmd_author="me",
        ssmd_source="https://x.example/page",
        ssmd_rating="7",
        ssmd_version="1.1",
        modelspec__title="LoRA@1700000000",
        modelspec__trigger_phrase="from spec",
        modelspec__description="Spec text",
        modelspec__usage_hint="Use at 0.5",
        modelspec__author="trainer",
        modelspec__tags="spec, art",
        ss_training_comment="a comment",
    )
    shown = detail("a")
    assert (shown["title"], shown["trigger_words"], shown["rating"]) == ("Display name", ["kw1", "kw2"], 4)
    assert (shown["author"], shown["url"], shown["version"]) == ("me", "https://x.example/page", "1.1")
    assert (shown["notes"], shown["tags"]) == ("Use at 0.5", ["art", "spec"])
    assert shown["description"] == "<p>Spec text</p>"
    assert shown["values"]["trigger_words"] == [
        {"source": "ssmd", "value": ["kw1", "kw2"]},
        {"source": "modelspec", "value": ["from spec"]},
    ]
    assert [one["source"] for one in shown["values"]["title"]] == ["ssmd"]  # the trainer's filler is no title
    assert [one["source"] for one in shown["values"]["description"]] == ["modelspec", "kohya"]


def with_infotext(text: str) -> str:
    """A PNG in base64 with A1111's parameters."""
    told = PngImagePlugin.PngInfo()
    told.add_text("parameters", text)
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "PNG", pnginfo=told)
    return base64.b64encode(content.getvalue()).decode()


def test_pictures_in_the_header_tell_the_prompts_they_were_made_with(loras: Path, detail: Detail) -> None:
    settings = "Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 12, Size: 512x768, Model: anything"
    covers = [
        with_infotext(f"a hill, <lora:a:0.8>\nNegative prompt: fog\n{settings}"),
        "no picture",
        7,
        base64.b64encode(picture()).decode(),
        with_infotext(f"a lake,\nat night\n{settings}"),
        with_infotext(f"Negative prompt: all of it\n{settings}"),
    ]
    make_lora(loras / "a.safetensors", ssmd_cover_images=json.dumps(covers))
    shown = detail("a")["examples"]
    assert [(one["prompt"], one["negative_prompt"]) for one in shown] == [
        ("a hill, <lora:a:0.8>", "fog"),
        ("a lake,\nat night", ""),
    ]
    of_first = [shown[0][key] for key in ("steps", "sampler", "cfg", "seed", "size", "checkpoint")]
    assert of_first == [20, "Euler a", 7.5, 12, "512x768", "anything"]


@pytest.mark.parametrize(
    ("stated", "shown"), [("0", 0), ("", 0), ("1", 1), ("10", 5), ("99", 5), ("many", 0)]
)
def test_ratings_of_ten_become_of_five(loras: Path, stated: str, shown: int) -> None:
    assert read_lora(job_of(make_lora(loras / "a.safetensors", ssmd_rating=stated))).rating == shown


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ({}, 0),
        ({"images": [{"nsfwLevel": 4}, {"nsfwLevel": 16}]}, 4),
        ({"images": [{"nsfwLevel": 32}]}, 16),
        ({"images": [{"nsfw": "Soft"}]}, 2),
        ({"images": [{"nsfw": "None"}]}, 1),
        ({"images": [{"nsfw": "Mature"}]}, 4),
        ({"images": [{"nsfw": "X"}]}, 8),
        ({"images": [{"nsfwLevel": "Mature"}]}, 4),
        ({"nsfwLevel": 31}, 1),
        ({"nsfwLevel": 28}, 4),
        ({"nsfwLevel": 31, "model": {"nsfw": True}}, 16),
        ({"images": [{"nsfwLevel": 1}], "model": {"nsfw": True}}, 8),
        ({"model": {"nsfw": False, "nsfwLevel": 60}}, 4),
        ({"nsfwLevel": -5, "images": [{"nsfwLevel": True}, {}]}, 0),
        ({"images": [{"nsfwLevel": 1.5}], "model": {"nsfw": "yes"}}, 0),
    ],
)
def test_levels_of_nudity(loras: Path, version: dict[str, Any], level: int) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(path, ".civitai.info", {"id": 1, "modelId": 2, "baseModel": "SDXL 1.0", **version})
    assert read_lora(job_of(path)).nsfw == level


def test_of_bits_the_mildest_and_the_strongest() -> None:
    assert [nsfw_levels(bits, default=0) for bits in (1, 3, 12, 63, 0, 4096)] == [
        (1, 1), (1, 2), (4, 8), (1, 16), (0, 0), (0, 0),
    ]  # fmt: skip


def test_a_level_of_the_files_is_filtered_by(loras: Path, detail: Detail, api: TestClient) -> None:
    add_side_file(make_lora(loras / "a.safetensors"), ".metadata.json", {"preview_nsfw_level": 8})
    make_lora(loras / "b.safetensors")
    assert detail("a")["nsfw"] == 8
    assert [item["name"] for item in api.get("loras", params={"q": "nsfw:x"}).json()["items"]] == ["a"]


@pytest.mark.parametrize(
    ("stated", "ours"),
    [("Pony V7", "Pony V7"), ("Pony", "Pony"), ("SD1.5", "SD 1.x"), ("SDXL", "SDXL"), ("Unknown", "Unknown"), ("Flux.1", "Flux")],
)  # fmt: skip
def test_names_of_base_models(stated: str, ours: str) -> None:
    assert from_civitai(stated) == ours


ODD_BYTES: dict[str, bytes] = {
    "UTF-8 with a mark": b"\xef\xbb\xbf" + b'{"notes": "kept"}',
    "UTF-16": '{"notes": "kept"}'.encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + '{"notes": "kept"}'.encode("utf-16-be"),
    "NaN, as Python writes it": b'{"notes": "kept", "preferred weight": NaN, "x": [Infinity]}',
    "half an emoji": rb'{"notes": "kept", "description": "\ud83d"}',
    "a raw line break": b'{"notes": "kept", "activation text": "a\nb"}',
    "zeros at the end": b'{"notes": "kept"}\0\0\0',
    "an endless number": b'{"notes": "kept", "preferred weight": ' + b"9" * 400 + b"}",
}


@pytest.mark.parametrize("name", ODD_BYTES)
def test_what_common_tools_write_is_read_though_it_is_not_quite_json(
    loras: Path, detail: Detail, name: str
) -> None:
    add_side_file(make_lora(loras / "a.safetensors"), ".json", ODD_BYTES[name])
    shown = detail("a")
    assert shown["notes"] == "kept" and shown["warnings"] == []


@pytest.mark.parametrize("ending", [".json", ".civitai.info", ".metadata.json", ".txt"])
def test_a_huge_side_file_is_named_and_not_read(
    loras: Path, detail: Detail, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path = make_lora(loras / "a.safetensors")
    with open(path.with_name("a" + ending), "wb") as file:
        file.write(b'{"notes": "')
        file.truncate(200_000_000)
    read: list[int] = []
    real = os.read
    monkeypatch.setattr(side_files.os, "read", lambda handle, size: read.append(size) or real(handle, size))
    shown = detail("a")
    assert shown["state"] == "ok"
    assert shown["warnings"] == [f"a{ending} is larger than 16 MB and was not read."]
    assert sum(read) < 2_000_000


def test_a_pipe_or_a_folder_in_a_side_files_place_holds_nobody_up(loras: Path, detail: Detail) -> None:
    make_lora(loras / "a.safetensors")
    (loras / "a.json").mkdir()
    os.mkfifo(loras / "a.metadata.json")
    assert detail("a")["state"] == "ok"


def test_side_files_of_one_file_are_those_that_the_scan_finds(loras: Path) -> None:
    for name in ("a.safetensors", "a.preview.safetensors", "ab.safetensors", "b.pt"):
        (loras / name).write_bytes(b"x")
    for name in (
        "a.json", "a.preview.png", "a.preview.preview.png", "a.metadata.json", "ab.json", "a.b.json", "b.TXT",
        "a.html", "a.api_info.json", "a.cm-info.json", "a", "a.png.bak",
    ):  # fmt: skip
        (loras / name).write_bytes(b"x")
    found = {file.name: file.side_files for file in list_folder(str(loras), "").files}
    assert found == {name: side_files_of(str(loras), name) for name in found}
    assert set(found["a.safetensors"].values()) == {
        "a.json", "a.preview.png", "a.metadata.json", "a.html", "a.api_info.json", "a.cm-info.json",
    }  # fmt: skip


def test_two_models_of_one_stem_share_their_side_files(loras: Path, api: TestClient, scan: Scan) -> None:
    add_side_file(make_lora(loras / "a.safetensors"), ".json", {"notes": "shared"})
    (loras / "a.pt").write_bytes(b"x")
    scan()
    items = api.get("loras").json()["items"]
    assert [api.get(f"loras/{item['id']}").json()["notes"] for item in items] == ["shared", "shared"]
