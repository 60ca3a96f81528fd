"""The names nearest to one that nobody knows: as exact as comparing with all of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from sidecar.prompts import names
from sidecar.prompts.names import only_likely

letters = st.text("abc_1 ", min_size=3, max_size=9)


@given(letters, letters)
def test_no_near_name_is_passed_over(one: str, other: str) -> None:
    """The quick comparison by letter pairs never rules out what is within the edits allowed."""
    plain, known = names._plain(one), names._plain(other)
    for allowed in (1, 2):
        if OSA.distance(plain, known) <= allowed:
            assert bin(names._bits_of(plain) ^ names._bits_of(known)).count("1") <= 4 * allowed


def test_only_what_is_surely_meant_is_taken() -> None:
    assert only_likely("InkWsh_v1", ["InkWash_v1"]) == "InkWash_v1"
    assert only_likely("InkWash_v1", ["InkWash_v2"]) is None
    assert only_likely("InkWsh", ["InkWash", "InkWish"]) is None
    assert only_likely("abc", ["abd"]) is None
    assert only_likely("InkWash", []) is None
