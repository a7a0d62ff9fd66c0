"""The command line in tests: as a real process, or in this one where many rows would each import everything anew."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from rtsep.cli import app as cli

PATIENCE_S = 60.0
Here = Callable[..., tuple[int, str, str]]  # words to exit code, output, error output


def program(*arguments: object) -> list[str]:
    """What to start for `rtsep ARGUMENTS`."""
    return [sys.executable, "-m", "rtsep", *map(str, arguments)]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`rtsep ARGUMENTS` to its end; no traceback reaches a user."""
    done = subprocess.run(program(*arguments), capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """`run` in this very process, for a fixture."""
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rtsep", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield call


def check_complaint(words: str, code: int, out: str, err: str) -> None:
    """What went wrong is one line that holds these words, and an exit code of 1."""
    assert code == 1
    assert len(err.splitlines()) == 1, err
    assert err.startswith("rtsep: ") and words in err
    assert not out
