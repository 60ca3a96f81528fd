"""The texts of ComfyUI's graphs: out of whichever nodes they come, and through whatever they pass."""

from __future__ import annotations

from typing import Any

import pytest
from comfy_graphs import Graph, graph, node, read


@pytest.mark.parametrize(
    ("text", "further", "prompt"),
    [
        (["s", 0], {"s": node("PrimitiveStringMultiline", value="a castle\nin fog")}, "a castle\nin fog"),
        (["s", 0], {"s": node("PrimitiveNode", value="a castle")}, "a castle"),
        (
            ["s", 0],
            {
                "s": node("Text Concatenate", delimiter=", ", clean_whitespace="true", text_a=["a", 0], text_b=["b", 0], text_c=["a", 0]),
                "a": node("Text Multiline", text="a castle"),
                "b": node("String Literal", string="fog"),
            },
            "a castle, fog",
        ),
        (
            ["s", 0],
            {"s": node("StringConcatenate", string_a="a castle ", string_b=["b", 0], delimiter=""), "b": node("StringFunction|pysssss", action="append", tidy_tags="yes", text_a="in", text_b="fog")},
            "a castle in, fog",
        ),
        (["s", 0], {"s": node("easy positive", positive="a castle")}, "a castle"),
        (["s", 0], {"s": node("ShowText|pysssss", text=["t", 0], text_0="an old text"), "t": node("CR Prompt Text", prompt="a castle")}, "a castle"),
    ],
    ids=["string", "primitive", "concatenated", "nested", "easy", "shown"],
)  # fmt: skip
def test_texts_out_of_other_nodes(text: Any, further: Graph, prompt: str) -> None:
    assert read(graph(n6=node("CLIPTextEncode", text=text, clip=["n4", 1]), **further)).prompt == prompt


def test_conditioning_is_followed_through_what_changes_it() -> None:
    further = {
        "control": node("ControlNetApplyAdvanced", positive=["both", 0], negative=["n7", 0], control_net=["cn", 0], strength=0.5),
        "cn": node("ControlNetLoader", control_net_name="depth.safetensors"),
        "both": node("ConditioningCombine", conditioning_1=["n6", 0], conditioning_2=["area", 0]),
        "area": node("ConditioningSetArea", conditioning=["sky", 0], width=64, height=64, x=0, y=0, strength=1),
        "sky": node("CLIPTextEncode", text="red sky", clip=["n4", 1]),
    }  # fmt: skip
    made = graph(**further)
    made["n3"]["inputs"].update(positive=["control", 0], negative=["control", 1])
    found = read(made)
    assert (found.prompt, found.negative_prompt) == ("a castle, fog, red sky", "blurry")


def test_an_emptied_negative_is_empty() -> None:
    made = graph(zero=node("ConditioningZeroOut", conditioning=["n6", 0]))
    made["n3"]["inputs"]["negative"] = ["zero", 0]
    assert read(made).negative_prompt == ""
