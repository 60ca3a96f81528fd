"""javascript/lora_manager.js in a real browser, in a page that has what hosts' pages have, with a frame that listens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

SCRIPT = Path(__file__).resolve().parents[2] / "javascript" / "lora_manager.js"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
SITE = "http://host.test/sub/"
BOX = '<div id="{0}_{1}prompt"><label><textarea></textarea></label></div>'
HOST_PAGE = f"""<!doctype html><body style="background:#111;color:#eee">
<nav><button onclick="show('txt2img')">txt2img</button><button onclick="show('control')">control</button>
<button onclick="show('lora')">LoRA Manager</button></nav>
<div class="tab" id="txt2img">{BOX.format("txt2img", "")}{BOX.format("txt2img", "neg_")}</div>
<div class="tab" id="control" style="display:none">{BOX.format("control", "")}</div>
<div class="tab" id="lora" style="display:none"><div id="lora_manager_box"><iframe id="lora_manager_frame"></iframe></div></div>
<script>
const heard = [];
function gradioApp() {{ return document; }}
function updateInput(e) {{ heard.push(e.parentElement.parentElement.id); }}
function show(id) {{ for (const tab of document.querySelectorAll(".tab")) tab.style.display = tab.id === id ? "" : "none"; }}
</script><script defer src="/lora_manager.js"></script>"""
FRAME_PAGE = """<!doctype html><script>
const got = [];
addEventListener("message", (event) => got.push(event.data));
const say = (message) => parent.postMessage({ app: "lora-manager", ...message }, location.origin);
say({ type: "hello" });
</script>"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-quic"]
            )
        except playwright_api.Error as error:
            pytest.skip(f"no Chromium: {error}")
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    page.set_default_timeout(4000)
    answers = {
        SITE: (HOST_PAGE, "text/html"),
        f"{SITE}lora-manager/": (FRAME_PAGE, "text/html"),
        "http://host.test/lora_manager.js": (SCRIPT.read_text("utf-8"), "text/javascript"),
    }

    def answer(route: Any) -> None:
        body, kind = answers.get(route.request.url, ("", "text/html"))
        route.fulfill(body=body, content_type=kind)

    page.route("**/*", answer)
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(SITE)
    yield page
    page.close()
    assert failures == []


def open_app(page: Any) -> Any:
    """Click on the tab; the frame, once it has been answered."""
    page.click("text=LoRA Manager")
    page.wait_for_function("document.querySelector('#lora_manager_frame').src")
    frame = next(each for each in wait_frames(page) if each.url.endswith("lora-manager/"))
    frame.wait_for_function("got.length >= 2")
    return frame


def wait_frames(page: Any) -> list[Any]:
    page.wait_for_function("frames.length === 1 && frames[0].location.href.endsWith('lora-manager/')")
    return list(page.frames)


def prompt(page: Any, name: str = "txt2img") -> str:
    return str(page.input_value(f"#{name}_prompt textarea", timeout=2000))


def said(frame: Any, kind: str) -> Any:
    return frame.evaluate("(kind) => got.filter((message) => message.type === kind).at(-1)", kind)


def test_the_app_is_loaded_when_its_tab_is_first_seen_below_any_sub_path(page: Any) -> None:
    page.wait_for_timeout(700)
    assert page.get_attribute("#lora_manager_frame", "src") is None
    open_app(page)
    assert page.get_attribute("#lora_manager_frame", "src") == f"{SITE}lora-manager/"
    box = page.locator("#lora_manager_frame").bounding_box()
    assert box["y"] + box["height"] > 0.95 * page.viewport_size["height"]


def test_hello_is_answered_with_host_theme_target_and_prompt(page: Any) -> None:
    page.fill("#txt2img_prompt textarea", "a cat <lora:x:0.5>, <lora:y>")
    frame = open_app(page)
    host = {"app": "lora-manager", "type": "host", "host": "sdnext", "dark": True, "target": "txt2img"}
    assert said(frame, "host") == {**host, "targets": ["txt2img", "control"]}
    assert said(frame, "prompt")["loras"] == [{"name": "x", "weight": 0.5}, {"name": "y", "weight": None}]
    assert said(frame, "prompt")["words_text"].startswith("a cat")


