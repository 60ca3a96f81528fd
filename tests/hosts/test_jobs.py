"""Jobs of other kinds than one image of one prompt: several batches, img2img, scripts that make many jobs, jobs that are stopped."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator

import pytest
from host_files import LANTERN, LANTERN_WORDS, RIVER, RIVER_WORDS
from host_process import Host, Kind
from PIL import Image
from waiting import wait_until

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from host_page import HostPage, launch  # noqa: E402
from playwright.sync_api import expect, sync_playwright  # noqa: E402

pytestmark = pytest.mark.timeout(400)
DRAW = "<lora:?name:plain:0.2-0.8>"
SCRIPTS = {
    "sdnext": ("Prompts from file", [False, False]),
    "a1111": ("Prompts from file or textbox", [False, False, "start"]),
}


@pytest.fixture(autouse=True)
def begin_anew(host: Host) -> None:
    """The records of the test before have arrived."""
    if host.kind.theme != "Standard":
        pytest.skip("jobs are the same whatever the theme is")
    host.settled_records()


@pytest.fixture
def stopping(host: Host) -> Iterator[None]:
    """Prompts with an error stop the job."""
    settings = "lora-manager/api/v1/settings"
    host.client.patch(settings, json={"before_generating": "stop"}).raise_for_status()
    yield
    host.client.patch(settings, json={"before_generating": "fix"}).raise_for_status()


def composed(host: Host, prompt: str, seed: int) -> str:
    """What the sidecar makes of a prompt for an image of this seed."""
    told = host.api("prompts/host")
    body = {"prompt": prompt, "seed": seed, "add_trigger_words": True, **told}
    answer = host.client.post("lora-manager/api/v1/prompts/compose", json=body)
    answer.raise_for_status()
    return str(answer.json()["prompt"])


def pixels(encoded: str) -> bytes:
    with Image.open(io.BytesIO(base64.b64decode(encoded.split(",")[-1]))) as image:
        return image.convert("RGB").tobytes()


def apart(one: bytes, other: bytes) -> float:
    """How far two pictures are from each other, 0 to 255 a colour; the same sum in another order is not quite the same."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


def white() -> str:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(picture, "PNG")
    return base64.b64encode(picture.getvalue()).decode()


def test_every_batch_draws_by_the_seed_that_its_image_names(host: Host) -> None:
    """The second pass: only at the last moment has every image its seed."""
    before = host.settled_records()
    made = host.generate(f"a dog {DRAW}", n_iter=3, seed=11)
    wanted = [composed(host, f"a dog {DRAW}", seed) for seed in (11, 12, 13)]
    assert len(set(wanted)) > 1, "the seeds of this test draw differently"
    images = [text for text in made["infotexts"] if "Seed: " in text][-3:]  # a grid's comes first
    assert [text.splitlines()[0] for text in images] == wanted
    host.wait_for_records(before + 3)
    assert [each["prompt"] for each in host.records()[:3]] == wanted[::-1]
    assert all(len(each["loras"]) == 1 for each in host.records()[:3])


def test_img2img_is_composed_and_recorded(host: Host) -> None:
    before = host.settled_records()
    made = host.generate(f"a boat <lora:{RIVER}>", "img2img", init_images=[white()], denoising_strength=0.9)
    assert RIVER_WORDS in made["infotext"] and f"<lora:{RIVER}:0.7>" in made["infotext"]
    host.wait_for_records(before + 1)
    record = host.records()[0]
    assert record["kind"] == "img2img"
    assert [(each["name"], each["weight"]) for each in record["loras"]] == [(RIVER, 0.7)]


@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_a_list_of_prompts_is_a_job_for_each(host: Host, tab: str) -> None:
    """The host's own script copies one job for every line."""
    if host.kind.simulated:
        pytest.skip("the simulator has no selectable scripts")
    name, arguments = SCRIPTS[host.kind.grammar]
    lines = ["a hill", f"a boat <lora:{RIVER}:0.5>", f"a street <lora:{LANTERN.upper()}>"]
    more = {"init_images": [white()], "denoising_strength": 0.9} if tab == "img2img" else {}
    before = host.settled_records()
    host.generate("", tab, script_name=name, script_args=[*arguments, "\n".join(lines)], **more)
    host.wait_for_records(before + 3)
    records = host.records()[: host.settled_records() - before][::-1]
    assert [each["kind"] for each in records] == 3 * [tab]
    assert [[(one["name"], one["weight"]) for one in each["loras"]] for each in records] == [
        [],
        [(RIVER, 0.5)],
        [(LANTERN, 1.0)],
    ]
    words = [
        [each for each in (RIVER_WORDS, LANTERN_WORDS) if each in record["prompt"]] for record in records
    ]
    assert words == [[], [RIVER_WORDS], [LANTERN_WORDS]]


def test_sdnext_keeps_the_weight_of_the_job_before_and_that_is_told(
    kind: Kind, start: Callable[..., Host]
) -> None:
    """With its options as they come (LoRAs fused into the model, one kept in memory)."""
    if kind.name != "sdnext":
        pytest.skip("only SDNext does so")
    host = start()
    quiet = "a quiet valley"
    strong, weak = (f"{quiet} <lora:plain_1:{weight}>" for weight in (4, 0.5))
    true = pixels(host.generate(weak)["images"][0])
    host.set_option("lora_fuse_native", True)
    host.generate(quiet)
    wait_until(lambda: host.api("prompts/host")["facts"]["options"]["lora_fuse_native"] is True, 30, 1)
    fused = pixels(host.generate(strong)["images"][0])
    host.wait_for_records(3)
    told = host.client.post("lora-manager/api/v1/prompts/lint", json={"prompt": weak}).json()["problems"]
    assert [each["message"] for each in told if "will keep plain_1 at 4" in each["message"]]
    kept = pixels(host.generate(weak)["images"][0])
    assert apart(kept, fused) < apart(kept, true) / 10, (
        "if this fails SDNext has mended it: then nothing is to be told any more"
    )


def test_a_stopped_job_makes_nothing_and_says_why(host: Host, stopping: None) -> None:
    before = host.settled_records()
    made = host.generate("a boat <lora:no_such_lora_at_all:1>", n_iter=2)
    assert made["images"] == []
    assert made["told"]["LoRA Manager"] == "stopped. There is no LoRA 'no_such_lora_at_all'."
    again = host.generate(f"a boat <lora:{RIVER}:1>")
    assert len(again["images"]) == 1 and RIVER_WORDS in again["infotext"], "the next job is as ever"
    host.wait_for_records(before + 1)
    assert [RIVER in each["prompt"] for each in host.records()[: host.settled_records() - before]] == [True]


def test_the_page_says_why_a_job_was_stopped(host: Host, stopping: None) -> None:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = HostPage(host, browser)
        page.type_prompt("a boat <lora:no_such_lora_at_all:1>")
        page.page.locator("#txt2img_generate").first.click()
        reason = "nothing was generated. There is no LoRA 'no_such_lora_at_all'."
        expect(page.page.get_by_text(reason).first).to_be_visible(timeout=30_000)
        browser.close()
