"""What is ranked by: LoRAs with the texts about them, and prompts with the LoRAs that were used for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

import orjson

from sidecar.database import Database
from sidecar.prompts.grammar import find_tags
from sidecar.prompts.resolve import USABLE
from sidecar.recommend.naming import Naming, read_naming
from sidecar.recommend.texts import plain_prompt

MAX_EXAMPLES = 200
"""Example prompts of one LoRA that are looked at."""
MAX_OWN = 50_000
"""Of the user's own generations the newest so many are looked at."""
MAX_ABOUT = 4_000
"""Characters of a description that are looked at."""
MAX_TRAINED_ON = 40
"""Of the tags that a LoRA was trained with so many of the most frequent are looked at."""

MAX_WEIGHT = 10.0

_MARKUP = re.compile(r"<[^>]*>|&\w+;")


class LoraText(NamedTuple):
    """A LoRA that a host can load, and what is said about it."""

    id: int
    identity_id: int | None
    stem: str
    title: str
    trigger_words: list[str]
    tags: list[str]
    about: str
    """Its description without markup, cut."""
    base_model: str
    trained_on: Sequence[str] = ()
    """The most frequent tags of its training images."""
    content: str = ""
    """What copies have in common, the hash of its tensors; "" until that is known."""


class Use(NamedTuple):
    """A LoRA in a prompt. `own`: how many of the user's own image batches; 0 for an author's example."""

    lora: int
    own: int
    weight: float | None


class Example(NamedTuple):
    """An author's image on the page of a LoRA (its id and stem): the prompt as it was typed, and what tells the image from
    others, where it is known."""

    page: int
    stem: str
    prompt: str
    url: str | None
    seed: int | None


class Prompt(NamedTuple):
    """A prompt and the LoRAs (by id) that it was used with; every text stands once."""

    text: str
    uses: list[Use]

    @property
    def key(self) -> bytes:
        """16 bytes that stand for the text."""
        return text_key(self.text)


def text_key(text: str) -> bytes:
    """How the SHA256 of a text begins, 16 bytes."""
    return sha256(text.encode("utf-8", "replace")).digest()[:16]


def read_loras(database: Database) -> list[LoraText]:
    """Every LoRA that a host can load, with what is said about it, by id."""
    return list(each_lora(database))


def each_lora(database: Database) -> Iterator[LoraText]:
    """The same one after the other."""
    rows = database.reader().execute(
        f"""SELECT l.id, l.identity_id, l.stem, coalesce(i.title, l.title, '') AS title, l.base_model,
                   coalesce(i.trigger_words, l.trigger_words) AS trigger_words, l.effective_tags AS tags,
                   coalesce(l.body_hash, '') AS content,
                   substr(t.description, 1, 8000) AS description, t.training_tags
            FROM loras l JOIN roots r ON r.id = l.root_id LEFT JOIN identities i ON i.id = l.identity_id
                 LEFT JOIN lora_texts t ON t.lora_id = l.id
            WHERE {USABLE} ORDER BY l.id"""
    )
    for row in rows:
        yield LoraText(
            row["id"], row["identity_id"], row["stem"], row["title"], orjson.loads(row["trigger_words"]),
            orjson.loads(row["tags"]), _MARKUP.sub(" ", row["description"] or "")[:MAX_ABOUT], row["base_model"],
            [tag for tag, _ in orjson.loads(row["training_tags"] or "[]")[:MAX_TRAINED_ON]],
            row["content"],
        )  # fmt: skip


def read_prompts(database: Database, loras: list[LoraText]) -> list[Prompt]:
    """Authors' example prompts and the user's own, for these LoRAs."""
    uses: dict[str, dict[int, Use]] = {}
    naming = read_naming(database)
    for example in each_example(database):
        known = uses.setdefault(plain_prompt(example.prompt), {})
        for lora, weight in loras_in(example, naming).items():
            known.setdefault(lora, Use(lora, 0, weight))
    first = {lora.identity_id: lora.id for lora in reversed(loras) if lora.identity_id is not None}
    for identity, text, weight in each_own(database):
        own = first.get(identity)
        if own is not None:
            before = uses.setdefault(text, {}).get(own)
            newest = before.weight if before and before.own else weight
            uses[text][own] = Use(own, 1 + (before.own if before else 0), newest)
    wanted = {lora.id for lora in loras}
    prompts = (
        Prompt(text, [use for use in found.values() if use.lora in wanted]) for text, found in uses.items()
    )
    return [prompt for prompt in prompts if prompt.uses]


def each_example(database: Database) -> Iterator[Example]:
    """The authors' examples that say something, page by page."""
    rows = database.reader().execute(
        f"""SELECT l.id, l.stem, t.examples FROM loras l JOIN roots r ON r.id = l.root_id
            JOIN lora_texts t ON t.lora_id = l.id WHERE {USABLE} AND t.examples != '[]' ORDER BY l.id"""
    )
    for row in rows:
        for example in orjson.loads(row["examples"])[:MAX_EXAMPLES]:
            prompt = example.get("prompt")
            if isinstance(prompt, str) and plain_prompt(prompt):
                yield Example(row["id"], row["stem"], prompt, example.get("url"), example.get("seed"))


def loras_in(example: Example, naming: Naming) -> dict[int, float | None]:
    """The LoRAs (by id) that it was made with, and their weights.

    Those that its tags name; the page's own is among them when a name means no file here (authors' files have other names),
    or when there are no tags.
    """
    found: dict[int, float | None] = {}
    unknown = []
    for tag in find_tags(example.prompt) if "<" in example.prompt else ():
        if tag.is_lora and not tag.is_draw:
            own = tag.name.casefold() == example.stem.casefold()
            lora = example.page if own else naming.find(tag.name)
            if lora is None:
                unknown.append(_usual(tag.weight))
            else:
                found.setdefault(lora, _usual(tag.weight))
    if example.page not in found and (unknown or not found):
        found[example.page] = unknown[0] if len(unknown) == 1 else None
    return found


def _usual(weight: float | None) -> float | None:
    """None for what no one can mean."""
    return weight if weight is not None and abs(weight) <= MAX_WEIGHT else None


def each_own(database: Database) -> Iterator[tuple[int, str, float | None]]:
    """(identity, prompt, weight) of what the user generated, newest first; what was interrupted says nothing."""
    rows = database.reader().execute(
        """SELECT u.identity_id, g.prompt, u.weight FROM
               (SELECT id, prompt FROM generations WHERE NOT interrupted ORDER BY created DESC LIMIT ?) g
           JOIN generation_loras u ON u.generation_id = g.id WHERE u.identity_id IS NOT NULL""",
        (MAX_OWN,),
    )
    for row in rows:
        text = plain_prompt(row["prompt"])
        if text:
            yield row["identity_id"], text, row["weight"]
