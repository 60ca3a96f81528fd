"""Stand-ins for the host's modules, as small as the extension's use of them, and the real servers its parts talk to."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from until import wait_for

from extension import host


@pytest.fixture
def no_loop_is_running() -> Iterator[None]:
    """Browser tests that ran in this process before leave Playwright's event loop marked as running."""
    running = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(running)


class FakeHost:
    """What a host looks like from the extension: `modules.shared` with options and command line."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, models: str) -> None:
        self._patch = monkeypatch
        self.opts = types.SimpleNamespace(data={}, added={})
        self.opts.add_option = lambda key, info: self.opts.added.update({key: info})
        self.cmd_opts = types.SimpleNamespace()
        self.state = types.SimpleNamespace(interrupted=False, skipped=False)
        self.callbacks: dict[str, list[Callable[..., Any]]] = {}
        self.shared = self.module(
            "modules.shared", opts=self.opts, cmd_opts=self.cmd_opts, state=self.state, OptionInfo=OptionInfo
        )
        self.module("modules")
        self.module("modules.paths", models_path=models, script_path=models)
        self.module("modules.scripts", Script=object, AlwaysVisible="always")
        self.with_callbacks(
            "image_saved", "app_started", "ui_tabs", "ui_settings", "before_ui", "script_unloaded"
        )
        host.kind.cache_clear()

    def module(self, name: str, **members: Any) -> types.ModuleType:
        module = types.ModuleType(name)
        vars(module).update(members)
        self._patch.setitem(sys.modules, name, module)
        return module

    def with_callbacks(self, *names: str) -> None:
        def register(name: str) -> Callable[[Callable[..., Any]], None]:
            return lambda function: self.callbacks.setdefault(name, []).append(function)

        self.module("modules.script_callbacks", **{f"on_{name}": register(name) for name in names})

    def be_sdnext(self) -> None:
        """The two things the extension tells SDNext by: its name, and its callbacks for every generation."""
        self.module("modules.cmd_args", parser=types.SimpleNamespace(description="SD.Next"))
        self.module("modules.lora.lora_common", loaded_networks=[])
        self.with_callbacks("image_saved", "before_process", "after_process")
        host.kind.cache_clear()


class OptionInfo:
    """The hosts' own: the arguments that all of them take."""

    def __init__(
        self,
        default: Any = None,
        label: str = "",
        component: Any = None,
        component_args: Any = None,
        section: tuple[str, str] | None = None,
    ) -> None:
        self.default, self.label, self.section, self.hint = default, label, section, ""
        self.component, self.component_args = component, component_args

    def info(self, text: str) -> OptionInfo:
        self.hint = text
        return self


@pytest.fixture
def fake_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[FakeHost]:
    monkeypatch.setenv("LORA_MANAGER_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("LORA_MANAGER_TOKEN", raising=False)
    monkeypatch.delitem(sys.modules, "lora_manager_kept", raising=False)
    yield FakeHost(monkeypatch, str(tmp_path / "models"))
    host.kind.cache_clear()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """Serve an ASGI app on a real port; returns its address."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(app: Any) -> str:
        port = free_port()
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        servers.append((server, thread))
        wait_for(lambda: server.started)
        return f"http://127.0.0.1:{port}"

    yield start
    for server, thread in servers:
        server.should_exit = server.force_exit = True
        thread.join(5)
