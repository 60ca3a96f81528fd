"""One generation of the host, from our side: its prompt is composed before, and it is recorded after.

Whatever fails here, the generation goes on as typed and one line in the log says why.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import types
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import host
from .client import Client, Refused, Unavailable
from .log import log
from .records import Recorder
from .settings import Settings
from .tags import read_tags

COMPOSE_SECONDS = 2.0
JOB, CHOICE = "lora_manager_job", "lora_manager_choice"


@dataclass
class Job:
    """What is remembered between before and after."""

    began: float = field(default_factory=time.monotonic)
    created: float = field(default_factory=time.time)
    images: list[str] = field(default_factory=list)
    done: bool = False


@dataclass(frozen=True)
class Choice:
    """What the accordion in the prompt says."""

    enabled: bool
    trigger_words: bool


class Generations:
    """The three moments of a generation that the hooks report: before, an image is saved, after."""

    def __init__(self, client: Client, recorder: Recorder, settings: Callable[[], Settings]) -> None:
        self._client = client
        self._recorder = recorder
        self._settings = settings
        self._told = ""
        self._current = threading.local()

    def before(self, p: Any, choice: Choice | None = None) -> None:
        """Compose the prompts of `p` in place. `choice` None: what the settings say (Control, API without arguments)."""
        if is_nested() or (host.has_process_callbacks() and _open_job(p) is not None):
            return
        settings = self._settings()
        choice = choice or getattr(p, CHOICE, None) or Choice(True, settings.trigger_words)
        if not choice.enabled:
            setattr(p, JOB, None)
            return
        job = Job()
        setattr(p, JOB, job)
        self._current.job = job
        try:
            self._compose(p, choice, time.monotonic() + COMPOSE_SECONDS)
        except (Unavailable, Refused) as error:
            self._tell(f"the prompt goes on as typed: {error}")
        except Exception:  # the hook's outer edge: a generation must never end here
            log.exception("the prompt goes on as typed")

    def _tell(self, text: str) -> None:
        """Say a thing once, not with every image while it lasts."""
        if text != self._told:
            log.warning("%s", text)
        self._told = text

    def _compose(self, p: Any, choice: Choice, deadline: float) -> None:
        pairs = [("prompt", "negative_prompt")]
        # the A1111 line takes the second pass's prompts from fields of their own; empty means the same as the first
        if getattr(p, "enable_hr", False) and getattr(p, "hr_prompt", ""):
            pairs.append(("hr_prompt", "hr_negative_prompt"))
        for positive, negative in pairs:
            given, given_negative = getattr(p, positive, None), getattr(p, negative, None)
            if not given or not _is_prompt(given):
                continue
            content: dict[str, Any] = {
                "prompt": given,
                "host": host.kind(),
                "checkpoint": host.checkpoint(p),
                "add_trigger_words": choice.trigger_words,
            }
            if _is_prompt(given_negative):
                content["negative_prompt"] = given_negative
            if isinstance(getattr(p, "seed", None), int):
                content["seed"] = p.seed
            answer = self._client.post("prompts/compose", content, max(0.1, deadline - time.monotonic()))
            self._told = ""
            changed = _put_back(p, positive, given, answer.get("prompt"))
            if _is_prompt(given_negative):
                changed |= _put_back(p, negative, given_negative, answer.get("negative_prompt"))
            _report(p, answer.get("notes") or [], changed)

    def image_saved(self, p: Any, filename: str) -> None:
        job = getattr(p, JOB, None) or getattr(self._current, "job", None)
        if job is None or job.done or not filename:
            return
        path = os.path.abspath(filename)
        grids = host.grid_folder(p)
        if path not in job.images and not (grids and path.startswith(grids + os.sep)):
            job.images.append(path)

    def after(self, p: Any) -> None:
        """Record the generation, unless it has been recorded, was none of ours, or failed without an image."""
        job = _open_job(p)
        if job is None or is_nested():
            return
        job.done = True
        failed = sys.exc_info()[0] is not None
        if not self._settings().record or (failed and not job.images):
            return
        try:
            self._recorder.add(make_record(p, job))
        except Exception:  # the hook's outer edge
            log.exception("the generation was not recorded")


def make_record(p: Any, job: Job) -> dict[str, Any]:
    """The body for `generations`."""
    prompts = host.final_prompts(p)
    interrupted = host.interrupted()
    negatives = getattr(p, "all_negative_prompts", None) or getattr(p, "negative_prompt", "") or ""
    return {
        **host.parameters(p),
        "prompt": prompts[0] if prompts else "",
        "negative_prompt": str(negatives[0])
        if isinstance(negatives, (list, tuple)) and negatives
        else str(negatives),
        "loras": [
            {"name": name, "weight": weight} for name, weight in used_loras(prompts, interrupted).items()
        ],
        "duration": round(time.monotonic() - job.began, 3),
        "images": list(job.images),
        "interrupted": interrupted,
        "created": job.created,
        "uuid": uuid.uuid4().hex,
    }


def used_loras(prompts: list[str], interrupted: bool = False) -> dict[str, float]:
    """Names and weights that took effect: what the prompts ask for, less what the host did not load."""
    asked = read_tags(prompts, host.default_weight())
    loaded = host.loaded_loras()
    if loaded is None:
        return asked
    used = dict(loaded[name] for name in asked if name in loaded)
    return (
        used or asked if interrupted else used
    )  # stopped early, the host's list can be that of the time before


def is_nested() -> bool:
    """Whether this is a generation within a generation (a detailer, an upscaler): it has been composed already."""
    depth = 0
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and depth < 2:
        depth += frame.f_code.co_name == "process_images" and "p" in frame.f_code.co_varnames[:1]
        frame = frame.f_back
    return depth >= 2


def _open_job(p: Any) -> Job | None:
    job = getattr(p, JOB, None)
    return job if job is not None and not job.done else None


def _is_prompt(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(each, str) for each in value)
    )


def _put_back(p: Any, name: str, given: Any, composed: Any) -> bool:
    """Set a prompt field to what came back, when that has the same shape; also where the host has already spread it."""
    if composed == given or type(composed) is not type(given) or not _is_prompt(composed):
        return False
    if isinstance(given, list) and len(given) != len(composed):
        return False
    setattr(p, name, composed)
    spread = getattr(p, f"all_{name}s", None)
    if isinstance(spread, list):
        pairs = dict(zip(given, composed, strict=True)) if isinstance(given, list) else {given: composed}
        setattr(p, f"all_{name}s", [pairs.get(each, each) for each in spread])
    return True


def _report(p: Any, notes: list[dict[str, Any]], changed: bool) -> None:
    """Say in the image's parameters what was changed, and in the log what went wrong."""
    for note in notes:
        if note.get("level") in ("warning", "error"):
            log.warning("%s", note.get("message"))
    parameters = getattr(p, "extra_generation_params", None)
    if changed and isinstance(parameters, dict):
        words = [str(note["message"]) for note in notes if note.get("message")] or ["prompt composed"]
        known = [parameters["LoRA Manager"]] if "LoRA Manager" in parameters else []
        parameters["LoRA Manager"] = "; ".join(dict.fromkeys(known + words))
