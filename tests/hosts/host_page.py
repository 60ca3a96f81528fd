"""A host's page in Chromium, as a person uses it: its prompt boxes, its Generate button, our tab and the app in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chromium import ARGUMENTS, CHROMIUM
from host_process import Host
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Locator, Page, Playwright, expect

APP_TAB = "LoRA Manager"
LABELS: dict[str, dict[str, str]] = {
    "sdnext": {"txt2img": "Text", "img2img": "Image", "control": "Control"},
    "a1111": {},
}


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


class HostPage:
    """One open page of a host."""

    def __init__(self, host: Host, browser: Browser) -> None:
        self.host = host
        # the Modern UI shows no other tab to generate on, unless asked for its old ones
        self.tab = "control" if host.kind.theme == "Modern" else "txt2img"
        self.context: BrowserContext = browser.new_context(viewport={"width": 1400, "height": 950})
        # nothing outside of this machine: fonts and the like would only wait for their time-outs
        self.context.route(lambda url: "://127.0.0.1" not in url, lambda route: route.abort())
        self.errors: list[str] = []
        if host.login:
            user, password = host.login
            form = {"username": user, "password": password}
            answer = self.context.request.post(f"{host.url}login", form=form)
            assert answer.ok, answer.text()
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(host.url, wait_until="domcontentloaded")
        slow = 10_000 if host.kind.simulated else 120_000
        self.page.wait_for_selector("#txt2img_prompt textarea", state="attached", timeout=slow)
        self.page.wait_for_function("() => window.loraManager && window.opts", timeout=slow)

    def close(self) -> None:
        self.context.close()

    def shot(self, folder: Path | None, name: str) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=folder / f"hosts-{self.host.kind.name}-{name}.png")

    @property
    def frame(self) -> FrameLocator:
        return self.page.frame_locator("#lora_manager_frame")

    @property
    def cards(self) -> Locator:
        return self.frame.locator(".card[data-id]")

    def prompt(self, tab: str = "") -> Locator:
        return self.page.locator(f"#{tab or self.tab}_prompt textarea").first

    def text(self, tab: str = "") -> str:
        return self.prompt(tab).input_value()

    def open_tab(self, name: str) -> None:
        """Open a tab: a tab button of gradio, or a navigation entry of SDNext's Modern UI."""
        if self.host.kind.theme == "Modern":
            item = "tab_lora_manager" if name == APP_TAB else name
            self.page.locator(f'.xtabs-tab[tabitemid*="#{item}_tabitem"]').click()
        else:
            label = LABELS[self.host.kind.grammar].get(name, name)
            self.page.locator("#tabs > .tab-nav > button", has_text=label).first.click()

    def open_app(self) -> None:
        """Our tab, with the app in it and its list on the screen."""
        self.open_tab(APP_TAB)
        expect(self.cards.first).to_be_visible(timeout=20_000)

    def search(self, text: str, count: int) -> None:
        self.frame.locator("#search").fill("nothing is called so")
        expect(self.cards).to_have_count(0)  # or what an earlier search found may be taken for an answer
        self.frame.locator("#search").fill(text)
        expect(self.cards).to_have_count(count)

    def press_card(self) -> None:
        """Click the first card where it says what a click does."""
        self.cards.first.locator(".preview").click()

    def type_prompt(self, text: str, tab: str = "") -> None:
        """As a person: into the box on its tab, so that the page knows which one was used last."""
        self.open_tab(tab or self.tab)
        self.prompt(tab).fill(text)

    def generate(self, tab: str = "") -> None:
        """Press Generate and wait for the record that the generation leaves."""
        before = self.host.settled_records()
        self.page.locator(f"#{tab or self.tab}_generate").first.click()
        self.wait_for_records(before + 1)

    def wait_for_records(self, count: int, seconds: float = 120) -> None:
        pause = self.host.kind.pause
        for _ in range(int(seconds / pause)):
            if len(self.host.records()) >= count:
                return
            self.page.wait_for_timeout(1000 * pause)
        raise AssertionError(
            f"{count} records did not arrive: {self.host.log.read_text(errors='replace')[-2000:]}"
        )

    def frame_area(self) -> dict[str, Any]:
        """Where the frame is and what scrolls: {"top", "bottom", "left", "right", "window", "page", "app"} in pixels."""
        area: dict[str, Any] = self.page.evaluate(AREA)
        return area


AREA = """() => {
  const frame = document.querySelector("#lora_manager_frame");
  const { top, bottom, left, right } = frame.getBoundingClientRect();
  const page = document.scrollingElement;
  const app = frame.contentDocument.scrollingElement;
  return {
    top, bottom, left, right, window: [innerWidth, innerHeight],
    page: page.scrollHeight - page.clientHeight, app: app.scrollHeight - app.clientHeight,
  };
}"""
