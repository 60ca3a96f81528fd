"""The map over a real library: made by its process, told over HTTP, kept up to date, its file only a cache."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from lora_files import add_side_file, make_lora
from waiting import wait_until

from sidecar.recommend.map.store import load_map, path_of
from sidecar.recommend.map.worker import work
from sidecar.state import State

Scan = Callable[[], None]


def tell(path: Path, title: str, tags: list[str]) -> None:
    add_side_file(path, ".civitai.info", {"id": 1, "model": {"name": title, "type": "LORA", "tags": tags}})


@pytest.fixture
def library(loras: Path, scan: Scan) -> Path:
    """Forty ships, forty inks, and one that nothing is said of."""
    for number in range(40):
        tell(make_lora(loras / f"galleon_{number}.safetensors"), f"Galleon {number}", ["ship", "sea"])
        tell(
            make_lora(loras / f"brush_{number}.safetensors", width=2048), f"Brush {number}", ["ink", "paper"]
        )
    make_lora(loras / "7.safetensors")
    scan()
    return loras


def look(api: TestClient, **parameters: Any) -> dict[str, Any]:
    answer = api.get("recommendations/map", params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def places(found: dict[str, Any]) -> dict[int, tuple[int, int]]:
    """Where each LoRA lies, by id."""
    ids = np.frombuffer(base64.b64decode(found["ids"]), "<u4").tolist()
    x, y = (np.frombuffer(base64.b64decode(found[name]), "<u2").tolist() for name in "xy")
    return dict(zip(ids, zip(x, y)))


def test_the_map_tells_where_every_lora_lies_and_what_it_is_made_from(
    library: Path, api: TestClient, state: State
) -> None:
    first = look(api)
    assert first["count"] == 0 and first["state"]["building"] and first["state"]["source"] is None
    state.recommender.maps.refresh("text")
    found = look(api)
    assert found["count"] == 81
    assert found["state"] == {
        "building": False, "part": None, "source": "words", "model": None, "made": pytest.approx(time.time(), abs=60),
        "stale": False, "message": None,
    }  # fmt: skip
    spots = places(found)
    names = {one["id"]: one["name"] for one in api.get("loras?limit=200").json()["items"]}
    ships = np.array([spots[one] for one in spots if names[one].startswith("galleon")])
    inks = np.array([spots[one] for one in spots if names[one].startswith("brush")])
    apart = np.linalg.norm(ships.mean(axis=0) - inks.mean(axis=0))
    assert apart > ships.std(axis=0).max() and apart > inks.std(axis=0).max()
    bases, codes = found["base_model"]["values"], base64.b64decode(found["base_model"]["codes"])
    own = [bases[code] for code in np.frombuffer(codes, "<u2")]
    assert own.count("SDXL") == 40 and own.count("SD 1.x") == 41
    assert {"text", "x", "y", "level", "count"} == set(found["regions"][0])
    assert "Nothing is said of these" in {one["text"] for one in found["regions"]}


def test_events_tell_that_it_is_made(library: Path, api: TestClient, state: State) -> None:
    heard: list[tuple[str, dict[str, Any]]] = []
    state.events.subscribe(lambda event: heard.append((event.type, event.data)))
    state.recommender.maps.start()
    look(api)
    wait_until(lambda: ("map.changed", {"by": "text"}) in heard)
    assert ("map.progress", {"by": "text", "part": 0.0}) in heard
    assert look(api)["count"] == 81
    state.recommender.maps.stop()


def test_a_new_lora_comes_beside_its_like_and_the_others_stay(
    library: Path, scan: Scan, api: TestClient, state: State
) -> None:
    state.recommender.maps.refresh("text")
    before = look(api)
    tell(make_lora(library / "frigate.safetensors"), "Galleon frigate", ["ship", "sea"])
    scan()
    assert look(api)["state"]["stale"]
    state.recommender.maps.refresh("text")
    after = look(api)
    assert after["count"] == 82 and after["state"]["made"] == before["state"]["made"]
    old, new = places(before), places(after)
    assert all(new[one] == old[one] for one in old)


def test_what_is_gone_or_hidden_is_not_on_it(
    library: Path, scan: Scan, api: TestClient, state: State
) -> None:
    state.recommender.maps.refresh("text")
    some = api.get("loras?q=galleon&limit=2").json()["items"]
    api.patch(f"loras/{some[0]['id']}", json={"hidden": True}).raise_for_status()
    (library / f"{some[1]['name']}.safetensors").unlink()
    scan()
    assert look(api)["count"] == 79
    assert look(api, hidden=True)["count"] == 80


def test_a_damaged_file_is_made_anew(library: Path, api: TestClient, state: State, data: Path) -> None:
    state.recommender.maps.refresh("text")
    path_of(data, "text").write_bytes(b"not a map")
    assert load_map(data, "text") is None
    assert work(data, "text", "") is True
    assert work(data, "text", "") is False  # nothing has changed since
    kept = load_map(data, "text")
    assert kept is not None and len(kept.ids) == 81


def test_without_a_file_it_is_made_anew_and_the_same(library: Path, data: Path) -> None:
    work(data, "text", "")
    before = load_map(data, "text")
    path_of(data, "text").unlink()
    work(data, "text", "")
    after = load_map(data, "text")
    assert before is not None and after is not None and np.array_equal(before.points, after.points)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_library_of_none_one_or_two(
    count: int, loras: Path, scan: Scan, api: TestClient, state: State
) -> None:
    for number in range(count):
        make_lora(loras / f"one_{number}.safetensors")
    scan()
    for by in ("text", "weights"):
        state.recommender.maps.refresh(by)
        found = look(api, by=by)
        assert (
            found["count"] == count and not found["state"]["building"] and found["state"]["message"] is None
        )
        assert len(set(places(found).values())) == count


def test_by_weights_each_architecture_has_an_island(library: Path, api: TestClient, state: State) -> None:
    state.recommender.maps.refresh("weights")
    found = look(api, by="weights")
    assert found["count"] == 81 and found["state"]["source"] == "weights"
    assert [(one["text"], one["count"]) for one in found["regions"]] == [("Not compared by weights", 81)]


def test_a_process_that_fails_is_told_and_tried_again_later(
    library: Path, api: TestClient, state: State, data: Path
) -> None:
    blocked = path_of(data, "text").with_suffix(".part")
    blocked.mkdir()
    state.recommender.maps.refresh("text")
    found = look(api)
    assert found["count"] == 0 and not found["state"]["building"]
    assert "could not be made" in found["state"]["message"]
    blocked.rmdir()
    state.recommender.maps.refresh("text")
    assert look(api)["state"]["message"] is None and look(api)["count"] == 81


def test_a_search_tells_which_points_are_meant(library: Path, api: TestClient) -> None:
    def ids(**parameters: Any) -> list[int]:
        answer = api.get("recommendations/map/ids", params=parameters)
        answer.raise_for_status()
        found: list[int] = np.frombuffer(base64.b64decode(answer.json()["ids"]), "<u4").tolist()
        return found

    assert len(ids(q="galleon")) == 40 and len(ids(tag="ink")) == 40 and len(ids()) == 81
    assert ids(tag="nobody") == []
    bad = api.get("recommendations/map/ids", params={"q": "size:>"})
    assert bad.status_code == 400 and bad.json()["error"]["code"] == "bad_query"


def test_loras_of_the_map_are_told_as_in_lists(library: Path, api: TestClient) -> None:
    wanted = [one["id"] for one in api.get("loras?limit=3").json()["items"]]
    items = api.post("recommendations/map/loras", json={"ids": [*wanted[::-1], 999_999]}).json()["items"]
    assert [one["id"] for one in items] == wanted[::-1] and {"title", "tags", "preview"} <= set(items[0])
    assert api.post("recommendations/map/loras", json={"ids": list(range(501))}).status_code == 422
    assert api.post("recommendations/map/loras", json={"ids": [2**63]}).status_code == 422
    assert api.get("recommendations/map", params={"by": "colour"}).status_code == 422
