"""Turns what a person typed into a full-text query; a word that no LoRA has is corrected to the nearest that one has."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from rapidfuzz import process
from rapidfuzz.distance import OSA

from sidecar.database import Database

MAX_WORDS = 16
MAX_CORRECTIONS = 3
REREAD_SECONDS = 30.0
_WORD = re.compile(r"\w+", re.UNICODE)


@dataclass(frozen=True)
class SearchText:
    """A full-text query, and the words it stands for when a typo was mended."""

    match: str
    corrected: str | None = None


def find_text(database: Database, typed: str) -> SearchText | None:
    """The query for what was typed, or None when there is nothing to search for.

    Every word must occur, as a word's beginning; `_` and punctuation separate words, as in file names.
    """
    words = [word for part in _WORD.findall(typed.lower()) for word in part.split("_") if word][:MAX_WORDS]
    if not words:
        return None
    reader = database.reader()
    match, shown, mended = [], [], False
    for word in words:
        known = reader.execute(
            "SELECT 1 FROM search WHERE search MATCH ? LIMIT 1", (f'"{word}" *',)
        ).fetchone()
        nearest = [] if known else vocabulary_of(database).nearest(word)
        if nearest:
            mended = True
            shown.append(nearest[0])
            match.append("(" + " OR ".join(f'"{term}"' for term in nearest) + ")")
        else:
            shown.append(word)
            match.append(f'"{word}" *')
    return SearchText(" AND ".join(match), " ".join(shown) if mended else None)


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
