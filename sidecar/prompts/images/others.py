"""SwarmUI, Fooocus and NovelAI: JSON with names of their own.

Sources: SwarmUI src/Text2Image/T2IParamInput.cs (GenFullMetadataObject); Fooocus modules/meta_parser.py (scheme fooocus);
NovelAI as A1111 modules/images.py reads it.
"""

from __future__ import annotations

import re
from typing import Any

from sidecar.library.foreign import as_list, as_object, as_string
from sidecar.prompts.images.infotext import Infotext, NamedLora, hash_of, load_json, stem_of, weight_of
from sidecar.prompts.images.invoke import settings_of

_FOOOCUS_SIZE = re.compile(r"\(?\s*(\d{1,6})\s*,\s*(\d{1,6})\s*\)?")


def parse_json(text: str | None) -> Infotext | None:
    """A text of parameters that is JSON: SwarmUI's or Fooocus's; None when it is neither."""
    content = as_object(load_json(text))
    found = (_swarm(content) or _fooocus(content)) if content else None
    if found and text:
        found.text = text[:200_000]
    return found


def parse_novelai(texts: dict[str, str]) -> Infotext | None:
    """NovelAI's `Comment`; None when there is none."""
    content = as_object(load_json(texts.get("Comment")))
    if "uc" not in content or not ("prompt" in content or "Description" in texts):
        return None
    return Infotext(
        "NovelAI",
        prompt=as_string(content.get("prompt")) or texts.get("Description", ""),
        negative_prompt=as_string(content.get("uc")) or "",
        parameters=settings_of(
            content, {"steps": "steps", "seed": "seed", "sampler": "sampler", "scale": "cfg"}
        ),
        text=texts["Comment"][:200_000],
    )


def _swarm(content: dict[str, Any]) -> Infotext | None:
    values = as_object(content.get("sui_image_params")) or content
    if "swarm_version" not in values and "sui_image_params" not in content:
        return None
    hashes = {}
    for model in map(as_object, as_list(content.get("sui_models"))):
        if model.get("param") == "loras" and isinstance(model.get("name"), str):
            hashes[stem_of(model["name"])] = hash_of(model.get("hash"))
    names, weights = _listed(values.get("loras")), _listed(values.get("loraweights"))
    loras = []
    for at, name in enumerate(map(stem_of, names)):
        weight = weight_of(weights[at] if at < len(weights) else None)
        loras.append(NamedLora(name, weight, hashes.get(name)))
    checkpoint = as_string(values.get("model"))
    return Infotext(
        "SwarmUI",
        prompt=as_string(values.get("prompt")) or "",
        negative_prompt=as_string(values.get("negativeprompt")) or "",
        parameters=settings_of(
            values,
            {
                "steps": "steps",
                "seed": "seed",
                "sampler": "sampler",
                "scheduler": "scheduler",
                "cfgscale": "cfg",
            },
        )
        | ({"checkpoint": stem_of(checkpoint)} if checkpoint else {}),
        loras=loras,
    )


def _listed(value: Any) -> list[str]:
    """A list, or a text with commas as older versions wrote it."""
    if isinstance(value, list):
        return [str(one) for one in value[:1_000] if isinstance(one, (str, int, float))]
    return [one.strip() for one in value.split(",")[:1_000] if one.strip()] if isinstance(value, str) else []


def _fooocus(content: dict[str, Any]) -> Infotext | None:
    if "base_model" not in content or not ("prompt" in content or "full_prompt" in content):
        return None
    loras = []
    for one in as_list(content.get("loras"))[:1_000]:
        if isinstance(one, list) and len(one) >= 2 and isinstance(one[0], str):
            hashed = hash_of(one[2]) if len(one) > 2 else None
            loras.append(NamedLora(stem_of(one[0]), weight_of(one[1]), hashed))
    size = _FOOOCUS_SIZE.fullmatch(str(content.get("resolution"))[:40])
    return Infotext(
        "Fooocus",
        prompt=_joined(content.get("full_prompt")) or as_string(content.get("prompt")) or "",
        negative_prompt=_joined(content.get("full_negative_prompt"))
        or as_string(content.get("negative_prompt"))
        or "",
        parameters=settings_of(
            content,
            {"steps": "steps", "seed": "seed", "sampler": "sampler", "scheduler": "scheduler", "guidance_scale": "cfg",
             "base_model": "checkpoint", "base_model_hash": "checkpoint_hash", "clip_skip": "clip_skip"},
        )
        | ({"size": f"{size[1]}x{size[2]}"} if size else {}),
        loras=loras,
    )  # fmt: skip


def _joined(texts: Any) -> str:
    """Its prompts with styles filled in: a list."""
    found = (as_string(one) for one in as_list(texts)[:1_000])
    return ", ".join(dict.fromkeys(one for one in found if one))
