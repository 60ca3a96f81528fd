"""Completion in the host's prompt boxes, in a page like the hosts' with the scripts that they load."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lora_files import add_side_file, make_lora, picture
from playwright.sync_api import BrowserContext, Locator, Page, expect
from prompt_host import PROMPT, open_prompt_page, send, write
from web_sidecar import Sidecar, start_sidecar

LIST = ".lora-manager-complete"
NEGATIVE = "#txt2img_neg_prompt textarea"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar of three neon LoRAs and a set."""
    folder = tmp_path_factory.mktemp("completion")
    loras = folder / "Lora"
    samurai = make_lora(loras / "neon_samurai.safetensors", width=2048, modelspec__title="Glow Warrior")
    add_side_file(
        samurai, ".json", {"activation text": "n3on samurai, glowing katana", "preferred weight": 0.8}
    )
    add_side_file(samurai, ".preview.png", picture(colour="purple"))
    make_lora(loras / "neon_alley.safetensors", width=768)
    make_lora(loras / "old_neon_sign.safetensors", width=768)
    running = start_sidecar(folder / "data", loras)
    lora_id = running.ask("loras?q=neon_samurai")["items"][0]["id"]
    send(running, "POST", "sets", {"name": "Night city", "loras": [{"lora_id": lora_id}]})
    yield running
    running.stop()


@pytest.fixture
def page(library: Sidecar, desktop: BrowserContext) -> Iterator[Page]:
    """The host's page; a script error or a word in its console fails the test."""
    errors: list[str] = []
    page = desktop.new_page()
    page.set_viewport_size({"width": 1000, "height": 700})
    open_prompt_page(page, library)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if "extension/" in str(said.location) else None)
    send(library, "PUT", "prompts/host", {"host": "sdnext", "checkpoint": None, "facts": {}})
    yield page
    page.close()
    assert errors == []


def options(page: Page) -> Locator:
    return page.locator(f"{LIST} [role=option]")


def names(page: Page) -> Locator:
    return page.locator(f"{LIST} .lora-manager-complete-name")


def heard(page: Page, name: str = "txt2img_prompt") -> str:
    text: str = page.evaluate(f"window.heard['{name}']")
    return text


def nothing_opens(page: Page) -> None:
    """The list stays closed for longer than an answer takes."""
    page.wait_for_timeout(250)
    expect(page.locator(f"{LIST}:visible")).to_have_count(0)


def test_a_list_opens_at_the_tag_and_enter_takes_the_first(page: Page) -> None:
    box = write(page, "a castle, ~<lora:neon_sa")
    expect(names(page)).to_have_text(["neon_samurai"])
    expect(options(page).first).to_contain_text("Glow Warrior")
    expect(options(page).first).to_contain_text("SDXL")
    shown = options(page).first.locator("img")
    page.wait_for_function("(image) => image.complete && image.naturalWidth > 0", arg=shown.element_handle())
    page.keyboard.press("Enter")
    expect(box).to_have_value("a castle, <lora:neon_samurai:0.8>")
    assert heard(page) == "a castle, <lora:neon_samurai:0.8>"
    expect(page.locator(LIST)).to_be_hidden()
    page.keyboard.type(", b")
    expect(box).to_have_value("a castle, <lora:neon_samurai:0.8>, b")


def test_the_browsers_undo_takes_it_back(page: Page) -> None:
    box = write(page, "a castle, ~<lora:neon_sa")
    expect(names(page)).to_have_count(1)
    page.keyboard.press("Tab")
    expect(box).to_have_value("a castle, <lora:neon_samurai:0.8>")
    page.keyboard.press("Control+z")
    expect(box).to_have_value("a castle, <lora:neon_sa")
    assert heard(page) == "a castle, <lora:neon_sa"


def test_the_list_stands_under_the_tag(page: Page) -> None:
    write(page, "one\ntwo, ~<lora:neon")
    expect(names(page)).to_have_count(3)
    listed, box = page.locator(LIST).bounding_box(), page.locator(PROMPT).bounding_box()
    assert listed and box
    line, padding = 21, 11
    assert abs(listed["y"] - (box["y"] + padding + 2 * line + 2)) <= 4
    assert 30 <= listed["x"] - box["x"] - padding <= 60


def test_a_list_at_the_lower_edge_opens_upwards_and_stays_in_the_window(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 330})
    write(page, "a wall of the castle at night, ~<lora:neon", "#control_prompt textarea")
    expect(names(page)).to_have_count(3)
    listed = page.locator(LIST).bounding_box()
    assert listed
    assert listed["x"] >= 0
    assert listed["y"] >= 0
    assert listed["x"] + listed["width"] <= 390
    assert listed["y"] + listed["height"] <= 330


