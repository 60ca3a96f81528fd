"""Nothing in a picture makes its reader fail otherwise than by saying what is wrong."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from comfy_graphs import graph, node
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from infotext_pictures import comment_of, png, with_comment
from test_images_comfy_drawn import draw
from test_images_invoke import NEW
from test_images_others import FOOOCUS, SWARM

from sidecar.errors import SidecarError
from sidecar.prompts.images.exif import read_exif
from sidecar.prompts.images.infotext import Infotext
from sidecar.prompts.images.reading import read_infotext, read_picture

KEYS = (
    "parameters",
    "prompt",
    "workflow",
    "invokeai_metadata",
    "sd-metadata",
    "Dream",
    "Comment",
    "Description",
    "UserComment",
)
LORAS = graph(
    a=node("LoraLoader", model=["n4", 0], clip=["n4", 1], lora_name="x/Ink.safetensors", strength_model=0.7, strength_clip=1),
    b=node("Power Lora Loader (rgthree)", model=["a", 0], lora_1={"on": True, "lora": "Ink.safetensors", "strength": 0.8}),
    c=node("LoRA Stacker", lora_count=2, lora_name_1="Ink", lora_wt_1=1, input_mode="simple", lora_stack=["b", 0]),
    d=node("Lora Loader (LoraManager)", loras={"__value__": [{"name": "Ink", "strength": 1, "active": True}]}, model=["c", 0]),
    n9=node("SaveImage", images=["n8", 0], extra=["d", 0]),
)  # fmt: skip
DRAWN = draw(
    ("LoraLoader", ["Ink.safetensors", 1, 1], 0),
    ("Power Lora Loader (rgthree)", [{"on": True, "lora": "x"}], 4),
)
OLD = {
    "model_weights": "x",
    "image": {
        "prompt": [{"prompt": "a [b] withLora(c,1)", "weight": 1}],
        "steps": 5,
        "width": 8,
        "height": 8,
    },
}
NOVEL = {
    "uc": "bad",
    "prompt": "good",
    "steps": 1,
    "seed": 2,
    "sampler": "x",
    "scale": 3,
    "width": 8,
    "height": 8,
}
SAMPLES: list[tuple[str, Any]] = [
    ("prompt", LORAS), ("workflow", DRAWN), ("invokeai_metadata", NEW), ("sd-metadata", OLD), ("Comment", NOVEL), ("parameters", SWARM),
    ("parameters", FOOOCUS), ("UserComment", {"prompt": LORAS, "workflow": DRAWN}),
]  # fmt: skip
INFOTEXT = (
    'cat <lora:a:1>\nNegative prompt: dog\nTemplate: x\nSteps: 20, Sampler: Euler, Size: 8x8, Lora hashes: "a: 0123456789", '
    'Hashes: {"lora:a": "0123456789"}, Civitai resources: [{"type": "lora", "weight": 1, "modelName": "a"}], LoRA sets: a v1, App: SD.Next'
)

NAMES = sorted(
    {
        "inputs",
        "class_type",
        "nodes",
        "links",
        "id",
        "type",
        "mode",
        "widgets_values",
        "name",
        "link",
        "widget",
        *NEW,
        *FOOOCUS,
    }
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**30, 10**400),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["1", "a", "nan", "1e999"]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)
DEEP = [json.loads("[" * depth + "]" * depth) for depth in (100, 400, 700, 850)]
relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(texts: dict[str, str]) -> None:
    """What is read can be said as JSON, and be kept in a database."""
    found = read_infotext(texts)
    if found is None:
        return
    told: Infotext = found.cleaned()
    for text in (
        told.prompt,
        told.negative_prompt,
        told.text,
        *told.sets,
        *(lora.name for lora in told.loras),
    ):
        assert isinstance(text, str)
        text.encode()
        assert "\0" not in text
    for value in told.parameters.values():
        assert isinstance(value, (str, int, float))
    for lora in told.loras:
        assert lora.weight is None or abs(lora.weight) <= 1_000
    json.dumps(told.parameters, allow_nan=False)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with every key of it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in items for place in [(value, key), *places(inner)]]


@relaxed
@given(st.data())
def test_wrong_types_anywhere(data: st.DataObject) -> None:
    key, sample = data.draw(st.sampled_from(SAMPLES))
    changed = copy.deepcopy(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        container, at = data.draw(st.sampled_from(places(changed)))
        container[at] = data.draw(values)
    check({key: json.dumps(changed)})


@pytest.mark.parametrize(("key", "sample"), SAMPLES)
def test_deep_nesting_anywhere(key: str, sample: Any) -> None:
    for at in range(len(places(sample))):
        for deep in DEEP:
            changed = json.loads(json.dumps(sample))
            container, name = places(changed)[at]
            container[name] = deep
            check({key: _dumped(changed)})


def _dumped(value: Any) -> str:
    try:
        return json.dumps(value)
    except RecursionError:
        return "{}"


@relaxed
@given(st.sampled_from(KEYS), values)
def test_any_json(key: str, value: Any) -> None:
    check({key: json.dumps(value)})


@relaxed
@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        st.text(st.characters(), max_size=200) | st.sampled_from([INFOTEXT, json.dumps(LORAS)]),
    )
)
def test_any_texts(texts: dict[str, str]) -> None:
    check(texts)


@relaxed
@given(st.data())
def test_any_change_of_an_infotext(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(INFOTEXT)))
    end = data.draw(st.integers(start, len(INFOTEXT)))
    put = data.draw(
        st.text(max_size=10)
        | st.sampled_from(['"', "{", "[", "\n", ": ", ",", "Steps: 1", "\nNegative prompt:"])
    )
    check({"parameters": INFOTEXT[:start] + put + INFOTEXT[end:]})


SEEDS = [
    png({"parameters": INFOTEXT}), png({"parameters": INFOTEXT + "é"}, "zTXt"), png({"parameters": "猫" + INFOTEXT}, "compressed iTXt"),
    with_comment(comment_of(INFOTEXT)), with_comment(comment_of(INFOTEXT), "WEBP", "<"), with_comment(comment_of(INFOTEXT, "ascii"), "PNG"),
]  # fmt: skip


def read_any(content: bytes) -> None:
    try:
        read_picture(content)
    except SidecarError as error:
        assert error.status in (400, 413, 422)


@settings(relaxed, max_examples=300)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=4)), min_size=1, max_size=6),
)
def test_any_bytes_changed(content: bytes, changes: list[tuple[int, bytes]]) -> None:
    changed = bytearray(content)
    for place, put in changes:
        place %= len(changed)
        changed[place : place + len(put)] = put
    read_any(bytes(changed))


@relaxed
@given(st.sampled_from(SEEDS), st.integers(0, 10_000))
def test_cut_anywhere(content: bytes, length: int) -> None:
    read_any(content[: length % len(content)])


@relaxed
@given(
    st.sampled_from(
        [
            b"",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            b"\xff\xd8\xff\xe1",
            b"RIFF\0\0\0\0WEBP",
            b"GIF89a",
            b"\0\0\0\x1cftypavif",
            b"\0\0\0\x0cJXL \r\n\x87\n",
        ]
    ),
    st.binary(max_size=300),
)
def test_any_bytes_behind_any_beginning(beginning: bytes, rest: bytes) -> None:
    read_any(beginning + rest)


@relaxed
@given(
    st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"Exif\0\0MM\0*\0\0\0\x08"]),
    st.binary(max_size=300),
)
def test_any_exif(beginning: bytes, rest: bytes) -> None:
    assert all(isinstance(text, str) for text in read_exif(beginning + rest).values())
