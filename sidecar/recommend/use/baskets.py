"""Which LoRAs stood together: in an image batch of the user's, in a set, in an author's example. Each is a basket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from sidecar.database import Database
from sidecar.recommend.documents import MAX_OWN, Example, LoraText, each_example, loras_in
from sidecar.recommend.naming import Naming

OWN, SET, EXAMPLE = 0, 1, 2
"""Where a basket comes from."""
MAX_MEMBERS = 32
"""Of one basket: an image with more tells of a list, not of LoRAs that go together."""


class Basket(NamedTuple):
    """LoRAs (positions, ascending) that stood together `batches` times, and in how many images."""

    source: int
    loras: tuple[int, ...]
    batches: int
    images: int


class Places:
    """The position of each LoRA by id; copies of one content share the first one's."""

    def __init__(self, loras: Sequence[LoraText]) -> None:
        by_content: dict[str, int] = {}
        self.by_id: dict[int, int] = {}
        self.by_identity: dict[int, int] = {}
        for place, lora in enumerate(loras):
            if lora.content:
                place = by_content.setdefault(lora.content, place)
            if lora.identity_id is not None:
                place = self.by_identity.setdefault(lora.identity_id, place)
            self.by_id[lora.id] = place


def read_baskets(
    database: Database, places: Places, naming: Naming, rest: Callable[[], None] = lambda: None
) -> list[Basket]:
    """Every basket, those of one source and the same LoRAs as one; single LoRAs too, since they tell how often each is
    used without others. `rest` is called before each text that has to be taken apart."""
    found: dict[tuple[int, tuple[int, ...]], tuple[int, int]] = {}
    for source, baskets in (
        (OWN, _own(database, places, naming)),
        (SET, _sets(database, places, naming)),
        (EXAMPLE, _examples(database, places, naming, rest)),
    ):
        for loras, images in baskets:
            if 0 < len(loras) <= MAX_MEMBERS:
                key = source, tuple(sorted(loras))
                batches, before = found.get(key, (0, 0))
                found[key] = batches + 1, before + images
    return [Basket(*key, *counts) for key, counts in found.items()]


def _own(database: Database, places: Places, naming: Naming) -> Iterator[tuple[set[int], int]]:
    """What the user generated, each batch with its images; what was interrupted says nothing."""
    rows = database.reader().execute(
        """SELECT g.id, max(1, json_array_length(g.images)) AS images, u.identity_id, u.name FROM
               (SELECT id, images FROM generations WHERE NOT interrupted ORDER BY created DESC LIMIT ?) g
           JOIN generation_loras u ON u.generation_id = g.id ORDER BY g.id""",
        (MAX_OWN,),
    )
    yield from _grouped(
        ((row["id"], row["images"], _member(row, places, naming)) for row in rows),
    )


def _sets(database: Database, places: Places, naming: Naming) -> Iterator[tuple[set[int], int]]:
    rows = database.reader().execute(
        """SELECT s.id, 1 AS images, m.identity_id, m.name FROM sets s
           JOIN set_loras m ON m.set_id = s.id AND m.version = s.version WHERE s.deleted IS NULL ORDER BY s.id"""
    )
    yield from _grouped((row["id"], 1, _member(row, places, naming)) for row in rows)


def _member(row: Any, places: Places, naming: Naming) -> int | None:
    """By content, else by the name that it had."""
    place = places.by_identity.get(row["identity_id"])
    return places.by_id.get(naming.find(row["name"]) or -1) if place is None else place


def _grouped(rows: Iterator[tuple[int, int, int | None]]) -> Iterator[tuple[set[int], int]]:
    number, images, loras = -1, 0, set[int]()
    for one, many, place in rows:
        if one != number:
            if loras:
                yield loras, images
            number, images, loras = one, many, set()
        if place is not None:
            loras.add(place)
    if loras:
        yield loras, images


def _examples(
    database: Database, places: Places, naming: Naming, rest: Callable[[], None]
) -> Iterator[tuple[set[int], int]]:
    """Authors' example images; one that stands on several pages counts once."""
    seen = set[tuple[Any, ...]]()
    for example in each_example(database):
        page = places.by_id.get(example.page)
        if page is None:  # came after the list of LoRAs was read
            continue
        key = _image(example, page)
        if key not in seen:
            seen.add(key)
            rest()
            found = map(places.by_id.get, loras_in(example, naming))
            yield {place for place in found if place is not None}, 1


def _image(example: Example, page: int) -> tuple[Any, ...]:
    """What tells that two examples are one image."""
    if example.url:
        return (example.url,)
    return example.prompt, page if example.seed is None else -1, example.seed
