"""One generation as the host holds it, its `p`: what it generates with, and how to reach into it.

The hosts' process_images: SDNext modules/processing.py; the A1111 line (A1111, reForge, Forge) the file of that name.
"""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from .host import attribute, kind, module, option

SEEDS = 4294967294  # how many the hosts choose from


def checkpoint(p: Any) -> str | None:
    """The checkpoint's name as the host shows it, without its hash. `p` None: the one that is chosen now."""
    chosen = overrides(p).get("sd_model_checkpoint") or option("sd_model_checkpoint")
    title = getattr(p, "sd_model_name", None) or chosen
    return str(title).split(" [")[0] if title else None


def overrides(p: Any) -> dict[str, Any]:
    """Options that count for this generation alone. The A1111 line applies them after its first hook."""
    given = getattr(p, "override_settings", None)
    return given if isinstance(given, dict) else {}


def interrupted() -> bool:
    state = attribute("modules.shared", "state")
    return bool(getattr(state, "interrupted", False) or getattr(state, "skipped", False))


def generation_kind(p: Any) -> str:
    name = type(p).__name__
    return "img2img" if "Img2Img" in name else "control" if "Control" in name else "txt2img"


def parameters(p: Any, image: int = 0) -> dict[str, Any]:
    """What the host generated one of the job's images with, in the words of the sidecar's `generations`."""
    seeds = getattr(p, "all_seeds", None) or getattr(p, "seed", None)
    seed = seeds[min(image, len(seeds) - 1)] if isinstance(seeds, (list, tuple)) and seeds else seeds
    return {
        "host": kind(),
        "kind": generation_kind(p),
        "checkpoint": checkpoint(p),
        "sampler": getattr(p, "sampler_name", None),
        "steps": _number(getattr(p, "steps", None), int),
        "cfg": _number(getattr(p, "cfg_scale", None), float),
        "seed": _number(seed, int),
        "width": _number(getattr(p, "width", None), int),
        "height": _number(getattr(p, "height", None), int),
    }


def _number(value: Any, to: type[int] | type[float]) -> int | float | None:
    """The value as a number; None for what is none, and for SDNext's -1, which means the model's own default."""
    try:
        number = None if value is None else to(value)
    except (TypeError, ValueError):
        return None
    return number if number != -1 else None


def final_prompts(p: Any) -> list[str]:
    """The prompts as the host took them: styles applied, `<lora:…>` still in them."""
    prompts = getattr(p, "all_prompts", None) or getattr(p, "prompt", "")
    return [str(prompt) for prompt in prompts] if isinstance(prompts, (list, tuple)) else [str(prompts)]


def default_weight() -> float:
    """What the host takes for a tag without a weight."""
    return float(option("extra_networks_default_multiplier", 1.0) or 1.0) if kind() == "sdnext" else 1.0


def loaded_loras() -> list[tuple[set[str], tuple[str, float]]] | None:
    """The LoRAs in effect now: every name a prompt can give it, its file's stem and weight. None where not told.

    After a generation on SDNext this is what was really used: unknown names are not in it.
    """
    networks = attribute("modules.lora.lora_common", "loaded_networks") if kind() == "sdnext" else None
    if not isinstance(networks, list):
        return None
    found = []
    for network in networks:
        weight = getattr(network, "unet_multiplier", 1.0)
        weight = weight[0] if isinstance(weight, (list, tuple)) and weight else weight
        name = str(network.name)
        stem = Path(str(getattr(getattr(network, "network_on_disk", None), "filename", None) or name)).stem
        names = {name, stem, str(getattr(network, "mentioned_name", None) or name)}
        found.append((names, (stem, float(_number(weight, float) or 0.0))))
    return found