def test_arrows_walk_through_the_list_and_the_box_says_where(page: Page) -> None:
    box = write(page, "~<lora:neon")
    expect(names(page)).to_have_text(["neon_alley", "neon_samurai", "old_neon_sign"])
    expect(box).to_have_attribute("aria-expanded", "true")
    expect(page.locator(LIST)).to_have_attribute("role", "listbox")
    for key, index in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowDown", 0), ("ArrowUp", 2)):
        page.keyboard.press(key)
        chosen = page.locator(f"{LIST} [aria-selected=true]")
        expect(chosen).to_have_count(1)
        expect(box).to_have_attribute("aria-activedescendant", chosen.get_attribute("id") or "")
        expect(chosen).to_contain_text(names(page).nth(index).inner_text())
    page.keyboard.press("Enter")
    expect(box).to_have_value("<lora:old_neon_sign:1>")
    expect(box).to_have_attribute("aria-expanded", "false")
    assert box.get_attribute("aria-activedescendant") is None
    assert page.evaluate("window.keys.filter((key) => key.startsWith('Arrow') || key === 'Enter')") == []


def test_the_mouse_takes_too(page: Page) -> None:
    box = write(page, "~<lora:neon")
    options(page).nth(1).click()
    expect(box).to_have_value("<lora:neon_samurai:0.8>")
    expect(box).to_be_focused()


def test_escape_closes_until_another_word_begins(page: Page) -> None:
    box = write(page, "~<lora:neon")
    expect(names(page)).to_have_count(3)
    page.keyboard.press("Escape")
    expect(page.locator(LIST)).to_be_hidden()
    page.keyboard.type("_")
    nothing_opens(page)
    page.keyboard.press("Enter")
    expect(box).to_have_value("<lora:neon_\n")
    page.keyboard.type("<lora:old")
    expect(names(page)).to_have_text(["old_neon_sign"])


def test_in_a_whole_tag_only_the_name_changes(page: Page) -> None:
    box = write(page, "a <lora:old_neon_s|ign:0.5:te=0>, b")
    page.keyboard.press("Backspace")
    expect(names(page)).to_contain_text(["old_neon_sign"])
    page.keyboard.press("Control+a")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(LIST)).to_be_hidden()
    write(page, "a <lora:neon_sa|x:0.5:te=0>, b")
    expect(names(page)).to_have_text(["neon_samurai"])
    page.keyboard.press("Enter")
    expect(box).to_have_value("a <lora:neon_samurai:0.5:te=0>, b")


def test_emoji_before_the_caret_shift_nothing(page: Page) -> None:
    box = write(page, "👩‍🎨🏙 שלום, ~<lora:neon_sa|> 🏙")
    expect(names(page)).to_have_count(1)
    page.keyboard.press("Enter")
    expect(box).to_have_value("👩‍🎨🏙 שלום, <lora:neon_samurai> 🏙")


def test_an_input_method_is_left_alone(page: Page) -> None:
    box = write(page, "~<lora:neo")
    expect(names(page)).to_have_count(3)
    keyboard = page.context.new_cdp_session(page)
    page.evaluate("window.asked = []")
    keyboard.send("Input.imeSetComposition", {"text": "n", "selectionStart": 1, "selectionEnd": 1})
    expect(page.locator(LIST)).to_be_hidden()
    keyboard.send("Input.imeSetComposition", {"text": "n_sam", "selectionStart": 5, "selectionEnd": 5})
    nothing_opens(page)
    assert page.evaluate("window.asked.filter((one) => 'at' in one)") == []
    keyboard.send("Input.insertText", {"text": "n_sam"})
    expect(names(page)).to_have_text(["neon_samurai"])
    page.evaluate(
        """() => document.activeElement.dispatchEvent(
            new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, isComposing: true, bubbles: true, cancelable: true, composed: true }))"""
    )
    expect(box).to_have_value("<lora:neon_sam")
    page.keyboard.press("Enter")
    expect(box).to_have_value("<lora:neon_samurai:0.8>")


def test_trigger_words_wait_to_be_chosen(page: Page) -> None:
    box = write(page, "<lora:neon_samurai:0.8> night, ~glow")
    expect(names(page)).to_have_text(["glowing katana"])
    expect(options(page).first).to_contain_text("of neon_samurai")
    expect(page.locator(f"{LIST} [aria-selected=true]")).to_have_count(0)
    page.keyboard.press("Enter")  # a line, as without the list
    expect(box).to_have_value("<lora:neon_samurai:0.8> night, glow\n")
    write(page, "night, ~glow")
    expect(options(page).first).to_contain_text("not in the prompt: neon_samurai")
    page.keyboard.press("Tab")
    expect(box).to_have_value("night, glowing katana")


