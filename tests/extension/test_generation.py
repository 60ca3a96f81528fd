"""A generation, hook by hook: the prompt comes back composed or as typed, and one record is sent for it."""

from __future__ import annotations

import asyncio
import importlib.machinery
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response
from until import wait_for

from extension import client as client_module
from extension import hooks, host
from extension.client import Client, Endpoint
from extension.generated import make_records
from extension.generation import Choice, Generations
from extension.records import Recorder
from extension.settings import Settings
from extension.tags import read_tags


class Sidecar:
    """Composes by adding a word, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.records: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], Response] = self.compose
        self.app = FastAPI()
        self.app.add_api_route("/api/v1/prompts/compose", self._asked, methods=["POST"])
        self.app.add_api_route("/api/v1/generations", self._recorded, methods=["POST"])

    async def _asked(self, request: Request) -> Response:
        self.asked.append(await request.json())
        return self.answer(self.asked[-1])

    async def _recorded(self, request: Request) -> Response:
        record = await request.json()
        if record["uuid"] not in [known["uuid"] for known in self.records]:
            self.records.append(record)
        return JSONResponse({"id": len(self.records)}, 201)

    def compose(self, content: dict[str, Any]) -> Response:
        prompt = content["prompt"]
        composed = [f"{each}, word" for each in prompt] if isinstance(prompt, list) else f"{prompt}, word"
        note = {"level": "info", "code": "added", "message": "Added word."}
        return JSONResponse(
            {
                "prompt": composed,
                "negative_prompt": content.get("negative_prompt"),
                "loras": [],
                "notes": [note],
            }
        )


class P:
    """StableDiffusionProcessing, as far as an extension sees it before and after."""

    def __init__(self, prompt: Any = "a cat <lora:x:0.8>", **members: Any) -> None:
        self.prompt, self.negative_prompt = prompt, "bad"
        self.extra_generation_params: dict[str, Any] = {}
        self.sampler_name, self.steps, self.cfg_scale, self.seed = "Euler a", 20, 7.0, 42
        self.width, self.height = 512, 768
        vars(self).update(members)


class Setup:
    def __init__(self, url: str | None) -> None:
        self.endpoint = Endpoint(url, "t") if url else None
        self.pokes: list[int] = []
        self.settings = Settings((), Path("/nowhere"), "", "", True, True, False, ())
        self.client = Client(lambda: self.endpoint, lambda: self.pokes.append(1))
        self.recorder = Recorder(self.client)
        self.generations = Generations(self.client, self.recorder, lambda: self.settings)


@pytest.fixture
def sidecar() -> Sidecar:
    return Sidecar()


@pytest.fixture
def setup(fake_host: Any, serve: Callable[[Any], str], sidecar: Sidecar) -> Setup:
    return Setup(serve(sidecar.app))


@pytest.mark.parametrize(
    ("given", "expected"),
    [("a cat", "a cat, word"), (["a cat", "a dog"], ["a cat, word", "a dog, word"])],
)
def test_a_prompt_comes_back_in_the_shape_it_had(
    setup: Setup, sidecar: Sidecar, given: Any, expected: Any
) -> None:
    p = P(given)
    setup.generations.before(p)
    assert p.prompt == expected
    assert p.extra_generation_params == {"LoRA Manager": "Added word."}
    assert sidecar.asked[0]["prompt"] == given and sidecar.asked[0]["negative_prompt"] == "bad"
    assert sidecar.asked[0]["host"] == "a1111" and sidecar.asked[0]["add_trigger_words"] is True


def test_prompts_that_the_host_has_already_spread_change_with_it(setup: Setup) -> None:
    p = P("a cat", all_prompts=["a cat", "a cat", "another"])
    setup.generations.before(p)
    assert p.all_prompts == ["a cat, word", "a cat, word", "another"]  # type: ignore[attr-defined]


def test_the_second_pass_has_a_prompt_of_its_own(setup: Setup, sidecar: Sidecar) -> None:
    p = P(enable_hr=True, hr_prompt="sharp", hr_negative_prompt="")
    setup.generations.before(p)
    assert p.hr_prompt == "sharp, word"  # type: ignore[attr-defined]
    empty = P(enable_hr=True, hr_prompt="", hr_negative_prompt="")
    setup.generations.before(empty)
    assert empty.hr_prompt == "" and len(sidecar.asked) == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: Response("no", 500),
        lambda _: Response("not json"),
        lambda _: JSONResponse({"prompt": ["a list"]}),
        lambda _: JSONResponse({"prompt": None}),
        lambda _: JSONResponse({"prompt": 5, "notes": None}),
        lambda _: JSONResponse([]),
        lambda _: JSONResponse({"error": {"code": "x", "message": "broken"}}, 422),
    ],
)
def test_whatever_the_sidecar_answers_the_prompt_is_never_broken(
    setup: Setup, sidecar: Sidecar, answer: Any
) -> None:
    sidecar.answer = answer
    p = P("a cat")
    setup.generations.before(p)
    assert p.prompt == "a cat" and not p.extra_generation_params


def test_nothing_is_noted_when_nothing_changed(setup: Setup, sidecar: Sidecar) -> None:
    sidecar.answer = lambda content: JSONResponse(
        {"prompt": content["prompt"], "negative_prompt": "bad", "notes": []}
    )
    p = P()
    setup.generations.before(p)
    assert not p.extra_generation_params


def test_a_sidecar_that_is_not_running_costs_nothing(fake_host: Any) -> None:
    p = P("a cat")
    began = time.perf_counter()
    Setup(None).generations.before(p)
    assert p.prompt == "a cat" and time.perf_counter() - began < 0.05


def test_a_stuck_sidecar_costs_one_generation_two_seconds_and_the_next_nothing(
    fake_host: Any, serve: Callable[[Any], str], sidecar: Sidecar
) -> None:
    async def stuck(_request: Request) -> Response:
        await asyncio.sleep(4)
        return Response()

    app = FastAPI()
    app.add_api_route("/api/v1/prompts/compose", stuck, methods=["POST"])
    setup = Setup(serve(app))
    took = []
    for _ in range(2):
        began = time.perf_counter()
        setup.generations.before(P("a cat", enable_hr=True, hr_prompt="b"))
        took.append(time.perf_counter() - began)
    assert took[0] < 2.2 and took[1] < 0.05 and setup.pokes
    setup.client.resume()
    assert setup.client._paused_until == 0


def test_the_reason_is_told_once_not_with_every_image(
    fake_host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("extension.generation.log.warning", lambda text, *values: told.append(text % values))
    setup = Setup(None)
    for _ in range(3):
        setup.generations.before(P())
    assert len(told) == 1 and "as typed" in told[0]


def test_the_accordion_decides(setup: Setup, sidecar: Sidecar) -> None:
    p = P("a cat")
    setup.generations.before(p, Choice(enabled=False, trigger_words=True))
    setup.generations.after(p)
    assert p.prompt == "a cat" and not sidecar.asked
    setup.generations.before(p, Choice(enabled=True, trigger_words=False))
    assert sidecar.asked[0]["add_trigger_words"] is False


def test_a_generation_is_recorded_once(
    setup: Setup, sidecar: Sidecar, fake_host: Any, tmp_path: Path
) -> None:
    p = P(outpath_grids=str(tmp_path / "grids"), outpath_samples=str(tmp_path))
    setup.generations.before(p)
    setup.generations.image_saved(p, str(tmp_path / "1.png"))
    setup.generations.image_saved(p, str(tmp_path / "grids" / "g.png"))
    vars(p).update(all_prompts=["a cat <lora:x:0.8>, word"], all_seeds=[43])
    setup.generations.after(p)
    setup.generations.after(p)
    record = wait_for(lambda: sidecar.records and sidecar.records[0])
    time.sleep(0.1)
    assert len(sidecar.records) == 1
    assert record["loras"] == [{"name": "x", "weight": 0.8}]
    assert record["images"] == [str(tmp_path / "1.png")]
    assert {
        key: record[key] for key in ("sampler", "steps", "cfg", "seed", "width", "height", "kind", "host")
    } == {
        "sampler": "Euler a",
        "steps": 20,
        "cfg": 7.0,
        "seed": 43,
        "width": 512,
        "height": 768,
        "kind": "txt2img",
        "host": "a1111",
    }
    assert record["interrupted"] is False and 0 <= record["duration"] < 5 and record["uuid"]


def test_an_interrupted_generation_says_so(setup: Setup, fake_host: Any, sidecar: Sidecar) -> None:
    p = P()
    setup.generations.before(p)
    fake_host.state.interrupted = True
    setup.generations.after(p)
    assert wait_for(lambda: sidecar.records)[0]["interrupted"] is True


def test_a_generation_that_failed_is_not_recorded(setup: Setup, sidecar: Sidecar) -> None:
    p = P()
    setup.generations.before(p)
    with pytest.raises(MemoryError):
        try:
            raise MemoryError
        finally:
            setup.generations.after(p)
    assert len(setup.recorder) == 0


def test_recording_can_be_switched_off(setup: Setup) -> None:
    setup.settings = types.SimpleNamespace(trigger_words=True, record=False)  # type: ignore[assignment]
    p = P()
    setup.generations.before(p)
    setup.generations.after(p)
    assert len(setup.recorder) == 0


def test_a_generation_within_a_generation_is_left_alone(setup: Setup, sidecar: Sidecar) -> None:
    def process_images(p: Any, within: Callable[[], None]) -> None:
        setup.generations.before(p)
        within()
        setup.generations.after(p)

    outer, inner = P("outer"), P("inner")
    process_images(outer, lambda: process_images(inner, lambda: None))
    assert (outer.prompt, inner.prompt) == ("outer, word", "inner")
    assert len(wait_for(lambda: sidecar.records)) == 1 and len(sidecar.asked) == 1


def test_the_same_parameters_can_be_used_again(setup: Setup, sidecar: Sidecar) -> None:
    p = P("a cat")
    for _ in range(2):
        setup.generations.before(p)
        setup.generations.after(p)
    wait_for(lambda: len(sidecar.records) == 2)


def test_records_wait_for_a_sidecar_that_is_away(
    setup: Setup, sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, setup.endpoint = setup.endpoint, None
    for _ in range(3):
        p = P()
        setup.generations.before(p)
        setup.generations.after(p)
    time.sleep(0.1)
    assert len(setup.recorder) == 3
    setup.endpoint = endpoint
    setup.recorder.nudge()
    wait_for(lambda: len(sidecar.records) == 3)
    assert len(setup.recorder) == 0


def test_no_more_records_wait_than_there_is_room_for(fake_host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extension.records.WAITING_ROOM", 5)
    recorder = Recorder(Client(lambda: None))
    for number in range(9):
        recorder.add({"uuid": number})
    assert len(recorder) == 5
    recorder.stop()


def test_sdnext_composes_by_callback_and_takes_the_accordions_word(
    setup: Setup, sidecar: Sidecar, fake_host: Any
) -> None:
    fake_host.be_sdnext()
    hooks.register(setup.generations)
    script = hooks.make_script(setup.generations, lambda: setup.settings)()
    p = P("a cat")
    script.before_process(p, True, False)
    assert not sidecar.asked, "the callback does it, so that Control has it too"
    fake_host.callbacks["before_process"][0](p)
    fake_host.callbacks["before_process"][0](p)
    script.postprocess(p, None)
    fake_host.callbacks["after_process"][0](p)
    assert p.prompt == "a cat, word"
    assert [(each["host"], each["add_trigger_words"]) for each in sidecar.asked] == [("sdnext", False)]
    assert len(wait_for(lambda: sidecar.records)) == 1


def test_the_a1111_line_composes_in_the_script(setup: Setup, sidecar: Sidecar, fake_host: Any) -> None:
    hooks.register(setup.generations)
    assert list(fake_host.callbacks) == ["image_saved"]
    script = hooks.make_script(setup.generations, lambda: setup.settings)()
    assert script.show(False) == "always" and script.title() == "LoRA Manager"
    p = P("a cat")
    script.before_process(p)
    fake_host.callbacks["image_saved"][0](types.SimpleNamespace(p=p, filename="/tmp/1.png"))
    script.postprocess(p, None)
    assert p.prompt == "a cat, word" and wait_for(lambda: sidecar.records)[0]["images"] == ["/tmp/1.png"]


def test_sdnext_records_what_it_loaded(setup: Setup, fake_host: Any) -> None:
    fake_host.be_sdnext()
    on_disk = types.SimpleNamespace(filename="/l/sub/x.safetensors")
    loaded = types.SimpleNamespace(name="x", network_on_disk=on_disk, unet_multiplier=[0.5, 0.5, 0.5])
    fake_host.module("modules.lora.lora_common", loaded_networks=[loaded])
    p = P("a <lora:x:0.9> <lora:unknown:1>")
    setup.generations.before(p)
    records = make_records(p, {}, 0.0, 0.0)
    assert [each["loras"] for each in records] == [[{"name": "x", "weight": 0.5}]]


@pytest.mark.parametrize(
    ("prompt", "on_sdnext", "on_a1111"),
    [
        ("a <lora:x:0.8> <lora:y>", [("x", 0.8), ("y", 1.0)], [("x", 0.8), ("y", 1.0)]),
        ("<lora:x:0.4:0.9>", [("x", 0.4)], [("x", 0.9)]),
        ("<lora:x:0.9:te=0.4>", [("x", 0.4)], [("x", 0.4)]),
        ("<lora:x:te=0.2:unet=0.7>", [("x", 0.7)], [("x", 0.7)]),
        ("<lora:x:1:in=0.1>", [("x", 0.1)], [("x", 1.0)]),
        ("<lora:x:0.5> <lora:y:0,8>", [("x", 0.5), ("y", 1.0)], []),
        ("<lora:a (b) [c]:0.7@0,0@1> <hypernet:h:1> <lora:>", [("a (b) [c]", 0.7)], []),
        ("", [], []),
    ],
)
def test_tags_are_read_as_the_host_reads_them(prompt: str, on_sdnext: object, on_a1111: object) -> None:
    assert read_tags(prompt, sdnext=True) == on_sdnext
    assert read_tags(prompt, sdnext=False) == on_a1111


@pytest.mark.parametrize(
    ("host_modules", "prompts", "expected"),
    [
        ((), ["<lora:x:0.5> <lora:nowhere:1>"], {"x": 0.5}),
        (("modules_forge",), ["<lora:x:0.5> <lora:nowhere:1>"], {}),
        (("modules_forge",), ["<lora:x:0.2> <lora:trained as:0.6>"], {"x": 0.8}),
        (("modules_forge",), ["<lora:none:0.2>"], {"none": 0.2}),
        (("modules_forge",), ["a", "<lora:x:0.5>"], {}),
        (("modules_forge",), ["<lora:x:0.5>", "<lora:none:0.5>"], {"x": 0.5}),
    ],
)
def test_the_a1111_line_records_what_it_finds(
    setup: Setup,
    fake_host: Any,
    host_modules: tuple[str, ...],
    prompts: list[str],
    expected: dict[str, float],
) -> None:
    """Of a batch those of the first prompt, by the files' names; Forge loses all for one that is unknown."""
    for name in host_modules:
        fake_host.module(name).__spec__ = importlib.machinery.ModuleSpec(name, None)
    host.kind.cache_clear()
    x, none = (types.SimpleNamespace(filename=f"/l/{name}.safetensors") for name in ("x", "none"))
    fake_host.module(
        "networks",
        available_networks={"x": x, "none": none},
        available_network_aliases={"x": x, "trained as": x, "none": x},
        forbidden_network_aliases={"none": 1},
    )
    p = P()
    vars(p).update(all_prompts=prompts, batch_size=len(prompts))
    (record,) = make_records(p, {}, 0.0, 0.0)
    assert {each["name"]: each["weight"] for each in record["loras"]} == expected


def test_choices_of_the_wrong_kind_are_taken_from_the_settings(setup: Setup) -> None:
    assert hooks.read_choice((), setup.settings) == Choice(True, True)
    assert hooks.read_choice((None, "yes"), setup.settings) == Choice(True, True)
    assert hooks.read_choice((False, False), setup.settings) == Choice(False, False)


def test_a_refusal_is_not_tried_again(fake_host: Any, serve: Callable[[Any], str]) -> None:
    app = FastAPI()
    app.add_api_route("/api/v1/generations", lambda: Response("no", 422), methods=["POST"])
    recorder = Recorder(Client(lambda endpoint=Endpoint(serve(app), "t"): endpoint))  # type: ignore[misc]
    recorder.add({"uuid": "1"})
    wait_for(lambda: len(recorder) == 0)


def test_proxies_of_the_environment_are_not_used(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    client = client_module.open_client(setup.endpoint)  # type: ignore[arg-type]
    assert client.post("generations", json={"uuid": "p"}).status_code == 201
