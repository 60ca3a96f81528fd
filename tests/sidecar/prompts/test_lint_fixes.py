"""What a fix of a problem changes: the problem is gone, and the rest of the text as it was."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Ask

SDNEXT = {"host": "sdnext", "facts": {"checkpoint_base": "SD 1.x", "options": {"lora_apply_te": False}}}
REFORGE = {"host": "reforge", "facts": {"checkpoint_base": "SD 1.x", "extensions": [], "comments": True}}


def apply(text: str, fix: dict[str, Any]) -> str:
    """The prompt after a fix; offsets are in code points."""
    for change in sorted(fix["changes"], key=lambda one: -one["start"]):
        assert change["field"] == "prompt"
        text = text[: change["start"]] + change["text"] + text[change["end"] :]
    return text


@pytest.mark.parametrize(
    ("told", "code", "typed", "mended"),
    [
        (REFORGE, "inexact_name", "🦊 قلم <lora:inkwash:0.5> b", "🦊 قلم <lora:InkWash:0.5> b"),
        (REFORGE, "decimal_comma", "🦊 <lora:one:0,8>, b", "🦊 <lora:one:0.8>, b"),
        (REFORGE, "ignored_syntax", "🦊 <lora:one:0.8:lbw=ALL>", "🦊 <lora:one:0.8>"),
        (REFORGE, "other_base_model", "a, <lora:Outfits:1>, b", "a, b"),
        (REFORGE, "unbalanced_brackets", "🦊 (a:1.2) (b", "🦊 (a:1.2) b"),
        (REFORGE, "unbalanced_brackets", "🦊 [a]] \\( b", "🦊 [a] \\( b"),
        (REFORGE, "no_weight", "a, <lora:one:0>, b", "a, b"),
        (REFORGE, "cut_by_comment", "a, <lora:one#1:1>", "a, "),
        (REFORGE, "weight_sum", "🦊 <lora:one:4>, <lora:two:2>", "🦊 <lora:one:2>, <lora:two:1>"),
        (SDNEXT, "weight_sum", "<lora:one:5> <lora:two>", "<lora:one:2.5> <lora:two:0.5>"),
        (SDNEXT, "te_not_applied", "a <lora:one:0.5:te=0.2:unet=0.5>", "a <lora:one:0.5:unet=0.5>"),
        (REFORGE, "unclosed_tag", "🦊 <lora:one:1, b", "🦊 <lora:one:1>, b"),
    ],
)
def test_a_fix_mends_its_problem_alone(
    lint: Ask, told: dict[str, Any], code: str, typed: str, mended: str
) -> None:
    (problem,) = [one for one in lint(typed, **told)["problems"] if one["code"] == code]
    assert apply(typed, problem["fixes"][0]) == mended
    assert code not in [one["code"] for one in lint(mended, **told)["problems"]]
