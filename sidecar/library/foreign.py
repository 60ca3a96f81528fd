"""Values out of JSON that others wrote: each of the wanted type, or nothing. Never raises."""

from __future__ import annotations

import html
import re
from typing import Any

MAX_WORDS = 300
MAX_WORD = 500
_MARKUP = re.compile(r"</?(p|br|div|span|ul|ol|li|h[1-6]|a|b|i|strong|em|img|table)\b[^>]*>", re.I)


def as_object(value: Any) -> dict[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """`value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_string(value: Any) -> str | None:
    """A text that says something, else None."""
    return (value.replace("\0", "").strip() or None) if isinstance(value, str) else None


def as_number(value: Any) -> float | None:
    """A finite number, also one written as text, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e18 else None


def as_id(value: Any) -> int | None:
    """A number by which a database knows something, else None."""
    return value if type(value) is int and 0 < value < 2**63 else None


def as_strings(value: Any) -> list[str]:
    """The texts of a list, each without the comma authors leave at its end."""
    if not isinstance(value, list):
        return []
    texts = (item.replace("\0", "").strip().strip(",").strip() for item in value if isinstance(item, str))
    return [text for text in texts if text]


def as_url(value: Any) -> str | None:
    """An address that a browser should open, else None."""
    text = as_string(value)
    return text[:2_000] if text and text.lower().startswith(("http://", "https://")) else None


def split(value: Any) -> list[str]:
    """The parts of a text between commas or line breaks."""
    return as_strings(re.split(r"[,\n]", value)) if isinstance(value, str) else []


def unique(words: list[str]) -> list[str]:
    """Words without repeats, whatever their case, in order; not more nor longer ones than anybody means."""
    found: dict[str, str] = {}
    for word in words:
        found.setdefault(word.lower(), word[:MAX_WORD])
    return list(found.values())[:MAX_WORDS]


def as_html(text: str | None) -> str | None:
    """A text that may be plain or HTML, as HTML (still a stranger's: it is cleaned before it is shown)."""
    if not text or _MARKUP.search(text):
        return text or None
    paragraphs = (html.escape(part.strip()) for part in re.split(r"\n\s*\n", text))
    return "".join(f"<p>{part}</p>".replace("\n", "<br>") for part in paragraphs if part)
