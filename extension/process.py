"""Child processes of the supervisor: the sidecar itself, and install.py when its environment has to be made."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .client import Endpoint
from .log import log

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = ROOT / ".venv" / "lora-manager.json"
LOG_LIMIT = 2_000_000


def environment() -> dict[str, str]:
    """Without what the host sets for its own Python."""
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, "PYTHONUTF8": "1"}


def _detached(low_priority: bool = False) -> dict[str, Any]:
    """Out of reach of the terminal's Ctrl-C (the host is the one to react to it), and without a console window."""
    if sys.platform == "win32":
        low = subprocess.BELOW_NORMAL_PRIORITY_CLASS if low_priority else 0
        return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP | low}
    return {"start_new_session": True}


def run_install(arguments: Sequence[str], on_line: Callable[[str], None], low_priority: bool = False) -> int:
    """Run install.py with the host's Python to its end, handing over its lines as they come."""
    command = [sys.executable, str(ROOT / "install.py"), *arguments]
    if low_priority and sys.platform != "win32":
        command = ["nice", "-n", "15", *command]
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ.copy(),  # install.py itself drops what must not reach its own environment
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        **_detached(low_priority),
    )
    assert child.stdout is not None
    for line in child.stdout:
        on_line(line.strip().removeprefix("LoRA Manager: "))
    return child.wait()


def read_stamp() -> dict[str, Any]:
    """What install.py says about the environment it made; empty while there is none."""
    return _read_json(STAMP)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_endpoint(data: Path) -> Endpoint | None:
    """Where the sidecar of a data folder says it listens; whether it still does is for the caller to find out."""
    url = _read_json(data / "sidecar.json").get("url")
    token = os.environ.get("LORA_MANAGER_TOKEN", "").strip()
    if not token:
        try:
            token = (data / "token").read_text("utf-8").strip()
        except OSError:
            return None
    return Endpoint(str(url).rstrip("/"), token) if url and token else None


@dataclass
class Sidecar:
    """A sidecar that runs as our child: it ends when its standard input closes or this process is gone."""

    process: subprocess.Popen[bytes]
    key: tuple[str, ...]
    version: str
    log_path: Path
    read_to: int = 0
    last_line: str = ""

    def alive(self) -> bool:
        return self.process.poll() is None

    def read_log(self) -> list[str]:
        """New complete lines of its log since the last call."""
        try:
            with self.log_path.open("rb") as file:
                file.seek(self.read_to)
                new = file.read(1_000_000)
        except OSError:
            return []
        end = new.rfind(b"\n") + 1
        self.read_to += end
        lines = new[:end].decode("utf-8", "replace").splitlines()
        self.last_line = next((line for line in reversed(lines) if line.strip()), self.last_line)
        return lines

    def stop(self, seconds: float = 5.0) -> None:
        """Ask it to end, then make it."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):  # it has gone already
                self.process.stdin.close()
        for action in (self.process.terminate, self.process.kill):
            try:
                self.process.wait(seconds)
                return
            except subprocess.TimeoutExpired:
                action()
        self.process.wait(seconds)


def start_sidecar(data: Path, folders: Sequence[str], host_url: str | None, key: tuple[str, ...]) -> Sidecar:
    """Start one on any free port. Its standard input stays open as long as this process wants it to live."""
    command = [str(PYTHON), "-m", "sidecar", "serve", "--port", "0", "--data", str(data)]
    for folder in folders:
        command += ["--loras", folder]
    if host_url:
        command += ["--host-url", host_url]
    command += ["--parent", str(os.getpid()), "--watch-stdin"]
    file, path = _open_log(data)
    with file:
        offset = file.tell()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=file,
            **_detached(),
        )
    return Sidecar(process, key, sidecar_version(), path, read_to=offset)


def _open_log(data: Path) -> tuple[IO[bytes], Path]:
    """The log file in the data folder; one older file is kept. A file, since a pipe could fill up and block."""
    path = data / "logs" / "sidecar.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".old.log"))
        file: IO[bytes] = path.open("ab")
    except OSError as error:
        log.warning("no log in the data folder (%s)", error)
        handle, name = tempfile.mkstemp(prefix="lora-manager-", suffix=".log")
        file, path = os.fdopen(handle, "ab"), Path(name)
    file.seek(0, os.SEEK_END)
    return file, path


def sidecar_version() -> str:
    """Changes whenever the sidecar's code does, so that a Reload UI after an update does not keep the old one."""
    return str(max((path.stat().st_mtime_ns for path in (ROOT / "sidecar").rglob("*.py")), default=0))
