"""Lines that libraries write past Python do not reach the view."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtsep.cli import foreign_lines
from rtsep.cli.foreign_lines import ForeignLines, crash_log, log_path
from tests.support.commands import PATIENCE_S, run


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_they_go_to_the_log_and_ours_do_not(capfd: pytest.CaptureFixture[str]) -> None:
    with ForeignLines() as lines:
        before = lines.found
        os.write(2, b"ALSA lib pcm.c: unknown PCM\n")
        assert (before, lines.found) == (None, log_path())
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
    assert log_path().read_text(encoding="utf-8").splitlines()[1:] == ["ALSA lib pcm.c: unknown PCM"]


def test_python_writes_where_it_did_whatever_a_library_writes() -> None:
    code = """
import ctypes, sys
from rtsep.cli.foreign_lines import ForeignLines
from rtsep.cli.options import print_error
with ForeignLines():
    ctypes.CDLL(None).dprintf(2, b"of libc\\n")
    print("of Python", file=sys.stderr)
    print_error(ValueError("of ours"))
ctypes.CDLL(None).dprintf(2, b"of libc, afterwards\\n")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["of Python", "rtsep: of ours", "of libc, afterwards"]
    assert "of libc\n" in log_path().read_text(encoding="utf-8")


def test_where_no_log_can_be_written_they_go_nowhere(state: Path, capfd: pytest.CaptureFixture[str]) -> None:
    state.write_text("a file in the way")
    with ForeignLines() as lines:
        os.write(2, b"lost\n")
        assert lines.found is lines.path is None
    assert capfd.readouterr().err == ""


def test_the_log_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_lines, "MOST_BYTES", 1000)
    monkeypatch.setattr(foreign_lines, "LOOK_S", 0.01)
    with ForeignLines():
        for _ in range(40):
            os.write(2, b"x" * 499 + b"\n")
            while log_path().stat().st_size > 1000:
                pass
    assert log_path().stat().st_size <= 1000
    log_path().write_bytes(b"x" * 600)
    with ForeignLines():
        assert log_path().stat().st_size < 100  # the run before has a file of its own
    assert log_path().with_suffix(".old.log").stat().st_size == 600


def test_a_crash_is_told_in_the_log() -> None:
    code = """
import faulthandler
from rtsep.cli.foreign_lines import ForeignLines
with ForeignLines():
    faulthandler._sigsegv()
"""
    assert crash_log() is None
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode < 0
    assert done.stderr == b""  # the shell says what killed it
    assert crash_log() == log_path()
    assert "Segmentation fault" in log_path().read_text(encoding="utf-8")
    told = run("live", "-i", "demo", "-o", "null", "-l", "24")
    assert told.stderr.splitlines()[0] == f"rtsep: the last run crashed; where it was then is in {log_path()}"
    assert crash_log() is None  # this one did not


def test_a_run_that_resamples_ends_without_a_word(tmp_path: Path) -> None:
    report = tmp_path / "run.json"
    words = ("-i", "demo", "-o", "null", "-m", "streaming-2stems", "--rate", "48000", "--seconds", "0.3")
    done = run("live", *words, "--report", report)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(report.read_text(encoding="utf-8"))["sample_rate"] == 48000


def test_a_driver_that_says_more_is_named_with_the_error(tmp_path: Path) -> None:
    code = """
import ctypes, sys
import rtsep.cli, rtsep.host.null_clock as clock
from rtsep.errors import DeviceError
def refuse(self, device_io):
    ctypes.CDLL(None).dprintf(2, b"ALSA lib: device is busy\\n")
    raise DeviceError("null cannot be opened: it is busy")
clock.NullClock.open = refuse
sys.argv = "rtsep live -i demo -o null -m streaming-2stems".split()
rtsep.cli.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    wanted = f"rtsep: null cannot be opened: it is busy (what the drivers said: {log_path()})\n"
    assert (done.returncode, done.stderr) == (1, wanted)
