"""Signing in, live changes, an empty library, and a sidecar that goes away and comes back."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from lora_files import make_lora
from playwright.sync_api import BrowserContext, Page, Route, expect
from web_sidecar import Sidecar


def test_without_the_token_there_is_a_sign_in_view(
    sidecar: Sidecar, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context().new_page()
    page.goto(sidecar.url)
    expect(page.get_by_role("heading", name="Sign in to LoRA Manager")).to_be_visible()
    page.get_by_label("Token").fill("not the token")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("This is not the token.")).to_be_visible()
    page.get_by_label("Token").fill(sidecar.token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".card[data-id]").first).to_be_visible()
    page.reload()
    expect(page.locator(".card[data-id]").first).to_be_visible()


def test_the_token_leaves_the_address(page: Page, sidecar: Sidecar) -> None:
    assert "token" not in page.url
    assert sidecar.token not in page.evaluate("document.cookie")


def test_a_cookie_that_ran_out_brings_the_sign_in_view(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    page.context.clear_cookies()
    page.fill("#search", "meadow")
    expect(page.get_by_role("heading", name="Sign in to LoRA Manager")).to_be_visible()


def test_when_the_hosts_login_ended_the_page_says_so(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    refusal = {"error": {"code": "not_signed_in", "message": "Sign in to the host first.", "detail": None}}
    page.route("**/api/v1/loras?*", lambda route: route.fulfill(status=401, json=refusal))
    page.fill("#search", "meadow")
    expect(page.get_by_text("Sign in to the host first.")).to_be_visible()
    expect(page.get_by_label("Token")).to_be_hidden()
    expect(page.get_by_role("button", name="Reload")).to_be_focused()


def test_an_empty_library_says_where_it_looked_and_fills_by_itself(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    sidecar = own_sidecar(tmp_path / "Lora")
    page = open_page(sidecar, cards=False)
    expect(page.locator("#empty")).to_contain_text("No LoRAs yet")
    expect(page.locator("#empty")).to_contain_text(str(tmp_path / "Lora"))
    make_lora(tmp_path / "Lora" / "first.safetensors")
    expect(page.locator(".card[data-id] .title")).to_have_text("first")
    more = tmp_path / "More"
    make_lora(more / "second.safetensors")
    page.locator("#status-button").click()
    page.locator("#status").get_by_label("Folder to add").fill(str(more))
    page.locator("#status").get_by_role("button", name="Add folder").click()
    expect(page.locator("#count")).to_have_text("2 LoRAs")


def test_a_folder_that_is_refused_says_why(page: Page) -> None:
    refusal = {"error": {"code": "bad_request", "message": "Give the folder's full path.", "detail": None}}
    page.route("**/library/folders", lambda route: route.fulfill(status=422, json=refusal))
    page.locator("#status-button").click()
    page.locator("#status").get_by_label("Folder to add").fill("loras")
    page.locator("#status").get_by_role("button", name="Add folder").click()
    expect(page.locator("#status .form-note")).to_have_text("Give the folder's full path.")
    expect(page.locator("#status").get_by_label("Folder to add")).to_have_value("loras")


def test_a_search_that_did_not_get_through_is_asked_again(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    away = {"error": {"code": "sidecar_starting", "message": "It is being looked after.", "detail": None}}
    failed: list[str] = []

    def fail(route: Route) -> None:
        failed.append(route.request.url)
        route.fulfill(status=502, json=away) if len(failed) == 1 else route.abort()

    page.route("**/api/v1/loras?*", fail, times=2)
    page.fill("#search", "nothing is called so")
    expect(page.locator("#empty")).to_contain_text("Nothing found")
    assert len(failed) == 2


def test_new_files_do_not_push_cards_away_from_under_the_user(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    loras = tmp_path / "Lora"
    for number in range(60):
        make_lora(loras / f"m_{number:02}.safetensors")
    sidecar = own_sidecar(loras)
    page = open_page(sidecar)
    page.locator("lora-grid").evaluate("grid => grid.scrollTop = 400")
    expect(page.locator('.card[data-index="12"][data-id]')).to_be_visible()
    name = page.locator('.card[data-index="12"] .title').inner_text()
    make_lora(loras / "a_new_one.safetensors")
    expect(page.locator("#stale")).to_be_visible()
    expect(page.locator('.card[data-index="12"] .title')).to_have_text(name)
    page.locator("#stale").click()
    expect(page.locator("#count")).to_have_text("61 LoRAs")
    expect(page.locator("#stale")).to_be_hidden()


def test_a_sidecar_that_is_gone_is_told_and_the_page_recovers(
    own_sidecar: Callable[..., Sidecar], open_page: Callable[..., Page], tmp_path: Path
) -> None:
    loras = tmp_path / "Lora"
    make_lora(loras / "one.safetensors")
    sidecar = own_sidecar(loras)
    page = open_page(sidecar)
    sidecar.stop()
    expect(page.locator("#gone")).to_contain_text("does not answer")
    expect(page.locator(".card[data-id]")).to_have_count(1)
    own_sidecar(loras, int(sidecar.url.rsplit(":", 1)[1]))
    expect(page.locator("#gone")).to_be_hidden(timeout=20_000)
    page.fill("#search", "one")
    expect(page.locator("#count")).to_have_text("1 of 1")


def test_a_list_that_fails_says_so_and_offers_another_try(
    sidecar: Sidecar, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context().new_page()
    body = '{"error": {"code": "database_locked", "message": "The database is busy.", "detail": null}}'
    broken = [True]

    def answer(route: Route) -> None:
        if broken:
            route.fulfill(status=503, content_type="application/json", body=body)
        else:
            route.continue_()

    page.route(re.compile(r"/api/v1/loras\?"), answer)
    page.goto(sidecar.door)
    expect(page.locator("#empty")).to_contain_text("The database is busy.")
    broken.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".card[data-id]").first).to_be_visible()


def test_hashing_can_be_paused_from_the_bar(page: Page) -> None:
    page.route("**/library/hashing", lambda route: route.fulfill(json={}))
    page.evaluate(
        """async () => {
            const { live } = await import("./events.js");
            live.emit("library.hashing", { pending: 12, done: 3, paused: false, bytes_per_second: 1 });
        }"""
    )
    expect(page.locator("#activity")).to_contain_text("Hashing, 12 left")
    with page.expect_request("**/library/hashing") as request:
        page.get_by_role("button", name="Pause hashing").click()
    assert request.value.post_data_json == {"paused": True}
    expect(page.locator("#activity")).to_contain_text("Hashing paused")
