"""A job's prompts on their way through a host: sets, draws by seed, what styles bring, jobs that are stopped."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jobs import ComposingSidecar, Made, P, run_a1111, run_sdnext
from until import wait_for

from extension.client import Client, Endpoint
from extension.composition import PARAMETER, SETS_PARAMETER
from extension.generation import Generations
from extension.records import Recorder
from extension.settings import Settings

Run = Callable[[Any], Made]


@pytest.fixture
def sidecar() -> ComposingSidecar:
    return ComposingSidecar()


@pytest.fixture
def generations(fake_host: Any, serve: Callable[[Any], str], sidecar: ComposingSidecar) -> Generations:
    endpoint = Endpoint(serve(sidecar.app), "t")
    client = Client(lambda: endpoint)
    settings = Settings((), Path("/nowhere"), "", "", True, True, False, ())
    return Generations(client, Recorder(client), lambda: settings)


@pytest.fixture(params=["sdnext", "a1111"])
def run(request: pytest.FixtureRequest, fake_host: Any, generations: Generations) -> Run:
    """A job on each of the two families."""
    if request.param == "sdnext":
        fake_host.be_sdnext()
        return lambda p: run_sdnext(p, fake_host, generations)
    return lambda p: run_a1111(p, fake_host, generations)


def drawn(made: Made) -> list[str]:
    """The first LoRA of each image's prompt."""
    return [prompt.split("<lora:")[1].split(":")[0] for prompt in made.prompts]


def test_a_set_in_the_prompt_is_named_in_the_image(run: Run, sidecar: ComposingSidecar) -> None:
    p = P("a cat <set:Pair:0.7>")
    made = run(p)
    assert made.prompts == ["a cat <lora:one:0.5> <lora:two:0.5>, word"]
    assert vars(p)["all_negative_prompts"] == ["bad, blurred"]
    assert made.images[0][2] == {PARAMETER: "Added word.", SETS_PARAMETER: "Pair v2 (0.7)"}
    assert len(sidecar.asked) == 1, "what came back is not asked again"


def test_a_prompt_without_tags_is_asked_for_once_and_keeps_its_random_seed(
    run: Run, sidecar: ComposingSidecar
) -> None:
    p = P("a cat <lora:plain:1>, word", seed=-1)
    run(p)
    assert p.seed == -1 and len(sidecar.asked) == 1


def test_facts_of_the_host_come_with_each_prompt(run: Run, sidecar: ComposingSidecar) -> None:
    run(P("a cat", batch_size=2, n_iter=3))
    facts = sidecar.asked[0]["facts"]
    assert (facts["batch_size"], facts["n_iter"], facts["comments"]) == (2, 3, False)
    assert set(facts) >= {"checkpoint_base", "options", "extensions", "lora_dir"}


def test_a_draw_has_the_seed_that_the_image_names(run: Run, sidecar: ComposingSidecar) -> None:
    made = run(P("a dog <lora:?tag:x>", seed=-1))
    prompt, seed, parameters = made.images[0]
    assert seed == sidecar.asked[0]["seed"] != -1
    assert prompt == f"a dog <lora:n{seed % 3}:1>, word"
    assert f"drew n{seed % 3}" in parameters[PARAMETER]


@pytest.mark.parametrize("text", ["<lora:?tag:x>", "<set:Drawn>"])
def test_every_image_draws_by_its_own_seed(run: Run, sidecar: ComposingSidecar, text: str) -> None:
    p = P(f"a dog {text}", n_iter=3, seed=9)
    made = run(p)
    assert drawn(made) == ["n0", "n1", "n2"]
    assert [seed for _, seed, _ in made.images] == [9, 10, 11]
    assert p.prompt == f"a dog {text}", "for a next job with the same fields"


def test_an_images_parameters_speak_of_its_own_draw(run: Run) -> None:
    made = run(P("a dog <lora:?tag:x>", n_iter=3, seed=9))
    told = [parameters[PARAMETER] for _, _, parameters in made.images]
    assert [[n for n in ("n0", "n1", "n2") if n in each] for each in told] == [["n0"], ["n1"], ["n2"]]


