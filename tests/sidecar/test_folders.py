"""LoRA folders come and go; what is known about their files stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lora_files import make_lora
from starlette.testclient import TestClient

from sidecar.database import Database
from sidecar.library import folders


def labels(database: Database) -> list[str]:
    return [root.label for root in folders.active_roots(database)]


def test_folders_of_one_name_are_told_apart(database: Database, tmp_path: Path) -> None:
    folders.activate(database, [tmp_path / "a" / "Lora", tmp_path / "b" / "Lora"])
    assert labels(database) == ["Lora", "Lora (2)"]


def test_another_folder_takes_the_place_and_the_name_of_the_one_before(
    database: Database, tmp_path: Path
) -> None:
    folders.activate(database, [tmp_path / "a" / "Lora"], only=True)
    folders.activate(database, [tmp_path / "b" / "Lora"], only=True)
    assert labels(database) == ["Lora"]
    folders.activate(database, [tmp_path / "a" / "Lora"])
    assert sorted(labels(database)) == ["Lora", "Lora (2)"]


def test_a_folder_inside_another_is_not_listed_twice(database: Database, tmp_path: Path) -> None:
    folders.activate(database, [tmp_path / "Lora" / "sub", tmp_path / "Lora", tmp_path / "Lora"])
    assert [root.path for root in folders.active_roots(database)] == [str(tmp_path / "Lora")]


def test_files_of_a_folder_given_up_are_hidden_and_come_back_with_it(
    database: Database, loras: Path, tmp_path: Path, scan: Callable[[], None], api: TestClient
) -> None:
    make_lora(loras / "a.safetensors")
    make_lora(tmp_path / "other" / "b.safetensors")
    scan()
    lora_id = api.get("loras").json()["items"][0]["id"]
    api.patch(f"loras/{lora_id}", json={"notes": "kept"})
    folders.activate(database, [tmp_path / "other"], only=True)
    scan()
    listed = api.get("loras", params={"facets": 1}).json()
    assert [item["name"] for item in listed["items"]] == ["b"]
    assert listed["total"] == 1 and listed["facets"]["base_model"][0]["count"] == 1
    assert api.post("prompts/compose", json={"prompt": "<lora:a:1>x"}).json()["prompt"] == "x"
    folders.activate(database, [loras])
    scan()
    assert api.get(f"loras/{lora_id}").json()["notes"] == "kept"
    assert api.get("loras").json()["total"] == 2


def test_folders_are_added_over_http_and_a_relative_path_is_refused(api: TestClient, tmp_path: Path) -> None:
    answer = api.post("library/folders", json={"add": [str(tmp_path / "more")]})
    assert [folder["label"] for folder in answer.json()["items"]] == ["loras", "more"]
    assert api.post("library/folders", json={"add": ["relative"]}).status_code == 400
    assert api.post("library/folders", json={"add": []}).status_code == 422
