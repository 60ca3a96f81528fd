"""InvokeAI, Fooocus, StableSwarmUI and NovelAI: JSON with names of their own."""

from __future__ import annotations

import re
from typing import Any

import orjson

from sidecar.library.foreign import as_list, as_number, as_object, as_string
from sidecar.prompts.images.infotext import Infotext, NamedLora

_DREAM = re.compile(r'^\s*"((?:[^"\\]|\\.)*)"(.*)$', re.DOTALL)
_DREAM_OPTIONS = {"s": "steps", "S": "seed", "C": "cfg", "A": "sampler"}
_DREAM_NEGATIVE = re.compile(r"\[([^\[\]]*)\]")
_WITH_LORA = re.compile(r"withLora\(\s*([^,()]+?)\s*(?:,\s*([-\d.]+)\s*)?\)")


def parse_others(chunks: dict[str, str]) -> Infotext | None:
    """The first of these programs that has written into the picture; None when none has."""
    for key, parse in (
        ("invokeai_metadata", _invoke),
        ("sd-metadata", _old_invoke),
        ("sui_image_params", _swarm),
        ("parameters", _swarm),
        ("Comment", _novelai),
        ("parameters", _fooocus),
        ("comment", _fooocus),
    ):
        content = as_object(_loads(chunks.get(key)))
        found = parse(content) if content else None
        if found is not None:
            found.text = chunks[key][:200_000]
            return found
    return _dream(chunks["Dream"]) if "Dream" in chunks else None


def _loads(text: str | None) -> Any:
    try:
        return orjson.loads(text) if text and text.lstrip()[:1] == "{" else None
    except orjson.JSONDecodeError:
        return None


def _invoke(content: dict[str, Any]) -> Infotext:
    model = as_object(content.get("model"))
    loras = []
    for one in map(as_object, as_list(content.get("loras"))):
        named = as_object(one.get("model") or one.get("lora"))
        name = as_string(named.get("name")) or as_string(named.get("model_name"))
        if name:
            loras.append(NamedLora(name, _weight(one.get("weight")), _hash(named.get("hash"))))
    return Infotext(
        "InvokeAI",
        prompt=as_string(content.get("positive_prompt")) or "",
        negative_prompt=as_string(content.get("negative_prompt")) or "",
        parameters=_numbers(content, {"cfg_scale": "cfg", "scheduler": "sampler"})
        | _named("checkpoint", model.get("name") or model.get("model_name")),
        loras=loras,
    )


def _old_invoke(content: dict[str, Any]) -> Infotext:
    """Before version 3: one prompt text with `[negative]` parts and `withLora(name, weight)`."""
    image = as_object(content.get("image"))
    prompts = image.get("prompt")
    parts = [as_string(as_object(one).get("prompt")) for one in as_list(prompts)] or [as_string(prompts)]
    text = " ".join(part for part in parts if part)
    found = _with_negatives(text)
    found.parameters = _numbers(image, {"cfg_scale": "cfg"}) | _named(
        "checkpoint", content.get("model_weights")
    )
    return found


def _dream(text: str) -> Infotext | None:
    match = _DREAM.match(text)
    if match is None:
        return None
    found = _with_negatives(match[1])
    for option, value in re.findall(r"-([sSCA])\s*([\w.]+)", match[2]):
        number = as_number(value)
        found.parameters[_DREAM_OPTIONS[option]] = (
            value if number is None else int(number) if option in "sS" else number
        )
    found.text = text
    return found


def _with_negatives(text: str) -> Infotext:
    loras = [NamedLora(name, _weight(weight)) for name, weight in _WITH_LORA.findall(text)]
    text = _WITH_LORA.sub("", text)
    negatives = [part.strip() for part in _DREAM_NEGATIVE.findall(text)]
    prompt = re.sub(r"\s{2,}", " ", _DREAM_NEGATIVE.sub("", text)).strip(" ,")
    return Infotext("InvokeAI", prompt, ", ".join(part for part in negatives if part), loras=loras)


def _swarm(content: dict[str, Any]) -> Infotext | None:
    values = as_object(content.get("sui_image_params")) or content
    if "cfgscale" not in values and "swarm_version" not in values:
        return None
    names, weights = _listed(values.get("loras")), _listed(values.get("loraweights"))
    return Infotext(
        "StableSwarmUI",
        prompt=as_string(values.get("prompt")) or "",
        negative_prompt=as_string(values.get("negativeprompt")) or "",
        parameters=_numbers(values, {"cfgscale": "cfg"}) | _named("checkpoint", values.get("model")),
        loras=[
            NamedLora(_stem(name), _weight(weights[at] if at < len(weights) else 1))
            for at, name in enumerate(names)
        ],
    )


def _listed(value: Any) -> list[str]:
    return (
        [str(one) for one in value]
        if isinstance(value, list)
        else [one for one in str(value or "").split(",") if one]
    )


def _novelai(content: dict[str, Any]) -> Infotext | None:
    if "uc" not in content or "prompt" not in content:
        return None
    return Infotext(
        "NovelAI",
        prompt=as_string(content.get("prompt")) or "",
        negative_prompt=as_string(content.get("uc")) or "",
        parameters=_numbers(content, {"scale": "cfg"}),
    )


def _fooocus(content: dict[str, Any]) -> Infotext | None:
    if "base_model" not in content or "prompt" not in content:
        return None
    loras = []
    for one in as_list(content.get("loras")):
        if isinstance(one, list) and len(one) >= 2 and as_string(one[0]):
            loras.append(
                NamedLora(_stem(str(one[0])), _weight(one[1]), _hash(one[2] if len(one) > 2 else None))
            )
    return Infotext(
        "Fooocus",
        prompt=as_string(content.get("prompt")) or "",
        negative_prompt=as_string(content.get("negative_prompt")) or "",
        parameters=_numbers(content, {"guidance_scale": "cfg"})
        | _named("checkpoint", content.get("base_model")),
        loras=loras,
    )


def _numbers(values: dict[str, Any], others: dict[str, str]) -> dict[str, Any]:
    names = {"steps": "steps", "seed": "seed", "sampler": "sampler", "scheduler": "scheduler", **others}
    found = {ours: values.get(theirs) for theirs, ours in names.items()}
    result = {
        key: value for key, value in found.items() if isinstance(value, (str, int, float)) and value != ""
    }
    width, height = as_number(values.get("width")), as_number(values.get("height"))
    return {**result, "size": f"{width:g}x{height:g}"} if width and height else result


def _named(key: str, value: Any) -> dict[str, str]:
    text = as_string(value)
    return {key: text} if text else {}


def _weight(value: Any) -> float:
    number = as_number(value)
    return 1.0 if number is None else number


def _hash(value: Any) -> str | None:
    """InvokeAI writes "blake3:…"."""
    text = (as_string(value) or "").rpartition(":")[2].lower()
    return text if re.fullmatch(r"[0-9a-f]{8,64}", text) else None


def _stem(name: str) -> str:
    return re.sub(r"\.(safetensors|ckpt|pt)$", "", name.replace("\\", "/").rpartition("/")[2])
