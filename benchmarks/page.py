"""Times the page in Chromium on a real library: `python benchmarks/page.py --loras DIR`.

First cards: from navigation to the first cards with names in the page, in a fresh browser with an empty cache.
Scrolling: the longest time between two frames, with the wheel and with jumps as from dragging the scrollbar.
Needs playwright and a Chromium (--chromium, default /usr/bin/chromium).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import Request, urlopen

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WATCH_CARDS = """
new MutationObserver((_, observer) => {
  if (!document.querySelector(".card[data-id] .title")?.textContent) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.firstCards = performance.now(); }));
}).observe(document, { childList: true, subtree: true, attributes: true, characterData: true });
"""
WATCH_FRAMES = """
window.frames_ = [];
let last = performance.now();
const tick = (now) => { window.frames_.push(now - last); last = now; requestAnimationFrame(tick); };
requestAnimationFrame(tick);
"""
JUMP = """
async (seconds) => {
  const grid = document.querySelector("lora-grid");
  const end = performance.now() + seconds * 1000;
  let at = 0;
  while (performance.now() < end) {
    at = (at + 0.381966) % 1;
    grid.scrollTop = at * (grid.scrollHeight - grid.clientHeight);
    await new Promise((done) => setTimeout(done, 120));
  }
}
"""


def wait_for_library(url: str, token: str) -> int:
    """Wait until scan and hashing are done; the number of LoRAs."""
    while True:
        request = Request(f"{url}/api/v1/library/status", headers={"Authorization": f"Bearer {token}"})
        with urlopen(request) as answer:
            status = json.load(answer)
        if not status["scanning"] and not status["hashing"]["pending"]:
            return sum(folder["loras"] for folder in status["folders"])
        time.sleep(0.5)


def frames(page: Page, label: str) -> None:
    """Print what the frames since the last call were like."""
    times = sorted(page.evaluate("window.frames_.splice(0)"))
    p99 = times[int(len(times) * 0.99)]
    over = sum(1 for one in times if one > 50)
    print(
        f"{label:<24} longest frame {times[-1]:6.1f} ms   p99 {p99:5.1f} ms   over 50 ms: {over} of {len(times)}"
    )


def measure(url: str, token: str, chromium: str, runs: int) -> None:
    """Print first cards for several fresh browsers, then frames while scrolling in the last."""
    with sync_playwright() as playwright:
        for run in range(runs):
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.add_init_script(WATCH_CARDS)
            page.goto(f"{url}/#token={token}")
            page.wait_for_function("() => window.firstCards")
            print(
                f"first cards {'(run ' + str(run + 1) + ')':<12} {page.evaluate('window.firstCards'):8.0f} ms"
            )
            if run + 1 < runs:
                browser.close()
        page.wait_for_timeout(1500)
        page.evaluate(WATCH_FRAMES)
        page.mouse.move(800, 500)
        page.wait_for_timeout(1000)
        frames(page, "at rest")
        for step in range(120):
            page.mouse.wheel(0, 240 if step < 90 else -600)
            page.wait_for_timeout(30)
        frames(page, "wheel")
        page.evaluate(JUMP, 5)
        frames(page, "scrollbar jumps")
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loras", type=Path, required=True, help="a folder of LoRAs")
    parser.add_argument(
        "--data", type=Path, help="a data folder that has read it already (default: a new one)"
    )
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = given.data or Path(temporary) / "data"
        command = [
            sys.executable,
            "-m",
            "sidecar",
            "serve",
            "--port",
            "0",
            "--data",
            str(data),
            "--loras",
            str(given.loras),
        ]
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            while not (data / "sidecar.json").exists():
                if process.poll() is not None:
                    sys.exit("The sidecar did not start.")
                time.sleep(0.05)
            url = json.loads((data / "sidecar.json").read_text())["url"]
            token = (data / "token").read_text().strip()
            print(f"{wait_for_library(url, token):,} LoRAs")
            measure(url, token, given.chromium, given.runs)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
