"""What a job has made, as the sidecar's `generations` take it."""

from __future__ import annotations

import time
import uuid
from typing import Any

from . import host, host_job
from .tags import read_tags


def make_records(p: Any, images: dict[str, int], began: float, created: float) -> list[dict[str, Any]]:
    """One record for the job, or one for each batch where batches ask for different LoRAs.

    Args:
        images: each saved file, and the number of its batch.
    """
    prompts, interrupted = host_job.final_prompts(p), host_job.interrupted()
    size = host_job.images_at_once(p)
    tags = [_of_batch(prompts[i : i + size]) for i in range(0, len(prompts), size)]
    seconds = time.monotonic() - began
    if len(tags) < 2 or all(each == tags[0] for each in tags):
        loras = _loaded(tags[0] if tags else {}, interrupted)
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


def _of_batch(prompts: list[str]) -> dict[str, float]:
    """Names and weights that the prompts of a batch ask for. Its images share them: SDNext takes those of the last prompt
    that has any, the A1111 line the first's. What stands twice counts twice."""
    sdnext = host.kind() == "sdnext"
    tags = [read_tags(each, sdnext=sdnext, default_weight=host_job.default_weight()) for each in prompts]
    chosen = next((each for each in reversed(tags) if each), []) if sdnext else [*tags, []][0]
    return _sums(host_job.found_loras(chosen))


def _loaded(asked: dict[str, float], interrupted: bool) -> dict[str, float]:
    """What took effect: what was asked for, less what the host did not load."""
    loaded = host_job.loaded_loras()
    if loaded is None:
        return asked
    used = _sums([each for name, each in loaded if not asked.keys().isdisjoint(name)])
    # stopped early, the host's list can be that of the time before
    return used or asked if interrupted else used


def _sums(weights: list[tuple[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for name, weight in weights:
        sums[name] = sums.get(name, 0.0) + weight
    return {name: round(weight, 6) for name, weight in sums.items()}
