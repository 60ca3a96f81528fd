"""A real sidecar on a small library, and Chromium in front of it. See web_library.py for what the library holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import ARGUMENTS, CHROMIUM
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from web_library import make_library
from web_sidecar import Sidecar, start_sidecar

expect.set_options(timeout=8_000)


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

    def start(loras: Path, port: int = 0, *, text_model: bool = False) -> Sidecar:
        loras.mkdir(exist_ok=True)
        running.append(start_sidecar(tmp_path / "data", loras, port, text_model=text_model))
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
