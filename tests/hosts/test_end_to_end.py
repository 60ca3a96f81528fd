"""From the tab to the record, on every host at hand: find a LoRA, insert it, generate, see what was made with what."""

from __future__ import annotations

import base64
import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from host_files import LANTERN, LANTERN_WORDS, RIVER, RIVER_WORDS
from host_process import Host, is_running
from PIL import Image
from waiting import wait_until

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from host_page import HostPage, launch  # noqa: E402
from playwright.sync_api import Browser, expect, sync_playwright  # noqa: E402

pytestmark = pytest.mark.timeout(400)
EMPTY = """(tab) => {
  const box = document.querySelector(`#${tab}_prompt textarea`);
  if (!box?.value) return;
  box.value = "";
  updateInput(box);
}"""
RIVER_TAG = f"<lora:{RIVER}:0.7>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture(scope="module")
def opened(host: Host, browser: Browser) -> Iterator[HostPage]:
    page = HostPage(host, browser)
    yield page
    page.close()


@pytest.fixture
def page(opened: HostPage) -> HostPage:
    """The host's page, our tab open, prompts and search empty."""
    for tab in ("img2img", "control", "txt2img"):
        opened.page.evaluate(EMPTY, tab)
    opened.open_app()
    opened.frame.locator("#search").fill("")
    return opened


def infotext_of(record: dict[str, Any]) -> str:
    """The parameters that stand in the record's image itself."""
    with Image.open(record["images"][0]) as image:
        if image.format == "PNG":
            return str(image.text["parameters"])
        comment: bytes = image.getexif().get_ifd(0x8769)[
            0x9286
        ]  # EXIF's UserComment, which names its encoding
        return comment.removeprefix(b"UNICODE\0").decode("utf-16-be")


def test_tab_shows_the_library_on_the_whole_page(page: HostPage, shots: Path | None) -> None:
    expect(page.cards).to_have_count(12)
    page.shot(shots, "tab")
    area = page.frame_area()
    width, height = area["window"]
    assert height - 170 <= area["bottom"] <= height, area
    share = (
        0.5 if page.host.kind.theme == "Modern" else 0.85
    )  # the Modern UI keeps a pane of its own on the right
    assert area["right"] - area["left"] > share * width, area
    assert area["page"] <= 1 and area["app"] <= 1, f"two scroll bars: {area}"
    assert page.errors == []


def test_search_finds_by_title_and_by_trigger_word(page: HostPage) -> None:
    page.search("river ink", 1)
    expect(page.cards.first).to_contain_text("River Ink")
    page.search("glowing", 1)
    expect(page.cards.first).to_contain_text("Paper Lantern")


def test_click_inserts_into_the_prompt_and_a_second_click_removes(page: HostPage, shots: Path | None) -> None:
    page.type_prompt("a boat")
    page.open_app()
    page.search("river", 1)
    page.press_card()
    wait_for_text(page, f"a boat {RIVER_TAG}")
    expect(page.cards.first.locator(".marker")).to_have_text("0.7")
    page.open_tab(page.tab)
    page.page.wait_for_timeout(300)
    page.shot(shots, "prompt")
    page.open_app()
    page.press_card()
    wait_for_text(page, "a boat")


def test_click_goes_to_the_box_that_was_used_last(page: HostPage) -> None:
    if page.host.kind.theme == "Modern":
        pytest.skip("the Modern UI has its img2img boxes inside of another view")
    page.type_prompt("a hill", "img2img")
    page.open_app()
    page.search("lantern", 1)
    page.press_card()
    wait_for_text(page, f"a hill <lora:{LANTERN}:1>", "img2img")
    assert page.text("txt2img") == ""


def test_generating_in_the_page_leaves_words_and_lora_in_image_and_record(page: HostPage) -> None:
    page.type_prompt("a boat")
    page.open_app()
    page.search("river", 1)
    page.press_card()
    wait_for_text(page, f"a boat {RIVER_TAG}")
    page.open_tab(page.tab)
    page.generate()
    record = page.host.records()[0]
    assert record["prompt"] == f"a boat {RIVER_TAG}, {RIVER_WORDS}"
    assert used_loras(record) == {RIVER: 0.7}
    assert record["kind"] == page.tab and not record["interrupted"]
    text = infotext_of(record)
    assert RIVER_WORDS in text and RIVER_TAG in text and "LoRA Manager" in text
    used = page.host.api("loras", q="river")["items"][0]
    assert used["used"] >= 1
    assert page.text() == f"a boat {RIVER_TAG}", "what was typed stays as it is"


def test_generating_over_the_api_is_composed_and_recorded(host: Host) -> None:
    before = len(host.records())
    made = host.generate(f"a street <lora:{LANTERN.upper()}>")
    assert f"<lora:{LANTERN}:1>" in made["infotext"] and LANTERN_WORDS in made["infotext"]
    wait_until(lambda: len(host.records()) == before + 1)
    record = host.records()[0]
    assert used_loras(record) == {LANTERN: 1.0}
    assert (record["seed"], record["steps"]) == (7, 1)
    assert record["duration"] > 0 and record["checkpoint"] and record["sampler"]


def test_unknown_lora_is_left_out_and_the_other_still_works(host: Host) -> None:
    """On the A1111 line one unknown name switches every LoRA off; SDNext reads its whole folder again for it."""
    prompt = f"a boat, {RIVER_WORDS}"
    without = host.generate(prompt)["images"][0]
    with_lora = host.generate(f"{prompt} <lora:{RIVER}:1>")["images"][0]
    made = host.generate(f"{prompt} <lora:{RIVER}:1><lora:no_such_lora:1>")
    assert "<lora:no_such_lora" not in made["infotext"]
    assert made["images"][0] != without, "the LoRA has taken effect"
    assert pixels(made["images"][0]) == pixels(with_lora)


