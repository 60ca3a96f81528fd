"""Which LoRAs a request means: by id, by a query, or by the filter that the page shows."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from sidecar.database import Database
from sidecar.errors import BadRequest
from sidecar.library.filters import Filter
from sidecar.library.queries import matching_ids

MAX_IDS = 200_000
Values = Annotated[list[Annotated[str, Field(max_length=1_000)]], Field(max_length=1_000)]


class SelectionFilter(BaseModel):
    """The parameters of `GET loras` that narrow the list."""

    q: Annotated[str, Field(max_length=10_000)] = ""
    base_model: Values = []
    tag: Values = []
    not_tag: Values = []
    folder: Values = []
    state: Values = []
    label: Values = []
    favorite: bool | None = None
    collection: int | None = None
    hidden: bool = False

    def to_filter(self) -> Filter:
        """The same for the catalogue."""
        return Filter(
            q=self.q,
            base_models=tuple(self.base_model),
            tags=tuple(self.tag),
            not_tags=tuple(self.not_tag),
            folders=tuple(self.folder),
            states=tuple(self.state),
            labels=tuple(self.label),
            favorite=self.favorite,
            collection=self.collection,
            hidden=self.hidden,
        )


class Selection(BaseModel):
    """One of: `ids`, `query` (the query language), `filter`."""

    ids: Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(max_length=MAX_IDS)] | None = None
    query: Annotated[str, Field(max_length=10_000)] | None = None
    filter: SelectionFilter | None = None


def selected_ids(database: Database, selection: Selection) -> list[int]:
    """Ids of the LoRAs that are meant, each once.

    Raises:
        BadRequest: none of the three ways is given, or more than one; or the query cannot be read.
    """
    given = [name for name in ("ids", "query", "filter") if getattr(selection, name) is not None]
    if len(given) != 1:
        raise BadRequest("Say which LoRAs are meant by one of: ids, query, filter.")
    if selection.ids is not None:
        return list(dict.fromkeys(selection.ids))
    if selection.query is not None:
        if not selection.query.strip():
            raise BadRequest("The query is empty; to mean every LoRA give an empty filter: {}.")
        return matching_ids(database, Filter(q=selection.query))
    assert selection.filter is not None
    return matching_ids(database, selection.filter.to_filter())
