"""The grammar of tags, against the hosts' own pattern."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.prompts.grammar import (
    find_comments,
    find_tags,
    find_unclosed,
    format_weight,
    is_within,
    replace_tags,
)

HOSTS = re.compile(r"<(\w+):([^>]+)>")  # A1111 and SDNext, modules/extra_networks.py
PIECES = [
    "<lora:", "<lyco:", "<set:", "<LORA:", "<hypernet:", "<", ">", ":", "=", "a", "0.5", "-1", "0,8", ",", " ", "\n", "🦊", "مرحبا", "(", ")",
    "[", "]", "BREAK", "#", "//", "/*", "*/", "{a|b}", "__w__", "<lora:x:1>", "te=", "?tag:", "\\",
]  # fmt: skip
prompts = st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=60)


@given(prompts)
def test_tags_are_those_that_hosts_find(prompt: str) -> None:
    expected = [
        (match.start(), match.end(), match[1], match[2])
        for match in HOSTS.finditer(prompt)
        if match[1].lower() in ("lora", "lyco", "set")
    ]
    assert [(tag.start, tag.end, tag.kind, tag.inner) for tag in find_tags(prompt)] == expected


@given(prompts)
def test_untouched_tags_come_back_byte_for_byte(prompt: str) -> None:
    tags = find_tags(prompt)
    assert [str(tag) for tag in tags] == [prompt[tag.start : tag.end] for tag in tags]
    assert replace_tags(prompt, tags, [str(tag) for tag in tags]) == prompt


@given(prompts, st.floats(-10, 10))
def test_a_weight_is_read_back_as_it_was_written(prompt: str, weight: float) -> None:
    for tag in find_tags(prompt):
        changed = tag.with_weight(weight)
        assert changed.weight == float(format_weight(weight))
        assert find_tags(str(changed)) == [
            type(tag)(0, len(str(changed)), tag.kind, tag.name, changed.arguments)
        ]
        assert changed.with_weight(weight) == changed


def reforge_strips(text: str) -> str:
    """What is left after comments, as reForge takes them out one kind after the other."""
    text = re.sub(r"^/\*.*?\*/(\n|$)", "\n", text, flags=re.MULTILINE | re.DOTALL)
    for pattern in (r"#.*(\n|$)", r"//.*(\n|$)", r"/\*.*(\n|$)|\*/.*(\n|$)"):
        text = re.sub(pattern, "\n", text)
    return text


@pytest.mark.parametrize(
    "prompt",
    [
        "a # <lora:x:1>",
        "a # <lora:x:1>\n<lora:y:1>",
        "<lora:x:1> // <lora:y:1>\nb",
        "/* <lora:x:1>\n<lora:y:1> */\n<lora:z:1>",
        "a /* <lora:x:1>\n<lora:y:1>",
        "<lora:x:1>",
        "https://host <lora:x:1>",
    ],
)
def test_tags_in_comments_are_those_that_reforge_strips(prompt: str) -> None:
    comments = find_comments(prompt)
    left = [prompt[tag.start : tag.end] for tag in find_tags(prompt) if not is_within(tag.start, comments)]
    assert left == HOSTS_WHOLE.findall(reforge_strips(prompt))


HOSTS_WHOLE = re.compile(r"<\w+:[^>]+>")


@pytest.mark.parametrize(
    ("prompt", "places"),
    [
        ("<lora:a", [(0, 7)]),
        ("x <lora:a <lora:b:1>", [(2, 10)]),
        ("<set:a, b", [(0, 9)]),
        ("<lora:a:1>", []),
        ("a < b > c", []),
        ("<hypernet:a", []),
    ],
)
def test_tags_that_never_end_are_found(prompt: str, places: list[tuple[int, int]]) -> None:
    assert find_unclosed(prompt) == places


@pytest.mark.parametrize(
    "piece", ["<lora:", "<a:", "<lora:x:1", "/*\n", "<lora:x:1>", "(", "<set:", "{|", ":1)", "\\", "#", "🦊<"]
)
def test_a_megabyte_of_anything_is_read_in_one_go(piece: str) -> None:
    prompt = piece * (1_000_000 // len(piece))
    tags = find_tags(prompt)
    assert replace_tags(prompt, tags, [str(tag) for tag in tags]) == prompt
    find_comments(prompt)
    find_unclosed(prompt)


@pytest.mark.parametrize(
    ("tag", "scaled"),
    [
        ("<lora:a:0.8>", "<lora:a:0.4>"),
        ("<lora:a:0.8:0.5>", "<lora:a:0.4:0.25>"),
        ("<lora:a:1:te=0.5:unet=1:dyn=8>", "<lora:a:0.5:te=0.25:unet=0.5:dyn=8>"),
        ("<lora:a:in=1:mid=0:out=-1>", "<lora:a:in=0.5:mid=0:out=-0.5>"),
        ("<lora:a:lbw=ALL>", "<lora:a:lbw=ALL>"),
    ],
)
def test_scaling_reaches_every_weight_and_nothing_else(tag: str, scaled: str) -> None:
    assert str(find_tags(tag)[0].scaled(0.5)) == scaled
