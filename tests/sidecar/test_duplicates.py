"""Duplicates: the same bytes, the same weights under another header, the same weights saved otherwise; and what is not."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lora_files import add_side_file, make_lora
from starlette.testclient import TestClient
from waiting import wait_until
from weight_files import (
    Lora,
    diffusers,
    kohya,
    make_weights,
    resized,
    save_tensors,
    scaled,
    with_noise,
)

from sidecar.library import folders
from sidecar.library.weights.alike import compare_files
from sidecar.library.weights.duplicates import duplicate_ids, find_groups
from sidecar.library.weights.fingerprint import take_fingerprint
from sidecar.state import State

Scan = Callable[[], None]
Work = Callable[[], None]


@pytest.fixture
def work(scan: Scan, state: State) -> Work:
    """Scan, hash and compare everything there is."""

    def run() -> None:
        scan()
        hasher = state.library.hasher
        hasher.wake() if hasher.started else hasher.start()
        wait_until(lambda: not hasher.status()["pending"])
        state.library.weights.work_off()

    return run


def duplicates(api: TestClient, **query: Any) -> dict[str, Any]:
    answer = api.get("duplicates", params=query)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


def groups(api: TestClient, **query: Any) -> list[tuple[str, list[str]]]:
    """(kind, sorted names) of each group."""
    return [
        (group["kind"], sorted(lora["name"] for lora in group["loras"]))
        for group in duplicates(api, **query)["items"]
    ]


def ids_of(api: TestClient) -> dict[str, int]:
    return {item["name"]: item["id"] for item in api.get("loras", params={"limit": 1000}).json()["items"]}


# The same file, the same weights


def test_the_same_file_is_a_duplicate_wherever_it_lies(loras: Path, work: Work, api: TestClient) -> None:
    path = make_lora(loras / "a.safetensors")
    (loras / "copies").mkdir()
    shutil.copy(path, loras / "copies" / "a copy.safetensors")
    make_lora(loras / "other.safetensors")
    work()
    answer = duplicates(api)
    assert groups(api) == [("file", ["a", "a copy"])]
    assert answer["wasted"] == path.stat().st_size == answer["items"][0]["wasted"]
    assert (answer["total"], answer["pending"], answer["next_cursor"]) == (1, 0, None)


def test_the_same_weights_under_another_header_are_duplicates(
    loras: Path, work: Work, api: TestClient
) -> None:
    tensors = kohya(make_weights(1, rank=4))
    save_tensors(loras / "a.safetensors", tensors, "F16", ss_output_name="first")
    save_tensors(loras / "b.safetensors", tensors, "F16", ss_output_name="second, with more said about it")
    work()
    (group,) = duplicates(api)["items"]
    assert group["kind"] == "weights"
    sizes = [lora["size"] for lora in group["loras"]]
    assert group["wasted"] == sum(sizes) - max(sizes)
    first, second = group["loras"]
    assert first["autov3"] == second["autov3"] and first["autov2"] != second["autov2"]


def test_a_listed_file_tells_precision_rank_and_side_files(loras: Path, work: Work, api: TestClient) -> None:
    tensors = kohya(make_weights(1, rank=4))
    path = save_tensors(loras / "sub" / "a.safetensors", tensors, "BF16")
    shutil.copy(path, loras / "b.safetensors")
    add_side_file(path, ".json", {})
    add_side_file(path, ".preview.png", b"")
    add_side_file(loras / "sub" / "a.other.safetensors", ".json", {})
    work()
    (group,) = duplicates(api)["items"]
    found = {lora["name"]: lora for lora in group["loras"]}
    assert found["a"]["precision"] == "BF16" and found["a"]["rank"] == 4
    assert found["a"]["side_files"] == 2 and found["b"]["side_files"] == 0
    assert found["a"]["path"] == str(path) and found["a"]["file"] == "a.safetensors"
    assert group["loras"][0]["name"] == "a"  # more is known about it: the one to keep


def test_the_biggest_waste_comes_first_page_by_page(loras: Path, work: Work, api: TestClient) -> None:
    for number, width in enumerate((100, 900, 500)):
        path = make_lora(loras / f"x{number}.safetensors", width=width)
        shutil.copy(path, loras / f"x{number} copy.safetensors")
    work()
    assert groups(api) == [("file", [f"x{n}", f"x{n} copy"]) for n in (1, 2, 0)]
    first = duplicates(api, limit=2)
    assert first["total"] == 3 and len(first["items"]) == 2
    assert groups(api, limit=2, cursor=first["next_cursor"]) == [("file", ["x0", "x0 copy"])]


@pytest.mark.parametrize("query", [{"kind": "nearly"}, {"cursor": "x"}, {"limit": 0}])
def test_a_request_that_means_nothing_is_refused(api: TestClient, query: dict[str, Any]) -> None:
    assert api.get("duplicates", params=query).status_code in (400, 422)


def test_missing_files_are_shown_but_waste_nothing(
    loras: Path, work: Work, scan: Scan, api: TestClient, state: State, tmp_path: Path
) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    folders.activate(state.database, [drive])
    path = make_lora(loras / "a.safetensors")
    for copy in (loras / "b.safetensors", drive / "c.safetensors"):
        shutil.copy(path, copy)
    work()
    assert duplicates(api)["wasted"] == 2 * path.stat().st_size
    drive.rename(tmp_path / "away")
    scan()
    answer = duplicates(api)
    assert groups(api) == [("file", ["a", "b", "c"])]
    assert answer["wasted"] == path.stat().st_size
    assert answer["items"][0]["loras"][-1]["state"] == "missing"  # never the one to keep
    (loras / "b.safetensors").unlink()
    scan()
    assert groups(api) == [("file", ["a", "b", "c"])]  # the copy on the drive is still one
    assert duplicates(api)["wasted"] == 0
    (tmp_path / "away").rename(drive)
    (drive / "c.safetensors").unlink()
    scan()
    assert groups(api) == []


def test_hidden_ones_are_shown(loras: Path, work: Work, api: TestClient) -> None:
    shutil.copy(make_lora(loras / "a.safetensors"), loras / "b.safetensors")
    work()
    api.patch(f"loras/{ids_of(api)['a']}", json={"hidden": True})
    assert groups(api) == [("file", ["a", "b"])]


def test_a_file_that_changed_is_no_duplicate_until_it_is_hashed_again(
    loras: Path, work: Work, scan: Scan, api: TestClient, state: State
) -> None:
    shutil.copy(make_lora(loras / "a.safetensors"), loras / "b.safetensors")
    work()
    state.library.hasher.pause(True)
    make_lora(loras / "b.safetensors", ss_output_name="something new")
    scan()
    assert groups(api) == [] and duplicates(api)["pending"] == 1


def test_all_duplicates_are_known_by_id_for_search(
    loras: Path, work: Work, api: TestClient, state: State
) -> None:
    shutil.copy(make_lora(loras / "a.safetensors"), loras / "b.safetensors")
    make_lora(loras / "other.safetensors")
    work()
    known = ids_of(api)
    assert duplicate_ids(state.database) == {known["a"], known["b"]}


# The same weights saved otherwise


def shuffled(lora: Lora) -> list[str]:
    names = list(kohya(lora))
    random.Random(1).shuffle(names)
    return names


LORA = make_weights(1)
SAVED_OTHERWISE: dict[str, Callable[[Path], Path]] = {
    "float16": lambda path: save_tensors(path, kohya(LORA), "F16"),
    "bfloat16": lambda path: save_tensors(path, kohya(LORA), "BF16"),
    "8-bit float": lambda path: save_tensors(path, kohya(LORA), "F8_E4M3"),
    "8-bit float, wide": lambda path: save_tensors(path, kohya(LORA), "F8_E5M2"),
    "another order": lambda path: save_tensors(path, kohya(LORA), order=shuffled(LORA)),
    "diffusers' names": lambda path: save_tensors(path, diffusers(LORA), "F16"),
    "another alpha, made up for": lambda path: save_tensors(
        path,
        kohya({name: replace(pair, up=pair.up * 2, alpha=pair.alpha / 2) for name, pair in LORA.items()}),
    ),
    "rank 16": lambda path: save_tensors(path, kohya(resized(LORA, 16)), "F16"),
    "rank 8": lambda path: save_tensors(path, kohya(resized(LORA, 8)), "F16"),
    "rank 8 in bfloat16": lambda path: save_tensors(path, kohya(resized(LORA, 8)), "BF16"),
    "rank 8 with diffusers' names": lambda path: save_tensors(path, diffusers(resized(LORA, 8)), "BF16"),
}


@pytest.mark.parametrize("how", list(SAVED_OTHERWISE))
def test_weights_saved_otherwise_are_duplicates(loras: Path, work: Work, api: TestClient, how: str) -> None:
    save_tensors(loras / "original.safetensors", kohya(LORA))
    SAVED_OTHERWISE[how](loras / "again.safetensors")
    save_tensors(loras / "unrelated.safetensors", kohya(make_weights(2)))
    work()
    assert groups(api) == [("resaved", ["again", "original"])]
    assert duplicates(api)["items"][0]["loras"][0]["name"] == "original" or how == "another order"


OTHERS: dict[str, Callable[[], Lora]] = {
    "the next epoch": lambda: with_noise(LORA, 0.15),
    "the last epoch of a schedule that ends in nothing": lambda: with_noise(LORA, 0.01),
    "a merge of less strength": lambda: scaled(LORA, 0.8),
    "a merge of nearly the same strength": lambda: scaled(LORA, 0.98),
    "the next epoch, resized": lambda: resized(with_noise(LORA, 0.15), 8),
    "a late epoch, resized": lambda: resized(with_noise(LORA, 0.03), 8),
    "resized, with less strength": lambda: scaled(resized(LORA, 8), 0.9),
    "one block taken out": lambda: {
        name: replace(pair, up=pair.up * (0 if "mid_block" in name else 1)) for name, pair in LORA.items()
    },
    "the opposite": lambda: scaled(LORA, -1),
    "another training": lambda: make_weights(2),
    "another training of another rank": lambda: make_weights(3, rank=8),
}


@pytest.mark.parametrize("dtype", ["F32", "BF16"])
@pytest.mark.parametrize("what", list(OTHERS))
def test_what_only_looks_alike_is_no_duplicate(
    loras: Path, work: Work, api: TestClient, what: str, dtype: str
) -> None:
    save_tensors(loras / "original.safetensors", kohya(LORA), dtype)
    save_tensors(loras / "other.safetensors", kohya(OTHERS[what]()), dtype)
    work()
    assert groups(api) == [] and duplicates(api)["pending"] == 0


def test_the_next_epoch_has_the_cosine_that_was_meant(tmp_path: Path) -> None:
    one = save_tensors(tmp_path / "a.safetensors", kohya(LORA))
    epoch = save_tensors(tmp_path / "b.safetensors", kohya(with_noise(LORA, 0.15)))
    last = save_tensors(tmp_path / "c.safetensors", kohya(with_noise(LORA, 0.01)))
    near, nearer = compare_files(str(one), str(epoch)), compare_files(str(one), str(last))
    assert near is not None and 0.96 < near.cosine < 0.985 and not near.same
    assert (
        nearer is not None and nearer.cosine > 0.9995 and not nearer.same
    )  # the cosine alone would be taken in


def test_files_of_other_layers_are_not_compared(tmp_path: Path) -> None:
    one = save_tensors(tmp_path / "a.safetensors", kohya(LORA))
    fewer = save_tensors(tmp_path / "b.safetensors", kohya(dict(list(LORA.items())[1:])))
    assert compare_files(str(one), str(fewer)) is None


def test_lokr_and_loha_are_found_again_too(loras: Path, work: Work, api: TestClient) -> None:
    rng = np.random.default_rng(5)
    lokr = {}
    for layer in ("input_blocks_4_1_proj_in", "middle_block_1_proj_in", "output_blocks_3_1_proj_in"):
        lokr[f"lora_unet_{layer}.lokr_w1"] = rng.normal(size=(8, 8))
        lokr[f"lora_unet_{layer}.lokr_w2_a"] = rng.normal(size=(16, 4))
        lokr[f"lora_unet_{layer}.lokr_w2_b"] = rng.normal(size=(4, 16))
        lokr[f"lora_unet_{layer}.alpha"] = np.array(4.0)
    loha = {
        f"lora_unet_{layer}.{role}": rng.normal(size=shape)
        for layer in ("input_blocks_4_1_proj_in", "middle_block_1_proj_in")
        for role, shape in (
            ("hada_w1_a", (64, 4)), ("hada_w1_b", (4, 64)), ("hada_w2_a", (64, 4)), ("hada_w2_b", (4, 64)),
        )
    }  # fmt: skip
    for name, tensors in (("lokr", lokr), ("loha", loha)):
        save_tensors(loras / f"{name}.safetensors", tensors)
        save_tensors(loras / f"{name} again.safetensors", tensors, "BF16")
    work()
    assert sorted(groups(api)) == [("resaved", ["loha", "loha again"]), ("resaved", ["lokr", "lokr again"])]


def test_a_group_joins_all_that_hang_together_and_kinds_can_be_looked_at_alone(
    loras: Path, work: Work, api: TestClient
) -> None:
    path = save_tensors(loras / "a.safetensors", kohya(LORA))
    shutil.copy(path, loras / "b.safetensors")
    save_tensors(loras / "c.safetensors", kohya(LORA), "F16")
    save_tensors(loras / "d.safetensors", kohya(LORA), "F16", title="another header")
    save_tensors(loras / "e.safetensors", kohya(resized(LORA, 8)), "F16")
    work()
    assert groups(api) == [("resaved", ["a", "b", "c", "d", "e"])]
    assert groups(api, kind="resaved") == groups(api)
    assert groups(api, kind="file") == [("file", ["a", "b"])]
    assert groups(api, kind="weights") == [("weights", ["c", "d"])]
    (group,) = duplicates(api)["items"]
    sizes = [lora["size"] for lora in group["loras"]]
    assert group["wasted"] == sum(sizes) - max(sizes)
    assert [lora["rank"] for lora in group["loras"]] == [32, 32, 32, 32, 8]  # the best to keep comes first


def test_broken_empty_and_strange_files_hold_nothing_up(loras: Path, work: Work, api: TestClient) -> None:
    save_tensors(loras / "nan.safetensors", {"lora_unet_x.diff": np.full((4, 4), np.nan)})
    save_tensors(loras / "zero.safetensors", {"lora_unet_x.diff": np.zeros((4, 4))})
    save_tensors(loras / "embedding.safetensors", {"emb_params": np.ones((4, 4))})
    save_tensors(loras / "F4.safetensors", {"lora_unet_x.diff": np.ones((4, 4))}, "F4")
    (loras / "empty.safetensors").write_bytes(b"")
    (loras / "old.pt").write_bytes(b"not opened")
    work()
    assert groups(api) == [] and duplicates(api)["pending"] == 0


def test_it_goes_on_where_it_was_stopped(loras: Path, work: Work, api: TestClient, state: State) -> None:
    save_tensors(loras / "a.safetensors", kohya(LORA))
    work()
    save_tensors(loras / "b.safetensors", kohya(LORA), "F16")
    weights = state.library.weights
    compared = []
    original = weights._compare
    weights._compare = lambda *pair: compared.append(pair)  # type: ignore[method-assign]
    work()
    assert groups(api) == [] and duplicates(api)["pending"] == 1 and len(compared) == 1
    weights._compare = original  # type: ignore[method-assign]
    weights.work_off()
    assert groups(api) == [("resaved", ["a", "b"])] and duplicates(api)["pending"] == 0


def test_it_waits_for_hashing_and_while_that_is_paused(
    loras: Path, scan: Scan, work: Work, api: TestClient, state: State
) -> None:
    save_tensors(loras / "a.safetensors", kohya(LORA))
    save_tensors(loras / "b.safetensors", kohya(LORA), "F16")
    scan()
    state.library.weights.start()
    state.library.hasher.pause(True)
    state.library.hasher.start()
    assert duplicates(api)["pending"] == 2
    state.library.hasher.pause(False)
    wait_until(lambda: groups(api) == [("resaved", ["a", "b"])])


def test_fingerprints_of_the_same_weights_agree_and_read_little(tmp_path: Path) -> None:
    original = take_fingerprint(str(save_tensors(tmp_path / "a.safetensors", kohya(LORA))))
    assert original.vector is not None and (original.rank, original.dtype) == (32, "F32")

    def cosine(tensors: dict[str, Any], dtype: str) -> float:
        other = take_fingerprint(str(save_tensors(tmp_path / "b.safetensors", tensors, dtype)))
        assert other.signature == original.signature
        return float(other.vector @ original.vector)

    assert cosine(diffusers(LORA), "BF16") > 0.9999
    assert cosine(kohya(resized(LORA, 8)), "F16") > 0.8
    assert abs(cosine(kohya(make_weights(2)), "F16")) < 0.5


# No duplicates, the user says


def test_what_the_user_wants_to_have_twice_is_left_alone(loras: Path, work: Work, api: TestClient) -> None:
    path = make_lora(loras / "a.safetensors")
    for name in "bc":
        shutil.copy(path, loras / f"{name}.safetensors")
    work()
    known = ids_of(api)
    pair = {"ids": [known["a"], known["b"]]}
    assert api.post("duplicates/ignore", json=pair).json() == {"ignored": True, "pairs": 1}
    assert groups(api) == [("file", ["a", "b", "c"])]  # c is still one of both
    api.post("duplicates/ignore", json={"ids": [known["a"], known["c"]]})
    assert groups(api) == [("file", ["b", "c"])]
    api.post("duplicates/ignore", json={"ids": list(known.values())})
    assert groups(api) == []
    answer = api.request("DELETE", "duplicates/ignore", json=pair)
    assert answer.json() == {"ignored": False, "pairs": 1}
    assert groups(api) == [("file", ["a", "b"])]


@pytest.mark.parametrize("ids", [[], [1], [1, 1]])
def test_to_ignore_takes_two_files(api: TestClient, ids: list[int]) -> None:
    assert api.post("duplicates/ignore", json={"ids": ids}).status_code in (400, 422)


# What differs


def test_compare_tells_what_differs(loras: Path, work: Work, api: TestClient) -> None:
    path = save_tensors(
        loras / "a.safetensors", kohya(LORA), ss_output_name="same", ss_training_started_at="1700000000.0"
    )
    other = save_tensors(
        loras / "sub" / "b.safetensors",
        kohya(resized(LORA, 8)),
        "F16",
        ss_output_name="same",
        title="resized",
    )
    add_side_file(path, ".json", {"activation text": "magic"})
    work()
    known = ids_of(api)
    a, b = str(known["a"]), str(known["b"])
    api.patch(f"loras/{a}", json={"notes": "mine", "tags": ["x"], "rating": 4})
    answer = api.get("duplicates/compare", params={"ids": f"{a},{b}"}).json()
    fields = {field["field"]: field for field in answer["fields"]}
    assert fields["precision"]["values"] == {a: "F32", b: "F16"}
    assert fields["rank"]["values"] == {a: 32, b: 8}
    assert fields["size"]["values"] == {a: path.stat().st_size, b: other.stat().st_size}
    assert fields["folder"]["same"] is False and fields["base_model"]["same"] is True
    assert fields["trigger_words"]["values"][a] == ["magic"]
    assert fields["notes"]["values"][a] == "mine" and fields["rating"]["values"] == {a: 4, b: None}
    assert fields["tags"]["values"] == {a: ["x"], b: []}
    assert fields["trained"]["values"] == {a: "2023-11-14", b: None}
    assert fields["side_files"]["values"][a] == ["a.json"]
    assert {row["key"]: row["values"] for row in answer["header"]} == {
        "ss_training_started_at": {a: "1700000000.0", b: None},
        "title": {a: None, b: "resized"},
    }
    assert 0.85 < answer["similarity"] < 0.95


def test_the_same_weights_have_the_similarity_of_one_and_strangers_next_to_nothing(
    loras: Path, work: Work, api: TestClient
) -> None:
    shutil.copy(save_tensors(loras / "a.safetensors", kohya(LORA)), loras / "b.safetensors")
    save_tensors(loras / "c.safetensors", kohya(make_weights(2)))
    work()
    known = ids_of(api)
    for names, similarity in (("ab", 1.0), ("ac", 0.0)):
        ids = ",".join(str(known[name]) for name in names)
        answer = api.get("duplicates/compare", params={"ids": ids}).json()
        assert answer["similarity"] == pytest.approx(similarity, abs=0.05)


@pytest.mark.parametrize(("ids", "status"), [("", 400), ("1", 400), ("1,x", 400), ("4711,4712", 404)])
def test_compare_wants_loras_that_there_are(api: TestClient, ids: str, status: int) -> None:
    assert api.get("duplicates/compare", params={"ids": ids}).status_code == status


def test_groups_of_any_kind_are_found_without_comparing_every_pair(
    loras: Path, work: Work, state: State
) -> None:
    path = make_lora(loras / "a.safetensors")
    for number in range(150):
        shutil.copy(path, loras / f"copy {number}.safetensors")
    work()
    (group,) = find_groups(state.database)
    assert len(group.ids) == 151
