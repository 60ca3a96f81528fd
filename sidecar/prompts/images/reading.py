"""From a picture's bytes to what it tells of its making."""

from __future__ import annotations

from dataclasses import replace

import orjson

from sidecar.library.foreign import as_object
from sidecar.prompts.grammar import find_tags
from sidecar.prompts.images.a1111 import fold, is_infotext, parse_infotext
from sidecar.prompts.images.chunks import Content, read_texts
from sidecar.prompts.images.comfy import parse_comfy
from sidecar.prompts.images.exif import COMMENT
from sidecar.prompts.images.infotext import Infotext, load_json
from sidecar.prompts.images.invoke import parse_invoke
from sidecar.prompts.images.others import parse_json, parse_novelai

_INFOTEXTS = ("parameters", COMMENT, "comment", "ImageDescription", "XPComment")


def read_picture(content: Content) -> Infotext | None:
    """What a picture tells of its making; None when it says nothing that is understood. Touches neither disk nor database.

    Raises:
        BadRequest: it is no picture that can be read.
    """
    found = read_infotext(read_texts(content))
    told = found.cleaned() if found else None
    if told and not (told.prompt or told.negative_prompt or told.loras or told.parameters):
        return None  # a graph of ComfyUI that only scales a picture, for one
    return told


def read_infotext(texts: dict[str, str]) -> Infotext | None:
    """The same from a picture's texts by their keys: the first form that fits counts."""
    candidates = [texts[key] for key in _INFOTEXTS if texts.get(key)]
    for text in candidates:
        found = parse_json(text)
        if found:
            return found
    graph = parse_comfy(*_graphs(texts))
    for text in candidates:
        if is_infotext(text):
            return _with_graph(parse_infotext(text), graph)
    found = parse_invoke(texts) or parse_novelai(texts) or graph
    if found is None and texts.get("parameters", "").strip():
        return parse_infotext(texts["parameters"])  # only a prompt
    return found


def _graphs(texts: dict[str, str]) -> tuple[str | None, str | None]:
    """ComfyUI's graph that ran and the one that was drawn; some savers put both into one JSON in the EXIF comment."""
    prompt, workflow = texts.get("prompt"), texts.get("workflow")
    if prompt or workflow:
        return prompt, workflow
    text = texts.get(COMMENT)
    content = as_object(load_json(text))
    if "prompt" not in content and "workflow" not in content:
        return text, None
    return _as_text(content.get("prompt")), _as_text(content.get("workflow"))


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, RecursionError):
        return None


def _with_graph(infotext: Infotext, graph: Infotext | None) -> Infotext:
    """An infotext that ComfyUI wrote beside its graph: LoRAs and their weights stand only in the graph."""
    if graph is None:
        return infotext
    known = {fold(lora.name): lora for lora in infotext.loras}
    if not any(tag.is_lora for tag in find_tags(infotext.prompt)):
        for lora in graph.loras:
            old = known.get(fold(lora.name))
            known[fold(lora.name)] = replace(old, weight=lora.weight) if old and old.weight is None else lora
    return replace(infotext, software="ComfyUI", loras=list(known.values()))
