"""One generation: every hook in the order of the real hosts (see README.md), and a small picture in place of sampling."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from typing import Any

from modules import paths, script_callbacks, shared
from modules.cmd_args import FLAVOUR
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from simulated import networks

SDNEXT = FLAVOUR == "sdnext"
if SDNEXT:
    from modules import processing
STEP_SECONDS = 0.02


@dataclass
class StableDiffusionProcessing:
    """The fields extensions look at, under the names of the hosts."""

    prompt: Any = ""
    negative_prompt: Any = ""
    steps: int = 4
    width: int = 64
    height: int = 64
    seed: int = -1
    cfg_scale: float = 7.0
    sampler_name: str = "Euler a"
    n_iter: int = 1
    batch_size: int = 1
    enable_hr: bool = False
    hr_prompt: str = ""
    hr_negative_prompt: str = ""
    do_not_save_samples: bool = False
    scripts: Any = None
    script_args: list[Any] = field(default_factory=list)
    extra_generation_params: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outpath_samples = os.path.join(paths.data_path, "outputs", "images")
        self.outpath_grids = os.path.join(paths.data_path, "outputs", "grids")
        self.sd_model_name = str(shared.opts.sd_model_checkpoint).split(" [")[0]
        self.all_prompts: list[str] = []
        self.all_negative_prompts: list[str] = []
        self.all_seeds: list[int] = []
        self.all_subseeds: list[int] = []
        self.iteration = 0
        self.comments: dict[str, int] = {}

    def comment(self, text: str) -> None:
        """On the A1111 line it is shown below the image; SDNext has the method and shows none of it."""
        self.comments[text] = 1

    def init(self, all_prompts: list[str], all_seeds: list[int], all_subseeds: list[int]) -> None:
        """What a kind of job prepares before its first batch."""

    def spread(self) -> None:
        """One prompt and one seed for each image."""
        count = self.n_iter * self.batch_size
        self.all_prompts = list(self.prompt) if isinstance(self.prompt, list) else [self.prompt] * count
        negative = self.negative_prompt
        self.all_negative_prompts = list(negative) if isinstance(negative, list) else [negative] * count
        first = self.seed if self.seed >= 0 else int(time.time())
        self.all_seeds = [first + number for number in range(count)]
        self.all_subseeds = list(self.all_seeds)


class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
    pass


class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    pass


class StableDiffusionProcessingControl(StableDiffusionProcessing):
    """SDNext's Control tab: it has no scripts of extensions, only callbacks."""


@dataclass
class Processed:
    images: list[Any]
    infotexts: list[str]
    paths: list[str]
    comments: str = ""
    told: dict[str, Any] = field(default_factory=dict)


def process_images(p: StableDiffusionProcessing) -> Processed:
    call = p.scripts.call if p.scripts is not None else lambda *_a, **_n: None
    if not SDNEXT:
        call("setup", p)
    call("before_process", p)
    if not SDNEXT:
        return _process(p, call)
    try:
        script_callbacks.call("before_process", p)
        return _process(p, call)
    finally:
        script_callbacks.call("after_process", p)


def _process(p: StableDiffusionProcessing, call: Any) -> Processed:
    result = Processed([], [], [])
    p.spread()
    call("process", p)
    if SDNEXT:
        shared.state.begin("Process")  # whatever was interrupted before
    p.init(p.all_prompts, p.all_seeds, p.all_subseeds)
    for number in range(p.n_iter):
        p.iteration = number
        if shared.state.interrupted:
            break
        span = slice(number * p.batch_size, (number + 1) * p.batch_size)
        prompts, seeds = p.all_prompts[span], p.all_seeds[span]
        batch = {"batch_number": number, "prompts": prompts, "seeds": seeds, "subseeds": seeds}
        call("before_process_batch", p, **batch)
        prompts, tags = networks.parse(prompts)
        batch["prompts"] = prompts
        if SDNEXT:
            call("process_batch", p, **batch)
            _activate(tags)
        else:
            _activate(tags)
            call("after_extra_networks_activate", p, **batch, extra_network_data={"lora": tags})
            call("process_batch", p, **batch)
        images = _sample(p, prompts, seeds)
        call("postprocess_batch", p, images=images, **batch)
        for at, image in enumerate(images):
            text = infotext(p, number * p.batch_size + at)
            if not p.do_not_save_samples:
                result.paths.append(_save(p, image, text, seeds[at]))
            result.images.append(image)
            result.infotexts.append(text)
    result.told = {"extra_generation_params": dict(p.extra_generation_params)}
    if SDNEXT:
        processing.processed = result
    else:
        result.comments = "".join(f"{comment}\n" for comment in p.comments)
    if not (SDNEXT and (shared.state.interrupted or shared.state.skipped)):
        call("postprocess", p, result)
    return result


def _activate(tags: list[list[str]]) -> None:
    try:
        networks.activate(tags)
    except ValueError as error:  # the A1111 line prints it and goes on without any LoRA
        print(f"*** Error activating lora: {error}")
        networks.loaded.clear()


def _sample(p: StableDiffusionProcessing, prompts: list[str], seeds: list[int]) -> list[Any]:
    """A plain picture whose colour follows from prompt, seed and the LoRAs in effect."""
    for step in range(p.steps):
        if shared.state.interrupted:
            break
        shared.state.sampling_step = step
        time.sleep(STEP_SECONDS)
    used = [(each.name, each.unet_multiplier) for each in networks.loaded]
    colours = [hashlib.sha256(repr((each, used)).encode()).digest()[:3] for each in zip(prompts, seeds)]
    return [Image.new("RGB", (p.width, p.height), tuple(colour)) for colour in colours]


def infotext(p: StableDiffusionProcessing, index: int) -> str:
    """Prompt, negative prompt and one line of parameters; a value with `,` or `:` in it is quoted."""
    parameters = {
        "Steps": p.steps,
        "Sampler": p.sampler_name,
        "CFG scale": p.cfg_scale,
        "Seed": p.all_seeds[index],
        "Size": f"{p.width}x{p.height}",
        "Model": p.sd_model_name,
        **({"App": "SD.Next"} if SDNEXT else {}),
        **p.extra_generation_params,
        **networks.for_infotext(),
    }
    line = ", ".join(f"{key}: {_quoted(value)}" for key, value in parameters.items())
    negative = p.all_negative_prompts[index]
    return "\n".join([p.all_prompts[index], *([f"Negative prompt: {negative}"] if negative else []), line])


def _quoted(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(sign in text for sign in ",:\n") else text


def _save(p: StableDiffusionProcessing, image: Any, text: str, seed: int) -> str:
    os.makedirs(p.outpath_samples, exist_ok=True)
    number = len(os.listdir(p.outpath_samples))
    filename = os.path.join(p.outpath_samples, f"{number:05}-{seed}.png")
    params = script_callbacks.ImageSaveParams(image, p, filename, {"parameters": text})
    script_callbacks.call("before_image_saved", params)
    information = PngInfo()
    for key, value in params.pnginfo.items():
        information.add_text(key, value)
    image.save(params.filename, pnginfo=information)
    script_callbacks.call("image_saved", params)
    return filename