def test_one_lora_at_two_weights_is_told_apart(run: Run) -> None:
    made = run(P("a dog <lora:?heavy>", n_iter=2, seed=[1, 15]))
    assert [parameters[PARAMETER] for _, _, parameters in made.images] == [
        "?heavy drew n0 at 1; Added word.",
        "?heavy drew n0 at 15; Added word.",
    ]


def test_a_folder_of_images_draws_for_each(run: Run) -> None:
    """img2img's batch: one `p`, a job for each file. SDNext takes away what was spread."""
    p = P("a dog <lora:?heavy>", seed=-1)
    made = []
    for _ in range(3):
        vars(p).update(all_prompts=None, all_negative_prompts=None, all_seeds=None)
        made.append(run(p).images[0])
    assert len({seed for _, seed, _ in made}) == 3 and p.seed == -1
    assert all(prompt == f"a dog <lora:n0:{seed}>, word" for prompt, seed, _ in made)


def test_sdnext_keeps_draw_and_seed_over_the_inputs_of_control(
    fake_host: Any, generations: Generations
) -> None:
    fake_host.be_sdnext()
    p = P("a dog <lora:?heavy>", seed=-1)
    first, second = (run_sdnext(p, fake_host, generations) for _ in range(2))
    assert first.images == second.images


def test_a_batch_shares_the_draw_of_its_first_image(run: Run, sidecar: ComposingSidecar) -> None:
    made = run(P("a dog <lora:?tag:x>", n_iter=2, batch_size=2, seed=9))
    assert drawn(made) == ["n0", "n0", "n2", "n2"]
    assert sidecar.asked[-1]["seed"] == [9, 11], "each different one is asked for once"
    assert sidecar.asked[-1]["facts"]["batch_size"] == 1, "and they are no batch"


def test_one_batch_draws_once(run: Run, sidecar: ComposingSidecar) -> None:
    made = run(P("a dog <lora:?tag:x>", batch_size=3, seed=9))
    assert drawn(made) == 3 * ["n0"] and len(sidecar.asked) == 1


def test_images_that_draw_differently_are_recorded_each(run: Run, sidecar: ComposingSidecar) -> None:
    run(P("a dog <lora:?tag:x>", n_iter=3, seed=9))
    records = wait_for(lambda: len(sidecar.records) == 3 and sidecar.records)
    assert [each["loras"][0]["name"] for each in records] == ["n0", "n1", "n2"]
    assert [(each["seed"], each["images"]) for each in records] == [
        (9, ["/out/0.png"]),
        (10, ["/out/1.png"]),
        (11, ["/out/2.png"]),
    ]


def test_a_set_that_a_style_brings_is_expanded(run: Run, sidecar: ComposingSidecar) -> None:
    p = P("a cat", styled=True, style="{prompt}, styled <set:Pair>")
    made = run(p)
    assert made.prompts == ["a cat, styled <lora:one:0.5> <lora:two:0.5>, word"]
    assert p.all_negative_prompts == ["bad, blurred"]  # type: ignore[attr-defined]
    assert made.images[0][2][SETS_PARAMETER] == "Pair v2" and p.prompt == "a cat"
    assert [each["prompt"] for each in sidecar.asked] == ["a cat", ["a cat, styled <set:Pair>"]]


def test_words_that_a_set_has_chosen_are_not_extended_by_the_second_pass(
    run: Run, sidecar: ComposingSidecar
) -> None:
    run(P("a cat <set:Pair> {<set:Other>|b}", styled=True, style="{prompt}, styled <lora:one:1>"))
    first, second = sidecar.asked
    assert "words_done" not in first
    assert second["words_done"] == ["one", "two"], (
        "what stands in alternatives gets its words once it is chosen"
    )


