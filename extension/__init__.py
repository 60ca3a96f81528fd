"""LoRA Manager inside a host: starts the sidecar, passes requests on to it, composes prompts and records images.

It adds no package to the host, changes none, touches no database and reads no LoRA file: all of that is the sidecar's.
"""

from __future__ import annotations

import atexit
from typing import Any


def start() -> type:
    """Register everything with the host that runs us; returns the script class for the prompt's accordion.

    Called once per import of scripts/lora_manager.py, that is at the host's start and at each Reload UI.
    """
    from . import hooks, host, proxy, settings, tab
    from .client import Client
    from .generation import Generations
    from .listener import Listener
    from .records import Recorder
    from .supervisor import Supervisor
    from .telling import Teller

    supervisor = Supervisor(settings.current, host.own_url)
    client = Client(supervisor.endpoint, supervisor.poke)
    recorder = Recorder(client)
    generations = Generations(client, recorder, settings.current)
    served: list[Any] = []
    listener = Listener(supervisor.endpoint, lambda: host.refresh_loras(served[-1] if served else None))
    teller = Teller(client)
    supervisor.on_new.append(teller.forget)
    supervisor.on_up += [client.resume, recorder.nudge, listener.nudge, teller.nudge]

    def app_started(_demo: Any, app: Any) -> None:
        served.append(app)
        proxy.mount(app, supervisor, settings.current)
        supervisor.start()

    def unloaded() -> None:
        listener.stop()
        recorder.stop()
        teller.stop()
        supervisor.release()

    callbacks = host.script_callbacks()
    callbacks.on_before_ui(supervisor.start)
    callbacks.on_ui_settings(settings.register)
    callbacks.on_ui_tabs(tab.make)
    callbacks.on_app_started(app_started)
    callbacks.on_script_unloaded(unloaded)
    if hasattr(callbacks, "on_model_loaded"):
        callbacks.on_model_loaded(lambda _model: teller.nudge())
    hooks.register(generations)
    atexit.register(supervisor.shut_down)
    atexit.register(listener.stop)
    return hooks.make_script(generations, settings.current)
