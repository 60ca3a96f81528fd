"""Reads the values of the query language's fields: numbers with a comparison, sizes, dates and ages, levels."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import NamedTuple

from sidecar.library.find.parse import BadQuery, Term

NSFW_LEVELS = {"unknown": 0, "pg": 1, "pg13": 2, "pg-13": 2, "r": 4, "x": 8, "xxx": 16}
_UNITS = {
    "": 1,
    "b": 1,
    "k": 1 << 10,
    "kb": 1 << 10,
    "m": 1 << 20,
    "mb": 1 << 20,
    "g": 1 << 30,
    "gb": 1 << 30,
}
_AGES = {"h": 3_600.0, "d": 86_400.0, "w": 7 * 86_400.0, "m": 30.4375 * 86_400.0, "y": 365.25 * 86_400.0}
_DATE_FORMATS = (("%Y-%m-%d", "day"), ("%Y-%m", "month"), ("%Y", "year"))


class Range(NamedTuple):
    """From `low` to `high`; None is open. `low_open`, `high_open` leave the border itself out."""

    low: float | None
    high: float | None
    low_open: bool = False
    high_open: bool = False

    def sql(self, column: str) -> tuple[str, list[float]]:
        """A condition on a column and its bound values."""
        parts, values = [], []
        if self.low is not None:
            parts.append(f"{column} {'>' if self.low_open else '>='} ?")
            values.append(self.low)
        if self.high is not None:
            parts.append(f"{column} {'<' if self.high_open else '<='} ?")
            values.append(self.high)
        return " AND ".join(parts) or "1", values


def split_comparison(text: str) -> tuple[str, str]:
    """(operator, rest) of `>=0.8`; the operator is "" for a bare value."""
    found = re.match(r"[<>]?=?", text)
    operator = found[0] if found else ""
    return operator, text[len(operator) :].strip()


def number_range(term: Term) -> Range:
    """Of `0.8`, `>0.8`, `<=1` or `0.5..0.8`; a decimal comma counts as a point.

    Raises:
        BadQuery: no number.
    """
    return _range(term, lambda text: _number(text, term))


def size_range(term: Term) -> Range:
    """Bytes, of `>100mb`, `10mb..2gb`; a bare size means as many whole units.

    Raises:
        BadQuery: no size.
    """
    operator, rest = split_comparison(term.text)
    found = _range(term, lambda text: _size(text, term))
    if not operator and ".." not in rest and found.low is not None:
        unit = _UNITS[re.sub(r"[\d.,\s]", "", rest).lower()]
        return Range(found.low - unit / 2, found.low + unit / 2, high_open=True)
    return found


def time_range(term: Term) -> Range:
    """Epoch seconds, of an age (`<7d` is younger, `>1y` older), a day, month or year, or two of them with `..`.

    Raises:
        BadQuery: neither age nor date.
    """
    operator, rest = split_comparison(term.text)
    age = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdwmy])", rest.lower())
    if age:
        moment = time.time() - float(age[1]) * _AGES[age[2]]
        return Range(None, moment) if operator.startswith(">") else Range(moment, None)
    if rest.lower() in ("today", "yesterday"):
        today = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
        day = today if rest.lower() == "today" else today - timedelta(days=1)
        return _compared(operator, day.timestamp(), (day + timedelta(days=1)).timestamp())
    first, separator, last = rest.partition("..")
    if separator:
        low = _date(first, term)[0] if first else None
        high = _date(last, term)[1] if last else None
        return Range(low, high, high_open=True)
    return _compared(operator, *_date(rest, term))


def is_age_or_date(text: str) -> bool:
    """Whether a value is an age or a date rather than a count."""
    rest = split_comparison(text)[1].lower()
    return bool(re.fullmatch(r"\d+(\.\d+)?\s*[hdwmy]|\d{4}-\d\d(-\d\d)?(\.\..*)?|today|yesterday", rest))


def nsfw_range(term: Term) -> Range:
    """Of `r`, `>=r`, `<x`, `pg..r`.

    Raises:
        BadQuery: no such level.
    """

    def level(text: str) -> float:
        if text.lower() not in NSFW_LEVELS:
            raise _bad(term, "nsfw: takes pg, pg13, r, x or xxx, as in nsfw:>=r.")
        return NSFW_LEVELS[text.lower()]

    return _range(term, level)


def _range(term: Term, read: object) -> Range:
    assert callable(read)
    operator, rest = split_comparison(term.text)
    first, separator, last = rest.partition("..")
    if separator and not operator:
        return Range(read(first) if first else None, read(last) if last else None)
    value = read(rest)
    if operator.startswith(">"):
        return Range(value, None, low_open="=" not in operator)
    if operator.startswith("<"):
        return Range(None, value, high_open="=" not in operator)
    return Range(value, value)


def _compared(operator: str, start: float, end: float) -> Range:
    """A span of time compared: `>2025-01` is after that month, `>=2025-01` from its start."""
    if operator == ">":
        return Range(end, None)
    if operator == ">=":
        return Range(start, None)
    if operator == "<":
        return Range(None, start, high_open=True)
    if operator == "<=":
        return Range(None, end, high_open=True)
    return Range(start, end, high_open=True)


def _number(text: str, term: Term) -> float:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        raise _bad(term, f"{term.field}: takes a number, as in {term.field}:>0.8.") from None
    if value != value or abs(value) > 1e15:
        raise _bad(term, f"{term.field}: takes a number, as in {term.field}:>0.8.")
    return value


def _size(text: str, term: Term) -> float:
    found = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*([kmg]?b?)", text.lower())
    if not found:
        raise _bad(term, "size: takes bytes with a unit, as in size:>100mb.")
    return float(found[1].replace(",", ".")) * _UNITS[found[2]]


def _date(text: str, term: Term) -> tuple[float, float]:
    """First and last moment of a day, month or year, in local time."""
    for form, span in _DATE_FORMATS:
        try:
            start = datetime.strptime(text.strip(), form)
            if span == "day":
                end = start + timedelta(days=1)
            elif span == "month":
                end = (start.replace(day=28) + timedelta(days=4)).replace(day=1)
            else:
                end = start.replace(year=start.year + 1)
            return start.timestamp(), end.timestamp()
        except (ValueError, OverflowError, OSError):
            continue
    raise _bad(
        term, f"{term.field}: takes an age or a date, as in {term.field}:<7d or {term.field}:>2025-01-31."
    )


def _bad(term: Term, message: str) -> BadQuery:
    return BadQuery(message, term.value_start, term.end)
