"""What a job has made, as the sidecar's `generations` take it."""

from __future__ import annotations

import time
import uuid
from typing import Any

from . import host_job
from .tags import read_tags


def make_records(p: Any, images: dict[str, int], began: float, created: float) -> list[dict[str, Any]]:
    """One record for the job, or one for each batch where batches ask for different LoRAs.

    Args:
        images: each saved file, and the number of its batch.
    """
    prompts, interrupted = host_job.final_prompts(p), host_job.interrupted()
    size = host_job.images_at_once(p)
    tags = [read_tags(prompts[i : i + size], host_job.default_weight()) for i in range(0, len(prompts), size)]
    seconds = time.monotonic() - began
    if len(tags) < 2 or all(each == tags[0] for each in tags):
        loras = used_loras(prompts, interrupted)
        return [_record(p, 0, loras, seconds, list(images), created)]
    done = range(int(getattr(p, "iteration", 0) or 0) + 1) if interrupted else range(len(tags))
    return [
        # what the host has loaded now is the last batch's alone
        _record(
            p,
            i * size,
            tags[i],
            seconds / len(done),
            [path for path, of in images.items() if of == i],
            created,
        )
        for i in done
        if i < len(tags)
    ]


def _record(
    p: Any, image: int, loras: dict[str, float], seconds: float, paths: list[str], created: float
) -> dict[str, Any]:
    """The body for `generations`; `image` is the number of the job's image that prompt and seed are taken from."""
    return {
        **host_job.parameters(p, image),
        "prompt": _at(host_job.final_prompts(p), image),
        "negative_prompt": _at(
            getattr(p, "all_negative_prompts", None) or getattr(p, "negative_prompt", ""), image
        ),
        "loras": [{"name": name, "weight": weight} for name, weight in loras.items()],
        "duration": round(seconds, 3),
        "images": paths,
        "interrupted": host_job.interrupted(),
        "created": created,
        "uuid": uuid.uuid4().hex,
    }


def _at(prompts: Any, index: int) -> str:
    if isinstance(prompts, (list, tuple)):
        return str(prompts[index if index < len(prompts) else 0]) if prompts else ""
    return str(prompts or "")


def used_loras(prompts: list[str], interrupted: bool = False) -> dict[str, float]:
    """Names and weights that took effect: what the prompts ask for, less what the host did not load."""
    asked = read_tags(prompts, host_job.default_weight())
    loaded = host_job.loaded_loras()
    if loaded is None:
        return asked
    used = dict(loaded[name] for name in asked if name in loaded)
    # stopped early, the host's list can be that of the time before
    return used or asked if interrupted else used
