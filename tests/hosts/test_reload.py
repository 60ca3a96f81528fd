"""Reload UI (SDNext: Restart server): one sidecar, each hook once, one completion, and everything works as before."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest
from host_files import RIVER, RIVER_WORDS
from host_process import Host
from waiting import wait_until

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from host_page import HostPage, launch  # noqa: E402
from playwright.sync_api import Browser, expect, sync_playwright  # noqa: E402

pytestmark = pytest.mark.timeout(400)
RELOAD = "document.querySelector('#settings_restart_gradio, #restart_submit').click()"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


def sidecars(host: Host) -> list[int]:
    """The processes that serve this host's library."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            arguments = process.cmdline()
            if "serve" in arguments and str(host.sidecar_data) in arguments:
                found.append(process.pid)
    return found


def starts(host: Host) -> int:
    """How often the host has said that it serves its page."""
    return host.log.read_bytes().count(b"Startup time:")


def is_served(host: Host) -> bool:
    with contextlib.suppress(httpx.HTTPError, ValueError):
        health = host.client.get("lora-manager/api/v1/health")
        api = host.client.get("sdapi/v1/options")
        return health.status_code == api.status_code == 200 and health.json()["loras"] >= 12
    return False


def reload(host: Host, browser: Browser) -> None:
    """Press the button of the host's settings, and wait until the page is served anew."""
    page, before = HostPage(host, browser), starts(host)
    page.page.evaluate(RELOAD)
    wait_until(lambda: starts(host) > before, host.kind.start_seconds, 0.5)
    page.close()
    wait_until(lambda: is_served(host), 60, host.kind.pause)


def test_reloading_the_page_leaves_everything_once(host: Host, browser: Browser) -> None:
    if host.kind.theme != "Standard":
        pytest.skip("reloading is the same whatever the theme is")
    host.generate(f"a boat <lora:{RIVER}:1>")
    host.wait_for_records(1)
    for _ in range(2):
        reload(host, browser)
    wait_until(lambda: len(sidecars(host)) == 1, 30, 0.5)

    before = host.settled_records()
    made = host.generate(f"a boat <lora:{RIVER}>")
    assert made["infotext"].count(RIVER_WORDS) >= 1
    host.wait_for_records(before + 1)
    time.sleep(1)
    assert host.settled_records() == before + 1, (
        "one record, not one for each time that the hooks were installed"
    )
    assert host.records()[0]["prompt"] == f"a boat <lora:{RIVER}:0.7>, {RIVER_WORDS}"

    page = HostPage(host, browser)
    assert page.page.locator("#lora_manager_txt2img_enable").count() == 1
    assert page.page.locator("#lora_manager_frame").count() == 1
    page.open_tab(page.tab)
    page.prompt().click()
    page.page.keyboard.type("a boat <lora:riv", delay=30)
    expect(page.page.locator(".lora-manager-complete")).to_have_count(1)
    expect(page.page.locator(".lora-manager-complete:visible [role=option]")).to_have_count(1)
    page.page.keyboard.press("Enter")
    expect(page.prompt()).to_have_value(f"a boat <lora:{RIVER}:0.7>")
    page.open_app()
    assert page.errors == []
    page.close()
