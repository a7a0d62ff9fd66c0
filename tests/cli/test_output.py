"""Terminals with few letters: everything is shown somehow, and nothing fails of a name."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from rtsep.cli.output import show_everything
from tests.support.commands import PATIENCE_S, program

LOCALES = {
    "ASCII": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    "Latin-1": {"PYTHONIOENCODING": "latin-1"},
    "UTF-8": {"PYTHONIOENCODING": "utf-8"},
}


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", rb"* == - < \xf6 \u266b \udcff ."),
        ("latin-1", b"* == - < \xf6 \\u266b \\udcff ."),
        ("utf-8", "● ━━ ─ ← ö ♫ ".encode() + rb"\udcff" + " ⠋".encode()),
    ],
)
def test_what_an_encoding_lacks(monkeypatch: pytest.MonkeyPatch, encoding: str, shown: bytes) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    show_everything()
    print("● ━━ ─ ← ö ♫ \udcff ⠋", end="", flush=True)
    assert raw.getvalue() == shown


@pytest.mark.parametrize("locale", LOCALES)
def test_a_run_in_a_terminal(tmp_path: Path, locale: str) -> None:
    """Spinner, header, live view and summary; and the route to a file with letters that it lacks."""
    ours, theirs = pty.openpty()
    song = tmp_path / os.fsdecode(b"S\xc3\xb6ng \xe2\x99\xab \xff.json")
    words = program("live", "-i", "demo", "-o", "null", "-m", "streaming-2stems", "--seconds", "0.5", "--report", song)
    environment = {**os.environ, **LOCALES[locale], "TERM": "xterm"}
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 4096):
                shown += block
        except OSError:  # it has ended
            pass
        assert process.stderr is not None
        assert (process.wait(PATIENCE_S), process.stderr.read()) == (0, b"")
    os.close(ours)
    assert b"q end" in shown and b"report   " in shown
    assert song.is_file()
    assert {"ASCII": rb"S\udcc3\udcb6ng", "Latin-1": b"S\xf6ng", "UTF-8": "Söng".encode()}[locale] in shown


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("words", [("devices",), ("models",), ("--help",), ("separate", "S\udcffng ♫.wav", "-o", "x")])
def test_other_commands(tmp_path: Path, locale: str, words: tuple[str, ...]) -> None:
    environment = {**os.environ, **LOCALES[locale]}
    done = subprocess.run(
        [os.fsencode(word) for word in program(*words)],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")
    assert done.returncode == (1 if words[0] == "separate" else 0), done.stderr
