"""Starts hosts, simulated and real ones, with this repository as their extension, in a data folder of their own."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from host_files import Shapes, make_loras, sd15_shapes, shapes_of
from waiting import wait_until

ROOT = Path(__file__).parents[2]
SIMULATOR = Path(__file__).with_name("simulator")
LOGIN = ("tester", "open-sesame")
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "PYTHONUNBUFFERED": "1",
    "UV_LINK_MODE": "copy",
}


@dataclass(frozen=True)
class Kind:
    """One kind of host to run the suite on."""

    name: str
    grammar: str  # sdnext or a1111: which command line and which behaviour
    folder: Path
    python: Path
    theme: str = "Standard"
    start_seconds: float = 30

    @property
    def simulated(self) -> bool:
        return self.folder == SIMULATOR

    @property
    def pause(self) -> float:
        """Seconds between looks at something awaited; SDNext answers 300 requests a minute."""
        return 0.2 if self.simulated else 1.5


@dataclass
class Host:
    """A running host."""

    kind: Kind
    process: subprocess.Popen[bytes]
    url: str  # with the sub-path, ending in /
    data: Path
    log: Path
    login: tuple[str, str] | None
    client: httpx.Client = field(repr=False)

    @property
    def sidecar_data(self) -> Path:
        return self.data / "lora-manager"

    @property
    def sidecar_pid(self) -> int:
        return int(json.loads((self.sidecar_data / "sidecar.json").read_text())["pid"])

    def api(self, path: str, **query: Any) -> Any:
        """GET one of the sidecar's addresses through the host."""
        answer = self.client.get(f"lora-manager/api/v1/{path}", params=query)
        answer.raise_for_status()
        return answer.json()

    def generate(self, prompt: str, kind: str = "txt2img", **values: Any) -> dict[str, Any]:
        """A small job over the host's API: {"images": [base64], "infotexts": [str], "infotext": the first, "told": parameters}."""
        size = 64 if self.kind.simulated or self.kind.grammar == "a1111" else 128
        small = {"prompt": prompt, "steps": 1, "width": size, "height": size, "seed": 7, "cfg_scale": 4}
        content: dict[str, Any] = {}

        def is_made() -> str:  # SDNext has no info, and no image, while its model is still being loaded
            answer = self.client.post(f"sdapi/v1/{kind}", json={**small, **values}, timeout=300)
            answer.raise_for_status()
            content.update(answer.json())
            return str(content["info"])

        wait_until(is_made, 60, self.kind.pause)
        info = json.loads(content["info"]) if isinstance(content["info"], str) else content["info"]
        infotexts = info["infotexts"]
        return {
            "images": content["images"],
            "infotexts": infotexts,
            "infotext": infotexts[0] if infotexts else "",
            "told": info["extra_generation_params"],
        }

    def records(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.api("generations")["items"]
        return items

    def settled_records(self) -> int:
        """How many records there are once no more arrive: they are sent after the image has been delivered."""
        count = -1
        while count != (count := len(self.records())):
            time.sleep(0.5)
        return count

    def wait_for_records(self, count: int) -> None:
        """Wait until there are so many records."""
        wait_until(lambda: self.api("generations", limit=1)["total"] >= count, 30, self.kind.pause)

    def set_option(self, key: str, value: Any) -> None:
        self.client.post("sdapi/v1/options", json={key: value}).raise_for_status()

    def stop(self) -> None:
        self.client.close()
        for number, seconds in ((signal.SIGINT, 8), (signal.SIGTERM, 8), (signal.SIGKILL, 8)):
            if self.process.poll() is not None:
                break
            self.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)


def start_host(
    kind: Kind,
    data: Path,
    login: bool = False,
    subpath: str = "",
    *,
    loras: Callable[[Path, Shapes], None] | None = None,
    beside: Sequence[Path] = (),
) -> Host:
    """Start one and wait until it serves the app. `loras` makes further files, `beside` are other extensions.

    Raises:
        RuntimeError: it ended, or did not come up in time; with the end of its log.
    """
    port = _free_port()
    shapes = _prepare(kind, data)
    if loras is not None:
        loras(data / "models" / "Lora", shapes)
    for extension in beside:
        (data / "extensions" / extension.name).symlink_to(extension, target_is_directory=True)
    command: list[str | Path] = [kind.python, kind.folder / "launch.py", *_arguments(kind, data, login)]
    command += ["--port", str(port), "--data-dir", data, "--lora-dir", data / "models" / "Lora"]
    if subpath:
        command += ["--subpath", subpath]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment |= {**OFFLINE, "LORA_MANAGER_DATA": str(data / "lora-manager")}
    # as in an activated environment: SDNext begins anew as the `python` that it finds
    environment["PATH"] = os.pathsep.join([str(kind.python.parent), environment.get("PATH", "")])
    log = data / "host.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=kind.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    url = f"http://127.0.0.1:{port}/" + (f"{subpath.strip('/')}/" if subpath else "")
    headers = {}
    if login:
        headers["Authorization"] = f"Basic {base64.b64encode(':'.join(LOGIN).encode()).decode()}"
    client = httpx.Client(base_url=url, headers=headers, timeout=20, trust_env=False)
    host = Host(kind, process, url, data, log, LOGIN if login else None, client)
    try:
        _wait_until_ready(host, subpath)
    except BaseException:
        host.stop()
        raise
    return host


