"""Graphs of ComfyUI as they were drawn (`workflow`), in pictures that do not have the one that ran."""

from __future__ import annotations

from typing import Any

import pytest
from comfy_graphs import graph, loras, read

MUTED, BYPASSED = 2, 4
Drawn = dict[str, Any]


class Drawing:
    """A workflow under way: nodes with their widgets' values, and the links between them."""

    def __init__(self) -> None:
        self.nodes: list[Drawn] = []
        self.links: list[list[Any]] = []

    def add(
        self, kind: str, values: Any = (), mode: int = 0, outputs: str = "", **sources: tuple[int, int, str]
    ) -> int:
        """A node; sources: node, output and type of what comes into an input; returns its id."""
        key = len(self.nodes) + 1
        inputs = []
        for slot, (name, (node, output, type_)) in enumerate(sources.items()):
            self.links.append([len(self.links) + 1, node, output, key, slot, type_])
            inputs.append({"name": name, "type": type_, "link": len(self.links)})
        out = [{"name": type_, "type": type_, "links": []} for type_ in outputs.split()]
        self.nodes.append(
            {
                "id": key,
                "type": kind,
                "mode": mode,
                "inputs": inputs,
                "outputs": out,
                "widgets_values": values,
            }
        )
        return key

    def finish(self) -> Drawn:
        return {"last_node_id": 99, "nodes": self.nodes, "links": self.links, "version": 0.4}


def draw(*loaders: tuple[str, Any, int], text: tuple[str, Any] = ("CLIPTextEncode", ["a castle"])) -> Drawn:
    """The default workflow, with loaders between checkpoint and sampler: kind, widgets, mode."""
    drawing = Drawing()
    checkpoint = model = drawing.add("CheckpointLoaderSimple", ["big.safetensors"], outputs="MODEL CLIP VAE")
    clip = 1
    for kind, values, mode in loaders:
        model = drawing.add(
            kind, values, mode, "MODEL CLIP", model=(model, 0, "MODEL"), clip=(model, clip, "CLIP")
        )
    positive = drawing.add(text[0], text[1], outputs="CONDITIONING", clip=(model, clip, "CLIP"))
    negative = drawing.add(
        "CLIPTextEncode", ["blurry"], outputs="CONDITIONING", clip=(checkpoint, clip, "CLIP")
    )
    latent = drawing.add("EmptyLatentImage", [512, 768, 1], outputs="LATENT")
    sampler = drawing.add(
        "KSampler", [5, "randomize", 20, 8, "euler", "normal", 1], outputs="LATENT", model=(model, 0, "MODEL"),
        positive=(positive, 0, "CONDITIONING"), negative=(negative, 0, "CONDITIONING"), latent_image=(latent, 0, "LATENT"),
    )  # fmt: skip
    decode = drawing.add(
        "VAEDecode", [], outputs="IMAGE", samples=(sampler, 0, "LATENT"), vae=(checkpoint, 2, "VAE")
    )
    drawing.add("SaveImage", ["ComfyUI"], images=(decode, 0, "IMAGE"))
    return drawing.finish()


def test_the_default_workflow() -> None:
    found = read(workflow=draw(("LoraLoader", ["xl/Ink.safetensors", 0.7, 1], 0)))
    assert (found.software, found.prompt, found.negative_prompt) == ("ComfyUI", "a castle", "blurry")
    assert loras(found) == [("Ink", 0.7)]
    assert found.parameters == {
        "seed": 5, "steps": 20, "cfg": 8, "sampler": "euler", "scheduler": "normal", "denoising": 1, "checkpoint": "big",
        "size": "512x768",
    }  # fmt: skip


def test_the_graph_that_ran_counts_before_the_one_that_was_drawn() -> None:
    found = read(graph(), draw(("LoraLoader", ["Ink.safetensors", 0.7, 1], 0)))
    assert (found.prompt, found.loras) == ("a castle, fog", [])


def test_bypassed_loaders_hand_on_and_load_nothing() -> None:
    ink, off, two = (
        ("LoraLoader", [f"{name}.safetensors", 0.5, 1], mode)
        for name, mode in (("Ink", 0), ("off", BYPASSED), ("Two", 0))
    )
    found = read(workflow=draw(ink, off, off, two))
    assert loras(found) == [("Ink", 0.5), ("Two", 0.5)]
    assert found.parameters["checkpoint"] == "big"


def test_muted_nodes_are_not_read() -> None:
    made = draw(("LoraLoader", ["off.safetensors", 1, 1], MUTED))
    made["nodes"][3]["mode"] = MUTED  # the negative text
    found = read(workflow=made)
    assert (found.prompt, found.negative_prompt, found.loras) == ("a castle", "", [])


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (
            "Power Lora Loader (rgthree)",
            [
                {}, {"type": "PowerLoraLoaderHeaderWidget"}, {"on": True, "lora": "Ink.safetensors", "strength": 0.8, "strengthTwo": None},
                {"on": False, "lora": "off.safetensors", "strength": 1}, {}, "",
            ],
        ),
        ("Lora Loader Stack (rgthree)", ["Ink.safetensors", 0.8, "None", 1, "Zero.safetensors", 0, "None", 1]),
        ("Lora Loader (LoraManager)", ["<lora:Ink:0.8>", [{"name": "Ink", "strength": 0.8, "active": True}]]),
    ],
)  # fmt: skip
def test_loaders_of_extensions(kind: str, values: list[Any]) -> None:
    assert loras(read(workflow=draw((kind, values, 0)))) == [("Ink", 0.8)]


def test_both_texts_of_sdxl() -> None:
    values = [1024, 1024, 0, 0, 1024, 1024, "a castle", "fog"]
    assert read(workflow=draw(text=("CLIPTextEncodeSDXL", values))).prompt == "a castle, fog"


def test_widgets_of_other_nodes_are_known_by_the_names_that_newer_versions_write() -> None:
    made = draw(text=("Fancy Encode", [7, "fixed", "a castle", True]))
    names = ("seed", "text", "upside_down")
    made["nodes"][1]["inputs"] += [
        {"name": name, "type": "X", "widget": {"name": name}, "link": None} for name in names
    ]
    assert read(workflow=made).prompt == "a castle"
    made["nodes"][1]["widgets_values"] = ["only one"]  # some are not told: none can be named
    assert read(workflow=made).prompt == ""


def test_texts_linked_through_reroutes_and_primitives() -> None:
    drawing = Drawing()
    text = drawing.add("PrimitiveStringMultiline", ["a castle"], outputs="STRING")
    reroute = drawing.add("Reroute", outputs="STRING", **{"": (text, 0, "STRING")})
    positive = drawing.add(
        "CLIPTextEncode", ["an old text"], outputs="CONDITIONING", text=(reroute, 0, "STRING")
    )
    drawing.add(
        "KSampler",
        [5, "fixed", 20, 8, "euler", "normal", 1],
        outputs="LATENT",
        positive=(positive, 0, "CONDITIONING"),
    )
    assert read(workflow=drawing.finish()).prompt == "a castle"


def test_links_as_objects() -> None:
    made = draw(("LoraLoader", ["Ink.safetensors", 0.7, 1], 0))
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    made["links"] = [dict(zip(keys, link)) for link in made["links"]]
    assert loras(read(workflow=made)) == [("Ink", 0.7)]
