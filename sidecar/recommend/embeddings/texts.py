"""What a text model reads: what is said of each LoRA, and prompts, straight from the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sidecar.database import Database
from sidecar.recommend.documents import each_example, each_lora, each_own
from sidecar.recommend.texts import plain_prompt

TRIGGER_WORDS = 5
TAGS = 12
ABOUT = 400
"""Characters of a description: its beginning says what it is, the rest how it was made."""


def each_text(database: Database) -> Iterator[str]:
    """What the text model is to know, one after the other, what matters most first; the same text may come again.

    Of each LoRA what is said of it, then the user's own prompts, the newest first, then the authors' examples: those that
    `documents.read_prompts` gives, without holding them all.
    """
    identities = set()
    for lora in each_lora(database):
        identities.add(lora.identity_id)
        yield lora_text(lora.title, lora.trigger_words, lora.tags, lora.about)
    yield from (text for identity, text, _ in each_own(database) if identity in identities)
    yield from (plain_prompt(example.prompt) for example in each_example(database))


def lora_text(title: str, trigger_words: Sequence[str], tags: Sequence[str], about: str) -> str:
    """One text about a LoRA: title, trigger words, tags and how its description begins; "" when nothing is said of it.

    Args:
        about: the description without markup.
    """
    parts = [title, ", ".join(trigger_words[:TRIGGER_WORDS]), ", ".join(tags[:TAGS]), about[:ABOUT]]
    return clean(". ".join(parts)) if any(part.strip() for part in parts) else ""


def clean(text: str) -> str:
    """The text as UTF-8 can carry it: half a character (a lone surrogate) becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def count_read(database: Database, model: str) -> int:
    """How many texts have a vector of this model, by its id; reads the whole table."""
    rows = database.reader().execute("SELECT count(*) FROM embeddings WHERE model = ?", (model,))
    return int(rows.fetchone()[0])
