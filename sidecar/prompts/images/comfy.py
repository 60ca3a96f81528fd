"""ComfyUI: from the outputs of a graph back to its sampler, from there to the texts and to the LoRAs of its model."""

from __future__ import annotations

import re
from typing import Any

from sidecar.prompts.images.comfy_graph import Graph, Node, read_graph
from sidecar.prompts.images.comfy_loras import loras_of
from sidecar.prompts.images.infotext import (
    MAX_LORAS,
    Infotext,
    NamedLora,
    size_of,
    stem_of,
    to_number,
)

_SETTINGS = {
    "steps": "steps", "cfg": "cfg", "seed": "seed", "noise_seed": "seed", "sampler_name": "sampler",
    "scheduler": "scheduler", "denoise": "denoising", "ckpt_name": "checkpoint", "base_ckpt_name": "checkpoint",
    "unet_name": "checkpoint",
}  # fmt: skip
_TEXTS = re.compile(
    r"text(_?(g|l|[a-h]|\d{1,2}|positive|negative|multiline))?|(positive|negative)(_prompt|_[gl])?|prompt(_\d{1,2})?|clip_[gl]|t5xxl|bert|mt5xl"
    r"|llama|string(_?([a-h]|\d{1,2}))?|value|(wildcard|populated|opt|prefix|suffix)_text|tags|trigger_words\d{0,2}|source"
    r"|input\d{0,2}|any_?\d{0,2}|on_(true|false)|str(ing)?_?\d{0,2}|part\d{0,2}"
)
_CONDITIONING = re.compile(
    r"conditioning(_?(\d{1,2}|to|from|[a-h]|positive|negative))?|positive|negative|base_(positive|negative)|guider|cond\d?"
)
_SHOWING = re.compile(
    r"show|display|preview", re.IGNORECASE
)  # nodes that keep what they showed before among their inputs
_SEPARATORS = ("delimiter", "separator")
_NUMBERS = ("value", "seed", "noise_seed", "int", "number", "Number", "Value", "float")
_DEEPEST = 100
_MAX_VISITS = 2_000
_MAX_OUTPUTS = 20
_MAX_PROMPT = 1_000_000


def parse_comfy(prompt: str | None, workflow: str | None) -> Infotext | None:
    """What a graph says, the one that ran before the one that was drawn; None when neither is a graph."""
    graph = read_graph(prompt, workflow)
    if graph is None:
        return None
    outputs = _outputs(graph)
    sampler = _sampler(graph, outputs)
    reader = _Texts(graph)
    inputs = graph.nodes[sampler].inputs if sampler else {}
    positive = [inputs[name] for name in ("positive", "guider", "conditioning") if name in inputs]
    negative = inputs.get("negative")
    guider = graph.source(inputs.get("guider"))
    if guider and "negative" in graph.nodes[guider[0]].inputs:
        negative = graph.nodes[guider[0]].inputs["negative"]
    return Infotext(
        "ComfyUI",
        prompt=reader.of_conditioning(positive[0], "positive") if positive else "",
        negative_prompt=reader.of_conditioning(negative, "negative"),
        parameters=_parameters(graph, sampler),
        loras=_loras(graph, outputs or ([sampler] if sampler else list(graph.nodes))),
        text=(prompt or workflow or "")[:200_000],
    )


def _outputs(graph: Graph) -> list[str]:
    """The first node that saves what was sampled, or that shows it when none saves."""
    for mark in ("save", "preview"):
        found = [key for key, node in graph.nodes.items() if mark in node.kind.lower()]
        for key in found[:_MAX_OUTPUTS]:
            if _is_sampled(graph, key):
                return [key]
    return []


def _is_sampled(graph: Graph, output: str) -> bool:
    return any(_samples(graph.nodes[key]) for key in graph.ancestors([output]))


def _samples(node: Node) -> bool:
    """Whether a node samples: it has conditioning, and steps or what stands for them."""
    has = set(node.inputs)
    return bool(has & {"positive", "guider", "conditioning"}) and bool(
        has & {"steps", "sigmas", "sampler_name", "noise_seed"}
        or {"seed", "cfg"} <= has
        or {"noise", "sampler"} <= has
    )


def _sampler(graph: Graph, outputs: list[str]) -> str | None:
    """The sampler farthest from the output: later ones refine what it has made (a second pass, a detailer)."""
    reached = list(graph.ancestors(outputs)) if outputs else list(reversed(graph.nodes))
    samplers = [key for key in reached if _samples(graph.nodes[key])]
    return samplers[-1] if samplers else None


