"""The prompts of one job, composed by the sidecar: once as they were typed, and once more what the host made of them.

The first pass changes `p.prompt` and its like, so that other extensions see what counts. The second comes at the last
moment before sampling: styles, wildcards and other extensions may have brought tags, and only now has every image its
seed, so what draws by seed for several images waits for it. What was composed and came out the same is not asked again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import host, host_facts, host_job
from .client import Client, Refused
from .log import log

COMPOSE_SECONDS = 2.0
AT_ONCE = 200
TAG = re.compile(r"<(?:lora|lyco|set):", re.IGNORECASE)
DRAW = re.compile(r"<(?:lora|lyco):\s*\?", re.IGNORECASE)
MAY_DRAW = re.compile(r"<(?:(?:lora|lyco):\s*\?|set:)", re.IGNORECASE)  # a set's text can hold a draw
PARAMETER, SETS_PARAMETER = "LoRA Manager", "LoRA sets"


@dataclass
class Composition:
    """What is remembered of one job's prompts between its passes.

    stopped: why the sidecar says that the job must not go on; "" when it may.
    """

    client: Client
    trigger_words: bool
    stopped: str = ""
    _changed: bool = False
    _differ: bool = False
    _settled: set[str] = field(default_factory=set)
    _notes: list[dict[str, Any]] = field(default_factory=list)
    _sets: dict[str, str] = field(default_factory=dict)

    def begin(self, p: Any) -> None:
        """The first pass, over the fields as they were typed.

        Raises:
            Unavailable, Refused: the sidecar cannot be asked, or gave no answer of use.
        """
        parameters = _parameters(p)
        for name in (PARAMETER, SETS_PARAMETER):
            parameters.pop(name, None)  # of a job before with the same `p`
        limit = time.monotonic() + COMPOSE_SECONDS
        for positive, negative in host_job.prompt_fields(p):
            self._begin_pair(p, positive, negative, limit)
        self._compose_detailer(p, limit)
        self._write_parameters(p)

    def _begin_pair(self, p: Any, positive: str, negative: str, limit: float) -> None:
        given, given_negative = getattr(p, positive, None), getattr(p, negative, None)
        first = positive == "prompt"
        if not first and given_negative == "" and isinstance(getattr(p, "negative_prompt", None), str):
            given_negative = p.negative_prompt  # as the host takes it; set only if composing changes it
        tagged = _holds(TAG, given, given_negative)
        if not is_prompt(given) or not (tagged or (given and positive in host_job.SPREAD_LATER)):
            return
        waits = isinstance(given, str) and positive in host_job.SPREAD_LATER and host_job.rounds(p) > 1
        if _holds(MAY_DRAW, given, given_negative):
            if waits and _holds(DRAW, given, given_negative):
                return
            host_job.fix_seed(p)
        seeds = host_job.seeds_to_draw_by(p, len(given) if isinstance(given, list) else 1)
        answer = self._ask(p, given, given_negative, seeds, limit)
        if waits and answer.get("draws"):
            return
        self._take(answer)
        for name, asked, key in ((positive, given, "prompt"), (negative, given_negative, "negative_prompt")):
            if is_prompt(asked):
                self._changed |= _put_back(p, name, asked, answer.get(key))
                self._settle(getattr(p, name))

    def _compose_detailer(self, p: Any, limit: float) -> None:
        """SDNext's prompt for details: a line for each thing found, with LoRAs of its own."""
        given = getattr(p, "detailer_prompt", None)
        if not getattr(p, "detailer_enabled", False) or not isinstance(given, str) or not TAG.search(given):
            return
        host_job.fix_seed(p)
        lines = given.split("\n")
        answer = self._ask(p, lines, None, host_job.seeds_to_draw_by(p, 1), limit)
        self._take(answer)
        composed = _as_asked(lines, answer.get("prompt"))
        if composed is not None and composed != lines:
            p.detailer_prompt = "\n".join(composed)
            self._changed = True

    def finish(self, p: Any) -> None:
        """The second pass, over what the host is about to sample: every image's own prompt, by its own seed.

        Raises:
            Unavailable, Refused: as `begin`.
        """
        places = [] if self.stopped else self._unsettled_lists(p) + self._unsettled_fields(p)
        wanted = list(dict.fromkeys(place.wants for place in places))
        if not wanted:
            return
        limit = time.monotonic() + COMPOSE_SECONDS
        composed: dict[tuple[str, str, int], tuple[str, str]] = {}
        for start in range(0, len(wanted), AT_ONCE):
            part = wanted[start : start + AT_ONCE]
            prompts, negatives = [each[0] for each in part], [each[1] for each in part]
            answer = self._ask(p, prompts, negatives, [each[2] for each in part], limit)
            new = _as_asked(prompts, answer.get("prompt"))
            new_negatives = _as_asked(negatives, answer.get("negative_prompt"))
            if new is None or new_negatives is None:
                raise Refused("the sidecar's answer has another number of prompts")
            self._take(answer)
            composed.update(zip(part, zip(new, new_negatives)))
        for place in places:
            place.put(*composed[place.wants])
        self._changed |= any(pair != wants[:2] for wants, pair in composed.items())
        self._differ = len({wants[2] for wants in wanted}) > 1
        self._write_parameters(p)

    def _unsettled_lists(self, p: Any) -> list[_Place]:
        places: list[_Place] = []
        for positive, negative in host_job.SPREAD_FIELDS:
            prompts, negatives = getattr(p, positive, None), getattr(p, negative, None)
            if not isinstance(prompts, list) or not is_prompt(prompts):
                continue
            others = negatives if isinstance(negatives, list) and is_prompt(negatives) else []
            seeds = host_job.seeds_to_draw_by(p, len(prompts), getattr(p, "all_seeds", None))
            for i, prompt in enumerate(prompts):
                other = others[i] if i < len(others) else ""
                if self._is_unsettled(prompt, other):
                    wants = (prompt, other, _seed_of(prompt, other, seeds, i))
                    places.append(_Place(wants, _put_in_lists(prompts, others, i)))
        return places

    def _unsettled_fields(self, p: Any) -> list[_Place]:
        """What still stands in the fields themselves, since they had to wait, or since the host took it from a list."""
        places: list[_Place] = []
        first = host_job.seeds_to_draw_by(p, 1, getattr(p, "all_seeds", None))
        for positive, negative in [*host_job.prompt_fields(p), host_job.MAIN_FIELDS]:
            prompt, other = getattr(p, positive, None), getattr(p, negative, None)
            other = other if isinstance(other, str) else ""
            if isinstance(prompt, str) and self._is_unsettled(prompt, other):
                places.append(_Place((prompt, other, first[0]), _put_in_fields(p, positive, negative)))
        return places

    def _is_unsettled(self, *prompts: str) -> bool:
        return any(prompt not in self._settled and TAG.search(prompt) for prompt in prompts)

    def _settle(self, prompts: Any) -> None:
        self._settled.update([prompts] if isinstance(prompts, str) else prompts if is_prompt(prompts) else [])

    def _ask(self, p: Any, prompt: Any, negative: Any, seeds: list[int], limit: float) -> dict[str, Any]:
        content: dict[str, Any] = {
            "prompt": prompt,
            "host": host.kind(),
            "checkpoint": host_job.checkpoint(p),
            "add_trigger_words": self.trigger_words,
            "seed": seeds[0] if len(set(seeds)) == 1 else seeds,  # one is known to every sidecar
            "facts": host_facts.facts(p),
        }
        if is_prompt(negative):
            content["negative_prompt"] = negative
        answer = self.client.post("prompts/compose", content, max(0.1, limit - time.monotonic()))
        if not isinstance(answer, dict):
            raise Refused("the sidecar's answer is not understood")
        return answer

    def _take(self, answer: dict[str, Any]) -> None:
        """Remember what else an answer says; of one that is older or newer, what is there."""
        errors = []
        for note in _objects(answer.get("notes")):
            if not note.get("message") or note in self._notes:
                continue
            self._notes.append(note)
            if note.get("level") == "error":
                errors.append(str(note["message"]))
                log.error("%s", note["message"])
            elif note.get("level") == "warning":
                log.warning("%s", note["message"])
        for each in _objects(answer.get("sets")):
            if each.get("name"):
                self._sets.setdefault(str(each["name"]), _set_text(each))
        if answer.get("stop") is True:
            self.stopped = " ".join(errors) or "The prompt has an error."

    def _write_parameters(self, p: Any, prompts: Any = None) -> None:
        """Say in the image's parameters what was changed; with `prompts`, only what concerns these."""
        parameters = _parameters(p)
        if self.stopped:
            parameters[PARAMETER] = f"stopped. {self.stopped}"
        elif self._changed:
            messages = [str(note["message"]) for note in self._notes if _concerns(note, prompts)]
            parameters[PARAMETER] = "; ".join(dict.fromkeys(messages)) or "prompt composed"
        if self._sets:
            parameters[SETS_PARAMETER] = ", ".join(self._sets.values())

    def narrow(self, p: Any, prompts: Any) -> None:
        """A batch begins: its images' parameters speak of what was drawn for them, not of the other batches."""
        if self._differ and is_prompt(prompts):
            self._write_parameters(p, prompts)


