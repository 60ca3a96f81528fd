"""HTTP for what the user makes of the library: bulk edits, actions and undo, tags, collections."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Query, Response
from pydantic import BaseModel, Field

from sidecar.errors import BadRequest
from sidecar.library.edits import Edited, Membership, edit_loras
from sidecar.library.files.undo import undo_files
from sidecar.library.identities import forget
from sidecar.library.organise import actions, collections, tag_lists, tags
from sidecar.library.organise.selection import Selection, selected_ids
from sidecar.library.organise.undo import undo_edits
from sidecar.responses import json_response
from sidecar.state import State, get_state
from sidecar.tasks import Task

router = APIRouter(tags=["organise"])

Sidecar = Annotated[State, Depends(get_state)]
Tag = Annotated[str, Field(min_length=1, max_length=200)]
Label = Literal["red", "orange", "yellow", "green", "blue", "purple", "gray"]
Level = Literal[0, 1, 2, 4, 8, 16]
MAX_IMPORT = 100_000


class WordGroup(BaseModel):
    """Words of a LoRA that are used together; see library/word_groups."""

    name: Annotated[str, Field(max_length=100)] | None = None
    words: Annotated[list[Annotated[str, Field(max_length=1_000)]], Field(max_length=200)]
    mode: Literal["always", "ask", "never"] = "always"
    place: Literal["start", "end", "beside"] = "end"
    negative: bool = False
    outfit: bool = False


class Fields(BaseModel):
    """What an edit may set; null takes a field back to what the files say, a field left out stays."""

    favorite: bool | None = None
    rating: Annotated[int, Field(ge=1, le=5)] | None = None
    title: Annotated[str, Field(max_length=500)] | None = None
    notes: Annotated[str, Field(max_length=100_000)] | None = None
    weight: Annotated[float, Field(ge=-10, le=10)] | None = None
    trigger_words: Annotated[list[Annotated[str, Field(max_length=1_000)]], Field(max_length=500)] | None = (
        None
    )
    base_model: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    label: Label | None = None
    nsfw: Level | None = None
    hidden: bool | None = None
    negative_prompt: Annotated[str, Field(max_length=10_000)] | None = None
    word_groups: Annotated[list[WordGroup], Field(max_length=100)] | None = None


class BulkRequest(Selection):
    """An edit of many LoRAs, by ids, query or filter."""

    add_tags: Annotated[list[Tag], Field(max_length=1_000, default_factory=list)]
    remove_tags: Annotated[list[Tag], Field(max_length=1_000, default_factory=list)]
    set: Fields = Fields()
    add_to_collection: int | None = None
    remove_from_collection: int | None = None


@router.post("/loras/bulk")
def bulk_edit(request: BulkRequest, state: Sidecar) -> Response:
    """Edit many LoRAs as one action; others see its progress as a task."""
    changes: dict[str, Any] = request.set.model_dump(exclude_unset=True)
    changes |= {
        name: getattr(request, name) for name in ("add_tags", "remove_tags") if getattr(request, name)
    }
    membership = Membership(request.add_to_collection, request.remove_from_collection)
    if not changes and membership == Membership():
        raise BadRequest("Say what to change: add_tags, remove_tags, set or a collection.")
    for collection in filter(None, membership):
        collections.refuse_smart(state.database, collection)
    ids = selected_ids(state.database, request)

    edited = Edited(None, [], [])

    def work(task: Task) -> dict[str, Any]:
        nonlocal edited
        task.total = len(ids)
        edited = edit_loras(state.database, ids, changes, membership, progress=task.advance)
        return {"action": edited.action, "changed": len(edited.identities), "total": len(ids)}

    answer = {"action": None, "changed": 0, "total": 0}
    if ids:
        answer = state.tasks.run("edit", f"Edit {len(ids):,} LoRAs", work)
    publish_edit(state, edited.loras or ids)
    return json_response(answer)


def publish_edit(state: State, lora_ids: list[int]) -> None:
    """Tell the pages what was edited: few by id, many as a change of the library."""
    state.library.edited()
    if len(lora_ids) > 20:
        state.events.publish("library.changed", added=0, removed=0, changed=len(lora_ids))
    else:
        for lora_id in lora_ids:
            state.events.publish("lora.edited", id=lora_id)


@router.post("/loras/forget")
def forget_missing(selection: Selection, state: Sidecar) -> Response:
    """Take missing files out of the list; what was said about their contents is kept."""
    wanted = set(selected_ids(state.database, selection))
    missing = [row["id"] for row in state.database.reader().execute("SELECT id FROM loras WHERE NOT present")]
    gone = [lora_id for lora_id in missing if lora_id in wanted]
    state.database.write(lambda connection: forget(connection, gone))
    state.events.publish("library.changed", added=0, removed=len(gone), changed=0)
    return json_response({"forgotten": len(gone)})


@router.get("/actions")
def get_actions(state: Sidecar, limit: Annotated[int, Query(ge=1, le=1_000)] = 50) -> Response:
    """What was done lately, newest first."""
    items = actions.list_actions(state.database, limit)
    return json_response({"items": items, "total": len(items), "next_cursor": None})


@router.post("/actions/{action_id}/undo")
def undo_action(action_id: int, state: Sidecar) -> Response:
    """Take an action back; what was changed again since stays and is counted as skipped."""
    row = actions.get_action(state.database.reader(), action_id)
    if row["kind"] == "files":
        outcome = undo_files(state, action_id)
    else:
        outcome = {"failed": [], **undo_edits(state.database, action_id)}
    publish_edit(state, [])
    state.events.publish("library.changed", added=0, removed=0, changed=outcome["undone"])
    return json_response({"action": action_id, "skipped": 0, **outcome})


@router.get("/tags")
def get_tags(
    state: Sidecar,
    q: str = "",
    sort: str = "count",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    cursor: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Tags with their counts and colours."""
    return json_response(tags.list_tags(state.database, q=q, sort=sort, limit=limit, offset=cursor))