def test_words_of_a_prompt_without_sets_stand_in_it_and_are_not_told(
    run: Run, sidecar: ComposingSidecar
) -> None:
    run(P("a cat <lora:one:1>", styled=True, style="{prompt}, styled <lora:two:1>"))
    assert len(sidecar.asked) == 2 and "words_done" not in sidecar.asked[1]


def test_a_draw_that_a_style_brings_has_the_hosts_seeds(run: Run) -> None:
    made = run(P("a dog", styled=True, style="{prompt} <lora:?tag:x>", seed=-1, n_iter=2))
    assert drawn(made) == [f"n{seed % 3}" for _, seed, _ in made.images]


def test_a_style_without_tags_costs_no_second_question(run: Run, sidecar: ComposingSidecar) -> None:
    run(P("a cat", styled=True))
    assert len(sidecar.asked) == 1


def test_what_another_extension_puts_in_is_composed(
    fake_host: Any, generations: Generations, sidecar: ComposingSidecar
) -> None:
    """Wildcards are filled in by Script.process; `p.init` comes after all of them."""
    p = P("a __pet__", batch_size=2)

    def fill_in() -> None:
        p.all_prompts = ["a cat <set:Pair>", "a dog"]  # type: ignore[attr-defined]

    generations.before(p)
    p.all_negative_prompts, p.all_seeds = ["bad", "bad"], [1, 2]  # type: ignore[attr-defined]
    fill_in()
    p.init(p.all_prompts, p.all_seeds, [])  # type: ignore[attr-defined]
    assert p.all_prompts == ["a cat <lora:one:0.5> <lora:two:0.5>, word", "a dog"]  # type: ignore[attr-defined]
    assert sidecar.asked[1]["prompt"] == ["a cat <set:Pair>", "a dog"], "the batch is judged as a whole"
    assert sidecar.asked[1]["facts"]["batch_size"] == 2


def test_the_hosts_own_init_runs_once_with_the_new_prompts(generations: Generations) -> None:
    p = P("a cat <set:Pair>")
    given: list[Any] = []
    p.init = lambda *arguments: given.append(arguments)  # type: ignore[method-assign]
    theirs = p.init
    generations.before(p)
    p.all_prompts, p.all_negative_prompts, p.all_seeds = ["x <set:Pair>"], ["bad"], [1]  # type: ignore[attr-defined]
    p.init(p.all_prompts, p.all_seeds, [])  # type: ignore[attr-defined]
    assert [each[0] for each in given] == [["x <lora:one:0.5> <lora:two:0.5>, word"]]
    assert p.init is theirs, "another extension's stand-in stays"


def test_a_copy_of_a_job_does_not_speak_for_the_original(generations: Generations) -> None:
    p = P("a cat <lora:x:1>")
    generations.before(p)
    other = copy.copy(p)
    other.prompt = "a dog <lora:x:1>"
    generations.before(other)
    other.init(["a dog"], [1], [])
    assert vars(other)["began"] and "began" not in vars(p)


def test_prompts_of_a_batch_given_as_a_list_draw_each_by_its_seed(
    fake_host: Any, generations: Generations, sidecar: ComposingSidecar
) -> None:
    fake_host.be_sdnext()
    made = run_sdnext(P(["a <lora:?q>", "b <lora:?q>", "c"], n_iter=3, seed=9), fake_host, generations)
    assert made.prompts == ["a <lora:n0:1>, word", "b <lora:n1:1>, word", "c"]
    assert sidecar.asked[0]["seed"] == [9, 10, 11]


def test_the_second_pass_draws_as_the_first(fake_host: Any, generations: Generations) -> None:
    p = P("a dog <lora:?q>", n_iter=2, seed=9, enable_hr=True, hr_prompt="", hr_negative_prompt="")
    made = run_a1111(p, fake_host, generations)
    assert p.all_hr_prompts == p.all_prompts == ["a dog <lora:n0:1>, word", "a dog <lora:n1:1>, word"]  # type: ignore[attr-defined]
    assert [parameters["Hires prompt"] for _, _, parameters in made.images] == [None, None]


