"""Graphs of ComfyUI as it ran them (`prompt`), made of nodes like the default one's."""

from __future__ import annotations

from typing import Any

from infotext_pictures import graph_png

from sidecar.prompts.images.infotext import Infotext
from sidecar.prompts.images.reading import read_picture

Graph = dict[str, dict[str, Any]]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


def graph(**changed: Any) -> Graph:
    """ComfyUI's default graph with other nodes, or further ones; None takes one out."""
    usual = {
        "n4": node("CheckpointLoaderSimple", ckpt_name="sd15/dreamshaper_8.safetensors"),
        "n5": node("EmptyLatentImage", width=512, height=768, batch_size=1),
        "n6": node("CLIPTextEncode", text="a castle, fog", clip=["n4", 1]),
        "n7": node("CLIPTextEncode", text="blurry", clip=["n4", 1]),
        "n3": node(
            "KSampler", seed=156680208700286, steps=20, cfg=8, sampler_name="euler", scheduler="normal", denoise=1,
            model=["n4", 0], positive=["n6", 0], negative=["n7", 0], latent_image=["n5", 0],
        ),
        "n8": node("VAEDecode", samples=["n3", 0], vae=["n4", 2]),
        "n9": node("SaveImage", filename_prefix="ComfyUI", images=["n8", 0]),
    }  # fmt: skip
    return {key: value for key, value in {**usual, **changed}.items() if value is not None}


def read(prompt: Graph | None = None, workflow: Any = None) -> Infotext:
    found = read_picture(graph_png(prompt, workflow))
    assert found is not None
    return found


def with_model(*source: Any, **changed: Any) -> Graph:
    """The default graph, whose sampler takes its model from elsewhere."""
    made = graph(**changed)
    made["n3"]["inputs"]["model"] = list(source)
    return made


def loras(found: Infotext) -> list[tuple[str, float | None]]:
    return [(lora.name, lora.weight) for lora in found.loras]