def test_what_does_not_fit_the_checkpoint_is_marked(page: Page, library: Sidecar) -> None:
    facts = {"checkpoint_base": "Pony"}
    send(library, "PUT", "prompts/host", {"host": "sdnext", "checkpoint": "pony", "facts": facts})
    write(page, "~<lora:neon")
    expect(names(page)).to_have_text(["neon_samurai", "neon_alley", "old_neon_sign"])
    marks = page.locator(f"{LIST} .lora-manager-complete-other")
    expect(marks).to_have_text(["other base model", "other base model"])
    expect(options(page).first.locator(".lora-manager-complete-other")).to_have_count(0)


def test_sets_and_draws(page: Page) -> None:
    box = write(page, "~<set:ni")
    expect(names(page)).to_have_text(["Night city"])
    expect(options(page).first).to_contain_text("1 LoRA")
    page.keyboard.press("Enter")
    expect(box).to_have_value("<set:Night city>")
    write(page, "~<lora:?ba")
    expect(names(page)).to_have_text(["base:"])
    page.keyboard.press("Enter")  # a field is followed by its values
    expect(names(page)).to_have_text(["SD 1.x", "SDXL"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box).to_have_value("<lora:?base:SDXL")


@pytest.mark.parametrize("box", [NEGATIVE, "#control_prompt textarea"])
def test_every_prompt_box_is_served(page: Page, box: str) -> None:
    write(page, "~<lora:neon_sa", box)
    expect(names(page)).to_have_text(["neon_samurai"])
    page.keyboard.press("Enter")
    expect(page.locator(box)).to_have_value("<lora:neon_samurai:0.8>")


def test_other_boxes_are_not_served(page: Page) -> None:
    write(page, "~<lora:neon_sa", "#other")
    nothing_opens(page)


def test_leaving_the_place_closes_the_list(page: Page) -> None:
    write(page, "a, ~<lora:neon")
    expect(names(page)).to_have_count(3)
    page.keyboard.press("Home")
    expect(page.locator(LIST)).to_be_hidden()
    write(page, "a, ~<lora:neon")
    expect(names(page)).to_have_count(3)
    page.locator("#other").focus()
    expect(page.locator(LIST)).to_be_hidden()


def test_keys_with_modifiers_are_the_hosts(page: Page) -> None:
    write(page, "~<lora:neon")
    expect(names(page)).to_have_count(3)
    page.keyboard.press("Control+ArrowUp")
    page.keyboard.press("Control+Enter")
    expect(page.locator(LIST)).to_be_hidden()
    assert page.evaluate("window.keys.filter((key) => key.length > 1 && key !== 'Control')") == [
        "ArrowUp",
        "Enter",
    ]


def test_texts_that_a_script_writes_open_nothing(page: Page) -> None:
    page.locator(PROMPT).evaluate("(box) => { box.focus(); box.value = '<lora:neon'; updateInput(box); }")
    nothing_opens(page)


def test_the_users_setting_counts_at_once(page: Page) -> None:
    page.evaluate("window.opts.lora_manager_completion = 'off'")
    write(page, "~<lora:neon")
    nothing_opens(page)
    page.evaluate("window.opts.lora_manager_completion = 'tags only'")
    write(page, "a, ~glow")
    nothing_opens(page)
    write(page, "~<lora:neon")
    expect(names(page)).to_have_count(3)


def test_tagcomplete_keeps_what_it_does(page: Page) -> None:
    page.evaluate("startTagcomplete()")
    theirs = page.locator(".autocompleteParent.p .autocompleteResultsList")
    box = write(page, "a, ~neon")
    expect(theirs).to_be_visible()
    nothing_opens(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box).to_have_value("a, neon sign")
    write(page, "~<lora:neon")
    expect(theirs).to_have_text("<lora:neon_other:1>")
    nothing_opens(page)
    page.keyboard.press("Tab")
    expect(box).to_have_value("<lora:neon_other:1>")


def test_beside_tagcomplete_sets_and_draws_are_ours(page: Page) -> None:
    page.evaluate("startTagcomplete()")
    box = write(page, "~<set:ni")
    expect(names(page)).to_have_text(["Night city"])
    page.keyboard.press("Enter")
    expect(box).to_have_value("<set:Night city>")
    write(page, "~<lora:?bas")
    expect(names(page)).to_have_text(["base:"])


def test_what_tagcomplete_is_not_to_do_is_ours(page: Page) -> None:
    page.evaluate("startTagcomplete()")
    page.evaluate("window.opts.tac_useLoras = false")
    write(page, "~<lora:neon")
    expect(names(page)).to_have_count(3)
    page.keyboard.press("Escape")
    page.wait_for_timeout(200)  # for what the stand-in still has under way
    page.evaluate("window.opts.tac_active = false")
    write(page, "a, ~glow")
    expect(names(page)).to_have_text(["glowing katana"])


def test_the_list_waits_until_another_one_has_closed(page: Page) -> None:
    page.evaluate("startTagcomplete()")
    page.evaluate("document.querySelector('.autocompleteParent.p').style.display = 'flex'")
    page.evaluate("document.querySelector('.autocompleteParent.p ul').innerHTML = '<li>set the table</li>'")
    write(page, "~<set:ni")  # the other closes its list a moment after the letter
    expect(names(page)).to_have_text(["Night city"])
    expect(page.locator(".autocompleteParent.p")).to_be_hidden()


def test_a_list_that_opens_over_ours_has_the_keys(page: Page) -> None:
    page.evaluate("startOwnCompletion(['neon lights'])")
    write(page, "~<lora:neon")
    expect(names(page)).to_have_count(3)
    page.evaluate("showOwn(true)")
    page.keyboard.press("ArrowDown")
    expect(page.locator(LIST)).to_be_hidden()
    assert page.evaluate("window.keys.at(-1)") == "ArrowDown"
    page.keyboard.type("_")
    nothing_opens(page)


def test_sdnexts_own_completion_keeps_what_it_does(page: Page) -> None:
    page.evaluate("window.opts.autocomplete_active = true")
    write(page, "~<lora:neon")
    nothing_opens(page)
    write(page, "a, ~glow")
    nothing_opens(page)
    write(page, "~<set:ni")
    expect(names(page)).to_have_text(["Night city"])


def test_without_a_sidecar_nothing_is_heard_of_it(page: Page) -> None:
    page.unroute_all()
    page.route("**/lora-manager/**", lambda route: route.fulfill(status=503, body="{}"))
    page.evaluate("window.asked = []")
    box = write(page, "~<lora:neon")
    nothing_opens(page)
    expect(box).to_have_value("<lora:neon")
    page.keyboard.type("_sa")
    nothing_opens(page)
    assert (
        len(page.evaluate("window.asked.filter((one) => 'at' in one)")) <= 1
    )  # and it is not asked at every letter


def test_a_host_whose_page_signs_requests_is_asked_to(page: Page) -> None:
    page.unroute_all()

    def guard(route: object) -> None:
        signed = "Basic" in route.request.headers.get("authorization", "")  # type: ignore[attr-defined]
        if signed:
            route.continue_(url=route.request.url.replace("/lora-manager/", "/", 1), headers=plain(route))  # type: ignore[attr-defined]
        else:
            route.fulfill(status=401, body="{}")  # type: ignore[attr-defined]

    def plain(route: object) -> dict[str, str]:
        headers: dict[str, str] = dict(route.request.headers)  # type: ignore[attr-defined]
        del headers["authorization"]
        return headers

    page.route("**/lora-manager/api/**", guard)
    page.evaluate(
        """() => { window.authFetch = (address, options) =>
            fetch(address, { ...options, headers: { ...options.headers, Authorization: "Basic eDp5" } }); }"""
    )
    write(page, "~<lora:neon_sa")
    expect(names(page)).to_have_text(["neon_samurai"])


def test_it_is_readable_on_light_and_dark(page: Page) -> None:
    for theme, background in (("", "rgb(255, 255, 255)"), ("dark", "rgb(30, 33, 38)")):
        page.evaluate(f"document.body.className = '{theme}'")
        write(page, "~<lora:neon")
        expect(names(page)).to_have_count(3)
        expect(page.locator(LIST)).to_have_css("background-color", background)
        page.keyboard.press("Escape")


def test_every_rule_of_the_style_is_ours(page: Page) -> None:
    style = (Path(__file__).parents[2] / "style.css").read_text()
    plain = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    plain = re.sub(r"@keyframes lora-manager-[^{]*\{(?:[^{}]*\{[^{}]*\})*\s*\}", "", plain)
    selectors = [one.strip() for rule in re.findall(r"([^{}]+)\{", plain) for one in rule.split(",")]
    assert selectors
    assert all(one.startswith((".lora-manager-", "@media")) for one in selectors if one)