class _Texts:
    """Reads texts out of a graph, with a bound on how much of it is walked."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.visits = 0

    def of_conditioning(self, value: Any, side: str) -> str:
        """The texts that reach a conditioning, in the order of the nodes' inputs, each once."""
        texts = list(dict.fromkeys(part for part in self._conditioning(value, side, frozenset()) if part))
        return ", ".join(texts)[:_MAX_PROMPT]

    def _conditioning(self, value: Any, side: str, within: frozenset[str]) -> list[str]:
        source = self.graph.source(value)
        if source is None:
            return [value.strip().strip(",").strip()] if isinstance(value, str) else []
        key, output = source
        node = self.graph.nodes[key]
        if not self._may_visit(key, within) or "zeroout" in node.kind.lower():
            return []
        within |= {key}
        if {"positive", "negative"} <= set(node.inputs) and "guider" not in node.kind.lower():
            side = self._side(node, output, side)
        other = "negative" if side == "positive" else "positive"
        further = [
            one for name, one in node.inputs.items() if _CONDITIONING.fullmatch(name) and other not in name
        ]
        linked = [one for one in further if self.graph.source(one)]
        if linked:
            return [text for one in linked for text in self._conditioning(one, side, within)]
        return [self._text(key, side, within).strip().strip(",").strip()]

    def _side(self, node: Node, output: int, side: str) -> str:
        """Which text an output carries of a node with both: ControlNets give positive, negative; loaders a model first."""
        first = 1 if {"ckpt_name", "base_ckpt_name", "unet_name"} & set(node.inputs) else 0
        return {first: "positive", first + 1: "negative"}.get(output, side)

    def _text(self, key: str, side: str, within: frozenset[str]) -> str:
        """The text that a node makes of its inputs; those for the other side are left out."""
        node = self.graph.nodes[key]
        other = "negative" if side == "positive" else "positive"
        parts: list[str] = []
        shows = bool(_SHOWING.search(node.kind)) and any(map(self.graph.source, node.inputs.values()))
        for name, value in node.inputs.items():
            if not _TEXTS.fullmatch(name) or other in name or self._is_switched_off(node, name):
                continue
            if name == "wildcard_text" and node.inputs.get("populated_text"):
                continue
            source = self.graph.source(value)
            if source is None:
                parts.append(value if isinstance(value, str) and not shows else "")
            elif self._may_visit(source[0], within):
                parts.append(self._text(source[0], side, within | {source[0]}))
        parts = list(dict.fromkeys(part for part in parts if part.strip()))
        if "switch" in node.kind.lower():
            parts = parts[:1]
        return self._separator(node).join(parts)[:_MAX_PROMPT]

    def _is_switched_off(self, node: Node, name: str) -> bool:
        """Whether a switch takes another of its numbered inputs."""
        chosen = node.inputs.get("select")
        return type(chosen) is int and name.startswith("input") and name != f"input{chosen}"

    def _separator(self, node: Node) -> str:
        for name in _SEPARATORS:
            told = node.inputs.get(name)
            if isinstance(told, str):
                return told.replace("\\n", "\n")[:20]
        if node.inputs.get("tidy_tags") == "no":
            return ""
        return "" if "concat" in node.kind.lower() or "join" in node.kind.lower() else ", "

    def _may_visit(self, key: str, within: frozenset[str]) -> bool:
        self.visits += 1
        return key not in within and len(within) < _DEEPEST and self.visits <= _MAX_VISITS


def _parameters(graph: Graph, sampler: str | None) -> dict[str, Any]:
    """Settings of the sampler and of what feeds it, the nearest counting."""
    found: dict[str, Any] = {}
    for key in graph.ancestors([sampler] if sampler else list(graph.nodes)):
        node = graph.nodes[key]
        for name, value in node.inputs.items():
            ours = _SETTINGS.get(name)
            if ours and ours not in found:
                plain = _plain(graph, value)
                if plain is not None:
                    found[ours] = stem_of(plain) if ours == "checkpoint" and isinstance(plain, str) else plain
        if "size" not in found and "latent" in node.kind.lower():
            size = size_of(_plain(graph, node.inputs.get("width")), _plain(graph, node.inputs.get("height")))
            if size:
                found["size"] = size
    return found


def _plain(graph: Graph, value: Any) -> str | int | float | None:
    """A value, or the number in the node it comes from."""
    source = graph.source(value)
    if source:
        inputs = graph.nodes[source[0]].inputs
        return next((to_number(inputs[name]) for name in _NUMBERS if name in inputs), None)
    if isinstance(value, str):
        return value[:500] or None
    return to_number(value)


def _loras(graph: Graph, starts: list[str]) -> list[NamedLora]:
    """From the checkpoint on, as they are applied."""
    found: dict[str, NamedLora] = {}
    for key in reversed(list(graph.ancestors(starts))):
        for lora in loras_of(graph.nodes[key]):
            if len(found) < MAX_LORAS:
                found.setdefault(lora.name, lora)
    return list(found.values())