@dataclass
class _Place:
    """Where a prompt stands, and its negative one: at an index of two lists, or in two fields of `p`.

    wants: prompt, negative prompt, seed.
    """

    wants: tuple[str, str, int]
    put: Callable[[str, str], None]


def _put_in_lists(prompts: list[str], negatives: list[str], index: int) -> Callable[[str, str], None]:
    def put(prompt: str, negative: str) -> None:
        # in place: the host has handed the list on already, even to `p.init` itself
        prompts[index] = prompt
        if index < len(negatives):
            negatives[index] = negative

    return put


def _put_in_fields(p: Any, positive: str, negative: str) -> Callable[[str, str], None]:
    def put(prompt: str, composed_negative: str) -> None:
        setattr(p, positive, prompt)
        if isinstance(getattr(p, negative, None), str):
            setattr(p, negative, composed_negative)

    return put


def is_prompt(value: Any) -> bool:
    """Whether a host's field holds one prompt, or one for each image."""
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(each, str) for each in value)
    )


def _holds(pattern: re.Pattern[str], *fields: Any) -> bool:
    """Whether one of the prompts in some fields of `p` matches."""
    texts = [
        text for each in fields if is_prompt(each) for text in ([each] if isinstance(each, str) else each)
    ]
    return any(pattern.search(text) for text in texts)


