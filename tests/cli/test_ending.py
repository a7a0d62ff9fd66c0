"""How a live run ends as a process: asked once or often, its terminal or its disk gone, something in it hanging."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import soundfile

from rtsep.cli.ending import Ending
from rtsep.cli.output import Output
from rtsep.core.last_error import read_error
from rtsep.host.supervisor import Supervisor
from tests.host.test_report import validate
from tests.support.card import VirtualCard, missing
from tests.support.commands import PATIENCE_S, program

HEADER = "streaming-2stems on null"
STEMS = ("vocals", "accompaniment")


@pytest.fixture(autouse=True)
def own_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def live(folder: Path, *more: object) -> list[str]:
    """A run that records and reports into a folder."""
    kept = ("--record", folder / "stems", "--report", folder / "run.json")
    return program("live", "-i", "demo", "-o", "null", "-m", "streaming-2stems", *kept, *more)


def changed(words: list[str], *lines: str) -> list[str]:
    """The same run with something in it replaced first, and short bounds for its ending."""
    code = [
        "import sys, threading, time",
        "import rtsep.cli.ending as ending",
        "ending.HOST_S = 1.0",
        "ending.RECORDING_S = ending.REPORT_S = ending.PRINT_S = 0.5",
        "forever = threading.Event()",
        *lines,
        f"sys.argv = ['rtsep', *{words[3:]!r}]",
        "import rtsep.cli",
        "rtsep.cli.main()",
    ]
    return [sys.executable, "-c", "\n".join(code)]


@contextmanager
def playing(words: list[str], wait_s: float = 0.6, header: str = HEADER) -> Iterator[subprocess.Popen[str]]:
    """A process that has played for a while."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            while header not in (line := process.stdout.readline()):  # the machine may be too slow, and say so
                assert line, process.stderr and process.stderr.read()
            time.sleep(wait_s)
            yield process
        finally:
            process.kill()


def check_kept(folder: Path, least_frames: int = 5000) -> dict[str, Any]:
    """Report and recording are whole: valid, of equal lengths, and no file ends before its header says."""
    found: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    validate(found)
    paths = [folder / "stems" / f"{stem}.wav" for stem in STEMS]
    frames = {soundfile.info(path).frames for path in paths}
    recorded = found["decks"][0]["recorded_frames"]
    assert frames == {recorded} and recorded > least_frames
    for path in paths:
        sound, _ = soundfile.read(path, dtype="float32", always_2d=True)
        assert len(sound) == recorded
    assert abs(found["seconds"] * found["sample_rate"] - recorded) < 0.25 * found["sample_rate"]
    return found


# Asked to stop -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [("SIGINT", "SIGINT"), ("SIGTERM",) * 3, ("SIGHUP", "SIGTERM", "SIGINT", "SIGINT")],
    ids=" ".join,
)
def test_many_requests_are_one(tmp_path: Path, names: tuple[str, ...]) -> None:
    with playing(live(tmp_path)) as process:
        for name in names:
            process.send_signal(getattr(signal, name))
            time.sleep(0.013)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[-1] == f"report   {tmp_path / 'run.json'}"
    check_kept(tmp_path)


@pytest.mark.jack
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_request_to_a_process_that_was_stopped_and_has_lost_its_server(tmp_path: Path) -> None:
    """By SIGSTOP, for longer than a synchronous JACK waits; then the client that it was is gone."""
    kept = ("--record", tmp_path / "stems", "--report", tmp_path / "run.json")
    words = program("live", "-i", "system", "-o", "system", "-m", "streaming-2stems", *kept)
    with VirtualCard(synchronous=True), playing(words, header="streaming-2stems on system") as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(6.0)
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["decks"][0]["recorded_frames"] > 5000


def test_a_hangup_that_is_ignored_stops_nothing(tmp_path: Path) -> None:
    """As under nohup."""
    words = ["/bin/sh", "-c", 'trap "" HUP; exec "$@"', "sh", *live(tmp_path, "--seconds", "1")]
    with playing(words, 0.2) as process:
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    assert check_kept(tmp_path)["seconds"] >= 1.0