def _wait_until_ready(host: Host, subpath: str) -> None:
    """The page is served, the sidecar answers through the proxy and has read the LoRA folder.

    The host's API too, but not below a sub-path: SDNext has it there only when the path comes from its settings.
    """
    limit = time.monotonic() + host.kind.start_seconds
    if (
        host.kind.grammar == "a1111" and not host.kind.simulated
    ):  # a request before its API is there keeps that away
        while b"Startup time:" not in host.log.read_bytes() and time.monotonic() < limit:
            if host.process.poll() is not None:
                break
            time.sleep(0.5)
    while time.monotonic() < limit and host.process.poll() is None:
        with contextlib.suppress(httpx.HTTPError, ValueError):
            page = host.client.get("")
            health = host.client.get("lora-manager/api/v1/health")
            api = health if subpath else host.client.get("sdapi/v1/options")
            ready = page.status_code == health.status_code == api.status_code == 200
            if ready and not health.json()["scanning"] and health.json()["loras"] >= 12:
                return
        time.sleep(host.kind.pause)
    end = host.log.read_text(errors="replace")[-3000:]
    raise RuntimeError(f"{host.kind.name} did not come up (exit code {host.process.poll()}):\n{end}")


def _prepare(kind: Kind, data: Path) -> Shapes:
    """The data folder: configuration, models by link, LoRAs, the extension by link. Returns the shapes of the model's layers."""
    (data / "extensions").mkdir(parents=True, exist_ok=True)
    _install_extension(kind, data / "extensions" / "lora-manager")
    shapes = sd15_shapes()
    config: dict[str, Any] = {"lora_manager_embeddings": False}
    names = ("txt2img", "img2img", "control")
    if not kind.simulated and kind.grammar == "sdnext":
        models = sorted((kind.folder / "models" / "Diffusers").iterdir())
        _link(models, data / "models" / "Diffusers")
        tiny = next((path for path in models if path.name.startswith("tiny")), models[0])
        shapes = shapes_of(tiny) or shapes
        config |= {
            "theme_type": kind.theme,
            "gradio_theme": "Default" if kind.theme == "Modern" else "black-teal",
            "sd_model_checkpoint": tiny.name,
            "sd_checkpoint_autodownload": False,
            "sdnq_dequantize_compile": False,
            "lora_fuse_native": False,
            "show_progress_type": "Simple",
            "lora_dir": str(data / "models" / "Lora"),
        }
    elif not kind.simulated:
        source = kind.folder / "models" / "Stable-diffusion"
        _link(sorted(source.iterdir()), data / "models" / "Stable-diffusion")
        config |= {"show_progress_type": "Approx cheap", "live_previews_enable": False}
    size = 64 if kind.grammar == "a1111" else 128
    small = {f"{tab}/{key}/value": size for tab in names for key in ("Width", "Height")}
    steps = ("{}/Steps/value", "customscript/sampler.py/{}/Sampling steps/value")
    small |= {key.format(tab): 1 for tab in names for key in steps}
    (data / "ui-config.json").write_text(json.dumps(small))
    (data / "config.json").write_text(json.dumps(config))
    make_loras(data / "models" / "Lora", shapes)
    return shapes


def _install_extension(kind: Kind, place: Path) -> None:
    """By link, so that the environment that stands in the repository is used; it fits only its own Python version.

    A host with another Python gets a copy of the repository's files, and its install.py makes an environment there.
    """
    if place.exists():
        return
    version = "import sys; print('%d.%d' % sys.version_info[:2])"
    asked = subprocess.run([kind.python, "-c", version], capture_output=True, text=True, check=True)
    stamp = ROOT / ".venv" / "lora-manager.json"
    ours = json.loads(stamp.read_text())["python"] if stamp.is_file() else None
    if ours in (None, asked.stdout.strip()):
        place.symlink_to(ROOT, target_is_directory=True)
        return
    ignored = shutil.ignore_patterns(".*", "node_modules", "__pycache__", "tests")
    shutil.copytree(ROOT, place, ignore=ignored)


def _link(files: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        with contextlib.suppress(FileExistsError):
            (folder / file.name).symlink_to(file)


def _arguments(kind: Kind, data: Path, login: bool) -> list[str]:
    pair = ":".join(LOGIN)
    if kind.grammar == "sdnext":
        arguments = ["--auth", pair] if login else []
        quick = ["--skip-all", "--skip-git", "--skip-torch", "--skip-requirements", "--quick"]
        quick += ["--log", str(data / "sdnext.log")]
        return [*(["--flavour", "sdnext"] if kind.simulated else quick), *arguments]
    arguments = ["--api", *(["--gradio-auth", pair, "--api-auth", pair] if login else [])]
    skip = ["install", "prepare-environment", "torch-cuda-test", "version-check", "python-version-check"]
    quick = [*(f"--skip-{what}" for what in skip), "--always-cpu"]
    return [*(["--flavour", "a1111"] if kind.simulated else quick), *arguments]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
