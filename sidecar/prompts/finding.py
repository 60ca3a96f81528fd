"""Which LoRAs and trigger words a few typed letters mean, best first, fast enough to be asked at every key.

What loads on the checkpoint comes first; among equals what the user likes and uses.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import orjson

from sidecar.database import Database
from sidecar.library.columns import Ids, columns_of
from sidecar.library.find.parse import Term
from sidecar.library.search import MAX_WORDS, Words
from sidecar.library.word_groups import split_words
from sidecar.memo import remember
from sidecar.prompts.facts import fits

MAX_MATCHES = 20_000
"""More than so many matches of one or two letters are not looked through; what is used and liked always is."""
READ_AT_ONCE = 200
MAX_READ = 2_000
_NAMES = "{name title trigger_words}"
_UNREADABLE = ("broken", "unreadable", "missing")
_WORD = re.compile(r"[^\W_]+")
_TOP = "\U0010ffff"

_NAMED_SO, _SAYS_SO, _NEARLY = range(3)


def find_loras(database: Database, typed: str, checkpoint_base: str | None, limit: int) -> list[int]:
    """Ids of usable LoRAs: those whose file name begins with `typed`, then those with all its words in name, title or
    trigger words, then, when there is none, those nearest to a typo. LoRAs for another checkpoint come after all others,
    but for the one of exactly this name. With nothing typed: what is liked and used, then by name.
    """
    reader = database.reader()
    folded = typed.strip().casefold()
    named, exact = _named(reader, folded)
    matches = [(named, _NAMED_SO)]
    parts = _WORD.findall(folded)[:MAX_WORDS]
    several = [word for word in parts if len(word) > 1 or not word.isascii()]
    if several:
        says_so = _full_text(reader, " AND ".join(f'"{word}" *' for word in several))
        matches.append((says_so, _SAYS_SO))
        if not len(says_so) and not len(named):
            matches.append((_nearly(database, several), _NEARLY))
    if not folded:
        matches.append((popularity(database).ids, _NAMED_SO))
    ids = np.concatenate([one for one, _ in matches])
    tiers = np.concatenate([np.full(len(one), tier, np.int32) for one, tier in matches])
    best = [int(one) for one in _best(database, ids, tiers, exact, checkpoint_base)]
    letters = set(parts) - set(several)
    return _with_letters(reader, best, letters, set(named.tolist()), limit) if letters else best[:limit]


def _with_letters(
    reader: sqlite3.Connection, ids: list[int], letters: set[str], named: set[int], limit: int
) -> list[int]:
    """The first of `ids` that also have words beginning with these single letters, which full text takes too long for."""
    found: list[int] = []
    for start in range(0, min(len(ids), MAX_READ), READ_AT_ONCE):
        part = ids[start : start + READ_AT_ONCE]
        marks = ", ".join("?" * len(part))
        rows = reader.execute(
            f"""SELECT l.id, l.stem || ' ' || coalesce(i.title, l.title, '') || ' ' ||
                       coalesce(i.trigger_words, l.trigger_words) AS words
                FROM loras l LEFT JOIN identities i ON i.id = l.identity_id WHERE l.id IN ({marks})""",
            part,
        )
        initials = {row["id"]: {word[0] for word in _WORD.findall(row["words"].casefold())} for row in rows}
        found += [one for one in part if one in named or letters <= initials.get(one, set())]
        if len(found) >= limit:
            break
    return found[:limit]


def _named(reader: sqlite3.Connection, folded: str) -> tuple[Ids, Ids]:
    """LoRAs whose file name begins so, in the order of names, and those whose name this is; spaces may be typed for `_`."""
    ways = list(dict.fromkeys([folded, re.sub(r"\s+", "_", folded)]))
    most = MAX_MATCHES if folded else MAX_READ
    begun = [
        _array(
            reader.execute(
                "SELECT id FROM loras WHERE sort_name >= ? AND sort_name < ? ORDER BY sort_name, id LIMIT ?",
                (way, way + _TOP, most),
            )
        )
        for way in ways
    ]
    marks = ", ".join("?" * len(ways))
    exact = _array(reader.execute(f"SELECT id FROM loras WHERE sort_name IN ({marks})", ways))
    return np.concatenate(begun), exact


def _array(rows: Iterable[sqlite3.Row]) -> Ids:
    return np.array([row[0] for row in rows], np.int64)


def _full_text(reader: sqlite3.Connection, match: str, columns: str = _NAMES) -> Ids:
    sql = "SELECT rowid FROM search WHERE search MATCH ? LIMIT ?"
    return _array(reader.execute(sql, (f"{columns} : ({match})", MAX_MATCHES)))


def _nearly(database: Database, parts: list[str]) -> Ids:
    """LoRAs with words that contain what was typed, or are a typo away from it."""
    typed = " ".join(parts)
    match = Words(database).match(Term(typed, 0, len(typed)))
    return _full_text(database.reader(), match) if match else _array([])


@dataclass(frozen=True)
class Popularity:
    """How much the user makes of each LoRA, by id: favourites above all that are merely used."""

    scores: npt.NDArray[np.float64]
    ids: Ids

    def of(self, ids: Ids) -> npt.NDArray[np.float64]:
        found = np.zeros(len(ids))
        known = ids < len(self.scores)
        found[known] = self.scores[ids[known]]
        return found


def popularity(database: Database) -> Popularity:
    """Favourites and used LoRAs of the whole library, most popular first."""

    def read() -> Popularity:
        rows = (
            database.reader()
            .execute(
                """SELECT id, used + 1e9 AS score FROM loras WHERE favorite
                UNION ALL SELECT id, used FROM loras WHERE used > 0 AND NOT favorite ORDER BY score DESC"""
            )
            .fetchall()
        )
        ids = _array(rows)
        scores = np.zeros(int(ids.max()) + 1 if rows else 0)
        scores[ids] = [row[1] for row in rows]
        return Popularity(scores, ids)

    return remember(database, "popularity", read)


def _usable(database: Database, ids: Ids) -> npt.NDArray[np.bool_]:
    """Which of `ids` a host can load, and the user has not hidden."""
    columns = columns_of(database)
    usable: npt.NDArray[np.bool_] = columns.rank("state", ids, lambda state: state not in _UNREADABLE) == 1
    usable &= columns.rank("hidden", ids, lambda hidden: not hidden) == 1
    inactive = remember(database, "inactive roots", lambda: _inactive_roots(database))
    if inactive:
        usable &= columns.rank("place", ids, lambda place: place.split("/")[0] not in inactive) == 1
    return usable


def _inactive_roots(database: Database) -> frozenset[str]:
    rows = database.reader().execute("SELECT id FROM roots WHERE NOT active")
    return frozenset(str(row[0]) for row in rows)


def _best(database: Database, ids: Ids, tiers: npt.NDArray[np.int32], exact: Ids, base: str | None) -> Ids:
    """`ids` without repeats and without what cannot be used, best first; equals stay in their order."""
    usable = _usable(database, ids)
    ids, tiers = ids[usable], tiers[usable]
    fit = columns_of(database).rank("base_model", ids, _fit_rank(base))
    foreign = (fit == _FIT_RANKS[False]) & ~np.isin(ids, exact)
    order = np.lexsort((-popularity(database).of(ids), fit, tiers, foreign))
    ids = ids[order]
    _, first = np.unique(ids, return_index=True)
    return ids[np.sort(first)]


_FIT_RANKS = {True: 0, None: 1, False: 2}


def _fit_rank(checkpoint_base: str | None) -> Callable[[str], int]:
    return lambda base_model: _FIT_RANKS[fits(base_model, checkpoint_base)]


@dataclass
class WordFound:
    """A trigger word of the library, with the LoRA it is best known from and how many others have it."""

    word: str
    lora_id: int
    others: set[int] = field(default_factory=set)


def find_words(database: Database, typed: str, checkpoint_base: str | None, limit: int) -> list[WordFound]:
    """Trigger words of the library that begin with `typed`, those of LoRAs that load on the checkpoint first."""
    parts = _WORD.findall(typed.casefold())
    if not parts:
        return []
    reader = database.reader()
    ids = _full_text(reader, f'"{" ".join(parts)}" *', "trigger_words")
    ids = _best(database, ids, np.zeros(len(ids), np.int32), ids[:0], checkpoint_base)[:MAX_READ]
    wanted = plain_word(typed)
    found: dict[str, WordFound] = {}
    for start in range(0, len(ids), READ_AT_ONCE):
        for lora_id, words in read_words(reader, ids[start : start + READ_AT_ONCE].tolist()):
            for word in words:
                plain = plain_word(word)
                if plain.startswith(wanted) and (plain in found or len(found) < limit):
                    found.setdefault(plain, WordFound(word, lora_id)).others.add(lora_id)
        if len(found) >= limit:
            break
    for one in found.values():
        one.others.discard(one.lora_id)
    return list(found.values())


def read_words(reader: sqlite3.Connection, ids: list[int]) -> list[tuple[int, list[str]]]:
    """(id, its trigger words, one by one), in the order of `ids`."""
    marks = ", ".join("?" * len(ids))
    rows = reader.execute(
        f"""SELECT l.id, coalesce(i.trigger_words, l.trigger_words) AS words
            FROM loras l LEFT JOIN identities i ON i.id = l.identity_id WHERE l.id IN ({marks})""",
        ids,
    )
    by_id = {row["id"]: orjson.loads(row["words"]) for row in rows}
    return [
        (lora_id, [word for words in by_id[lora_id] for word in split_words(words)])
        for lora_id in ids
        if lora_id in by_id
    ]


def plain_word(word: str) -> str:
    """A trigger word as it is compared: lower case, `_` and spaces the same."""
    return re.sub(r"[\s_]+", " ", word).casefold().lstrip()
