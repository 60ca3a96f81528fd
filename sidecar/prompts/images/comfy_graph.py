"""ComfyUI's graphs in one form: as they ran (`prompt`: id → class_type, inputs; a link is [id, output]), or as drawn
(`workflow`: nodes with modes, widgets without names, and links)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sidecar.library.foreign import as_list, as_object
from sidecar.prompts.images.infotext import load_json

MAX_NODES = 20_000
_MAX_INPUTS = 1_000
_MAX_KIND = 200
_MAX_HOPS = 30
_MUTED, _BYPASSED = 2, 4
# Widgets of drawn nodes have no names; these stand in the order in which the nodes declare them. "" is one that is not read.
_WIDGETS: dict[str, tuple[str, ...]] = {
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CLIPTextEncodeSDXL": ("", "", "", "", "", "", "text_g", "text_l"),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "Lora Loader Stack (rgthree)": tuple(
        f"{part}_0{at}" for at in (1, 2, 3, 4) for part in ("lora", "strength")
    ),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name",),
    "KSampler": ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": ("", "noise_seed", "steps", "cfg", "sampler_name", "scheduler"),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "RandomNoise": ("noise_seed",),
    "CFGGuider": ("cfg",),
    "EmptyLatentImage": ("width", "height"),
    "EmptySD3LatentImage": ("width", "height"),
    "PrimitiveNode": ("value",),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
    "Text Multiline": ("text",),
}
_AFTER_SEEDS = ("fixed", "increment", "decrement", "randomize")
"""What the page puts behind a seed's widget: a widget more, which no node declares."""


@dataclass
class Node:
    """A node: its class, and values or links by the names of its inputs."""

    kind: str
    inputs: dict[str, Any]


class Graph:
    """Nodes by id. Links are followed as far as they lead to a node, however wrong the graph is."""

    def __init__(self, nodes: dict[str, Node]) -> None:
        self.nodes = nodes

    def source(self, value: Any) -> tuple[str, int] | None:
        """The node and output that an input's value links to; None for a plain value."""
        if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], (str, int)):
            return None
        node = str(value[0])
        return (node, value[1] if type(value[1]) is int else 0) if node in self.nodes else None

    def ancestors(self, starts: Iterable[str]) -> Iterator[str]:
        """These nodes and all that feed them, nearest first, each once."""
        waiting = deque(start for start in starts if start in self.nodes)
        seen = set(waiting)
        while waiting:
            node = waiting.popleft()
            yield node
            for value in self.nodes[node].inputs.values():
                source = self.source(value)
                if source and source[0] not in seen:
                    seen.add(source[0])
                    waiting.append(source[0])


def read_graph(prompt: str | None, workflow: str | None) -> Graph | None:
    """The graph that ran, else the one that was drawn; None when neither text is a graph."""
    nodes = _ran(as_object(load_json(prompt))) or _drawn(as_object(load_json(workflow)))
    return Graph(nodes) if nodes else None


def _ran(content: dict[str, Any]) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    for key, one in content.items():
        node = as_object(one)
        if isinstance(node.get("class_type"), str) and len(nodes) < MAX_NODES:
            nodes[key] = _node(node["class_type"], as_object(node.get("inputs")))
    return nodes


def _node(kind: str, inputs: dict[str, Any]) -> Node:
    return Node(kind[:_MAX_KIND], dict(islice(inputs.items(), _MAX_INPUTS)))


def _drawn(content: dict[str, Any]) -> dict[str, Node]:
    """The nodes that are not muted; a bypassed one hands on what comes into it."""
    links: dict[str, tuple[list[Any], Any]] = {}
    for link in as_list(content.get("links"))[: 10 * MAX_NODES]:
        if isinstance(link, list) and len(link) >= 4:  # id, from node, from output, to node, to input, type
            links[str(link[0])] = ([str(link[1]), link[2]], link[5] if len(link) > 5 else None)
        elif isinstance(link, dict):
            source = [str(link.get("origin_id")), link.get("origin_slot")]
            links[str(link.get("id"))] = (source, link.get("type"))
    nodes: dict[str, Node] = {}
    passed: dict[tuple[str, int], Any] = {}
    for one in as_list(content.get("nodes"))[:MAX_NODES]:
        node = as_object(one)
        key, kind, mode = str(node.get("id")), str(node.get("type")), node.get("mode")
        incoming = {}
        for given in map(as_object, as_list(node.get("inputs"))[:_MAX_INPUTS]):
            link = links.get(str(given.get("link")))
            if link:
                incoming[str(given.get("name"))] = link
        if kind == "Reroute":
            passed[key, 0] = next((source for source, _ in incoming.values()), None)
        elif mode == _BYPASSED:
            first = {str(type_): source for source, type_ in reversed(incoming.values())}
            for slot, output in enumerate(map(as_object, as_list(node.get("outputs"))[:_MAX_INPUTS])):
                passed[key, slot] = first.get(str(output.get("type")))
        elif mode != _MUTED:
            widgets = _widgets(kind, node)
            nodes[key] = _node(kind, widgets | {name: source for name, (source, _) in incoming.items()})
    for found in nodes.values():
        found.inputs = {name: _through(passed, value) for name, value in found.inputs.items()}
    return nodes


def _widgets(kind: str, node: dict[str, Any]) -> dict[str, Any]:
    """A drawn node's own values by name, as far as their names are known."""
    values = node.get("widgets_values")
    if isinstance(values, dict):
        return dict(values)
    values = as_list(values)[:_MAX_INPUTS]
    names = _WIDGETS.get(kind) or _names_of_widgets(node)
    values_of_widgets = [
        value
        for at, value in enumerate(values)
        if not (at and type(values[at - 1]) is int and isinstance(value, str) and value in _AFTER_SEEDS)
    ]
    known = kind in _WIDGETS or len(names) == len(values_of_widgets)
    named = {name: value for name, value in zip(names, values_of_widgets) if name and known}
    if "(rgthree)" in kind or "LoraManager" in kind:  # objects, which tell themselves what they are
        for at, value in enumerate(values):
            if isinstance(value, dict) and "lora" in value:
                named[f"lora_{at}"] = value
            elif isinstance(value, list):
                named.setdefault("loras", value)
    return named


def _names_of_widgets(node: dict[str, Any]) -> tuple[str, ...]:
    """Newer versions write every widget among the inputs, older ones only those that were made an input."""
    widgets = (
        as_object(as_object(one).get("widget")).get("name")
        for one in as_list(node.get("inputs"))[:_MAX_INPUTS]
    )
    return tuple(name for name in widgets if isinstance(name, str))


def _through(passed: dict[tuple[str, int], Any], value: Any) -> Any:
    """Where a link begins when bypassed nodes are left out."""
    for _ in range(_MAX_HOPS):
        if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], int):
            return value
        if (str(value[0]), value[1]) not in passed:
            return value
        value = passed[str(value[0]), value[1]]
    return None
