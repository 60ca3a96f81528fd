"""Organising by template: a dry run first; nothing leaves the LoRA folder, whatever template and values say."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from files_library import contents, full_set, id_of, listed, make_set, message, names_in, on_disk
from hypothesis import given
from hypothesis import strategies as st
from lora_files import add_side_file, make_lora
from starlette.testclient import TestClient
from waiting import wait_until

from sidecar.library import folders
from sidecar.library.files.names import name_problem
from sidecar.library.files.template import FIELDS, BadTemplate, read_template
from sidecar.state import State

Scan = Callable[[], None]
EVERYTHING: dict[str, Any] = {"selection": {"filter": {}}}


def organise(api: TestClient, **request: Any) -> dict[str, Any]:
    answer = api.post("files/organise", json={**EVERYTHING, **request})
    assert answer.status_code == 200, answer.text
    outcome: dict[str, Any] = answer.json()
    return outcome


def targets(outcome: dict[str, Any]) -> dict[str, str]:
    return {item["from"]: item["to"] for item in outcome["items"]}


def test_a_dry_run_says_what_would_happen_and_changes_nothing(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_set(loras / "a.safetensors")
    make_set(loras / "x" / "b.safetensors")
    make_lora(loras / "SDXL" / "LoRA" / "c.safetensors", width=2048)
    scan()
    before = on_disk(loras)
    outcome = organise(api)  # the default is a dry run, by the template of the settings
    assert targets(outcome) == {
        "loras/a.safetensors": "loras/SD 1.x/LoRA/a.safetensors",
        "loras/x/b.safetensors": "loras/SD 1.x/LoRA/b.safetensors",
        "loras/SDXL/LoRA/c.safetensors": "loras/SDXL/LoRA/c.safetensors",
    }
    assert (outcome["done"], outcome["same"], outcome["action"]) == (2, 1, None)
    assert on_disk(loras) == before and not (loras / "SD 1.x").exists()
    assert api.get("actions").json()["items"] == []


def test_the_run_does_what_the_dry_run_said_and_leaves_no_empty_folders(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_set(loras / "a.safetensors")
    make_set(loras / "x" / "y" / "b.safetensors")
    (loras / "z").mkdir()
    scan()
    before, tree = contents(loras), on_disk(loras)
    outcome = organise(api, dry_run=False)
    assert outcome["done"] == 2
    assert names_in(loras / "SD 1.x" / "LoRA") == sorted(full_set("a") + full_set("b"))
    assert contents(loras) == before
    assert sorted(path.name for path in loras.iterdir()) == ["SD 1.x", "z"], "only what it emptied is removed"
    assert api.post(f"actions/{outcome['action']}/undo").json()["undone"] == 2
    assert on_disk(loras) == tree and not (loras / "SD 1.x").exists()


@pytest.mark.parametrize(
    ("template", "place", "reason"),
    [
        ("../{name}", (0, 2), "leave"), ("{base_model}/../../{name}", (13, 15), "leave"), ("./{name}", (0, 1), "leave"),
        ("{name}/..", (7, 9), "leave"), ("/etc/{name}", (0, 1), "root or a drive"), ("C:/{name}", (0, 2), "root or a drive"),
        ("\\\\server\\{name}", (0, 1), "root or a drive"), ("~/{name}", (0, 1), "root or a drive"), ("a\\{name}", (1, 2), "cannot have"),
        ("{base_model}/{nome}", (13, 19), "no field {nome}; there are name"), ("{name", (0, 1), "partner"),
        ("{name}}", (6, 7), "partner"), ("{}/{name}", (0, 2), "no field"), ("a//{name}", (2, 3), "empty"), ("{name}/", (7, 8), "empty"),
        ("", (0, 1), "empty"), ("ab:c/{name}", (2, 3), "cannot have"), ("{name}?", (6, 7), "cannot have"), (".x/{name}", (0, 1), "hidden"),
        ("{name.__class__}", (0, 16), "no field"), ("{0}", (0, 3), "no field"),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_is_refused_with_the_place(
    loras: Path, scan: Scan, api: TestClient, template: str, place: tuple[int, int], reason: str
) -> None:
    make_lora(loras / "a.safetensors")
    scan()
    answer = api.post("files/organise", json={**EVERYTHING, "template": template, "dry_run": False})
    assert reason in message(answer, 400)
    error = answer.json()["error"]
    assert (error["code"], error["detail"]) == ("bad_template", {"start": place[0], "end": place[1]})
    assert names_in(loras) == ["a.safetensors"]


HOSTILE = [
    "../../../etc/passwd",
    "..",
    "C:\\Windows",
    "a/b",
    "nul",
    "x" * 400,
    ".hidden",
    "  ",
    "a\n\x00b",
    "name?*<>|",
    "名前/..",
    "trailing. ",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_values_cannot_lead_out_of_the_folder(loras: Path, scan: Scan, api: TestClient, value: str) -> None:
    path = make_lora(loras / "a.safetensors")
    add_side_file(
        path,
        ".civitai.info",
        {
            "id": 2,
            "modelId": 1,
            "baseModel": value,
            "model": {"name": value, "tags": [value]},
            "creator": {"username": value},
        },
    )
    scan()
    outcome = organise(api, template="{author}/{tag}/{base_model}/{title}", dry_run=False)
    assert outcome["done"] == 1, outcome
    found = [path for path in loras.parent.rglob("a*") if path.suffix == ".safetensors"]
    found = found or list(loras.rglob("*.safetensors"))
    assert len(found) == 1 and found[0].is_relative_to(loras)
    relative = found[0].relative_to(loras)
    assert len(relative.parts) == 4
    assert all(name_problem(part) is None for part in relative.parts)


@given(
    value=st.text(max_size=300),
    template=st.sampled_from(["{title}/{name}", "x{title}/{title}", "{tag}{title}{author}"]),
)
def test_whatever_the_values_are_every_part_is_a_name(value: str, template: str) -> None:
    values = {**dict.fromkeys(FIELDS, value), "name": "kept"}
    folder, name = read_template(template).fill(values)
    for part in (*(folder.split("/") if folder else ()), name):
        assert name_problem(part) is None, (value, part)


@given(text=st.text(alphabet="{}./\\ab: name", max_size=30))
def test_whatever_the_template_is_it_is_refused_or_stays_inside(text: str) -> None:
    try:
        folder, name = read_template(text).fill(dict.fromkeys(FIELDS, "v"))
    except BadTemplate as error:
        assert 0 <= error.detail["start"] < error.detail["end"]
        return
    assert not os.path.isabs(folder) and ".." not in folder.split("/") and "/" not in name


def test_every_field_is_filled(loras: Path, scan: Scan, api: TestClient) -> None:
    path = make_lora(loras / "here" / "a.safetensors")
    add_side_file(
        path,
        ".civitai.info",
        {"id": 2, "modelId": 1, "baseModel": "Pony", "model": {"name": "Ink", "tags": ["style", "ink"]},
         "creator": {"username": "painter"}},
    )  # fmt: skip
    os.utime(path, (1_600_000_000, 1_600_000_000))
    scan()
    api.patch(f"loras/{id_of(api, 'a')}", json={"rating": 4, "label": "red", "nsfw": 2})
    fields = [field["name"] for field in api.get("files/template-fields").json()["items"]]
    assert sorted(fields) == sorted(FIELDS)
    outcome = organise(api, template="-".join(f"{{{field}}}" for field in FIELDS))
    assert list(targets(outcome).values()) == [
        "loras/a-Ink-Pony-LoRA-painter-style-2020-09-PG-13-red-4-here.safetensors"
    ]


def test_two_that_would_get_one_name_are_told_in_the_dry_run(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_set(loras / "one" / "a.safetensors")
    make_set(loras / "two" / "a.safetensors", modelspec__title="Other")
    scan()
    before = on_disk(loras)
    for dry_run in (True, False):
        outcome = organise(api, template="{name}", dry_run=dry_run)
        assert (outcome["done"], outcome["conflict"]) == (1, 1), dry_run
        assert "there already" in next(item["reason"] for item in outcome["items"] if item["reason"])
    assert contents(loras) == sorted(before.values())


def test_a_template_may_give_new_names_and_all_side_files_follow(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_set(loras / "v1_final.safetensors", modelspec__title="Ink: Wash")
    scan()
    api.patch(f"loras/{id_of(api, 'v1_final')}", json={"title": "Ink: Wash"})
    organise(api, template="{base_model}/{title}", dry_run=False)
    assert names_in(loras / "SD 1.x") == full_set("Ink_Wash")
    assert listed(api)["Ink_Wash"]["folder"] == "loras/SD 1.x"


def test_an_odd_name_stays_to_the_letter_when_only_the_folder_changes(
    loras: Path, scan: Scan, api: TestClient
) -> None:
    make_lora(loras / "it's (v1) = ok.safetensors")
    scan()
    organise(api, template="{type}/{name}", dry_run=False)
    assert names_in(loras / "LoRA") == ["it's (v1) = ok.safetensors"]


def test_all_can_be_sorted_into_one_lora_folder(
    loras: Path, tmp_path: Path, state: State, scan: Scan, api: TestClient
) -> None:
    make_set(tmp_path / "second" / "a.safetensors")
    folders.activate(state.database, [tmp_path / "second"])
    scan()
    assert "no LoRA folder 'third'" in message(
        api.post("files/organise", json={**EVERYTHING, "root": "third"}), 400
    )
    organise(api, root="loras", template="{type}/{name}", dry_run=False)
    assert names_in(loras / "LoRA") == full_set("a")


def test_very_many_are_a_task_with_the_same_result(
    loras: Path, scan: Scan, api: TestClient, state: State
) -> None:
    for number in range(230):
        make_lora(loras / f"l{number}.safetensors")
    scan()
    for dry_run in (True, False):
        answer = api.post("files/organise", json={**EVERYTHING, "dry_run": dry_run})
        assert answer.status_code == 202
        task = state.tasks.get(answer.json()["task"])
        wait_until(lambda task=task: task.state != "running")  # type: ignore[misc]
        assert (task.result["done"], task.result["action"] is None) == (230, dry_run)
    assert len(names_in(loras / "SD 1.x" / "LoRA")) == 230