def test_trigger_words_can_be_switched_off_beside_the_prompt(page: HostPage) -> None:
    if page.tab == "control":
        pytest.skip("Control shows no scripts of extensions, so our switch is not there")
    page.type_prompt(f"a boat <lora:{RIVER}:1>")
    switch = page.page.locator("#lora_manager_txt2img_trigger_words input")
    switch.evaluate("box => box.click()")  # its accordion is closed
    page.generate()
    switch.evaluate("box => box.click()")
    assert RIVER_WORDS not in infotext_of(page.host.records()[0])


def test_recording_can_be_switched_off_in_the_settings(host: Host) -> None:
    host.generate("a boat")
    before = host.settled_records()
    host.set_option("lora_manager_record", False)
    try:
        host.generate("a quiet boat")
    finally:
        host.set_option("lora_manager_record", True)
    host.generate("a loud boat")
    wait_until(lambda: len(host.records()) > before)
    assert [each["prompt"] for each in host.records()[: len(host.records()) - before]] == ["a loud boat"]


def test_control_tab_is_composed_and_recorded(page: HostPage) -> None:
    """SDNext runs no scripts of extensions there; the callbacks have to do."""
    if page.host.kind.grammar != "sdnext":
        pytest.skip("the A1111 line has no Control tab")
    page.type_prompt(f"a boat <lora:{RIVER}:0.5>", "control")
    page.generate("control")
    record = page.host.records()[0]
    assert record["kind"] == "control"
    assert RIVER_WORDS in record["prompt"]
    assert used_loras(record) == {RIVER: 0.5}


def test_interrupted_generation_is_recorded_as_such(host: Host) -> None:
    if not host.kind.simulated:
        pytest.skip("a tiny model is done before it can be interrupted")
    before = len(host.records())
    job = threading.Thread(target=host.generate, args=(f"a boat <lora:{RIVER}:1>",), kwargs={"steps": 200})
    job.start()
    time.sleep(0.5)
    host.client.post("sdapi/v1/interrupt").raise_for_status()
    job.join(20)
    wait_until(lambda: len(host.records()) == before + 1)
    assert host.records()[0]["interrupted"]


def test_killed_sidecar_costs_no_generation_and_comes_back(page: HostPage) -> None:
    """One generation as typed while it is gone, one that is composed again once it is back; both are recorded."""
    host = page.host
    before, old = len(host.records()), host.sidecar_pid
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: not is_running(old))
    made = host.generate(f"a boat <lora:{RIVER}:1>")
    assert f"<lora:{RIVER}:1>" in made["infotext"]
    wait_until(lambda: is_running(host.sidecar_pid) and host.sidecar_pid != old, 30)
    wait_until(lambda: host.client.get("lora-manager/api/v1/health").status_code == 200, 30)
    again = host.generate(f"a street <lora:{LANTERN}:1>")
    assert LANTERN_WORDS in again["infotext"]
    wait_until(lambda: len(host.records()) >= before + 2, 30)
    assert LANTERN_WORDS in host.records()[0]["prompt"]
    page.search("lantern", 1)  # the open page has found its way back, too


def test_host_knows_a_renamed_lora_by_its_new_name_at_once(host: Host) -> None:
    """Renamed through the app; the host's own list follows by itself, and the LoRA takes effect under the new name."""
    lora = host.api("loras", q="name:plain_7")["items"][0]
    prompt = "a quiet valley"
    without = pixels(host.generate(prompt)["images"][0])
    before = pixels(host.generate(f"{prompt} <lora:plain_7:1>")["images"][0])
    rename(host, lora["id"], "plain renamed")
    try:
        wait_until(lambda: "plain renamed" in names_known(host), 60, host.kind.pause)
        assert "plain_7" not in names_known(host)
        after = host.generate(f"{prompt} <lora:plain renamed:1>")
        assert "<lora:plain renamed:1>" in after["infotext"]
        assert pixels(after["images"][0]) != without
        if not host.kind.simulated:  # whose pictures are made from the name
            assert pixels(after["images"][0]) == before
    finally:
        rename(host, lora["id"], "plain_7")
    wait_until(lambda: "plain_7" in names_known(host), 60, host.kind.pause)


def rename(host: Host, lora_id: int, name: str) -> None:
    host.client.post(f"lora-manager/api/v1/loras/{lora_id}/rename", json={"name": name}).raise_for_status()


def names_known(host: Host) -> set[str]:
    """The LoRAs in the host's list as it is, without a look at its folder."""
    answer = host.client.get("sdapi/v1/loras")
    answer.raise_for_status()
    return {Path(each["path"]).stem for each in answer.json()}


def test_other_sites_are_kept_out(host: Host) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert host.client.get("lora-manager/api/v1/loras", headers=headers).status_code == 403, headers
    own = {"Origin": f"http://{host.client.base_url.netloc.decode()}"}
    assert host.client.get("lora-manager/api/v1/loras", headers=own).status_code == 200


def used_loras(record: dict[str, Any]) -> dict[str, float]:
    return {each["name"]: each["weight"] for each in record["loras"]}


def wait_for_text(page: HostPage, text: str, tab: str = "") -> None:
    expect(page.prompt(tab)).to_have_value(text)


def pixels(encoded: str) -> bytes:
    """A base64 PNG's picture, without the texts that stand in the file."""
    with Image.open(io.BytesIO(base64.b64decode(encoded.split(",")[-1]))) as image:
        return image.convert("RGB").tobytes()
