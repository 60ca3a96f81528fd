"""The infotext of the A1111 line and of SDNext: the prompt, "Negative prompt: …", and a line of parameters.

Sources: A1111 modules/processing.py (create_infotext), SDNext modules/processing_info.py; hashes as A1111's Lora extension,
SDNext's modules/lora and Civitai's extension write them; Fooocus (scheme a1111) and ComfyUI's savers write the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sidecar.library.foreign import as_list, as_object, as_string
from sidecar.prompts.grammar import find_tags
from sidecar.prompts.images.infotext import (
    MAX_TEXT,
    Infotext,
    NamedLora,
    hash_of,
    load_json,
    to_number,
    weight_of,
)
from sidecar.prompts.images.parameters import count_pairs, read_parameters

_STEPS = re.compile(r"^[ \t]*Steps:[ \t]*\d", re.MULTILINE)
_NEGATIVE = re.compile(r"^Negative prompt:[ \t]?", re.MULTILINE)
_TEMPLATE = re.compile(r"^(Negative )?Template:[ \t]?", re.MULTILINE | re.IGNORECASE)
_SET_END = re.compile(r" v\d+(?: \(-?[\d.]+\))?(?:, |$)")
_NAMES = {
    "steps": "steps", "sampler": "sampler", "schedule type": "scheduler", "scheduler": "scheduler", "cfg scale": "cfg",
    "seed": "seed", "size": "size", "model": "checkpoint", "model hash": "checkpoint_hash", "vae": "vae",
    "clip skip": "clip_skip", "clip-skip": "clip_skip", "denoising strength": "denoising",
    "hires upscale": "hires_scale", "hires scale": "hires_scale", "hires steps": "hires_steps",
    "hires upscaler": "hires_upscaler", "hires prompt": "hires_prompt", "refiner prompt": "hires_prompt",
    "hires negative prompt": "hires_negative_prompt", "refiner negative": "hires_negative_prompt",
    "styles": "styles", "template": "template", "negative template": "negative_template",
}  # fmt: skip
_NUMBERS = ("steps", "cfg", "seed", "clip_skip", "denoising", "hires_scale", "hires_steps")
# Besides these names, what else tells a line of parameters from a prompt that looks like one.
_ALSO_KNOWN = (
    "version",
    "app",
    "lora hashes",
    "hashes",
    "civitai resources",
    "postprocess upscale by",
    "ensd",
)
_LORA_KINDS = ("lora", "lyco", "lycoris", "locon", "dora")
_OTHER_PROMPTS = re.compile(r"prompt|template|negative", re.IGNORECASE)


def parse_infotext(text: str) -> Infotext:
    """Take an infotext apart. Without a line of parameters everything is prompt."""
    text = text[:MAX_TEXT].replace("\r\n", "\n").strip()
    prompt, line, after = _split(text)
    values = read_parameters(line)
    negatives = list(_NEGATIVE.finditer(prompt))
    negative = ""
    if negatives:  # a prompt can hold such a line itself, so the last one counts
        negative = prompt[negatives[-1].end() :]
        prompt = prompt[: negatives[-1].start()]
    software = _software(values)
    if software == "SD.Next":  # writes templates before the parameters
        negative, templates = _cut_templates(negative)
        after = f"{templates}\n{after}"
    for key, template in _templates(after):
        values.setdefault(key, template)
    return Infotext(
        software=software,
        prompt=prompt.strip(),
        negative_prompt=negative.strip(),
        parameters=_parameters(values),
        loras=_loras(values, prompt),
        sets=_sets(_text(values, "LoRA sets")),
        text=text,
    )


def is_infotext(text: str) -> bool:
    """Whether a text has such a line of parameters."""
    return bool(_split(text[:MAX_TEXT].replace("\r\n", "\n").strip())[1])


def _split(text: str) -> tuple[str, str, str]:
    """Prompts, parameters and what follows them (sd-dynamic-prompts appends its templates).

    The parameters begin with the last line "Steps: N" that has three pairs at least; without one they are the last line, when
    it has three pairs and a key that image programs write.
    """
    starts = [match.start() for match in _STEPS.finditer(text)]
    for start in reversed(starts[-20:]):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if count_pairs(text[start:end]) >= 3:
            template = _TEMPLATE.search(text, end)
            stop = template.start() if template else len(text)
            return text[:start], text[start:stop].strip(), text[stop:]
    before, _, last = text.rpartition("\n")
    values = read_parameters(last)
    if len(values) >= 3 and any(key.lower() in (*_NAMES, *_ALSO_KNOWN) for key in values):
        return before, last, ""
    return text, "", ""


def _cut_templates(text: str) -> tuple[str, str]:
    first = _TEMPLATE.search(text)
    return (text[: first.start()], text[first.start() :]) if first else (text, "")


def _templates(text: str) -> Iterator[tuple[str, str]]:
    """Key and text of each template."""
    found = list(_TEMPLATE.finditer(text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    for match, end in zip(found, ends):
        yield ("negative template" if match[1] else "template"), text[match.end() : end].strip()


def _parameters(values: dict[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for key, value in values.items():
        ours = _NAMES.get(key.lower())
        if ours and isinstance(value, (str, int, float)):
            number = to_number(value) if ours in _NUMBERS else None
            named.setdefault(ours, value if number is None else number)
    return named


def _software(values: dict[str, Any]) -> str:
    version = _text(values, "Version").lower()
    if _text(values, "App").replace(".", "").lower() == "sdnext":
        return "SD.Next"
    for mark, name in (("comfyui", "ComfyUI"), ("fooocus", "Fooocus"), ("forge", "Forge"), ("neo", "Forge")):
        if version.startswith(mark) or (mark == "forge" and mark in version):
            return name
    if re.match(r"f\d", version):
        return "Forge"
    return "Civitai" if "Civitai resources" in values and not version else "A1111"


def _loras(values: dict[str, Any], prompt: str) -> list[NamedLora]:
    """The LoRAs that the parameters name, each with what is told of its hash and weight."""
    hashes = dict(_hashes(values))
    weights = {name: weight_of(weight, None) for name, weight in _pairs(_text(values, "Lora weights"))}
    resources = list(_resources(values))
    tagged = any(tag.is_lora for tag in find_tags(prompt))
    elsewhere = _named_elsewhere(values)
    found: dict[str, NamedLora] = {}
    for name in dict.fromkeys((*hashes, *weights, *_networks(values))):
        found[name] = NamedLora(name, weights.get(name), hashes.get(name), fold(name) in elsewhere)
    if len(resources) == len(
        found
    ):  # the same ones by the names they have on Civitai: only their weights are news
        for name, resource in zip(found, resources):
            one = found[name]
            found[name] = NamedLora(
                name,
                resource.weight if one.weight is None and not tagged else one.weight,
                one.hash or resource.hash,
                one.other_pass,
            )
    elif not tagged and not found:
        found = {resource.name: resource for resource in resources}
    return list(found.values())


def _hashes(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """`Lora hashes: "name: hash, …"`, then `Hashes: {"lora:name": hash}`; SDNext's hashes have no names."""
    for key in ("Lora hashes", "LoRA hashes"):
        for name, value in _pairs(_text(values, key)):
            hashed = hash_of(value)
            if hashed:
                yield name, hashed
    told = values.get("Hashes")
    for key, value in as_object(load_json(told) if isinstance(told, str) else told).items():
        kind, _, name = key.partition(":")
        hashed = hash_of(value)
        if kind.lower() in _LORA_KINDS and name.strip() and hashed:
            yield name.strip(), hashed
    names = list(_networks(values))
    unnamed = [hash_of(one) for one in _text(values, "LoRA hashes").split(",") if one.strip()]
    if len(names) == len(unnamed):  # in the order of the networks, when none is left out
        yield from ((name, one) for name, one in zip(names, unnamed) if one)


