"""The page that stands in while the sidecar is being installed, starts, or cannot start: it says so and looks again."""

from __future__ import annotations

import html

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>LoRA Manager</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:90vh;margin:0;padding:1rem}
main{max-width:36rem;text-align:center}h1{font-size:1.15rem;font-weight:600}p{opacity:.8;overflow-wrap:anywhere}
</style></head>
<body><main><h1>LoRA Manager</h1><p id="message" role="status">@MESSAGE@</p></main>
@SCRIPT@</body></html>
"""

SCRIPT = """<script>
const message = document.getElementById("message");
async function look() {
  try {
    const health = await fetch(new URL("api/v1/health", document.baseURI), { cache: "no-store" });
    if (health.ok) return location.reload();
    message.textContent = (await health.json()).error.message;
  } catch {
    message.textContent = "The host does not answer.";
  }
  setTimeout(look, 1000);
}
setTimeout(look, 1000);
</script>"""


def waiting_page(message: str, look_again: bool) -> str:
    """A small page with one sentence; with `look_again` it asks each second and reloads when the app is there."""
    return PAGE.replace("@MESSAGE@", html.escape(message)).replace("@SCRIPT@", SCRIPT if look_again else "")
