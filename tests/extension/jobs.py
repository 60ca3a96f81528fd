"""What the hosts do with a job's prompts, seeds and flags, step by step as their process_images: SDNext
modules/processing.py, and the A1111 line's file of that name. And a sidecar that knows two sets and draws by seed."""

from __future__ import annotations

import random
import re
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from extension.generation import Generations

SETS = {
    "Pair": ("<lora:one:0.5> <lora:two:0.5>", "blurred"),
    "Drawn": ("drawn <lora:?tag:x>", ""),
    "Other": ("<lora:three:0.5>", ""),
}
STYLE = "{prompt}, styled"


class ComposingSidecar:
    """Expands SETS, draws `n0`, `n1`, `n2` by seed % 3 (`heavy`: n0, the seed is its weight), adds `word` to what has a LoRA, objects to BAD."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.records: list[dict[str, Any]] = []
        self.hosts: list[dict[str, Any]] = []
        self.stop = False
        self.app = FastAPI()
        self.app.add_api_route("/api/v1/prompts/compose", self._composed, methods=["POST"])
        self.app.add_api_route("/api/v1/prompts/host", self._told, methods=["PUT"])
        self.app.add_api_route("/api/v1/generations", self._recorded, methods=["POST"])

    async def _told(self, request: Request) -> Response:
        self.hosts.append(await request.json())
        return JSONResponse(self.hosts[-1])

    async def _recorded(self, request: Request) -> Response:
        self.records.append(await request.json())
        return JSONResponse({"id": 1}, 201)

    async def _composed(self, request: Request) -> Response:
        content = await request.json()
        self.asked.append(content)
        prompts, negatives, seeds = (
            each if isinstance(each, list) else [each]
            for each in (content["prompt"], content.get("negative_prompt", ""), content.get("seed"))
        )
        answer: dict[str, Any] = {"notes": [], "sets": [], "draws": [], "loras": []}
        results = [
            self._one(prompt, negatives[min(i, len(negatives) - 1)], seeds[min(i, len(seeds) - 1)], answer)
            for i, prompt in enumerate(prompts)
        ]
        single = isinstance(content["prompt"], str)
        for i, name in enumerate(("prompt", "negative_prompt")):
            answer[name] = results[0][i] if single else [each[i] for each in results]
        answer["stop"] = self.stop and any(note["level"] == "error" for note in answer["notes"])
        return JSONResponse(answer)

    def _one(self, prompt: str, negative: str, seed: int, answer: dict[str, Any]) -> tuple[str, str]:
        def note(level: str, message: str, lora: str | None = None, code: str = "x") -> None:
            if message not in [each["message"] for each in answer["notes"]]:
                answer["notes"].append({"level": level, "code": code, "message": message, "lora": lora})

        for found in re.findall(r"<set:([^>]+)>", prompt):
            name, _, weight = found.partition(":")
            text, unwanted = SETS[name]
            prompt = prompt.replace(f"<set:{found}>", text)
            negative += f", {unwanted}" if unwanted and unwanted not in negative else ""
            answer["loras"] += [{"name": each} for each in re.findall(r"<lora:(\w+)", text)]
            answer["sets"].append({"name": name, "version": 2, "weight": float(weight or 1)})
        for query in re.findall(r"<lora:\?([^>]+)>", prompt):
            drawn, weight = (f"n{seed % 3}", 1) if query != "heavy" else ("n0", seed)
            prompt = prompt.replace(f"<lora:?{query}>", f"<lora:{drawn}:{weight}>")
            answer["draws"].append({"query": query, "name": drawn, "weight": float(weight)})
            note("info", f"?{query} drew {drawn}.", drawn, "drawn")
        if "BAD" in prompt:
            note("error", "BAD is bad.")
        if "<lora:" in prompt and "word" not in prompt:
            prompt += ", word"
            note("info", "Added word.")
        return prompt, negative


class P:
    """StableDiffusionProcessing, as far as an extension sees it. `styled`: as if a style had been chosen."""

    def __init__(self, prompt: Any = "a cat", styled: bool = False, **members: Any) -> None:
        self.prompt, self.negative_prompt, self.styled = prompt, "bad", styled
        self.extra_generation_params: dict[str, Any] = {}
        self.override_settings: dict[str, Any] = {}
        self.seed: Any = 42
        self.batch_size = self.n_iter = 1
        self.iteration = 0
        self.comments: dict[str, int] = {}
        vars(self).update(members)

    def comment(self, text: str) -> None:
        self.comments[text] = 1

    def init(self, all_prompts: Any, all_seeds: Any, all_subseeds: Any) -> None:
        self.all_prompts, self.all_seeds, self.began = all_prompts, all_seeds, True


class Made:
    """What a job comes to: an image's prompt, seed and parameters each, and the host's result."""

    def __init__(self) -> None:
        self.images: list[tuple[str, int, dict[str, Any]]] = []
        self.comments = ""

    @property
    def prompts(self) -> list[str]:
        return [prompt for prompt, _, _ in self.images]


def run_sdnext(p: Any, fake_host: Any, generations: Generations) -> Made:
    """SDNext's order; it clears the flag when its job begins, and keeps what was spread by a job before."""
    made = Made()
    fake_host.module("modules.processing", processed=made)
    generations.before(p)  # on_before_process
    try:
        if not getattr(p, "all_prompts", None):
            _spread(p)
        fake_host.state.interrupted = False  # state.begin("Process")
        p.init(p.all_prompts, p.all_seeds, [])
        _sample(p, fake_host, generations, made)
    finally:
        generations.after(p)  # on_after_process
    return made