@pytest.mark.parametrize(
    ("before", "words"),
    [("", []), ("", ["word"]), ("a cat", ["word", "cat"]), ("a cat, ", []), ("x <lora:other:1>\n", ["word"])],
)
def test_a_second_click_takes_out_exactly_what_the_first_put_in(
    page: Any, before: str, words: list[str]
) -> None:
    page.fill("#txt2img_prompt textarea", before)
    frame = open_app(page)
    insert = {"type": "insert", "name": "a (b) [c].d", "weight": 0.7, "words": words}
    frame.evaluate("(message) => say(message)", insert)
    page.wait_for_function("heard.length === 1")
    assert "<lora:a (b) [c].d:0.7>" in prompt(page) and prompt(page).startswith(before)
    assert ("word" in prompt(page)) == bool(words) and prompt(page).count("cat") <= 1
    frame.wait_for_function(
        "got.at(-1).type === 'prompt' && got.at(-1).loras.some((lora) => lora.weight === 0.7)"
    )
    frame.evaluate("say({ type: 'remove', name: 'a (b) [c].d' })")
    page.wait_for_function("heard.length === 2")
    assert prompt(page) == before


def test_a_tag_typed_by_hand_is_removed_with_one_separator(page: Any) -> None:
    page.fill("#txt2img_prompt textarea", "a <lora:x:0.5>, b, <lora:x:1:2>, <lora:xy:1>")
    frame = open_app(page)
    frame.evaluate("say({ type: 'remove', name: 'x' })")
    page.wait_for_function("heard.length === 1")
    assert prompt(page) == "a, b, <lora:xy:1>"


def test_a_lora_that_is_there_is_not_inserted_twice(page: Any) -> None:
    page.fill("#txt2img_prompt textarea", "<lora:x:0.5>")
    frame = open_app(page)
    frame.evaluate("say({ type: 'insert', name: 'x', weight: 1 }); say({ type: 'text', text: 'word' })")
    page.wait_for_function("heard.length === 1")
    assert prompt(page) == "<lora:x:0.5>, word"


def test_trigger_words_come_and_go(page: Any) -> None:
    page.fill("#txt2img_prompt textarea", "a cat")
    frame = open_app(page)
    for expected in ("a cat, red hair", "a cat"):
        frame.evaluate("say({ type: 'text', text: 'red hair' })")
        page.wait_for_function(
            "(text) => document.querySelector('#txt2img_prompt textarea').value === text", arg=expected
        )
    frame.evaluate("say({ type: 'negative', text: 'blurry' })")
    page.wait_for_function("document.querySelector('#txt2img_neg_prompt textarea').value === 'blurry'")


def test_the_prompt_used_last_is_written_to(page: Any) -> None:
    page.click("nav >> text=control")
    page.wait_for_timeout(400)
    frame = open_app(page)
    assert said(frame, "host")["target"] == "control"
    frame.evaluate("say({ type: 'insert', name: 'x', weight: null })")
    page.wait_for_function("heard.length === 1")
    assert page.evaluate("document.querySelector('#control_prompt textarea').value") == "<lora:x:1>"
    page.click("text=txt2img")
    page.click("text=LoRA Manager")
    frame.wait_for_function("got.filter((message) => message.type === 'host').at(-1).target === 'txt2img'")


def test_a_change_made_by_the_host_is_told(page: Any) -> None:
    frame = open_app(page)
    page.evaluate("document.querySelector('#txt2img_prompt textarea').value = 'set <lora:z:1> by script'")
    frame.wait_for_function("got.at(-1).type === 'prompt' && got.at(-1).loras[0]?.name === 'z'")


def test_messages_of_others_are_ignored(page: Any) -> None:
    frame = open_app(page)
    page.evaluate("postMessage({ app: 'lora-manager', type: 'insert', name: 'x', weight: 1 }, '*')")
    frame.evaluate(
        "parent.postMessage({ type: 'insert', name: 'x', weight: 1 }, '*'); parent.postMessage(null, '*')"
    )
    page.wait_for_timeout(200)
    assert page.evaluate("heard") == []


def test_one_name_is_added_to_the_page(page: Any) -> None:
    assert page.evaluate("typeof loraManager.insert") == "function"
    assert page.evaluate("['TAG', 'APP', 'insert', 'frame', 'look'].filter((name) => name in window)") == []
