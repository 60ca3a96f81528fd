"""A real sidecar on a small library, and Chromium in front of it. See library.py for what the library holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from library import make_library

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright  # noqa: E402

ROOT = Path(__file__).parents[2]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=8_000)


@dataclass
class Sidecar:
    """A running sidecar."""

    process: subprocess.Popen[bytes]
    url: str
    token: str
    data: Path
    loras: Path

    @property
    def door(self) -> str:
        """The address that signs in by itself."""
        return f"{self.url}/#token={self.token}"

    def ask(self, path: str) -> Any:
        """GET one of the API's addresses."""
        request = Request(f"{self.url}/api/v1/{path}", headers={"Authorization": f"Bearer {self.token}"})
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_sidecar(data: Path, loras: Path, port: int = 0) -> Sidecar:
    """Start `python -m sidecar serve` and wait until it has written where it serves."""
    command = [sys.executable, "-m", "sidecar", "serve", "--port", str(port), "--data", str(data)]
    with (data.parent / f"{data.name}.log").open("ab") as log:
        process = subprocess.Popen([*command, "--loras", str(loras)], cwd=ROOT, stderr=log)
    limit = time.monotonic() + 30
    while not (data / "sidecar.json").exists():
        if process.poll() is not None or time.monotonic() > limit:
            raise RuntimeError((data.parent / f"{data.name}.log").read_text())
        time.sleep(0.05)
    url = json.loads((data / "sidecar.json").read_text())["url"]
    running = Sidecar(process, url, (data / "token").read_text().strip(), data, loras)
    while running.ask("library/status")["scanning"]:
        time.sleep(0.05)
    return running


@pytest.fixture(scope="session")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """The sidecar that most tests share; each changes only LoRAs of its own."""
    folder = tmp_path_factory.mktemp("web")
    loras = folder / "Lora"
    make_library(loras)
    running = start_sidecar(folder / "data", loras)
    yield running
    running.stop()


@pytest.fixture
def own_sidecar(tmp_path: Path) -> Iterator[Callable[..., Sidecar]]:
    """Starts a sidecar for one test: `own_sidecar(loras)`."""
    running: list[Sidecar] = []

    def start(loras: Path, port: int = 0) -> Sidecar:
        loras.mkdir(exist_ok=True)
        running.append(start_sidecar(tmp_path / "data", loras, port))
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"there is no Chromium at {CHROMIUM}; set CHROMIUM to one")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def open_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Opens browser contexts that end with the test; a script error on any of their pages fails it."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def start(**options: object) -> BrowserContext:
        options.setdefault("viewport", {"width": 1280, "height": 800})
        context = browser.new_context(**options)  # type: ignore[arg-type]
        context.on("weberror", lambda error: errors.append(str(error.error)))
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        return context

    yield start
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def open_page(open_context: Callable[..., BrowserContext]) -> Callable[..., Page]:
    """`open_page(sidecar, **context options)`: signed in, with the first cards there."""

    def start(sidecar: Sidecar, cards: bool = True, **options: object) -> Page:
        page = open_context(**options).new_page()
        page.goto(sidecar.door)
        expect(page.locator("#count")).not_to_be_empty()
        if cards:
            expect(page.locator(".card[data-id]").first).to_be_visible()
        return page

    return start


@pytest.fixture(scope="session")
def desktop(browser: Browser) -> Iterator[BrowserContext]:
    """The context that most tests share, for its warm cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context
    context.close()


@pytest.fixture
def page(sidecar: Sidecar, desktop: BrowserContext) -> Iterator[Page]:
    """The shared library on a desktop, signed in; a script error fails the test."""
    errors: list[str] = []
    page = desktop.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(sidecar.door)
    expect(page.locator(".card[data-id]").first).to_be_visible()
    yield page
    page.evaluate("localStorage.clear()")
    page.close()
    assert errors == []
