"""What every source says about each field of one LoRA, from its files as they are now, for its detail page."""

from __future__ import annotations

import html
import re
import sqlite3
from typing import Any

import nh3
import orjson

from sidecar.library.foreign import unique
from sidecar.library.source import BaseModel
from sidecar.library.sources import FIELDS, Sources, said

USER = "user"
MAX_PICTURES = 50
MAX_SOURCE = 200_000
# What the user may say, by the column of `identities` that keeps it.
_USER_COLUMNS = ("title", "weight", "trigger_words", "notes", "negative_prompt", "base_model", "nsfw")
USER_COLUMNS = ", ".join(
    f"i.{name} AS user_{name}"
    for name in ("id", *_USER_COLUMNS, "favorite", "rating", "tags_added", "tags_removed", "word_groups")
)
_ALLOWED_TAGS = {
    "a", "b", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "hr", "i", "li", "ol", "p", "pre", "s",
    "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_PICTURE = re.compile(r'<img src="([^"]+)"')


def user_values(row: sqlite3.Row) -> dict[str, Any]:
    """What the user said, by field, from a row with `USER_COLUMNS` and `effective_tags`.

    Whoever has said anything has also said whether it is a favourite, and how good.
    """
    values = {name: row[f"user_{name}"] for name in _USER_COLUMNS if row[f"user_{name}"] is not None}
    if "trigger_words" in values:
        values["trigger_words"] = orjson.loads(values["trigger_words"])
    if row["user_id"] is not None:
        values |= {"favorite": bool(row["user_favorite"]), "rating": row["user_rating"]}
    if row["user_word_groups"]:
        values["word_groups"] = orjson.loads(row["user_word_groups"])
    if row["user_tags_added"] or row["user_tags_removed"]:
        values["tags"] = orjson.loads(row["effective_tags"])
    return values


def all_values(user: dict[str, Any], sources: Sources | None) -> dict[str, list[dict[str, Any]]]:
    """By field {source, value} of everybody who says something, strongest first, the user above all.

    A base model has a `reason` too. Descriptions are clean. `sources` is None for a file that is not there.
    """
    values: dict[str, list[dict[str, Any]]] = {}
    for field in FIELDS:
        others = said(sources.all, field) if sources else ()
        candidates = [{"source": source, **_shown(field, value)} for source, value in others]
        if field in user and (user[field] or candidates or field not in ("favorite", "rating")):
            candidates.insert(0, {"source": USER, "value": user[field]})
        if candidates:
            values[field] = candidates
    if "word_groups" in user:  # only the user says such a thing
        values["word_groups"] = [{"source": USER, "value": user["word_groups"]}]
    return values


def _shown(field: str, value: Any) -> dict[str, Any]:
    if isinstance(value, BaseModel):
        return {"value": value.name, "reason": value.reason}
    if field == "description":
        return {"value": clean_html(value)}
    return {"value": unique(value) if isinstance(value, list) else value}


def clean_html(text: str) -> str:
    """A stranger's HTML without script, styles, handlers and pictures (which would be fetched from elsewhere)."""
    return nh3.clean(
        text[:MAX_SOURCE],
        tags=_ALLOWED_TAGS,
        attributes={"a": {"href", "title"}},
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


def pictures_in(text: str) -> list[str]:
    """Addresses of the pictures in a stranger's HTML, each once; nobody has loaded them yet."""
    images = nh3.clean(
        text[:MAX_SOURCE], tags={"img"}, attributes={"img": {"src"}}, url_schemes={"http", "https"}
    )
    found = (html.unescape(address) for address in _PICTURE.findall(images))
    absolute = (address for address in found if address.lower().startswith(("http://", "https://")))
    return list(dict.fromkeys(absolute))[:MAX_PICTURES]
