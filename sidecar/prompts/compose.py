"""Composes a prompt: names the host will find, weights filled in, unknown LoRAs left out, trigger words added.

Whatever cannot be decided is left as typed, with a note: a prompt is never made worse than it was.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from sidecar.database import Database
from sidecar.prompts.grammar import LoraTag, find_tags, format_weight, has_words, replace_tags, without_tags
from sidecar.prompts.resolve import Resolved, resolve

MAX_PROMPT = 1_000_000
_A1111_LINE = ("a1111", "reforge", "forge")


@dataclass(frozen=True)
class Note:
    """Something the user should know about a prompt."""

    level: str
    code: str
    message: str
    lora: str | None = None


@dataclass
class Composed:
    """A composed prompt, the LoRAs in it, and what was noticed on the way."""

    prompt: str
    loras: list[dict[str, Any]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def note(self, level: str, code: str, message: str, lora: str | None = None) -> None:
        self.notes.append(Note(level, code, message, lora))


def compose(
    database: Database,
    prompt: str,
    *,
    host: str | None = None,
    add_trigger_words: bool = False,
    complete: bool = True,
) -> Composed:
    """Compose one prompt.

    Args:
        host: which host will read it ("sdnext", "a1111", "reforge", "forge").
        complete: whether the catalogue has seen every file. When not, an unknown name may just not be read yet.
    """
    result = Composed(prompt)
    tags = find_tags(prompt)
    texts: list[str | None] = []
    found: dict[int, Resolved] = {}
    known: dict[str, Resolved | None] = {}
    for tag in tags:
        if tag.name not in known:
            known[tag.name] = resolve(database.reader(), tag.name)
        lora = known[tag.name]
        if lora is None:
            texts.append(_unknown(result, tag, complete, host))
            continue
        changed = _rewritten(result, tag, lora)
        texts.append(prompt[tag.start : tag.end] if changed == tag else str(changed))
        found[lora.id] = lora
        result.loras.append(
            {"id": lora.id, "name": lora.name, "weight": changed.weight, "base_model": lora.base_model}
        )
    result.prompt = replace_tags(prompt, tags, texts)
    if add_trigger_words:
        _add_trigger_words(result, list(found.values()))
    return result


def _unknown(result: Composed, tag: LoraTag, complete: bool, host: str | None) -> str | None:
    if not complete:
        message = (
            f"{tag.name!r} is not in the library, which is not read to its end yet; it was left as typed."
        )
        result.note("warning", "unknown_lora_kept", message, tag.name)
        return str(tag)
    all_lost = (
        " On this host it would have switched off every LoRA of the image." if host in _A1111_LINE else ""
    )
    message = f"There is no LoRA {tag.name!r}; it was left out.{all_lost}"
    result.note("warning", "unknown_lora", message, tag.name)
    return None


def _rewritten(result: Composed, tag: LoraTag, lora: Resolved) -> LoraTag:
    """The tag under the name the host knows and with a weight it can read."""
    changed = tag
    if tag.name != lora.name:
        changed = LoraTag(tag.start, tag.end, tag.kind, lora.name, tag.arguments)
        result.note("info", "renamed_lora", f"{tag.name!r} is written {lora.name!r}.", lora.name)
    if changed.decimal_comma:
        weight = float(next(a for a in tag.arguments if "," in a).replace(",", "."))
        changed = changed.with_weight(weight)
        result.note("info", "decimal_comma", f"A weight takes a point: {format_weight(weight)}.", lora.name)
    elif not changed.has_weight:
        weight = 1.0 if lora.weight is None else lora.weight
        changed = changed.with_weight(weight)
        where = "its preferred weight" if lora.weight is not None else "the usual one"
        result.note(
            "info",
            "weight_filled",
            f"{lora.name} got the weight {format_weight(weight)}, {where}.",
            lora.name,
        )
    return changed


def _add_trigger_words(result: Composed, loras: list[Resolved]) -> None:
    """Append the trigger words that the prompt does not have, each once."""
    text = without_tags(result.prompt)
    missing: list[str] = []
    for lora in loras:
        words = [word for word in lora.trigger_words if not has_words(f"{text}, {', '.join(missing)}", word)]
        if words:
            missing.extend(words)
            result.note("info", "trigger_words_added", f"Added {', '.join(words)}.", lora.name)
    if missing:
        kept = result.prompt.rstrip()
        separator = "" if not kept else " " if kept.endswith((",", "BREAK")) else ", "
        result.prompt = f"{kept}{separator}{', '.join(missing)}"


def compose_all(
    database: Database,
    prompts: list[str],
    *,
    host: str | None = None,
    add_trigger_words: bool = False,
    complete: bool = True,
) -> tuple[list[str], list[dict[str, Any]], list[dict[str, Any]]]:
    """Compose each prompt of a batch; returns (prompts, loras, notes), LoRAs and notes without repeats."""
    composed = [
        compose(database, prompt, host=host, add_trigger_words=add_trigger_words, complete=complete)
        for prompt in prompts
    ]
    loras = {(lora["id"], lora["weight"]): lora for result in composed for lora in result.loras}
    notes = dict.fromkeys(note for result in composed for note in result.notes)
    return [result.prompt for result in composed], list(loras.values()), [asdict(note) for note in notes]