def _seed_of(prompt: str, negative: str, seeds: list[int], index: int) -> int:
    """The seed that this image draws by; one for all where nothing is drawn, so that they are asked for once."""
    return seeds[index] if MAY_DRAW.search(prompt) or MAY_DRAW.search(negative) else seeds[0]


def _as_asked(asked: list[str], composed: Any) -> list[str] | None:
    """What came back for a list of prompts; None when it is no such list."""
    fits = isinstance(composed, list) and is_prompt(composed) and len(composed) == len(asked)
    return composed if fits else None


def _put_back(p: Any, name: str, asked: Any, composed: Any) -> bool:
    """Set a prompt field to what came back, when that has the same shape; also where the host has already spread it."""
    if composed == asked or type(composed) is not type(asked) or not is_prompt(composed):
        return False
    if isinstance(asked, list) and len(asked) != len(composed):
        return False
    setattr(p, name, composed)
    spread = getattr(p, f"all_{name}s", None)
    if isinstance(spread, list):
        pairs = dict(zip(asked, composed, strict=True)) if isinstance(asked, list) else {asked: composed}
        setattr(p, f"all_{name}s", [pairs.get(each, each) for each in spread])
    return True


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _parameters(p: Any) -> dict[str, Any]:
    parameters = getattr(p, "extra_generation_params", None)
    return parameters if isinstance(parameters, dict) else {}


def _set_text(each: dict[str, Any]) -> str:
    """A set as the image's parameters name it: `NAME v3`, with its weight behind where that is not 1."""
    version = f" v{each['version']}" if each.get("version") else ""
    weight = each.get("weight")
    scaled = isinstance(weight, (int, float)) and weight != 1
    return f"{each['name']}{version}" + (f" ({weight:g})" if scaled else "")


def _concerns(note: dict[str, Any], prompts: Any) -> bool:
    """Whether a note is about one of the prompts; one that names no LoRA is about all."""
    if prompts is None or not note.get("lora"):
        return True
    return any(
        f":{note['lora']}" in prompt for prompt in ([prompts] if isinstance(prompts, str) else prompts)
    )
