"""The page: prompt boxes, Generate and the tabs of extensions, under the element ids that the hosts share."""

from __future__ import annotations

import html
import json
import os
from pathlib import Path
from typing import Any

import gradio as gr
from modules import paths, script_callbacks, shared
from modules.cmd_args import FLAVOUR

from simulated import jobs
from simulated.scripts_runner import Runner, files_of

LABELS = {
    "sdnext": {"txt2img": "Text", "img2img": "Image", "control": "Control"},
    "a1111": {"txt2img": "txt2img", "img2img": "img2img"},
}
PAGE_SCRIPT = Path(__file__).with_name("page.js")
STYLE = "footer { display: none !important }"  # both lines hide that of gradio


def create_ui(runners: dict[str, Runner | None]) -> Any:
    """Hook order as each line has it: SDNext builds its own tabs before it asks for settings, the A1111 line after."""
    if FLAVOUR == "a1111":
        script_callbacks.call("ui_settings")
    tabs = [
        (_generation_tab(name, runners.get(name)), label, name) for name, label in LABELS[FLAVOUR].items()
    ]
    if FLAVOUR == "sdnext":
        script_callbacks.call("ui_settings")
    for made in script_callbacks.call("ui_tabs"):
        tabs += made or []
    tabs.append((_settings_tab(), "Settings", "settings"))
    with gr.Blocks(analytics_enabled=False, title="Simulated host", css=STYLE) as demo:
        settings = gr.Textbox(json.dumps(shared.opts.data), elem_id="settings_json", visible=False)
        demo.load(lambda: json.dumps(shared.opts.data), outputs=[settings])
        with gr.Tabs(elem_id="tabs"):
            for interface, label, name in tabs:
                with gr.TabItem(label, id=name, elem_id=f"tab_{name}"):
                    interface.render()
    return demo


def _generation_tab(tab: str, runner: Runner | None) -> Any:
    with gr.Blocks(analytics_enabled=False) as blocks:
        prompt = gr.Textbox(label="Prompt", lines=3, elem_id=f"{tab}_prompt")
        negative = gr.Textbox(label="Negative prompt", lines=3, elem_id=f"{tab}_neg_prompt")
        with gr.Row():
            steps = gr.Slider(1, 50, 4, step=1, label="Steps", elem_id=f"{tab}_steps")
            width = gr.Slider(64, 512, 64, step=8, label="Width", elem_id=f"{tab}_width")
            height = gr.Slider(64, 512, 64, step=8, label="Height", elem_id=f"{tab}_height")
        controls = runner.setup_ui() if runner else []
        button = gr.Button("Generate", elem_id=f"{tab}_generate", variant="primary")
        gallery = gr.Gallery(label="Output", elem_id=f"{tab}_gallery")
        info = gr.HTML(elem_id=f"html_info_{tab}")
        log = gr.HTML(elem_id=f"html_log_{tab}")

        def generate(
            text: str, unwanted: str, count: float, wide: float, high: float, *arguments: Any
        ) -> tuple[list[str], str, str]:
            values = {"steps": int(count), "width": int(wide), "height": int(high)}
            done = jobs.generate(
                tab, runner, [0, *arguments], prompt=text, negative_prompt=unwanted, **values
            )
            infotext = html.escape(done.infotexts[0]) if done.infotexts else ""
            return done.paths, f"<p>{infotext}</p>", f"<p class='comments'>{html.escape(done.comments)}</p>"

        button.click(generate, [prompt, negative, steps, width, height, *controls], [gallery, info, log])
    return blocks


def _settings_tab() -> Any:
    """One control for each option of extensions, by its default's type; Apply keeps them all."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        keys = [key for key, info in shared.opts.data_labels.items() if info.section]
        controls = []
        for key in keys:
            info = shared.opts.data_labels[key]
            kind = gr.Checkbox if isinstance(info.default, bool) else gr.Textbox
            controls.append(kind(label=info.label, value=shared.opts.data[key], elem_id=f"setting_{key}"))
        apply = gr.Button("Apply settings", elem_id="settings_submit")
        reload = gr.Button("Reload UI", elem_id="settings_restart_gradio")

        def keep(*values: Any) -> None:
            for key, value in zip(keys, values):
                shared.opts.set(key, value)
            shared.opts.save()

        if controls:
            apply.click(keep, controls, [])
        reload.click(shared.state.request_restart)
    return blocks


def head_html() -> str:
    """The page's own script, then those of extensions: deferred on SDNext, at once on the A1111 line."""
    own = 'type="module"' if FLAVOUR == "sdnext" else 'type="text/javascript"'
    lines = [f"<script {own} src={_webpath(PAGE_SCRIPT)}></script>"]
    defer = " defer" if FLAVOUR == "sdnext" else ""
    for path in files_of("javascript", ".js"):
        lines.append(f'<script type="text/javascript"{defer} src={_webpath(path)}></script>')
    for path in files_of("javascript", ".mjs"):
        lines.append(f'<script type="module" src={_webpath(path)}></script>')
    return "\n".join(lines)


def _webpath(path: Path) -> str:
    """Relative, so that it holds under a sub-path."""
    name = os.path.relpath(path, paths.script_path) if path == PAGE_SCRIPT else str(path)
    return json.dumps(f"file={name}?{path.stat().st_mtime}")


def add_to_head() -> None:
    """Put the scripts into the page's head as the hosts do, by wrapping gradio's template response."""
    original = gr.routes.templates.TemplateResponse
    if getattr(original, "wrapped", None):
        original = original.wrapped
    head = head_html()

    def response(*arguments: Any, **named: Any) -> Any:
        made = original(*arguments, **named)
        made.body = made.body.replace(b"</head>", f"{head}</head>".encode())
        made.init_headers()
        return made

    response.wrapped = original  # type: ignore[attr-defined]
    gr.routes.templates.TemplateResponse = response