def found_loras(asked: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """What a prompt asks for, by the names of the files that the A1111 line finds. Of what it does not find, A1111 leaves
    that one out, Forge and reForge everything. On a host that does not tell, all of it by the names as they are."""
    networks = None if kind() == "sdnext" else module("networks")
    aliases, names = (getattr(networks, f"available_network{each}", None) for each in ("_aliases", "s"))
    if not isinstance(aliases, dict) or not isinstance(names, dict):
        return [(name.strip(), weight) for name, weight in asked]
    forbidden = getattr(networks, "forbidden_network_aliases", {})
    files = [(names if name.lower() in forbidden else aliases).get(name) for name, _ in asked]
    if kind() != "a1111" and not all(files):
        return []
    return [(Path(str(file.filename)).stem, weight) for file, (_, weight) in zip(files, asked) if file]


def grid_folder(p: Any) -> str | None:
    """Where this generation's grids go, when that is not where its images go."""
    grids, samples = getattr(p, "outpath_grids", None), getattr(p, "outpath_samples", None)
    return os.path.abspath(grids) if grids and grids != samples else None


# Seeds


def fix_seed(p: Any) -> None:
    """Choose a random seed now, as the host would a little later, so that the image names the seed that drew."""
    if kept_seeds(p) is None and hasattr(p, "seed") and p.seed in (None, "", -1, "-1"):
        p.seed = random.SystemRandom().randrange(SEEDS)


def kept_seeds(p: Any) -> list[int] | None:
    """The seeds of a job before with the same `p`: SDNext keeps them with the prompts, unless they are taken away."""
    kept = [getattr(p, name, None) for name in ("all_prompts", "all_negative_prompts", "all_seeds")]
    return kept[-1] if kind() == "sdnext" and all(kept) else None


def seeds_to_draw_by(p: Any, count: int, known: Any = None) -> list[int]:
    """A seed for each of `count` prompts: the image's own, or its batch's first, since a batch shares its LoRAs.

    Args:
        known: the seeds that the host has given to the images, once it has.
    """
    if not isinstance(known, (list, tuple)) or len(known) < count:
        seed = getattr(p, "seed", None)
        apart = 0 if getattr(p, "subseed_strength", 0) else 1  # variations of one image share its seed
        if isinstance(seed, (list, tuple)):
            known = [seed[i % len(seed)] if seed else 0 for i in range(count)]
        else:
            known = [_seed(seed) + i * apart for i in range(count)]
    size = images_at_once(p)
    return [_seed(known[i - i % size]) for i in range(count)]


def _seed(value: Any) -> int:
    try:
        return max(0, int(value))
    except (TypeError, ValueError):
        return 0


def images_at_once(p: Any) -> int:
    return max(1, int(_number(getattr(p, "batch_size", None), int) or 1))


def rounds(p: Any) -> int:
    """How many batches the host makes, one after the other."""
    return max(1, int(_number(getattr(p, "n_iter", None), int) or 1))


# Prompts


TYPED_FIELDS = (
    *("prompt", "negative_prompt", "hr_prompt", "hr_negative_prompt"),
    *("refiner_prompt", "refiner_negative", "detailer_prompt", "detailer_negative"),
)


def prompt_fields(p: Any) -> list[tuple[str, str]]:
    """The fields with prompts as they were typed, each with its negative one, as far as this generation uses them."""
    pairs = [("prompt", "negative_prompt")]
    # the A1111 line: empty means the same as the first pass; SDNext has the fields and reads none of them
    if kind() != "sdnext" and getattr(p, "enable_hr", False) and getattr(p, "hr_prompt", ""):
        pairs.append(("hr_prompt", "hr_negative_prompt"))
    # SDNext, hires and refiner: empty means the same as the first pass; LoRAs in it take effect
    if has_text(p, "refiner_prompt"):
        pairs.append(("refiner_prompt", "refiner_negative"))
    return pairs


def has_text(p: Any, name: str) -> bool:
    value = getattr(p, name, None)
    return isinstance(value, str) and bool(value)


# Of which the host makes one prompt for each image; what stands in the others counts for all of them.
SPREAD_LATER = ("prompt", "hr_prompt")
# What the host makes of them just before it samples: one prompt an image.
SPREAD_FIELDS = (
    ("all_prompts", "all_negative_prompts"),
    ("all_hr_prompts", "all_hr_negative_prompts"),  # the A1111 line's second pass
)
HIRES_PARAMETERS = {
    "Hires prompt": ("all_prompts", "all_hr_prompts"),
    "Hires negative prompt": ("all_negative_prompts", "all_hr_negative_prompts"),
}
# The A1111 line's first prompt with styles, told in a grid.
MAIN_FIELDS = ("main_prompt", "main_negative_prompt")


def batch_prompts(p: Any) -> list[str]:
    """The prompts of the batch that the host is at, those of a second pass among them."""
    size, at = images_at_once(p), int(getattr(p, "iteration", 0) or 0)
    lists = [getattr(p, positive, None) for positive, _ in SPREAD_FIELDS]
    return [
        str(prompt)
        for each in lists
        if isinstance(each, list)
        for prompt in each[at * size : (at + 1) * size]
    ]


def name_hires_prompts(p: Any) -> None:
    """Have the second pass's prompts of the batch that begins stand in its images' parameters, where they differ from
    the first's. The A1111 line itself takes those of the first batch (get_hr_prompt's index is one within a batch)."""
    parameters, at = getattr(p, "extra_generation_params", None), int(getattr(p, "iteration", 0) or 0)
    for name, (first, second) in HIRES_PARAMETERS.items():
        prompts, hires = getattr(p, first, None), getattr(p, second, None)
        image = at * images_at_once(p)
        if not isinstance(parameters, dict) or name not in parameters:
            continue
        if isinstance(prompts, list) and isinstance(hires, list) and image < min(len(prompts), len(hires)):
            parameters[name] = hires[image] if hires[image] != prompts[image] else None


class LastMoment:
    """Stands in for `p.init`, which every host calls once its prompts have their styles, wildcards and seeds and the
    scripts of all extensions have had their say, and before it samples."""

    def __init__(self, p: Any, before: Callable[[], None], after: Callable[[], None]) -> None:
        self._p, self._before, self._after = p, before, after
        self.replaced = getattr(p, "__dict__", {}).get("init")  # another extension's stand-in
        if callable(getattr(p, "init", None)):
            p.init = self

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        forget_last_moment(self._p)
        self._before()
        init = self.replaced or partial(type(self._p).init, self._p)
        result = init(*arguments, **named)
        self._after()
        return result


def forget_last_moment(p: Any) -> None:
    """Take the stand-in away; also from a copy, which would speak for the original."""
    own = getattr(p, "__dict__", {})
    standing = own.get("init")
    if isinstance(standing, LastMoment):
        if standing.replaced is None:
            del own["init"]
        else:
            own["init"] = standing.replaced


# Stopping


def stop(p: Any, reason: str) -> None:
    """Have the host leave its loop before the first step, without an image and without an error. Only of use after its
    job has begun (`LastMoment`), since SDNext clears the flag then. Its next job begins with the flag cleared."""
    state = attribute("modules.shared", "state")
    if state is None:
        return
    state.interrupted = True
    if callable(getattr(p, "comment", None)):
        p.comment(reason)  # the A1111 line shows it below the image
    gradio = module("gradio")
    if hasattr(gradio, "Warning"):
        with warnings.catch_warnings():  # which is what it does outside of a page's job
            warnings.simplefilter("ignore")
            gradio.Warning(reason.replace("<", "‹").replace(">", "›"))


def explain_stop(reason: str) -> None:
    """SDNext takes no comments from `p`: they are written to its result, which it shows below the image."""
    result = attribute("modules.processing", "processed") if kind() == "sdnext" else None
    if result is not None and not getattr(result, "images", None):
        result.comments = reason
