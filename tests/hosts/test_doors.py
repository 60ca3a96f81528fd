"""Who gets in and under which address, and what stays when a host ends: hosts with a login, under a sub-path, killed."""

from __future__ import annotations

import signal
from collections.abc import Callable

import httpx
import pytest
from host_files import RIVER, RIVER_WORDS
from host_process import LOGIN, Host, Kind, is_running
from waiting import wait_until

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from host_page import HostPage, launch  # noqa: E402
from playwright.sync_api import expect, sync_playwright  # noqa: E402

pytestmark = pytest.mark.timeout(600)


def test_with_a_login_only_those_who_are_signed_in_get_in(start: Callable[..., Host]) -> None:
    host = start(login=True)
    address = "lora-manager/api/v1/loras"
    with httpx.Client(base_url=host.url, trust_env=False) as stranger:
        assert stranger.get(address).status_code == 401
        assert stranger.get("lora-manager/").status_code == 401
        assert stranger.get(address, auth=(LOGIN[0], "wrong")).status_code == 401
        assert stranger.get(address, headers={"Cookie": "access-token=made-up"}).status_code == 401
        assert stranger.get(address, auth=LOGIN).status_code == 200
        # with the cookie of the host's own login page
        form = {"username": LOGIN[0], "password": LOGIN[1]}
        assert stranger.post("login", data=form).status_code == 200
        assert stranger.get(address).status_code == 200
        assert stranger.get(address, headers={"Origin": "http://evil.example"}).status_code == 403
    assert RIVER_WORDS in host.generate(f"a boat <lora:{RIVER}:1>")["infotext"]
    with sync_playwright() as playwright, launch(playwright) as browser:
        page = HostPage(host, browser)
        page.open_app()
        page.search("river", 1)
        page.press_card()
        expect(page.prompt()).to_have_value(f"<lora:{RIVER}:0.7>")
        page.close()


def test_under_a_sub_path_the_app_works_as_well(kind: Kind, start: Callable[..., Host]) -> None:
    if kind.grammar != "sdnext":
        pytest.skip("the A1111 line leaves the sub-path to the reverse proxy in front of it")
    host = start(subpath="studio")
    with sync_playwright() as playwright, launch(playwright) as browser:
        page = HostPage(host, browser)
        page.open_app()
        page.search("river", 1)
        page.press_card()
        expect(page.prompt()).to_have_value(f"<lora:{RIVER}:0.7>")
        page.close()


def test_reload_ui_keeps_the_sidecar(kind: Kind, start: Callable[..., Host]) -> None:
    if kind.grammar != "a1111":
        pytest.skip("SDNext restarts the whole process")
    host = start()
    sidecar, began = host.sidecar_pid, host.log.read_text(errors="replace").count("Startup time")
    with sync_playwright() as playwright, launch(playwright) as browser:
        page = HostPage(host, browser)
        page.page.evaluate("document.querySelector('#settings_restart_gradio').click()")
        wait_until(lambda: host.log.read_text(errors="replace").count("Startup time") > began, 120)
        page.close()
    wait_until(lambda: works(host), 60)
    assert host.sidecar_pid == sidecar and is_running(sidecar)
    assert RIVER_WORDS in host.generate(f"a boat <lora:{RIVER}:1>")["infotext"]


def test_sidecar_ends_with_its_host(kind: Kind, start: Callable[..., Host]) -> None:
    """However that ends: the A1111 line runs no code of extensions when asked to end, and nobody does when killed."""
    host = start()
    sidecar = host.sidecar_pid
    host.process.send_signal(signal.SIGINT if kind.grammar == "a1111" else signal.SIGKILL)
    host.process.wait(30)
    wait_until(lambda: not is_running(sidecar))


def works(host: Host) -> bool:
    try:
        return host.client.get("lora-manager/api/v1/health").status_code == 200
    except httpx.HTTPError:
        return False
