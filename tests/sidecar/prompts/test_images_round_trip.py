"""What A1111 writes of any prompt is read back as it was."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from infotext_pictures import comment_of, png, with_comment

from sidecar.prompts.images.a1111 import parse_infotext
from sidecar.prompts.images.reading import read_picture

pieces = st.sampled_from(
    [
        ", ", ": ", "\n", '"', "\\", "'", "(cat:1.2)", "[a|b]", "{", "}", "<lora:Ink:0.7>", "BREAK", "AND", "Steps: ", "\nSteps: 20, ",
        "Steps: 20, Sampler: Euler, Size: 8x8\n", "Template: ", "\nNegative Template: ", "Negative prompt: ", "Seed: 5, ", "猫", "é", "🐈‍⬛", "\t", "\u2028",
    ]
)  # fmt: skip
plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12)
texts = st.lists(pieces | plain, max_size=12).map("".join)
quick = settings(max_examples=300, deadline=None)


def quote(value: Any) -> str:
    """As modules/infotext_utils.py of A1111."""
    text = str(value)
    return json.dumps(value, ensure_ascii=False) if "," in text or "\n" in text or ":" in text else text


def write(prompt: str, negative: str, parameters: dict[str, Any]) -> str:
    """As create_infotext of modules/processing.py of A1111."""
    line = ", ".join(
        key if key == value else f"{key}: {quote(value)}"
        for key, value in parameters.items()
        if value is not None
    )
    told = f"\nNegative prompt: {negative}" if negative else ""
    return f"{prompt}{told}\n{line}".strip()


def has_line(text: str) -> bool:
    return any(line.startswith("Negative prompt:") for line in text.split("\n"))


USUAL = {
    "Steps": 20,
    "Sampler": "DPM++ 2M",
    "Schedule type": "Karras",
    "CFG scale": 7.5,
    "Seed": 123,
    "Size": "512x768",
}


@quick
@given(texts, texts)
def test_any_prompts(prompt: str, negative: str) -> None:
    assume(not has_line(negative) and (negative or not has_line(prompt)))  # such ones have no single meaning
    found = parse_infotext(write(prompt, negative, USUAL)).cleaned()
    assert (found.prompt, found.negative_prompt) == (prompt.strip(), negative.strip())
    assert found.parameters == {
        "steps": 20, "sampler": "DPM++ 2M", "scheduler": "Karras", "cfg": 7.5, "seed": 123, "size": "512x768",
    }  # fmt: skip


@quick
@given(texts, texts, st.integers(0, 2**64 - 1))
def test_any_values(checkpoint: str, hires: str, seed: int) -> None:
    values = {"Model": checkpoint, "Hires prompt": hires}
    for value in values.values():
        assume(
            quote(value) != value or value.strip()[:1] not in ('"', "{", "[")
        )  # which A1111 itself cannot tell from quoted ones
        assume(value.strip())
    found = parse_infotext(
        write("cat", "dog", {**USUAL, "Seed": seed, **values, "Version": "v1.10.1"})
    ).cleaned()
    assert found.parameters["checkpoint"] == checkpoint.strip()
    assert found.parameters["hires_prompt"] == hires.strip()
    assert found.parameters["seed"] == seed
    assert (found.prompt, found.negative_prompt, found.software) == ("cat", "dog", "A1111")


@quick
@given(
    st.dictionaries(
        texts.filter(lambda name: name.strip()),
        st.text("0123456789abcdef", min_size=12, max_size=12),
        max_size=5,
    )
)
def test_any_names_in_its_hashes(hashes: dict[str, str]) -> None:
    kept = {name.translate({ord(":"): None, ord(","): None}): digest for name, digest in hashes.items()}
    kept = {name: digest for name, digest in kept.items() if name.strip()}
    assume(len({name.strip() for name in kept}) == len(kept))
    told = ", ".join(f"{name}: {digest}" for name, digest in kept.items()) or None
    found = parse_infotext(write("cat", "", {**USUAL, "Lora hashes": told}))
    assert {lora.name: lora.hash for lora in found.loras} == {
        name.strip(): digest for name, digest in kept.items()
    }


@settings(quick, max_examples=60)
@given(texts, st.sampled_from(["PNG", "JPEG", "WEBP"]))
def test_any_prompt_in_a_file(prompt: str, form: str) -> None:
    assume(not has_line(prompt))
    text = write(prompt, "dog", USUAL)
    assume(not _is_taken_for_utf_8(text))
    content = png({"parameters": text}) if form == "PNG" else with_comment(comment_of(text), form)
    found = read_picture(content)
    assert found is not None
    assert (found.prompt, found.negative_prompt) == (prompt.strip(), "dog")


def _is_taken_for_utf_8(text: str) -> bool:
    """Latin-1 whose bytes happen to be UTF-8: "Ã©", which far more often is a misread "é"."""
    try:
        return not text.isascii() and text.encode("latin-1").decode() != text
    except UnicodeError:
        return False