def run_a1111(p: Any, fake_host: Any, generations: Generations) -> Made:
    """The A1111 line's order; its job has begun before."""
    made = Made()
    fake_host.state.interrupted = False  # state.begin
    generations.before(p)  # Script.before_process
    _spread(p)
    p.main_prompt, p.main_negative_prompt = p.all_prompts[0], p.all_negative_prompts[0]
    if getattr(p, "enable_hr", False):
        p.hr_prompt, p.hr_negative_prompt = p.hr_prompt or p.prompt, p.hr_negative_prompt or p.negative_prompt
        count = p.batch_size * p.n_iter
        p.all_hr_prompts = count * [_style(p, p.hr_prompt)]
        p.all_hr_negative_prompts = count * [p.hr_negative_prompt]
    p.init(p.all_prompts, p.all_seeds, [])
    if getattr(p, "enable_hr", False):
        p.extra_generation_params["Hires prompt"] = lambda: None  # get_hr_prompt
    _sample(p, fake_host, generations, made)
    made.comments = "".join(f"{comment}\n" for comment in p.comments)
    generations.after(p)  # Script.postprocess
    return made


def _style(p: Any, prompt: str) -> str:
    return getattr(p, "style", STYLE).replace("{prompt}", prompt) if p.styled else prompt


def _spread(p: Any) -> None:
    count = p.batch_size * p.n_iter
    prompts = p.prompt if isinstance(p.prompt, list) else count * [p.prompt]
    p.all_prompts = [_style(p, prompt) for prompt in prompts]
    p.all_negative_prompts = len(prompts) * [p.negative_prompt]
    first = random.randrange(1_000_000) if p.seed == -1 else p.seed
    p.all_seeds = first if isinstance(first, list) else [first + i for i in range(len(prompts))]


def _sample(p: Any, fake_host: Any, generations: Generations, made: Made) -> None:
    for n in range(p.n_iter):
        p.iteration = n
        if fake_host.state.interrupted:
            break
        generations.batch(p)  # Script.before_process_batch
        for i in range(n * p.batch_size, (n + 1) * p.batch_size):
            made.images.append((p.all_prompts[i], p.all_seeds[i], dict(p.extra_generation_params)))
            generations.image_saved(p, f"/out/{i}.png")
