"""What differs between hosts, by feature: modules, options, folders, logins. One generation is host_job's, what a host
tells of itself host_facts'. No other file of the extension imports host modules.

Host modules are looked up when needed and never at import: at that time some are half-made. All of them are untyped.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any


def module(name: str) -> Any:
    """A host module, or None where this host has none of that name."""
    found = sys.modules.get(name)
    if found is not None:
        return found
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def attribute(module_name: str, *path: str) -> Any:
    """Something in a host module, None when any part of the way to it is missing."""
    value = module(module_name)
    for name in path:
        value = getattr(value, name, None)
    return value


@lru_cache(maxsize=1)
def kind() -> str:
    """Which host this is, for labels and for the grammar of `<lora:…>`: sdnext, forge, reforge or a1111."""
    if attribute("modules.cmd_args", "parser", "description") == "SD.Next":
        return "sdnext"
    if importlib.util.find_spec("modules_forge") is not None:
        return "forge" if importlib.util.find_spec("backend") is not None else "reforge"
    return "a1111"


def script_callbacks() -> Any:
    return module("modules.script_callbacks")


def has_process_callbacks() -> bool:
    """SDNext tells of every generation by callback, Control included, where it drops the scripts of extensions."""
    return hasattr(script_callbacks(), "on_before_process")


def script_base() -> tuple[type, Any]:
    """The class that scripts derive from, and its AlwaysVisible mark."""
    scripts = module("modules.scripts") or module("modules.scripts_manager")
    return scripts.Script, scripts.AlwaysVisible


def command_line(name: str) -> Any:
    """A command-line option of the host, None when it has no such option."""
    return attribute("modules.shared", "cmd_opts", name)


def option(key: str, default: Any = None) -> Any:
    """A value of the host's settings page, also before the page has been built."""
    data = attribute("modules.shared", "opts", "data") or {}
    if key in data:
        return data[key]
    secrets = attribute("modules.shared", "opts", "secrets")  # SDNext keeps names like *_token apart
    if isinstance(secrets, dict) and key in secrets:
        return secrets[key]
    labels = attribute(
        "modules.shared", "opts", "data_labels"
    )  # SDNext keeps in `data` only what was changed
    return getattr(labels[key], "default", default) if isinstance(labels, dict) and key in labels else default


def add_option(
    key: str, default: Any, label: str, section: tuple[str, str], info: str = "", choices: Sequence[str] = ()
) -> None:
    """Put a setting on the host's settings page: one of `choices`, or of the default's type."""
    shared, radio, more = module("modules.shared"), attribute("gradio", "Radio"), {}
    if choices and radio is not None:
        more = {"component": radio, "component_args": {"choices": list(choices)}}
    entry = shared.OptionInfo(default, label, section=section, **more)
    if info and hasattr(entry, "info"):
        entry.info(info)
    shared.opts.add_option(key, entry)


def lora_folders() -> list[str]:
    """Where this host reads LoRA files from, absolute, existing or not."""
    named = [command_line("lora_dir") or option("lora_dir"), command_line("lyco_dir_backcompat")]
    if not any(named):
        named = [os.path.join(attribute("modules.paths", "models_path") or "models", "Lora")]
    root = attribute("modules.paths", "script_path") or os.getcwd()
    absolute = [os.path.abspath(os.path.join(root, str(folder))) for folder in named if folder]
    # the LyCORIS folder is a leftover that most do not have
    return [folder for i, folder in enumerate(dict.fromkeys(absolute)) if i == 0 or os.path.isdir(folder)]


def refresh_loras(app: Any) -> None:
    """Have the host read its LoRA folder anew, between two generations. Takes seconds with thousands of files: not for
    the event loop or the main thread.

    It clears its list before it fills it again, so it must not happen while a generation looks names up.
    """
    # The A1111 line's Lora extension has loaded its module under this plain name; SDNext has its own place.
    networks: Any = module("modules.lora.lora_load") if kind() == "sdnext" else sys.modules.get("networks")
    lock = attribute("modules.call_queue", "queue_lock")
    with lock if hasattr(lock, "__enter__") else nullcontext():
        if hasattr(networks, "list_available_networks"):
            networks.list_available_networks()
            return
        for route in getattr(app, "routes", []):
            if getattr(route, "path", None) == "/sdapi/v1/refresh-loras":
                answer = route.endpoint()
                if inspect.iscoroutine(answer):
                    asyncio.run(answer)
                return
    raise LookupError("this host has no way to refresh its LoRAs that is known")


def subpath() -> str:
    """The prefix of `--subpath` with a leading and no trailing slash, "" without one."""
    given = str(command_line("subpath") or option("subpath") or "").strip("/")
    return f"/{given}" if given else ""


def own_url() -> str:
    """Where this host listens by its command line, as seen from this machine: without a sub-path, which is the business
    of a proxy in front of it (SDNext serves its API at the root whatever `--subpath` says)."""
    scheme = "https" if command_line("tls_keyfile") else "http"
    return f"{scheme}://127.0.0.1:{command_line('port') or 7860}"


def be_lenient(path: str, hot: str) -> None:
    """Keep a path out of SDNext's request log, and the one that scrolling asks for out of its 300 requests a minute."""
    validate = module("modules.api.validate")
    prefixes, costs = getattr(validate, "log_exclude_prefix", None), getattr(validate, "request_cost", None)
    if isinstance(prefixes, list) and path not in prefixes:
        prefixes.append(path)
    if isinstance(costs, dict):
        costs[hot] = 0


# Who may pass


def basic_credentials(app: Any) -> dict[str, str]:
    """User names and passwords that this host takes as HTTP Basic; empty when it has no login."""
    users: dict[str, str] = {}
    api = attribute("modules.shared", "api", "credentials")  # SDNext --auth, --auth-file
    for known in (api, getattr(app, "auth", None)):  # gradio's own pairs are kept on its app
        if isinstance(known, dict):
            users.update((str(user), str(password)) for user, password in known.items())
    for pair in str(command_line("api_auth") or "").split(","):  # A1111 line --api-auth
        user, found, password = pair.partition(":")
        if found:
            users[user] = password
    return users


def login_apps(app: Any) -> list[Any]:
    """The gradio apps that can hold a login: the one given and those mounted in it (SDNext --subpath)."""
    mounted = [getattr(route, "app", None) for route in getattr(app, "routes", [])]
    return [each for each in [app, *mounted] if isinstance(getattr(each, "tokens", None), dict)]


def has_login(app: Any) -> bool:
    if basic_credentials(app):
        return True
    return any(
        getattr(each, "auth", None) is not None or getattr(each, "auth_dependency", None) is not None
        for each in login_apps(app)
    )


def own_names() -> list[str]:
    """Host names that the user gave the host on its command line."""
    names = [str(command_line("server_name") or "")]
    for name in ("cors_origins", "cors_allow_origins"):
        names += [origin.split("//")[-1].rstrip("/") for origin in str(command_line(name) or "").split(",")]
    if command_line("share"):
        names.append(".gradio.live")
    return [name for name in names if name and name != "*"]
