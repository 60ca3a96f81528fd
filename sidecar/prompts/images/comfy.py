"""ComfyUI: a graph of nodes. From the sampler back to the texts of its conditioning and to the LoRAs of its model.

`prompt` is the graph as it ran (API form: id → class_type, inputs; a link is [id, output]); `workflow` the graph as drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import orjson

from sidecar.library.foreign import as_list, as_number, as_object, as_string
from sidecar.prompts.grammar import find_tags
from sidecar.prompts.images.infotext import Infotext, NamedLora

MAX_NODES = 20_000
_TEXT_KEYS = re.compile(
    r"text(_[a-z0-9]+)?|prompt|positive(_prompt)?|negative(_prompt)?|string(_?[a-z0-9]+)?|value|wildcard_text|populated_text"
)
_SETTINGS = {
    "steps": "steps", "cfg": "cfg", "seed": "seed", "noise_seed": "seed", "sampler_name": "sampler", "scheduler": "scheduler",
    "denoise": "denoising", "ckpt_name": "checkpoint", "unet_name": "checkpoint",
}  # fmt: skip
# Widgets of drawn nodes have no names; these are in the order in which the nodes declare them.
_WIDGETS = {
    "CLIPTextEncode": ("text",),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name",),
    "KSampler": ("seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": ("", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler"),
}
_MUTED, _BYPASSED = 2, 4

Graph = dict[str, dict[str, Any]]


def parse_comfy(prompt: str | None, workflow: str | None) -> Infotext | None:
    """What a graph says, the one that ran before the one that was drawn; None when neither is a graph."""
    graph = _graph(prompt) or _drawn(workflow)
    if not graph:
        return None
    result = Infotext("ComfyUI", text=(prompt or workflow or "")[:200_000])
    sampler = _sampler(graph)
    inputs = as_object(graph[sampler].get("inputs")) if sampler else {}
    result.prompt = _join(_texts(graph, inputs.get("positive"), "positive"))
    result.negative_prompt = _join(_texts(graph, inputs.get("negative"), "negative"))
    if sampler and not result.prompt:  # newer samplers take their conditioning through a guider
        result.prompt = _join(_texts(graph, inputs.get("guider") or inputs.get("conditioning"), "positive"))
    reached = list(_ancestors(graph, sampler)) if sampler else list(graph)
    loras: dict[str, NamedLora] = {}
    for node in reversed(reached):  # from the checkpoint on, as they are applied
        inputs = as_object(graph[node].get("inputs"))
        for lora in _loras(inputs, str(graph[node].get("class_type"))):
            loras.setdefault(lora.name, lora)
    for node in reached:
        for key, value in as_object(graph[node].get("inputs")).items():
            if key in _SETTINGS and isinstance(value, (str, int, float)):
                result.parameters.setdefault(_SETTINGS[key], value)
    in_prompt = {tag.name.strip() for tag in find_tags(result.prompt)}
    result.loras = [lora for name, lora in loras.items() if name not in in_prompt]
    return result


def _graph(text: str | None) -> Graph:
    """A graph in API form; ComfyUI writes NaN, which is no JSON."""
    content = as_object(_loads(text))
    nodes = {key: node for key, node in content.items() if isinstance(node, dict) and "class_type" in node}
    return dict(list(nodes.items())[:MAX_NODES])


def _loads(text: str | None) -> Any:
    if not text:
        return None
    try:
        return orjson.loads(re.sub(r"(?<=[:\[,\s])(-?Infinity|NaN)(?=[,\]}\s])", "null", text))
    except orjson.JSONDecodeError:
        return None


def _drawn(text: str | None) -> Graph:
    """A drawn graph in API form, as far as the common nodes go; muted nodes are none, bypassed ones pass through."""
    content = as_object(_loads(text))
    links = {}
    for link in as_list(content.get("links")):
        if isinstance(link, list) and len(link) >= 4:
            links[str(link[0])] = [str(link[1]), link[2]]
    graph: Graph = {}
    for one in as_list(content.get("nodes"))[:MAX_NODES]:
        node = as_object(one)
        kind, widgets = str(node.get("type")), as_list(node.get("widgets_values"))
        inputs: dict[str, Any] = {}
        for connected in map(as_object, as_list(node.get("inputs"))):
            if str(connected.get("link")) in links:
                inputs[str(connected.get("name"))] = links[str(connected["link"])]
        if node.get("mode") == _MUTED:
            continue
        if node.get("mode") != _BYPASSED:
            inputs |= {name: value for name, value in zip(_WIDGETS.get(kind, ()), widgets) if name}
        graph[str(node.get("id"))] = {"class_type": kind, "inputs": inputs}
    return graph


def _sampler(graph: Graph) -> str | None:
    """The sampler nearest to an output, else the first there is."""
    samplers = [
        key
        for key, node in graph.items()
        if {"positive", "guider", "conditioning"} & set(as_object(node.get("inputs")))
        and {"steps", "seed", "noise_seed", "sampler", "cfg"} & set(as_object(node.get("inputs")))
    ]
    outputs = [
        key
        for key, node in graph.items()
        if "Save" in str(node["class_type"]) or "Preview" in str(node["class_type"])
    ]
    for output in outputs:
        for node in _ancestors(graph, output):
            if node in samplers:
                return node
    return samplers[0] if samplers else None


def _ancestors(graph: Graph, start: str) -> Iterator[str]:
    """A node and all that feed it, nearest first, each once whatever circles there are."""
    waiting, seen = [start], {start}
    while waiting:
        node = waiting.pop(0)
        yield node
        for value in as_object(graph[node].get("inputs")).values():
            source = _link(graph, value)
            if source and source not in seen:
                seen.add(source)
                waiting.append(source)


def _link(graph: Graph, value: Any) -> str | None:
    is_link = isinstance(value, list) and len(value) == 2 and isinstance(value[0], (str, int))
    return str(value[0]) if is_link and str(value[0]) in graph else None


def _texts(graph: Graph, value: Any, side: str) -> list[str]:
    """The texts that reach a conditioning, in the order of the nodes' inputs."""
    texts: list[str] = []
    waiting, seen = [value], set[str]()
    while waiting and len(texts) < 100:
        value = waiting.pop()
        if isinstance(value, str):
            texts.append(value)
            continue
        node = _link(graph, value)
        if node is None or node in seen:
            continue
        seen.add(node)
        inputs = as_object(graph[node].get("inputs"))
        own = [one for key, one in inputs.items() if _TEXT_KEYS.fullmatch(key) and _other(side) not in key]
        if not own or any(_link(graph, one) for one in own):
            own += [
                one
                for key, one in inputs.items()
                if _link(graph, one) and (key == side or "conditioning" in key)
            ]
        waiting += reversed([one for one in own if isinstance(one, str) or _link(graph, one)])
    return texts


