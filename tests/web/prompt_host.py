"""A host's page with its prompt boxes: the scripts and the style that hosts load, in front of a real sidecar."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import orjson
from playwright.sync_api import Locator, Page, Route
from web_sidecar import ROOT, Sidecar

PAGE = Path(__file__).with_name("prompt_page.html").read_text()
TYPES = {".js": "text/javascript", ".css": "text/css"}
PROMPT = "#txt2img_prompt textarea"


def open_prompt_page(page: Page, sidecar: Sidecar) -> None:
    """Sign in to the sidecar, then show the stand-in page, whose requests reach it below `lora-manager/`."""
    if not page.context.request.get(f"{sidecar.url}/api/v1/library/status").ok:
        page.goto(sidecar.door)
        page.locator("#count").wait_for()
    page.route("**/host-page", lambda route: route.fulfill(content_type="text/html", body=PAGE))
    page.route("**/extension/**", _fulfil)
    page.route(
        "**/lora-manager/**",
        lambda route: route.continue_(url=route.request.url.replace("/lora-manager/", "/", 1)),
    )
    page.goto(f"{sidecar.url}/host-page")
    page.wait_for_function("() => window.loraManagerPrompts")


def _fulfil(route: Route) -> None:
    path = ROOT / route.request.url.split("/extension/", 1)[1]
    if path.exists():
        route.fulfill(content_type=TYPES[path.suffix], body=path.read_text())
    else:
        route.fulfill(status=404)


def send(sidecar: Sidecar, method: str, path: str, content: Any) -> Any:
    """Ask the sidecar as a program does."""
    headers = {"Authorization": f"Bearer {sidecar.token}", "Content-Type": "application/json"}
    request = Request(f"{sidecar.url}/api/v1/{path}", orjson.dumps(content), headers, method=method)
    with urlopen(request, timeout=10) as answer:
        return orjson.loads(answer.read() or b"null")


def write(page: Page, text: str, box: str = PROMPT) -> Locator:
    """Put a text into a box and type its end: what stands behind the last `~`, else the last letter. `|` is the caret."""
    field = page.locator(box)
    before, _, after = text.partition("|")
    kept, _, typed = before.rpartition("~") if "~" in before else (before[:-1], "", before[-1:])
    field.evaluate(
        """(box, [before, after]) => { box.focus(); box.value = before + after; updateInput(box);
            box.setSelectionRange(before.length, before.length); }""",
        [kept, after],
    )
    page.keyboard.type(typed)
    return field
