"""The layout of the map: neighbours stay neighbours, the same each time, whatever there is to lay out."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from sidecar.recommend.documents import LoraText
from sidecar.recommend.map.islands import LEAST, pack, part, to_disc
from sidecar.recommend.map.layout import connect, lay_out, nearest_of
from sidecar.recommend.map.making import make_map
from sidecar.recommend.map.neighbours import find_nearest, squeeze, to_unit
from sidecar.recommend.map.regions import name_regions
from sidecar.recommend.map.repulsion import FEW, Repulsion, push_all
from sidecar.recommend.map.spaces import SILENT, Space, Spaces, nobody
from sidecar.recommend.map.store import Map, load_map, path_of, save_map
from sidecar.recommend.map.words import count_words, reduce, word_vectors
from sidecar.recommend.postings import Floats


def groups(count: int = 300, kinds: int = 6, seed: int = 3, noise: float = 0.25) -> Floats:
    """Rows of unit length around `kinds` directions; row i is of kind i % kinds."""
    chance = np.random.default_rng(seed)
    middles = chance.standard_normal((kinds, 40))
    rows = middles[np.arange(count) % kinds] + noise * 4 * chance.standard_normal((count, 40)) * 0.3
    return to_unit(rows.astype(np.float32))


def space(vectors: Floats, first: int = 1, name: str = "") -> Space:
    ids = np.arange(first, first + len(vectors), dtype=np.int64)
    return Space(name, ids, ids.astype(np.uint64), vectors)


def spaces(*some: Space, source: str = "words") -> Spaces:
    return Spaces(source, list(some), nobody(SILENT))


def test_the_nearest_are_exact_over_blocks_and_never_the_row_itself() -> None:
    vectors = groups(120)
    found = find_nearest(vectors, 5)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    best = np.sort(cosines, axis=1)[:, ::-1][:, :5]
    assert np.allclose(found.cosines, best, atol=1e-6)
    assert (found.places != np.arange(120)[:, None]).all()
    assert find_nearest(vectors[:3], 5).places.shape == (3, 2)


def test_repulsion_by_transforms_is_that_of_all_pairs() -> None:
    points = np.random.default_rng(1).normal(0, 12, (FEW + 200, 2)).astype(np.float32)
    push, exact = Repulsion().push(points), push_all(points)
    apart = points[0] - points
    near = 1 / (1 + (apart**2).sum(axis=1))
    assert exact.forces[0] == pytest.approx((apart * near[:, None] ** 2).sum(axis=0), abs=1e-5)
    assert push.total == pytest.approx(exact.total, rel=0.02)
    assert np.abs(push.forces - exact.forces).max() < 0.05 * np.abs(exact.forces).max()


def test_those_of_a_kind_lie_together_far_better_than_by_main_directions() -> None:
    vectors = groups(600, kinds=24)
    kinds = np.arange(600) % 24

    def kept(points: Floats) -> float:
        apart = np.linalg.norm(points[:, None] - points[None], axis=2)
        np.fill_diagonal(apart, np.inf)
        return float((kinds[np.argsort(apart, axis=1)[:, :10]] == kinds[:, None]).mean())

    assert kept(lay_out(vectors)) > max(0.95, kept(squeeze(vectors, 2)) + 0.15)


def test_the_same_library_gives_the_same_map() -> None:
    vectors = groups(200)
    assert np.array_equal(lay_out(vectors, seed=5), lay_out(vectors, seed=5))
    one, other = (
        make_map("text", spaces(space(vectors)), None),
        make_map("text", spaces(space(vectors)), None),
    )
    assert np.array_equal(one.points, other.points) and np.array_equal(one.ids, other.ids)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_few_are_laid_out_too(count: int) -> None:
    found = make_map("text", spaces(space(groups(count, kinds=2))), None)
    assert found.points.shape == (count, 2) and np.isfinite(found.points).all()
    if count > 1:
        apart = np.linalg.norm(found.points[:, None] - found.points[None], axis=2)[np.triu_indices(count, 1)]
        assert apart.min() > LEAST / 4


def test_the_same_twice_lies_beside_itself_and_not_upon() -> None:
    vectors = groups(100)
    vectors[1] = vectors[0]
    found = make_map("text", spaces(space(vectors)), None)
    assert LEAST / 4 < float(np.linalg.norm(found.points[0] - found.points[1])) < 4 * LEAST
    same = make_map("text", spaces(space(np.repeat(vectors[:1], 40, axis=0))), None)
    assert np.isfinite(same.points).all() and len(np.unique(same.points.round(2), axis=0)) == 40


def test_what_is_new_is_put_beside_what_it_is_like_and_the_rest_stays() -> None:
    vectors = groups(300)
    before = make_map("text", spaces(space(vectors[:290])), None)
    after = make_map("text", spaces(space(vectors)), before)
    assert after.made == before.made
    assert np.array_equal(after.points[:290], before.points)
    assert after.laid[:290].all() and not after.laid[290:].any()
    nearest = find_nearest(vectors[290:], 1, vectors[:290]).places[:, 0]
    assert (np.linalg.norm(after.points[290:] - after.points[nearest], axis=1) < 6 * LEAST).all()
    again = make_map("text", spaces(space(vectors)), after)
    assert np.array_equal(again.points, after.points)


def test_what_is_gone_leaves_its_place_empty() -> None:
    vectors = groups(300)
    before = make_map("text", spaces(space(vectors)), None)
    after = make_map("text", spaces(Space("", *_rows(space(vectors), slice(5, None)))), before)
    assert np.array_equal(after.points, before.points[5:])


def _rows(one: Space, rows: slice) -> tuple[np.ndarray, np.ndarray, Floats]:
    return one.ids[rows], one.keys[rows], one.vectors[rows]


def test_when_much_is_new_all_is_laid_out_anew_from_where_it_was() -> None:
    vectors = groups(400)
    before = make_map("text", spaces(space(vectors[:250])), None)
    time.sleep(0.01)
    after = make_map("text", spaces(space(vectors)), before)
    assert after.made > before.made and after.laid.all()
    one = before.points - before.points.mean(axis=0)
    other = after.points[:250] - after.points[:250].mean(axis=0)
    likeness = (one * other).sum() / np.sqrt((one**2).sum() * (other**2).sum())
    assert likeness > 0.6  # the large parts lie where they lay


def test_another_source_is_another_map() -> None:
    vectors = groups(60)
    before = make_map("text", spaces(space(vectors)), None)
    after = make_map("text", spaces(space(vectors), source="a-model"), before)
    assert after.source == "a-model" and after.laid.all()


def test_those_without_anything_said_have_an_island_of_their_own() -> None:
    vectors = groups(80)
    vectors[70:] = 0
    found = make_map("text", spaces(space(vectors)), None)
    assert list(found.islands) == ["", SILENT]
    assert len(found.ids) == 80 and (found.groups == 1).sum() == 10
    main, other = found.islands[""], found.islands[SILENT]
    assert np.hypot(main.x - other.x, main.y - other.y) >= main.radius + other.radius


def test_those_that_only_their_words_tell_of_are_put_beside_the_like() -> None:
    words = groups(80, noise=0.1)
    read = words.copy()
    read[75:] = 0
    one = space(read)
    one.fallback = lambda: words
    found = make_map("text", spaces(one), None)
    assert list(found.islands) == [""] and len(found.ids) == 80 and (~found.laid).sum() == 5


def test_islands_do_not_touch_and_stay_where_they_are() -> None:
    spots = pack([10, 8, 3, 1], [None, None, None, None])
    for at, one in enumerate(spots):
        for to in range(at):
            assert np.hypot(*(np.array(one) - spots[to])) >= [10, 8, 3, 1][at] + [10, 8, 3, 1][to]
    assert pack([10, 8, 3, 1, 2], [*spots, None])[:4] == spots
    both = make_map("weights", spaces(space(groups(60), 1, "SDXL"), space(groups(30), 100, "Flux")), None)
    assert set(both.islands) == {"SDXL", "Flux"}


def test_points_far_out_are_drawn_in_and_none_lie_upon_each_other() -> None:
    points = np.random.default_rng(2).normal(0, 10, (500, 2)).astype(np.float32)
    points[0] = (4000, 0)
    disc, _ = to_disc(points)
    assert np.linalg.norm(disc, axis=1).max() < 1.3 * np.sqrt(500)
    parted = part(np.zeros((50, 2), np.float32))
    apart = np.linalg.norm(parted[:, None] - parted[None], axis=2)
    assert apart[np.triu_indices(50, 1)].min() > LEAST / 8


def lora(number: int, title: str, tags: list[str], about: str = "") -> LoraText:
    return LoraText(number, number, f"file_{number}", title, [], tags, about, "SDXL")


def test_words_make_like_rows_of_like_loras_and_none_of_those_without() -> None:
    loras = [lora(n, f"Ship {n}", ["ship", "sea"], "masts and sails") for n in range(8)]
    loras += [lora(n, f"Ink {n}", ["ink", "paper"], "brush and wash") for n in range(8, 16)]
    loras.append(LoraText(16, 16, "x1", "", [], [], "", ""))
    vectors = word_vectors(loras)
    assert np.abs(vectors[16]).sum() == 0
    cosines = vectors[:16] @ vectors[:16].T
    assert cosines[:8, :8].mean() > 0.9 and cosines[:8, 8:].mean() < 0.1
    assert np.array_equal(vectors, word_vectors(loras))
    assert reduce(count_words([])).shape[0] == 0


def test_regions_are_called_by_what_only_they_have() -> None:
    loras = [lora(n, f"Galleon {n}", ["ship", "all"]) for n in range(40)]
    loras += [lora(n, f"Brushwork {n}", ["ink wash", "all"]) for n in range(40, 80)]
    points = np.vstack([np.random.default_rng(0).normal(at, 1, (40, 2)) for at in ((-20, 0), (20, 0))])
    found = name_regions(loras, np.arange(80), points.astype(np.float32))
    near = {one["text"].split(" · ")[0]: one["x"] for one in found if one["level"] == 1}
    assert near and set(near) <= {"ship", "ink wash"}
    assert near["ship"] < 0 < near["ink wash"]
    assert all("all" not in one["text"].split(" · ") for one in found)


def test_a_kept_map_is_read_as_it_was_and_a_damaged_one_not_at_all(tmp_path: Path) -> None:
    found = make_map("text", spaces(space(groups(30))), None)
    save_map(tmp_path, found)
    kept = load_map(tmp_path, "text")
    assert (
        isinstance(kept, Map) and np.array_equal(kept.points, found.points) and kept.islands == found.islands
    )
    assert [path.name for path in tmp_path.iterdir()] == ["map-text.npz"]
    path = path_of(tmp_path, "text")
    whole = path.read_bytes()
    for damaged in (b"", b"PK\x03\x04 nothing", whole[: len(whole) // 2], b"\x93NUMPY" + whole[6:]):
        path.write_bytes(damaged)
        assert load_map(tmp_path, "text") is None
    assert load_map(tmp_path, "weights") is None


def test_a_graph_of_nothing_pulls_nothing() -> None:
    assert len(connect(nearest_of(groups(1))).heads) == 0
