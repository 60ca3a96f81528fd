"""Makes the index from the database: takes texts apart, those of the last time not again."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import orjson

from sidecar.database import Database
from sidecar.recommend.documents import LoraText, Prompt, read_loras, read_prompts
from sidecar.recommend.index import Index
from sidecar.recommend.token_store import TokenStore
from sidecar.recommend.tokens import PROMPT_KINDS, Tokens, counted, hashed, parts_of, words_of, words_of_name

PROMPTS, LORAS = "recommend-prompts.npz", "recommend-loras.npz"


def make_index(database: Database, folder: Path, rest: Callable[[], None] = lambda: None) -> Index:
    """The index of all that the database has now.

    Args:
        folder: where the tokens of the texts are kept.
        rest: called before each text that has to be taken apart.
    """
    loras = read_loras(database)
    prompts = read_prompts(database, loras)
    of_prompts = TokenStore(folder / PROMPTS).tokens_of(
        [one.key for one in prompts], lambda at: take_prompt(prompts[at]), rest
    )
    of_loras = TokenStore(folder / LORAS).tokens_of(
        [_key(one) for one in loras], lambda at: take_lora(loras[at]), rest
    )
    return Index(loras, prompts, of_loras, of_prompts)


def take_prompt(prompt: Prompt) -> tuple[Tokens, ...]:
    """Its tokens, one array for each of `PROMPT_KINDS`."""
    return tuple(hashed(take(prompt.text)) for take in PROMPT_KINDS.values())


def take_lora(lora: LoraText) -> tuple[Tokens, ...]:
    """The tokens of what is said of it, one array for each of index.LORA_KINDS."""
    stem, title = words_of_name(lora.stem), words_of(lora.title)
    words = [word for phrase in lora.trigger_words for word in words_of(phrase)]
    called = [*stem, *title, *words]
    tags = [word for tag in (*lora.tags, *lora.trained_on) for word in words_of(tag)]
    return (
        *counted(called),
        *counted([*called, *tags, *words_of(lora.about)]),
        hashed(_telling(stem)),
        hashed(_telling(title)),
        hashed(_telling(words)),
        hashed(part for phrase in lora.trigger_words for part in parts_of(phrase)),
    )


def _telling(words: list[str]) -> list[str]:
    """Without what stands in any name: single letters and numbers."""
    return [word for word in words if len(word) > 1 and not word.isdigit()]


def _key(lora: LoraText) -> bytes:
    said = [lora.stem, lora.title, lora.trigger_words, lora.tags, lora.about, lora.trained_on]
    return sha256(orjson.dumps(said)).digest()[:16]