class TagRename(BaseModel):
    """Several tags become one; with a name that exists they are merged into it."""

    from_: Annotated[list[Tag], Field(alias="from", min_length=1, max_length=1_000)]
    to: Tag


@router.post("/tags/rename")
def rename_tags(request: TagRename, state: Sidecar) -> Response:
    """Rename or merge tags and all below them."""
    return _tags_changed(state, tags.rename_tags(state.database, request.from_, request.to))


@router.post("/tags/remove")
def remove_tags(names: Annotated[list[Tag], Body(embed=True, min_length=1)], state: Sidecar) -> Response:
    """Take tags away from every LoRA."""
    return _tags_changed(state, tags.remove_tags(state.database, names))


@router.post("/tags/color")
def color_tag(
    name: Annotated[Tag, Body()], color: Annotated[Label | None, Body()], state: Sidecar
) -> Response:
    """Colour a tag; null takes the colour back."""
    return _tags_changed(state, tags.color_tag(state.database, name, color))


@router.get("/tags/rules")
def get_rules(state: Sidecar) -> Response:
    """What tags of the files are shown as."""
    items = tags.list_rules(state.database)
    return json_response({"items": items, "total": len(items), "next_cursor": None})


@router.delete("/tags/rules/{name:path}")
def drop_rule(name: str, state: Sidecar) -> Response:
    """Show a tag of the files as it is again."""
    return _tags_changed(state, tags.drop_rule(state.database, name))


class TagEntry(BaseModel):
    """Tags of the LoRA that a hash (SHA256), else a name, means."""

    name: Annotated[str, Field(max_length=1_000)] = ""
    hash: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")] | None = None
    tags: Annotated[list[Tag], Field(max_length=1_000)]


class TagImport(BaseModel):
    """The form that `GET tags/export` gives."""

    items: Annotated[list[TagEntry], Field(max_length=MAX_IMPORT)]
    colors: dict[Tag, Label] = {}


@router.post("/tags/import", status_code=202)
def import_tags(request: TagImport, state: Sidecar) -> Response:
    """Add tags from a list; one action, run as a task."""
    items = [entry.model_dump() for entry in request.items]

    def work(task: Task) -> dict[str, Any]:
        task.total = len(items)
        outcome = tag_lists.import_tags(state.database, items, dict(request.colors), task.advance)
        publish_edit(state, [])
        state.events.publish("library.changed", added=0, removed=0, changed=outcome["changed"])
        return outcome

    return json_response({"task": state.tasks.start("tags", "Import tags", work).id}, 202)


@router.get("/tags/export")
def export_tags(state: Sidecar) -> Response:
    """Every LoRA's tags, and the colours of tags."""
    response = json_response(tag_lists.export_tags(state.database))
    response.headers["Content-Disposition"] = 'attachment; filename="lora-tags.json"'
    return response


def _tags_changed(state: State, outcome: dict[str, Any]) -> Response:
    publish_edit(state, [])
    state.events.publish("library.changed", added=0, removed=0, changed=outcome["changed"])
    return json_response(outcome)


class CollectionValues(BaseModel):
    """A collection; with `query` it is a saved search."""

    name: Annotated[str, Field(max_length=200)] | None = None
    query: Annotated[str, Field(max_length=10_000)] | None = None
    sort: Annotated[str, Field(max_length=50)] | None = None
    color: Label | None = None
    notes: Annotated[str, Field(max_length=10_000)] | None = None


@router.get("/collections")
def get_collections(state: Sidecar) -> Response:
    """Hand-picked collections and saved searches, by name."""
    items = collections.list_collections(state.database)
    return json_response({"items": items, "total": len(items), "next_cursor": None})


@router.post("/collections", status_code=201)
def add_collection(values: CollectionValues, state: Sidecar) -> Response:
    """Make a collection."""
    return _collection(state, collections.create_collection(state.database, values.model_dump()), 201)


@router.patch("/collections/{collection_id}")
def patch_collection(collection_id: int, values: CollectionValues, state: Sidecar) -> Response:
    """Change a collection's name, query, order, colour or notes."""
    collections.change_collection(state.database, collection_id, values.model_dump(exclude_unset=True))
    return _collection(state, collection_id, 200)


@router.delete("/collections/{collection_id}")
def delete_collection(collection_id: int, state: Sidecar) -> Response:
    """Delete a collection; its LoRAs stay."""
    action = collections.delete_collection(state.database, collection_id)
    state.events.publish("collections.changed")
    return json_response({"action": action})


class CollectionItems(BaseModel):
    """LoRAs to pick into a collection, and others to take out."""

    add: Selection | None = None
    remove: Selection | None = None


@router.post("/collections/{collection_id}/items")
def change_items(collection_id: int, request: CollectionItems, state: Sidecar) -> Response:
    """Pick LoRAs into a collection or take them out; each way is an action of its own."""
    collections.refuse_smart(state.database, collection_id)
    done, changed = [], 0
    for selection, membership in (
        (request.add, Membership(joins=collection_id)),
        (request.remove, Membership(leaves=collection_id)),
    ):
        ids = selected_ids(state.database, selection) if selection else []
        if ids:
            edited = edit_loras(state.database, ids, {}, membership)
            done.append(edited.action)
            changed += len(ids) if edited.action else 0
    state.events.publish("collections.changed")
    return json_response({"action": done[-1] if done else None, "changed": changed})


def _collection(state: State, collection_id: int, status: int) -> Response:
    state.events.publish("collections.changed")
    return json_response(collections.get_collection(state.database, collection_id), status)