@pytest.mark.parametrize(("name", "wait_s"), [("SIGINT", 0.15), ("SIGTERM", 0.4), ("SIGHUP", 0.7)])
def test_before_the_sound_it_ends_at_once(tmp_path: Path, name: str, wait_s: float) -> None:
    """From the program's first line on; whatever is being imported, compiled or opened."""
    ready, words = tmp_path / "ready", live(tmp_path)
    code = f"import pathlib, rtsep.cli; pathlib.Path({str(ready)!r}).touch(); rtsep.cli.main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *words[3:]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not ready.exists():
            time.sleep(0.002)
        time.sleep(wait_s)
        process.send_signal(getattr(signal, name))
        out, err = process.communicate(timeout=PATIENCE_S)
    if HEADER in out:  # a quick machine
        assert (process.returncode, err) == (0, "")
    else:
        assert (process.returncode, err, out) == (128 + getattr(signal, name), "rtsep: stopped\n", "")


def test_a_request_while_a_driver_hangs_before_the_sound(tmp_path: Path) -> None:
    """No handler of Python's runs while the main thread is in a library's call."""
    hang = "lambda self, device_io: ctypes.PyDLL(None).usleep(1000) or ctypes.CDLL(None).sleep(60)"
    words = changed(
        live(tmp_path),
        "import ctypes, rtsep.host.null_clock",
        "import rtsep.cli.stop_requests as stop_requests",
        "stop_requests.StopRequests.answered_within.__wrapped__.__defaults__ = (0.3,)",
        f"rtsep.host.null_clock.NullClock.open = lambda *_: print('opening', flush=True) or ({hang})(*_)",
    )
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "opening\n"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (143, "rtsep: stopped\n")


