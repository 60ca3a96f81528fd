"""Full text of the words a person typed; a word that no LoRA has is corrected to the nearest that one has."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from rapidfuzz import process
from rapidfuzz.distance import OSA

from sidecar.database import Database
from sidecar.library.find.parse import Term
from sidecar.memo import remember

MAX_WORDS = 16
MAX_CORRECTIONS = 3
MAX_RANKED = 5_000
"""More matches than anyone reads are listed by name: ranking them all costs tens of milliseconds."""
REREAD_SECONDS = 30.0
_WORD = re.compile(r"\w+", re.UNICODE)


@dataclass(frozen=True)
class SearchText:
    """The full-text part of a query, and the whole query as it was understood when a typo was mended."""

    match: str
    corrected: str | None = None


class Words:
    """Turns the plain words of one query into full text; a word that no LoRA has becomes the nearest that one has.

    Every word must occur, as a word's beginning; `_` and punctuation separate words, as in file names.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._taken = 0
        self.mended: dict[Term, str] = {}

    def match(self, term: Term) -> str | None:
        """The full-text expression of a word or phrase; None when it has no letters or digits."""
        parts = [word for part in _WORD.findall(term.text.lower()) for word in part.split("_") if word]
        parts = parts[: MAX_WORDS - self._taken]
        self._taken += len(parts)
        if not parts:
            return None
        if term.quoted:
            return f'"{" ".join(parts)}"'
        shown, found = [], []
        for word in parts:
            nearest = [] if self._is_known(word) else vocabulary_of(self._database).nearest(word)
            shown.append(nearest[0] if nearest else word)
            found.append(_any_of(nearest) if nearest else f'"{word}" *')
        if shown != parts:
            self.mended[term] = " ".join(shown)
        return " AND ".join(found)

    def _is_known(self, word: str) -> bool:
        reader = self._database.reader()
        sql = "SELECT 1 FROM search WHERE search MATCH ? LIMIT 1"
        return reader.execute(sql, (f'"{word}" *',)).fetchone() is not None


def search_text(database: Database, words: Words, terms: list[Term], typed: str) -> SearchText | None:
    """The full text of the plain terms of a query that all must occur; None when they say nothing.

    What training was fed is searched too, unless that would bring more matches than anyone reads.
    """
    matches = [match for match in map(words.match, terms) if match]
    if not matches:
        return None
    match = " AND ".join(f"({one})" for one in matches)
    too_many = remember(database, ("broad", match), lambda: _exceeds(database, match, MAX_RANKED))
    if too_many:
        match = f"- {{training}} : ({match})"
    return SearchText(match, _corrected(typed, words.mended))


def _exceeds(database: Database, match: str, limit: int) -> bool:
    sql = "SELECT count(*) FROM (SELECT 1 FROM search WHERE search MATCH ? LIMIT ?)"
    return bool(database.reader().execute(sql, (match, limit + 1)).fetchone()[0] > limit)


def _corrected(typed: str, mended: dict[Term, str]) -> str | None:
    if not mended:
        return None
    for term in sorted(mended, key=lambda one: -one.start):
        typed = typed[: term.start] + mended[term] + typed[term.end :]
    return typed


def _any_of(terms: list[str]) -> str:
    return "(" + " OR ".join(f'"{term}"' for term in terms) + ")"


class Vocabulary:
    """Every word of the search index, by length, for finding the nearest to a typo. Read anew when the index grew."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._revision = -1
        self._read_at = 0.0
        self._by_length: dict[int, list[str]] = {}

    def nearest(self, word: str) -> list[str]:
        """Words that contain `word`, else those fewest edits away (swapped neighbours count as one), frequent ones
        first; empty when none is near."""
        self.refresh()
        if len(word) >= 3:
            inside = [term for terms in self._by_length.values() for term in terms if word in term]
            if inside:
                return sorted(inside, key=len)[: 20 * MAX_CORRECTIONS]
        allowed = 0 if len(word) < 4 else 1 if len(word) < 6 else 2
        if not allowed:
            return []
        candidates = [
            term
            for length in range(len(word) - allowed, len(word) + allowed + 1)
            for term in self._by_length.get(length, ())
        ]
        found = process.extract(
            word, candidates, scorer=OSA.distance, score_cutoff=allowed, limit=MAX_CORRECTIONS
        )
        return [term for term, distance, _ in found if distance == found[0][1]]

    def refresh(self) -> None:
        """Read the words anew if the index may have changed, but not all the time while it does."""
        with self._lock:
            revision = self._database.revision
            if revision == self._revision or (
                self._by_length and time.monotonic() - self._read_at < REREAD_SECONDS
            ):
                return
            by_length: dict[int, list[str]] = {}
            rows = self._database.reader().execute("SELECT term FROM search_terms ORDER BY doc DESC")
            for (term,) in rows:
                by_length.setdefault(len(term), []).append(term)
            self._by_length, self._revision, self._read_at = by_length, revision, time.monotonic()


_vocabularies: WeakKeyDictionary[Database, Vocabulary] = WeakKeyDictionary()


def vocabulary_of(database: Database) -> Vocabulary:
    """The one vocabulary of a database."""
    return _vocabularies.setdefault(database, Vocabulary(database))
