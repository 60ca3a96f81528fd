"""The prompts of one job, composed by the sidecar: once as they were typed, and once more what the host made of them.

The first pass changes `p.prompt` and its like, so that other extensions see what counts. The second comes at the last
moment before sampling: styles, wildcards and other extensions may have brought tags, and only now has every image its
seed, so what draws by seed for several images waits for it. What was composed and came out the same is not asked again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import host, host_facts, host_job
from .client import Client, Refused
from .log import log
from .spread import Wanted, find_groups
from .tags import ALTERNATIVES, DRAW, MAY_DRAW, TAG, holds, is_prompt, named_in

COMPOSE_SECONDS = 2.0
AT_ONCE = 200
MOST_TOLD = 10
LEVELS = {"warning": logging.WARNING, "error": logging.ERROR}
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
    _typed: dict[str, Any] = field(default_factory=dict)
    _draws: list[dict[str, Any]] = field(default_factory=list)
    _sets: dict[str, str] = field(default_factory=dict)
    _words_done: list[str] = field(default_factory=list)

    def begin(self, p: Any) -> None:
        """The first pass, over the fields as they were typed.

        Raises:
            Unavailable, Refused: the sidecar cannot be asked, or gave no answer of use.
        """
        parameters = _parameters(p)
        for name in (PARAMETER, SETS_PARAMETER):
            parameters.pop(name, None)  # of a job before with the same `p`
        if holds(MAY_DRAW, *(getattr(p, name, None) for name in host_job.TYPED_FIELDS)):
            self._typed = {
                name: getattr(p, name) for name in ("seed", *host_job.TYPED_FIELDS) if hasattr(p, name)
            }
            host_job.fix_seed(p)
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
        tagged = holds(TAG, given, given_negative)
        if not is_prompt(given) or not (tagged or (given and positive in host_job.SPREAD_LATER)):
            return
        waits = isinstance(given, str) and positive in host_job.SPREAD_LATER and host_job.rounds(p) > 1
        if waits and holds(DRAW, given, given_negative):
            return
        count = len(given) if isinstance(given, list) else 1
        seeds = host_job.seeds_to_draw_by(p, count, host_job.kept_seeds(p))
        answer = self._ask(p, given, given_negative, seeds, limit, host_job.images_at_once(p))
        if waits and answer.get("draws"):
            return
        self._take(answer)
        self._words_done += _names_with_words(answer)
        for name, asked, key in ((positive, given, "prompt"), (negative, given_negative, "negative_prompt")):
            if is_prompt(asked):
                self._changed |= _put_back(p, name, asked, answer.get(key))
                self._settle(getattr(p, name))

    def _compose_detailer(self, p: Any, limit: float) -> None:
        """SDNext's prompt for details: a line for each thing found, with LoRAs of its own."""
        given = getattr(p, "detailer_prompt", None)
        if not getattr(p, "detailer_enabled", False) or not isinstance(given, str) or not TAG.search(given):
            return
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
        if self.stopped:
            return
        limit = time.monotonic() + COMPOSE_SECONDS
        for group in find_groups(p, self._is_settled):
            wanted = group.wanted()
            composed = dict(zip(wanted, self._ask_for_all(p, wanted, group.batch, limit)))
            for place in group.places:
                place.put(*composed[place.wants])
            self._changed |= any(pair != wants[:2] for wants, pair in composed.items())
            self._differ |= len({wants.seed for wants in wanted}) > 1
        self._write_parameters(p)

    def _ask_for_all(
        self, p: Any, wanted: list[Wanted], batch: int, limit: float
    ) -> Iterator[tuple[str, str]]:
        step = max(1, AT_ONCE // batch) * batch
        for part in (wanted[start : start + step] for start in range(0, len(wanted), step)):
            prompts, negatives = [each.prompt for each in part], [each.negative for each in part]
            seeds = [each.seed for each in part]
            answer = self._ask(p, prompts, negatives, seeds, limit, batch, self._words_done)
            new = _as_asked(prompts, answer.get("prompt"))
            new_negatives = _as_asked(negatives, answer.get("negative_prompt"))
            if new is None or new_negatives is None:
                raise Refused("the sidecar's answer has another number of prompts")
            self._take(answer)
            yield from zip(new, new_negatives)

    def _is_settled(self, prompt: str) -> bool:
        return prompt in self._settled or not TAG.search(prompt)

    def restore(self, p: Any) -> None:
        """The job is over. A host may use the same `p` for its next one (a folder of images): then with a seed and
        draws of its own."""
        for name, value in self._typed.items():
            setattr(p, name, value)

    def _settle(self, prompts: Any) -> None:
        self._settled.update([prompts] if isinstance(prompts, str) else prompts if is_prompt(prompts) else [])

    def _ask(
        self,
        p: Any,
        prompt: Any,
        negative: Any,
        seeds: list[int],
        limit: float,
        batch: int = 1,
        words_done: list[str] | None = None,
    ) -> dict[str, Any]:
        content: dict[str, Any] = {
            "prompt": prompt,
            "host": host.kind(),
            "checkpoint": host_job.checkpoint(p),
            "add_trigger_words": self.trigger_words,
            "seed": seeds[0] if len(set(seeds)) == 1 else seeds,  # one is known to every sidecar
            "facts": {**host_facts.facts(p), "batch_size": batch},
        }
        if is_prompt(negative):
            content["negative_prompt"] = negative
        if words_done:
            content["words_done"] = list(dict.fromkeys(words_done))
        answer = self.client.post("prompts/compose", content, max(0.1, limit - time.monotonic()))
        if not isinstance(answer, dict):
            raise Refused("the sidecar's answer is not understood")
        return answer

    def _take(self, answer: dict[str, Any]) -> None:
        """Remember what else an answer says; of one that is older or newer, what is there."""
        notes = [note for note in _objects(answer.get("notes")) if note.get("message")]
        new = [note for note in notes if note not in self._notes]
        self._notes += new
        wrong = [note for note in new if note.get("level") in LEVELS]
        for note in wrong[:MOST_TOLD]:
            log.log(LEVELS[note["level"]], "%s", note["message"])
        if len(wrong) > MOST_TOLD:
            log.warning("and %d more of the kind", len(wrong) - MOST_TOLD)
        self._draws += [each for each in _objects(answer.get("draws")) if each not in self._draws]
        for each in _objects(answer.get("sets")):
            if each.get("name"):
                self._sets.setdefault(str(each["name"]), _set_text(each))
        if answer.get("stop") is True:
            errors = [str(note["message"]) for note in notes if note.get("level") == "error"]
            self.stopped = _join(errors, " ") or "The prompt has an error."

    def _write_parameters(self, p: Any, prompts: list[str] | None = None) -> None:
        """Say in the image's parameters what was changed; with `prompts`, only what concerns these."""
        parameters = _parameters(p)
        if self.stopped:
            parameters[PARAMETER] = f"stopped. {self.stopped}"
        elif self._changed:
            notes = [note for note in self._notes if note.get("code") != "drawn" and _concerns(note, prompts)]
            messages = [*_draws_told(self._draws, prompts), *(str(note["message"]) for note in notes)]
            parameters[PARAMETER] = _join(messages, "; ") or "prompt composed"
        if self._sets:
            parameters[SETS_PARAMETER] = ", ".join(self._sets.values())

    def narrow(self, p: Any) -> None:
        """A batch begins: its images' parameters speak of what was drawn for them, not of the other batches."""
        if self._differ:
            self._write_parameters(p, host_job.batch_prompts(p))
            host_job.name_hires_prompts(p)


def _as_asked(asked: list[str], composed: Any) -> list[str] | None:
    """What came back for a list of prompts; None when it is no such list."""
    fits = isinstance(composed, list) and is_prompt(composed) and len(composed) == len(asked)
    return composed if fits else None


def _names_with_words(answer: dict[str, Any]) -> list[str]:
    """The LoRAs whose trigger words have been seen to: those of a prompt with sets, which may have chosen among them.

    Where it has none, all of them stand there already. In alternatives none are added as long as they are alternatives.
    """
    composed: Any = answer.get("prompt")
    if not answer.get("sets") or not is_prompt(composed):
        return []
    prompts: list[str] = [composed] if isinstance(composed, str) else composed
    there = named_in(ALTERNATIVES.sub("", prompt) for prompt in prompts)
    return [each["name"] for each in _objects(answer.get("loras")) if each.get("name") in there]


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


def _join(messages: list[str], separator: str) -> str:
    """Different messages in one line, not more than a person reads."""
    each = list(dict.fromkeys(messages))
    return separator.join(
        each[:MOST_TOLD] + ([f"(and {len(each) - MOST_TOLD} more)"] if len(each) > MOST_TOLD else [])
    )


def _set_text(each: dict[str, Any]) -> str:
    """A set as the image's parameters name it: `NAME v3`, with its weight behind where that is not 1."""
    version = f" v{each['version']}" if each.get("version") else ""
    weight = each.get("weight")
    scaled = isinstance(weight, (int, float)) and weight != 1
    return f"{each['name']}{version}" + (f" ({weight:g})" if scaled else "")


def _concerns(note: dict[str, Any], prompts: list[str] | None) -> bool:
    """Whether a note is about one of the prompts; one that names no LoRA is about all."""
    if prompts is None or not note.get("lora"):
        return True
    return any(f":{note['lora']}" in prompt for prompt in prompts)


def _draws_told(draws: list[dict[str, Any]], prompts: list[str] | None) -> list[str]:
    """What was drawn for some prompts: by name and weight as they stand there, else by name, since a set or a limit
    may have scaled the weight."""
    said = [(f":{each.get('name')}", each.get("weight"), each) for each in draws]
    if prompts is not None:
        text = "\n".join(prompts)
        said = [draw for draw in said if draw[0] in text]
        exact = [draw for draw in said if any(f"{draw[0]}{_weight(draw[1])}{end}" in text for end in ":>")]
        names = {draw[0] for draw in exact}
        said = [draw for draw in said if draw in exact or draw[0] not in names]
    return [
        f"?{draw.get('query')} drew {draw.get('name')}{_weight(weight, ' at ')}" for _, weight, draw in said
    ]


def _weight(weight: Any, before: str = ":") -> str:
    return f"{before}{round(weight, 4):g}" if isinstance(weight, (int, float)) else ""