def _networks(values: dict[str, Any]) -> Iterator[str]:
    """SDNext's `LoRA networks: a, b`."""
    return (name.strip() for name in _text(values, "LoRA networks").split(",") if name.strip())


def _resources(values: dict[str, Any]) -> Iterator[NamedLora]:
    """LoRAs of Civitai's list of resources: named as there, not as the file."""
    for one in as_list(values.get("Civitai resources")):
        resource = as_object(one)
        name = as_string(resource.get("modelName")) or as_string(resource.get("modelVersionName"))
        if name and str(resource.get("type")).lower() in _LORA_KINDS:
            yield NamedLora(name, weight_of(resource.get("weight")), hash_of(resource.get("hash")))


def _named_elsewhere(values: dict[str, Any]) -> set[str]:
    """Names in the tags of prompts for other passes: hires, detailers, templates."""
    texts = [value for key, value in values.items() if isinstance(value, str) and _OTHER_PROMPTS.search(key)]
    return {fold(tag.name) for text in texts for tag in find_tags(text) if tag.is_lora}


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """`name: value, name: value`."""
    for part in text.split(","):
        name, _, value = part.rpartition(":")
        if name.strip():
            yield name.strip(), value.strip()


def _sets(text: str) -> list[str]:
    """The names in `NAME v3, OTHER v1 (0.7)`; a name can have commas."""
    names, start = [], 0
    for end in _SET_END.finditer(text):
        names.append(text[start : end.start()].strip())
        start = end.end()
    return [name for name in names if name]


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""


def fold(name: str) -> str:
    """A name for comparing: A1111 leaves ":" and "," out of the names in `Lora hashes`, SDNext writes "_" for "."."""
    return name.strip().translate({ord(":"): None, ord(","): None, ord("."): "_"}).casefold()