def test_each_image_names_its_own_second_pass(fake_host: Any, generations: Generations) -> None:
    p = P("a dog", n_iter=2, seed=9, enable_hr=True, hr_prompt="sharp <lora:?q>", hr_negative_prompt="")
    made = run_a1111(p, fake_host, generations)
    told = [(parameters["Hires prompt"], parameters[PARAMETER]) for _, _, parameters in made.images]
    assert told == [
        ("sharp <lora:n0:1>, word", "?q drew n0 at 1; Added word."),
        ("sharp <lora:n1:1>, word", "?q drew n1 at 1; Added word."),
    ]


def test_a_set_in_the_second_pass_keeps_the_firsts_negative_prompt(
    fake_host: Any, generations: Generations
) -> None:
    p = P("a dog", enable_hr=True, hr_prompt="sharp <set:Pair>", hr_negative_prompt="")
    run_a1111(p, fake_host, generations)
    assert vars(p)["all_hr_negative_prompts"] == ["bad, blurred"]
    assert vars(p)["all_negative_prompts"] == ["bad"]
    assert (vars(p)["hr_prompt"], vars(p)["hr_negative_prompt"]) == ("sharp <set:Pair>", "")


def test_the_grids_prompt_is_composed(fake_host: Any, generations: Generations) -> None:
    p = P("a cat", styled=True, style="{prompt} <set:Pair>")
    run_a1111(p, fake_host, generations)
    assert p.main_prompt == "a cat <lora:one:0.5> <lora:two:0.5>, word"  # type: ignore[attr-defined]


def test_sdnexts_other_prompts_are_composed_where_they_are_used(
    fake_host: Any, generations: Generations, sidecar: ComposingSidecar
) -> None:
    fake_host.be_sdnext()
    p = P(
        refiner_prompt="fine <set:Pair>",
        refiner_negative="",
        detailer_enabled=True,
        detailer_prompt="a face <lora:x:1>\n[PROMPT]",
        hr_prompt="<set:Pair>",
        enable_hr=True,
    )
    used: dict[str, Any] = {}
    p.init = lambda *_: used.update(vars(p))  # type: ignore[method-assign]
    run_sdnext(p, fake_host, generations)
    assert used["refiner_prompt"] == "fine <lora:one:0.5> <lora:two:0.5>, word"
    assert used["refiner_negative"] == "bad, blurred"
    assert used["detailer_prompt"] == "a face <lora:x:1>, word\n[PROMPT]", "each line is for a thing found"
    assert used["hr_prompt"] == "<set:Pair>", "SDNext never reads it"
    plain = P(refiner_prompt="fine", refiner_negative="", detailer_prompt="<set:Pair>")
    asked = len(sidecar.asked)
    run_sdnext(plain, fake_host, generations)
    assert vars(plain)["detailer_prompt"] == "<set:Pair>" and len(sidecar.asked) == asked + 1


def test_a_job_is_stopped_before_its_first_step(run: Run, sidecar: ComposingSidecar, fake_host: Any) -> None:
    sidecar.stop = True
    p = P("BAD", n_iter=2)
    made = run(p)
    assert made.images == [] and vars(p)["began"], "the host's own course is kept"
    assert "BAD is bad." in made.comments and "stopped" in p.extra_generation_params[PARAMETER]
    assert run(P("good")).prompts == ["good"]
    wait_for(lambda: sidecar.records)
    assert [each["prompt"] for each in sidecar.records] == ["good"], "nothing was made by the first"


def test_a_style_can_stop_a_job(run: Run, sidecar: ComposingSidecar) -> None:
    sidecar.stop = True
    assert run(P("a cat", styled=True, style="{prompt} BAD <set:Pair>")).images == []


def test_the_page_shows_why_a_job_was_stopped(run: Run, sidecar: ComposingSidecar, fake_host: Any) -> None:
    shown: list[str] = []
    fake_host.module("gradio", Warning=shown.append)
    sidecar.stop = True
    run(P("BAD"))
    assert shown == ["LoRA Manager stopped this job, nothing was generated. BAD is bad."]