def _other(side: str) -> str:
    return "negative" if side == "positive" else "positive"


def _join(texts: list[str]) -> str:
    return ", ".join(dict.fromkeys(text.strip().strip(",") for text in texts if text.strip()))


def _loras(inputs: dict[str, Any], kind: str) -> Iterator[NamedLora]:
    """The LoRAs of a loader: one, a numbered stack, a list of objects, or tags in its text."""
    for key, value in inputs.items():
        if (
            isinstance(value, str)
            and re.fullmatch(r"lora(_name)?(_\d+)?|lora_\d+_name", key)
            and value not in ("", "None")
        ):
            number = "".join(re.findall(r"\d+", key))
            weight = _weight(inputs, number)
            if weight is not None:
                yield NamedLora(_stem(value), weight)
        elif isinstance(value, dict):
            name, entries = as_string(value.get("lora")), as_list(value.get("__value__"))
            if name and value.get("on") is not False:
                yield NamedLora(_stem(name), as_number(value.get("strength")) or 1.0)
            for one in map(as_object, entries):
                if (name := as_string(one.get("name"))) and one.get("active") is not False:
                    yield NamedLora(_stem(name), as_number(one.get("strength")) or 1.0)
        elif isinstance(value, str) and "lora" in kind.lower():
            for tag in find_tags(value):
                if tag.is_lora:
                    yield NamedLora(tag.name.strip(), 1.0 if tag.weight is None else tag.weight)


def _weight(inputs: dict[str, Any], number: str) -> float | None:
    """The weight that goes with a LoRA's name; None when its place in a stack is switched off."""
    ending = f"_{number}" if number else ""
    switch = inputs.get(f"switch{ending}", inputs.get(f"enabled{ending}"))
    if switch in ("Off", False):
        return None
    for name in (
        "strength_model",
        "model_weight",
        "model_str",
        "lora_wt",
        "lora_weight",
        "strength",
        "weight",
    ):
        found = as_number(inputs.get(f"{name}{ending}"))
        if found is not None:
            return found
    return 1.0


def _stem(path: str) -> str:
    name = PurePosixPath(path.replace("\\", "/")).name
    return re.sub(r"\.(safetensors|ckpt|pt)$", "", name)
