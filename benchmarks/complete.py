"""Measures completion in prompt boxes: `python benchmarks/complete.py --loras DIR [--data KEEP] [--chromium PATH]`.

The answers of `prompts/complete` over HTTP; then, in Chromium, the time from a key to the frame that shows its list, on a
page that reaches the sidecar as in a host: through the extension's own proxy, in another process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import socket
import statistics
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from library import TOKEN, Sidecar, say  # noqa: E402
from page import ARGUMENTS  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402

PAGE = """<!doctype html><link rel="stylesheet" href="/extension/style.css">
<script defer src="/extension/javascript/lora_manager_prompts.js"></script>
<script defer src="/extension/javascript/lora_manager_complete.js"></script>
<div id="txt2img_prompt"><label><textarea rows="6" cols="100"></textarea></label></div>"""
# From the time that the browser gives a key to the frame after the one that paints the list.
WATCH = """
window.times = [];
let pressed = 0;
document.addEventListener("keydown", (event) => { pressed = event.timeStamp; }, true);
new MutationObserver(() => {
  const began = pressed;
  pressed = 0;
  if (began) requestAnimationFrame(() => setTimeout(() => window.times.push(performance.now() - began)));
}).observe(document, { childList: true, subtree: true });
"""


def spread(what: str, times: list[float]) -> None:
    times = sorted(times)
    say(f"{what}: p50", statistics.median(times), "ms")
    say(f"{what}: p95", times[int(len(times) * 0.95)], "ms")


def measure_answers(sidecar: Sidecar, items: list[dict[str, Any]], total: int) -> None:
    """The HTTP answer to what people type, on one connection."""
    rng = random.Random(1)

    def name() -> str:
        return str(rng.choice(items)["name"])

    def word() -> str:
        return str(rng.choice([word for item in items for word in item["trigger_words"]] or ["word"]))

    def typo() -> str:
        letters = list(max(name().split("_"), key=len))
        letters[rng.randrange(1, len(letters))] = rng.choice("abcdefghijklmnopqrstuvwxyz")
        return "".join(letters)

    kinds: dict[str, Callable[[], str]] = {
        "`<lora:` alone": lambda: "a castle, <lora:",
        "one letter": lambda: f"a castle, <lora:{name()[0]}",
        "three to eight letters of a name": lambda: f"a castle, <lora:{name()[: rng.randint(3, 8)]}",
        "words of a name": lambda: f"a castle, <lora:{' '.join(name().split('_')[1:3])}",
        "a typo": lambda: f"a castle, <lora:{typo()}",
        "a trigger word": lambda: f"a castle, {word()[: rng.randint(2, 6)]}",
        "a trigger word, ten LoRAs in the prompt": lambda: (
            "".join(f"<lora:{name()}:1> " for _ in range(10)) + f", {word()[:4]}"
        ),
    }
    for base in (None, "SDXL"):
        facts = {"checkpoint_base": base} if base else {}
        sidecar.ask("prompts/host", "PUT", {"host": "sdnext", "checkpoint": None, "facts": facts})
        for kind, make in kinds.items():
            texts = [make() for _ in range(100)]
            sidecar.ask("prompts/complete", "POST", {"text": texts[0], "at": len(texts[0])})
            times = [
                sidecar.time("prompts/complete", "POST", {"text": text, "at": len(text)}) for text in texts
            ]
            spread(f"{total} files{', checkpoint known' if base else ''}, {kind}", times)


def serve_page(port: int, url: str) -> None:
    """A host's page with its extension: the scripts, and the sidecar below `/lora-manager/` through the proxy."""
    import uvicorn
    from fastapi import FastAPI
    from fastapi.responses import FileResponse, HTMLResponse

    for module in ("modules", "modules.shared"):
        sys.modules[module] = types.ModuleType(module)
    sys.modules["modules.shared"].__dict__.update(
        cmd_opts=types.SimpleNamespace(), opts=types.SimpleNamespace(data={})
    )
    from extension import proxy
    from extension.client import Endpoint

    app = FastAPI()
    app.get("/")(lambda: HTMLResponse(PAGE))
    app.get("/extension/{path:path}")(lambda path: FileResponse(ROOT / path))
    endpoint = Endpoint(url, TOKEN)
    supervisor: Any = types.SimpleNamespace(endpoint=lambda: endpoint, poke=lambda: None)
    settings: Any = types.SimpleNamespace(names=())
    proxy.mount(app, supervisor, lambda: settings)
    uvicorn.run(app, port=port, log_level="warning", lifespan="off")


def type_names(page: Page, what: str, texts: list[str]) -> None:
    """Type each text letter by letter, as fast as a good typist."""
    page.evaluate("window.times = []")
    for text in texts:
        page.evaluate(
            "() => { const box = document.querySelector('textarea'); box.value = 'a castle, '; box.focus(); box.selectionStart = 10; }"
        )
        page.keyboard.type(text, delay=90)
        page.wait_for_timeout(100)
        page.keyboard.press("Escape")
    spread(what, page.evaluate("window.times"))


def measure_list(sidecar: Sidecar, items: list[dict[str, Any]], total: int, chromium: str) -> None:
    """From key to list, in a browser."""
    rng = random.Random(2)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{sidecar.connection.port}"
    host = multiprocessing.get_context("spawn").Process(target=serve_page, args=(port, url), daemon=True)
    host.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1200, "height": 700})
            page.add_init_script(WATCH)
            for _ in range(100):
                try:
                    page.goto(f"http://127.0.0.1:{port}/")
                    break
                except Exception:  # the server is not up yet
                    page.wait_for_timeout(100)
            page.wait_for_function("() => window.loraManagerPrompts")
            tags = [f"<lora:{rng.choice(items)['name'][:12]}" for _ in range(30)]
            type_names(page, f"{total} files, key to list, names", tags)
            words = [word for item in items for word in item["trigger_words"]]
            type_names(
                page,
                f"{total} files, key to list, trigger words",
                [rng.choice(words)[:8] for _ in range(30)] if words else [],
            )
            browser.close()
    finally:
        host.terminate()
        host.join()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loras", type=Path, required=True, help="a folder of LoRAs")
    parser.add_argument(
        "--data", type=Path, help="keep the data folder here, and use it again when it is there"
    )
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = given.data or Path(temporary) / "data"
        data.mkdir(parents=True, exist_ok=True)
        sidecar = Sidecar(data, given.loras)
        try:
            sidecar.ask("library/hashing", "POST", {"paused": True})
            sidecar.wait_for_scan()
            total = sidecar.ask("loras?limit=1")["total"]
            items = sidecar.ask("loras?limit=1000&sort=random")["items"]
            measure_answers(sidecar, items, total)
            measure_list(sidecar, items, total, given.chromium)
            sidecar.connection.close()  # it has been idle for too long
            sidecar.ask("library/hashing", "POST", {"paused": False})
        finally:
            sidecar.stop()


if __name__ == "__main__":
    main()
