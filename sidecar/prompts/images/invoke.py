"""InvokeAI: `invokeai_metadata` since version 3, before that `sd-metadata` and the command line in `Dream`.

Sources: invokeai/app/invocations/metadata.py (CoreMetadata), backend/image_util/pngwriter.py.
"""

from __future__ import annotations

import re
from typing import Any

from sidecar.library.foreign import as_list, as_object, as_string
from sidecar.prompts.images.infotext import (
    MAX_TEXT,
    Infotext,
    NamedLora,
    hash_of,
    load_json,
    size_of,
    to_number,
    weight_of,
)

_DREAM = re.compile(r'\s*"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_OPTION = re.compile(r"(?:^|\s)-([sSCAWH])\s?([\w.]{1,40})")
_OPTIONS = {"s": "steps", "S": "seed", "C": "cfg", "A": "sampler"}
_NEGATIVE = re.compile(r"\[([^\[\]]*)\]")
_WITH_LORA = re.compile(r"withLora\(([^(),]{1,300})(?:,([^(),]{0,40}))?\)")
_SPACES = re.compile(r" {2,}")


def parse_invoke(texts: dict[str, str]) -> Infotext | None:
    """What InvokeAI has written; None when it has not."""
    for key, parse in (("invokeai_metadata", _parse_new), ("sd-metadata", _parse_old)):
        content = as_object(load_json(texts.get(key)))
        found = parse(content) if content else None
        if found:
            found.text = texts[key][:200_000]
            return found
    return _parse_dream(texts["Dream"]) if "Dream" in texts else None


def _parse_new(content: dict[str, Any]) -> Infotext | None:
    prompt = as_string(content.get("positive_prompt")) or as_string(content.get("prompt"))
    if prompt is None and "app_version" not in content:
        return None
    loras = []
    for one in map(as_object, as_list(content.get("loras"))):
        model = as_object(one.get("model")) or as_object(one.get("lora"))
        name = as_string(model.get("name")) or as_string(model.get("model_name"))
        if name:
            loras.append(NamedLora(name, weight_of(one.get("weight")), hash_of(model.get("hash"))))
    return Infotext(
        "InvokeAI",
        prompt=_with_style(prompt, content.get("positive_style_prompt")),
        negative_prompt=_with_style(
            as_string(content.get("negative_prompt")), content.get("negative_style_prompt")
        ),
        parameters=_settings(content, {"cfg_scale": "cfg", "scheduler": "sampler", "clip_skip": "clip_skip"})
        | _model(as_object(content.get("model"))),
        loras=loras,
    )


def _with_style(prompt: str | None, style: Any) -> str:
    """SDXL's second prompt after the first, when it says something else."""
    further = as_string(style)
    return ", ".join(dict.fromkeys(one for one in (prompt, further) if one))


def _model(model: dict[str, Any]) -> dict[str, Any]:
    name = as_string(model.get("name")) or as_string(model.get("model_name"))
    hashed = hash_of(model.get("hash"))
    return ({"checkpoint": name} if name else {}) | ({"checkpoint_hash": hashed} if hashed else {})


def _parse_old(content: dict[str, Any]) -> Infotext | None:
    image = as_object(content.get("image"))
    prompts = image.get("prompt")
    listed = [as_string(as_object(one).get("prompt")) for one in as_list(prompts)[:100]]
    text = " ".join(part for part in (listed or [as_string(prompts)]) if part)
    if not image:
        return None
    found = _with_parts(text[:MAX_TEXT])
    found.parameters = _settings(image, {"cfg_scale": "cfg"})
    weights = as_string(content.get("model_weights"))
    if weights:
        found.parameters["checkpoint"] = weights
    return found


def _parse_dream(text: str) -> Infotext | None:
    match = _DREAM.match(text)
    if match is None:
        return None
    found = _with_parts(match[1].replace('\\"', '"'))
    options = dict(_OPTION.findall(text[match.end() :][:10_000]))
    for option, value in options.items():
        if option in _OPTIONS:
            number = to_number(value) if option != "A" else None
            found.parameters[_OPTIONS[option]] = value if number is None else number
    size = size_of(options.get("W"), options.get("H"))
    if size:
        found.parameters["size"] = size
    found.text = text[:200_000]
    return found


def _with_parts(text: str) -> Infotext:
    """One text with `[negative]` parts and `withLora(name, weight)` in it."""
    loras = [NamedLora(name.strip(), weight_of(weight.strip())) for name, weight in _WITH_LORA.findall(text)]
    text = _WITH_LORA.sub("", text)
    negatives = [part.strip() for part in _NEGATIVE.findall(text)]
    prompt = _SPACES.sub(" ", _NEGATIVE.sub("", text)).strip(" ,")
    return Infotext("InvokeAI", prompt, ", ".join(part for part in negatives if part), loras=loras)


def _settings(values: dict[str, Any], others: dict[str, str]) -> dict[str, Any]:
    """Its settings by our names."""
    return settings_of(values, {"steps": "steps", "seed": "seed", "sampler": "sampler", **others})


def settings_of(values: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Numbers and texts of `values` under other names (theirs → ours), and the size from width and height."""
    found: dict[str, Any] = {}
    for theirs, ours in names.items():
        value = values.get(theirs)
        number = to_number(value)
        text = as_string(value)
        if number is not None or text:
            found[ours] = text[:500] if number is None and text else number
    size = size_of(values.get("width"), values.get("height"))
    return {**found, "size": size} if size else found