def test_a_host_without_a_last_moment_goes_on(generations: Generations, sidecar: ComposingSidecar) -> None:
    sidecar.stop = True
    p = P("BAD")
    p.init = None  # type: ignore[assignment,method-assign]
    generations.before(p)
    assert p.prompt == "BAD" and p.init is None


def old(content: dict[str, Any]) -> dict[str, Any]:
    return {"prompt": content["prompt"], "negative_prompt": content.get("negative_prompt", ""), "notes": []}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"notes": [{"level": "fatal", "message": "new"}, {"message": None}, "text"], "stop": "perhaps"},
        {"notes": "x", "sets": [{"id": 1}, 5], "draws": None},
        {"sets": None, "stop": 1},
    ],
)
def test_an_older_or_newer_sidecar_does_no_harm(
    run: Run, sidecar: ComposingSidecar, generations: Generations, monkeypatch: pytest.MonkeyPatch, more: Any
) -> None:
    monkeypatch.setattr(generations._client, "post", lambda path, content, seconds: old(content) | more)
    made = run(P("a cat", styled=True, style="{prompt} <set:Pair>", n_iter=2))
    assert made.prompts == 2 * ["a cat <set:Pair>"]


@pytest.mark.parametrize(
    "answer", [[], {}, {"prompt": ["one", "two"], "negative_prompt": ["", ""]}, {"prompt": 5}]
)
def test_an_answer_of_another_length_changes_nothing(
    run: Run, generations: Generations, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    told: list[str] = []
    monkeypatch.setattr("extension.generation.log.warning", lambda text, *values: told.append(text % values))
    monkeypatch.setattr(
        generations._client,
        "post",
        lambda path, content, seconds: old(content) if isinstance(content["prompt"], str) else answer,
    )
    assert run(P("a cat", styled=True, style="{prompt} <set:Pair>")).prompts == ["a cat <set:Pair>"]
    assert len(told) == 1 and "as typed" in told[0]


def test_a_thousand_images_are_asked_for_in_parts(
    generations: Generations, fake_host: Any, sidecar: ComposingSidecar
) -> None:
    made = run_a1111(P("a <lora:?q>", n_iter=450, seed=0), fake_host, generations)
    assert [len(each["prompt"]) for each in sidecar.asked] == [200, 200, 50]
    assert made.prompts[449] == f"a <lora:n{449 % 3}:1>, word"


def test_a_megabyte_goes_through(run: Run) -> None:
    text = "word " * 200_000
    assert run(P(f"{text}<set:Pair>")).prompts == [f"{text}<lora:one:0.5> <lora:two:0.5>"]


def test_what_is_told_in_an_image_stays_short(
    run: Run, monkeypatch: pytest.MonkeyPatch, sidecar: Any
) -> None:
    made = run(P("a " + " ".join(f"<lora:?q{i}>" for i in range(200))))
    told = made.images[0][2][PARAMETER]
    assert told.endswith("(and 191 more)") and len(told) < 500


@pytest.mark.parametrize("prompt", [None, 5, [], ["a", None]])
def test_what_is_no_prompt_is_left_alone(
    generations: Generations, sidecar: ComposingSidecar, prompt: Any
) -> None:
    p = P(prompt)
    generations.before(p)
    assert p.prompt == prompt and not sidecar.asked


def test_a_set_in_the_negative_prompt_alone_is_asked_for(
    generations: Generations, sidecar: ComposingSidecar
) -> None:
    generations.before(P("", negative_prompt="<set:Pair>"))
    assert sidecar.asked[0]["negative_prompt"] == "<set:Pair>"


def test_a_sidecar_that_is_away_leaves_the_host_its_own_init(fake_host: Any) -> None:
    client = Client(lambda: None)
    settings = Settings((), Path("/nowhere"), "", "", True, True, False, ())
    p = P("a <lora:?q>")
    Generations(client, Recorder(client), lambda: settings).before(p)
    assert "init" not in vars(p) and p.prompt == "a <lora:?q>"