@pytest.mark.parametrize("follows", ["time.sleep(60)", "raise RuntimeError('no compiled object yet')"])
def test_a_request_that_is_lost_in_a_callback_comes_again(follows: str) -> None:
    """Python ignores what is raised there; numba's compiler then fails of what is missing."""
    code = f"""
import signal, sys, time
import rtsep.cli, rtsep.cli.system as system
class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        for _ in range(1000):
            pass
def devices():
    Finalized()
    {follows}
system.devices.__code__ = devices.__code__
system.Finalized, system.time = Finalized, time
sys.argv = ["rtsep", "devices"]
rtsep.cli.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (130, "rtsep: stopped\n")


def test_other_commands_are_stopped_with_one_line() -> None:
    with subprocess.Popen(program("doctor"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (130, "rtsep: stopped\n")


# The output is lost ------------------------------------------------------------------------------


def test_a_full_disk_behind_the_output(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        words = live(tmp_path, "--seconds", "0.5")
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 1
    assert done.stderr == "rtsep: the output cannot be written (No space left on device); what was kept is kept\n"
    assert check_kept(tmp_path)["seconds"] >= 0.5  # it played on


def test_a_reader_that_wants_one_line(tmp_path: Path) -> None:
    words = live(tmp_path, "--seconds", "0.5")
    done = subprocess.run(
        ["/bin/sh", "-c", '"$@" | head -1', "sh", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.stderr == "" and "streaming-2stems" in done.stdout and len(done.stdout.splitlines()) == 1
    assert check_kept(tmp_path)["seconds"] >= 0.5


def test_a_warning_that_nobody_reads_ends_no_sound(tmp_path: Path) -> None:
    words = changed(
        live(tmp_path, "--seconds", "1"),
        "import rtsep.host.host",
        "rtsep.host.host.Host._warning = lambda self: 'masks are late' if self.seconds > 0.5 else ''",
    )
    with playing(words, 0.0) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(PATIENCE_S) == 1
    assert check_kept(tmp_path)["seconds"] >= 1.0


def test_a_terminal_that_is_closed(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    with subprocess.Popen(
        live(tmp_path),
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=take_terminal,
    ) as process:
        os.close(theirs)
        shown = b""
        while b"q end" not in shown:  # the live view is there
            shown += os.read(ours, 4096)
        for _ in range(8):
            os.read(ours, 4096)
        os.close(ours)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    check_kept(tmp_path)


def test_an_output_that_nobody_reads_and_nobody_closes(tmp_path: Path) -> None:
    """The view hangs in a full pipe; a request ends the run even so."""
    words = changed(
        live(tmp_path),
        "import rtsep.cli.stop_requests as stop_requests, rtsep.surfaces.session as session",
        "stop_requests.StopRequests.answered_within.__wrapped__.__defaults__ = (0.3,)",
        "session.watch = lambda *_: print('x' * (1 << 20), flush=True)",
    )
    with playing(words) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 1
        assert process.stderr
        assert process.stderr.read() == "rtsep: the view, printing: not ended in time, and left behind\n"
    check_kept(tmp_path)


# Something hangs ---------------------------------------------------------------------------------


HANGS = {
    "the clock": (
        "import rtsep.host.null_clock as clock",
        "clock.null_clock = lambda *_, run=clock.null_clock: run(*_) or forever.wait()",
    ),
    "the inference": (
        "from rtsep.host.scheduler import InferenceScheduler as Scheduler",
        "Scheduler._infer = lambda self, hop, run=Scheduler._infer: run(self, hop) if hop < 50 else forever.wait()",
    ),
    "the player": (
        "from rtsep.audio.sources import Resampled",
        "Resampled.read = lambda self, n, read=Resampled.read, t=[]: t.append(n) or read(self, n) if len(t) < 18 else"
        " forever.wait()",
    ),
}


@pytest.mark.parametrize("name", HANGS)
def test_what_hangs_is_named_and_left_behind(tmp_path: Path, name: str) -> None:
    with playing(changed(live(tmp_path), *HANGS[name])) as process:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1 and len(err.splitlines()) == 1
    assert name in err and err.endswith(": not ended in time, and left behind\n")
    assert out.splitlines()[-1] == f"report   {tmp_path / 'run.json'}"
    check_kept(tmp_path)


def test_a_library_that_does_not_let_go_of_python(tmp_path: Path) -> None:
    """A thread of its own that Python waits for at the end."""
    words = changed(
        live(tmp_path, "--seconds", "0.5"), "ending.EXIT_S = 0.5", "threading.Thread(target=forever.wait).start()"
    )
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[-1] == f"report   {tmp_path / 'run.json'}"
    check_kept(tmp_path)


def test_a_fault_of_ours_is_kept_with_its_place() -> None:
    code = """
import sys, rtsep.cli, rtsep.host.device as device
def devices():
    raise ZeroDivisionError("in a driver")
device.devices = devices
sys.argv = ["rtsep", "devices"]
rtsep.cli.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 1
    kept = read_error()
    assert kept.splitlines()[0].endswith(", devices") and kept.splitlines()[1] == "ZeroDivisionError: in a driver"
    assert "Traceback" in kept and "system.py" in kept


def test_what_was_left_behind_is_kept(tmp_path: Path) -> None:
    with playing(changed(live(tmp_path), *HANGS["the inference"])) as process:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
    assert read_error().splitlines()[1].endswith("not ended in time, and left behind")


def test_a_stop_is_no_error() -> None:
    with subprocess.Popen(program("doctor"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert read_error() == ""


class Refusing:
    """A host that fails at its end, and has nothing to report."""

    supervisor = Supervisor()

    def __exit__(self, *_: object) -> None:
        raise OSError("the device will not close")


def test_every_step_is_taken_whatever_fails() -> None:
    taken: list[str] = []

    def note(what: str) -> Callable[[], None]:
        return lambda: taken.append(what)

    ending = Ending(Refusing(), None, Output(), ())  # type: ignore[arg-type]
    assert ending.step("first", PATIENCE_S, note("first"))
    with pytest.raises(OSError, match="will not close"):
        ending.run()
    assert taken == ["first"] and len(ending.failures) == 2 and not ending.left_behind
