"""Fetching a text model: only when the user says so, at the command line or at the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from text_models import hide, make_model, stand_in

from sidecar.recommend.embeddings import fetch
from sidecar.recommend.embeddings.fetch import WANTS_PACKAGE, main

ROOT = Path(__file__).parents[3]


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    hide(monkeypatch, tmp_path)
    stand_in(tmp_path / "packages", monkeypatch)
    return tmp_path / "packages"


def add_hub(packages: Path, program: str) -> None:
    """What stands in for Hugging Face's library: `snapshot_download` runs this program."""
    (packages / "huggingface_hub").mkdir()
    (packages / "huggingface_hub" / "errors.py").write_text(
        "class HfHubHTTPError(Exception): pass\nclass LocalEntryNotFoundError(Exception): pass\n"
    )
    (packages / "huggingface_hub" / "__init__.py").write_text(
        f"from huggingface_hub import errors\ndef snapshot_download(name, allow_patterns):\n    {program}\n"
    )


@pytest.fixture(autouse=True)
def forget_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("huggingface_hub", "huggingface_hub.errors"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_without_a_terminal_nobody_is_asked_and_nothing_is_fetched(
    packages: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fetch.sys, "stdin", None)
    assert main("ask") == 0 and main("none") == 0
    said = capsys.readouterr().out
    assert said.count("without a text model") == 2 and "--model package" in said and "1, 2" not in said


def test_a_package_is_left_to_pip(packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("package") == WANTS_PACKAGE
    make_model(packages / "a_carrier" / "model", name="all-MiniLM-L6-v2")
    assert main("package") == 0, "there is one"
    assert capsys.readouterr().out.splitlines()[-1].endswith("are installed, with all-MiniLM-L6-v2")


def test_a_download_is_found_afterwards(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    made = make_model(tmp_path / "made")
    target = tmp_path / "hub" / "models--sentence-transformers--all-MiniLM-L6-v2" / "snapshots" / "1"
    add_hub(packages, f"import shutil; shutil.copytree({str(made)!r}, {str(target)!r})")
    assert main("huggingface") == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("are installed, with all-MiniLM-L6-v2")


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("errors.LocalEntryNotFoundError('x')", "no connection to Hugging Face"),
        ("errors.HfHubHTTPError('404 gone')", "could not be downloaded: 404 gone"),
        ("OSError('disk is full')", "could not be downloaded: disk is full"),
    ],
)
def test_a_download_that_fails_says_why(
    packages: Path, capsys: pytest.CaptureFixture[str], raised: str, said: str
) -> None:
    add_hub(packages, f"raise {raised}")
    assert main("huggingface") == 1
    assert said in capsys.readouterr().out


@pytest.mark.skipif(os.name == "nt", reason="a terminal as POSIX has it")
@pytest.mark.parametrize(("answer", "code"), [(b"1", WANTS_PACKAGE), (b"", 0), (b"7", 0)])
def test_at_a_terminal_the_user_is_asked(packages: Path, answer: bytes, code: int) -> None:
    import pty

    ours, its = pty.openpty()
    os.write(ours, answer + b"\n")
    program = (
        "import sys; from sidecar.recommend.embeddings import fetch, finding; finding._in_packages = lambda: (); "
        "sys.exit(fetch.main('ask'))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, cwd=ROOT, stdin=its, capture_output=True, text=True)
    os.close(ours)
    os.close(its)
    assert done.returncode == code, done.stderr
    assert "1, 2 or Enter" in done.stdout
