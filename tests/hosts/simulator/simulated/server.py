"""Starts the simulated host in the order of the real ones, and keeps it running until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import RedirectResponse
from modules import paths, script_callbacks, shared
from modules.cmd_args import FLAVOUR

from simulated import networks, ui
from simulated.api import Api
from simulated.scripts_runner import Runner, extensions, load_scripts

SDNEXT = FLAVOUR == "sdnext"


def run() -> None:
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, _stop)
    os.chdir(paths.script_path)
    if SDNEXT and shared.cmd_opts.subpath:
        shared.cmd_opts.subpath = "/" + shared.cmd_opts.subpath.strip("/")
    while True:
        began = time.monotonic()
        networks.list_available()
        load_scripts()
        demo = _start()
        print(f"Startup time: {time.monotonic() - began:.1f}s", flush=True)
        while not shared.state.need_restart:
            time.sleep(0.1)
        # Reload UI of the A1111 line: a new page and a new app in the same process
        shared.state.need_restart = False
        script_callbacks.call("before_reload")
        script_callbacks.call("script_unloaded")
        demo.close()
        time.sleep(0.5)


def _stop(_number: int, _frame: FrameType | None) -> None:
    if SDNEXT:
        sys.exit(0)
    os._exit(0)  # the A1111 line: no atexit, no unload callback


def _start() -> Any:
    script_callbacks.call("before_ui")
    runners: dict[str, Runner | None] = {"txt2img": Runner(False), "img2img": Runner(True)}
    shared.demo = demo = ui.create_ui(runners)
    demo.queue(64)
    ui.add_to_head()
    app, _, _ = demo.launch(
        server_port=shared.cmd_opts.port,
        server_name=shared.cmd_opts.server_name,
        auth=_pairs() or None,
        prevent_thread_lock=True,
        quiet=True,
        show_api=False,
        allowed_paths=[paths.data_path, *(str(folder) for folder in extensions())],
        root_path="" if SDNEXT else f"/{shared.cmd_opts.subpath}" if shared.cmd_opts.subpath else "",
    )
    _set_up_middleware(app)
    if SDNEXT or shared.cmd_opts.api:
        runner = runners["txt2img"]
        assert runner is not None
        if not SDNEXT:  # the A1111 line builds the scripts' controls once more for the API
            runner = Runner(False)
            with gr.Blocks():
                runner.setup_ui()
        shared.api = Api(app, runner)
        shared.api.register()
    script_callbacks.call("app_started", demo, app)
    if SDNEXT:
        script_callbacks.call("after_ui")
        if shared.cmd_opts.subpath:
            gr.mount_gradio_app(app, demo, path=shared.cmd_opts.subpath)
    return demo


def _pairs() -> list[tuple[str, str]]:
    named = shared.cmd_opts.auth if SDNEXT else shared.cmd_opts.gradio_auth
    split = (pair.split(":", 1) for pair in (named or "").split(",") if pair)
    return [(user, password) for user, password in split]


def _set_up_middleware(app: FastAPI) -> None:
    """gradio's wide-open CORS goes, gzip and the host's own layer come: the proxy's streams pass through both."""
    app.user_middleware = [each for each in app.user_middleware if each.cls.__name__ != "CORSMiddleware"]
    app.middleware_stack = None
    app.add_middleware(GZipMiddleware, minimum_size=2048)
    subpath = shared.cmd_opts.subpath if SDNEXT else None

    @app.middleware("http")
    async def around(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["X-Process-Time"] = "0"
        if subpath and not request.url.path.startswith(subpath):
            return RedirectResponse(f"{subpath}{request.url.path}", 308)  # after the endpoint has run
        return response

    app.middleware_stack = app.build_middleware_stack()
