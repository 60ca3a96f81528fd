"""docs/prompt-table.md: what each host had in effect for the prompts of the table, and what was said beforehand.

What a host gave is kept in pytest's cache, so that hosts can be asked one at a time; the page shows those asked last.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

Weights = list[tuple[str, float | None, tuple[float | None, ...]]]

HOSTS = {"sdnext": "SD.Next", "a1111": "A1111 line"}
KEY = "lora-manager/prompt-table/"
INTRODUCTION = """# Prompts and what comes of them

Each of these prompts was given to real hosts, [SD.Next](https://github.com/vladmandic/sdnext) and, for the A1111 line,
[reForge](https://github.com/Panchovix/stable-diffusion-webui-reForge), and the LoRAs that they really had in effect were
read from the running model: first as typed, without LoRA Manager, then **composed** by it, where that gives something
else. The last column is what it says: under the prompt box while you type, then behind “→” what is noted in the image
when it composes. The test that makes the table fails when a host has anything in effect that was not foretold.

A number alone is the weight of all parts; `te` is the text encoder's, where it differs, and in/mid/out are the blocks.
“–” is no LoRA at all. A1111 itself differs from its forks reForge and Forge in two things (its source, not run here): of one
unknown name it leaves out that one alone, and of a LoRA in two tags it counts the last weight twice, as SD.Next does. On both hosts `te` counts only as far as the host applies it (SD.Next: an option, off at first).
"""
ENDING = """
## Making it anew
With hosts that work (the options they are started with are in `tests/hosts/host_process.py`), one after the other:

    python install.py test tests/hosts/test_prompt_table.py --table docs/prompt-table.md --sdnext-dir DIR --sdnext-python PY
    python install.py test tests/hosts/test_prompt_table.py --table docs/prompt-table.md --reforge-dir DIR --reforge-python PY

The prompts, sets and LoRA files are those of `tests/hosts/prompt_table.py`; a row more is a trap more. The settings are those of
a new installation: `before_generating` is `fix`, and trigger words are added (they are left out of the table).
"""


@dataclass
class Seen:
    """What came of one row on one host. `typed` None: what the host itself makes of it says nothing (sets, draws)."""

    about: str
    prompt: str
    negative: str = ""
    typed: Weights | None = None
    foretold: Weights | None = None
    composed: Weights = field(default_factory=list)
    said: Weights = field(default_factory=list)
    recorded: list[tuple[str, float]] = field(default_factory=list)
    became: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def write_page(page: Path, cache: pytest.Cache, host: str, seen: list[Seen]) -> None:
    """Keep what this host gave and write the page from it and from what the others gave."""
    cache.set(KEY + host, [asdict(one) for one in seen])
    kept = {name: [Seen(**each) for each in cache.get(KEY + name, [])] for name in HOSTS}
    by_row = {name: {(one.about, one.prompt): one for one in all_of_it} for name, all_of_it in kept.items()}
    rows = list(dict.fromkeys(key for each in by_row.values() for key in each))
    lines = [
        INTRODUCTION,
        f"| | prompt | {' | '.join(f'{label} had in effect' for label in HOSTS.values())} | LoRA Manager says |",
        f"|---|---|{'---|' * len(HOSTS)}---|",
    ]
    for key in rows:
        asked = {name: by_row[name].get(key) for name in HOSTS}
        first = next(one for one in asked.values() if one)
        negative = f"<br>negative: {_code(first.negative)}" if first.negative else ""
        cells = [f"{first.about}", f"{_code(first.prompt)}{negative}"]
        cells += [_effect(one) if one else "not asked" for one in asked.values()]
        cells.append(_told({HOSTS[name]: one for name, one in asked.items() if one}))
        lines.append("| " + " | ".join(cells) + " |")
    page.write_text("\n".join(lines) + "\n" + ENDING, encoding="utf-8")


def _effect(one: Seen) -> str:
    composed = _shown(one.composed)
    if one.typed is None:
        return f"**composed:** {composed}"
    typed = _shown([tuple(each) for each in one.typed])
    return typed if typed == composed else f"{typed}<br>**composed:** {composed}"


def _shown(weights: Weights) -> str:
    return "<br>".join(_one(name, te, list(unet)) for name, te, unet in weights) or "–"


def _one(name: str, te: float | None, unet: list[float | None]) -> str:
    same = len(set(unet)) == 1
    blocks = _number(unet[0]) if same else "/".join(map(_number, unet))
    return f"{_text(name)} {blocks}" + (f", te {_number(te)}" if te != unet[0] or not same else "")


def _number(value: float | None) -> str:
    return "not a number" if value is None else f"{value:g}"


def _told(asked: dict[str, Seen]) -> str:
    """Once where it is the same on all hosts."""
    said = {label: _said(one) for label, one in asked.items()}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "<br>".join(f"**{label}:** {text or 'nothing'}" for label, text in said.items())


def _said(one: Seen) -> str:
    before = " ".join(one.problems)
    after = " ".join(text for text in one.notes if text not in one.problems)
    return _text(" ".join(filter(None, [before, f"→ {after}" if after else ""])))


def _text(text: str) -> str:
    for plain, safe in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), ("_", "\\_"), ("*", "\\*")):
        text = text.replace(plain, safe)
    return text


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")
