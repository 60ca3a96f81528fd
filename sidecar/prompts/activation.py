"""Which LoRAs a host will have in effect for prompts as they are: names looked up as it does, then what it makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sidecar.prompts.facts import Facts, comments_in
from sidecar.prompts.grammar import FORBIDDEN_IN_NAMES, Tag, find_tags, is_cut
from sidecar.prompts.reading import Reading, Unreadable, read_tag
from sidecar.prompts.request import Request
from sidecar.prompts.resolve import Resolved


@dataclass(frozen=True)
class Activated:
    """A LoRA in effect, with its weights: `te` for the text encoder, `unet` for the blocks in, mid and out."""

    id: int
    name: str
    base_model: str
    te: float
    unet: tuple[float, float, float]
    dyn: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "weight": self.unet[0] if self.te == 0 or self.unet[0] != 0 else self.te,
            "te": self.te,
            "unet": list(self.unet),
            "dyn": self.dyn,
            "base_model": self.base_model,
        }


def activated(request: Request, prompts: Sequence[str]) -> list[Activated]:
    """The LoRAs of all images of a job, each with its weights once.

    The images of a batch share theirs: SDNext takes those of the last prompt that has any, the A1111 line the first's.
    Those of one prompt are worked out once.
    """
    if len(prompts) == 1:
        (prompt,) = prompts
        if prompt not in request.activated:
            request.activated[prompt] = _of_one_image(request, host_tags(prompt, request.facts))
        return request.activated[prompt]
    size = max(1, request.facts.batch_size)
    found: list[Activated] = []
    for start in range(0, len(prompts), size):
        batch = prompts[start : start + size]
        tags = [host_tags(prompt, request.facts) for prompt in batch]
        last = next((each for each in reversed(tags) if each), [])
        image = _of_one_image(request, last if request.facts.is_sdnext else tags[0])
        found += [lora for lora in image if lora not in found] if found else image
    return found


def host_tags(prompt: str, facts: Facts) -> list[Tag]:
    """The LoRA tags that a host sees: not those in comments, where it takes comments out."""
    comments = comments_in(prompt, facts)
    return [tag for tag in find_tags(prompt) if tag.is_lora and not is_cut(tag, comments)]


def _of_one_image(request: Request, tags: Sequence[Tag]) -> list[Activated]:
    request.look_up(tag.name for tag in tags)
    read: list[tuple[Reading, Resolved | None]] = []
    for tag in tags:
        try:
            reading = read_tag(tag, request.facts)
        except Unreadable:
            return []
        if reading is not None:
            read.append((reading, known_to_host(request, reading.name)))
    if request.facts.drops_all and any(found is None for _, found in read):
        return []
    loaded = [(reading, found) for reading, found in read if found and not reading.skipped]
    if request.facts.counts_last_twice:
        last = {found.id: reading for reading, found in loaded}
        loaded = [(last[found.id], found) for _, found in loaded]
    return [
        Activated(found.id, found.name, found.base_model, reading.te, reading.unet, reading.dyn)
        for reading, found in loaded
    ]


def known_to_host(request: Request, name: str) -> Resolved | None:
    """The file that the host itself finds by exactly this name.

    SDNext: the stem, the stem with `_` for `.`, and folder/stem below an absolute lora_dir. A1111 line: the stem, and
    `ss_output_name` unless several files share it. All of them tell capitals apart.
    """
    found = request.resolve(name)
    if found is None or name != name.strip():
        return None
    if name == found.name:
        return found
    facts = request.facts
    if facts.is_sdnext:
        path = f"{found.folder}/{found.name}" if found.folder else found.name
        by_path = name == path and bool(facts.lora_dir)
        return found if by_path or name == found.name.replace(".", "_") else None
    return found if name == found.alias else None


def speakable_name(found: Resolved, facts: Facts) -> str | None:
    """The name by which the host can be told of a file: its stem, or on the A1111 line its `ss_output_name`."""
    if not any(character in FORBIDDEN_IN_NAMES for character in found.name):
        return found.name
    alias = found.alias
    if facts.is_a1111_line and alias and not any(character in FORBIDDEN_IN_NAMES for character in alias):
        return alias
    return None


def unspeakable(name: str) -> str:
    """What to say of a file whose name no tag can hold."""
    return f"The name {name!r} cannot stand in a prompt, for a character in it; rename the file."
