"""The live view: what it shows, what the keys do, and a real terminal."""

from __future__ import annotations

import io
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from rtsep.engine.identity import IdentityEngine
from rtsep.errors import FileError
from rtsep.host.host import Host
from rtsep.surfaces import terminal
from rtsep.surfaces.terminal import clock_text, meter, press, render, watch
from tests.support.engines import stateful_spec
from tests.support.hosts import file_host, until
from tests.support.signals import noise

pytestmark = pytest.mark.realtime

RATE = 44100
Keyboard = Callable[[bytes], int]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host that plays noise in real time, for longer than any test here."""
    made, _ = file_host(
        tmp_path, IdentityEngine(stateful_spec(4)), noise(20 * RATE, level=0.1), freewheel=False, loop=True
    )
    with made:
        yield made


def screen(host: Host, width: int = 80) -> list[str]:
    console = Console(width=width, force_terminal=True, file=io.StringIO(), record=True)
    console.print(render(host))
    return console.export_text().splitlines()


def test_the_view_at_80_columns(host: Host) -> None:
    assert until(lambda: all(peak > 0.01 for peak in host.snapshot().peaks.values()))
    lines = screen(host)
    text = "\n".join(lines)
    assert re.match(r"rtsep  0:0\d / 0:20   stateful", lines[0])
    assert lines[1].rstrip() == "null, 44.1 kHz, identity, no network"
    for number, stem in enumerate(host.controls.stems, 1):
        assert re.search(rf"^{number}  {stem} +━+─*  +-\d+\.\d  M S   \+0\.0 dB", text, re.MULTILINE)
    assert re.search(r"^   mix +━+─*  +-\d+\.\d +\+0\.0 dB", text, re.MULTILINE)
    assert "latency  29.0 ms = block 5.8 + window 17.4 + compute 5.8" in text
    assert "0 dropouts" in text and "hops with a stale mask" in text and "% of a core" in text
    assert "1-4 mute   shift 1-4 solo   + - level   ← → seek   q end" in text
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wrapped(host: Host, width: int) -> None:
    for path in ("acapella", "instrumental", "bypass", "stems/vocals/mute", "stems/bass/solo"):
        host.controls.toggle(path)
    host.rig.clock.name = "A sound device with a name that is by far too long for any terminal: USB Audio (hw:1,0)"
    lines = screen(host, width)
    assert len(lines) == len(screen(host, 400))
    assert max(map(len, lines)) <= width


def test_a_warning_is_shown(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_warning", lambda: "the [disk] is full")
    assert any(line.rstrip() == "the [disk] is full" for line in screen(host))


SWITCHES = {"a": "acapella", "i": "instrumental", "b": "bypass"} | {
    key: f"stems/{stem}/{switch}"
    for switch, keys in (("mute", "1234"), ("solo", "!@#$"))
    for key, stem in zip(keys, ("vocals", "drums", "bass", "other"), strict=True)
}


def test_every_switch_has_its_key_there_and_back(host: Host) -> None:
    before = host.controls.values()
    for key, path in SWITCHES.items():
        assert not press(host, key)
        assert host.controls.values() == {**before, path: 1.0}
        assert not press(host, key)
        assert host.controls.values() == before


def test_level_keys_stop_at_the_ends(host: Host) -> None:
    for key, end in (("+", 12.0), ("-", -60.0), ("=", 12.0)):
        press(host, key)
        for _ in range(80):
            press(host, key)
        assert host.controls.values()["master/gain_db"] == end
    host.store.set("master/gain_db", 0.0)
    press(host, "-")
    assert host.controls.values()["master/gain_db"] == -1.0
    assert any("mix" in line and " -1.0 dB" in line for line in screen(host))


def test_arrows_seek(host: Host) -> None:
    assert host.rig.decks[0].player
    press(host, "\x1b[C")
    press(host, "\x1b[C")
    assert until(lambda: 10.0 <= host.snapshot().position_s < 14.0)  # type: ignore[operator]
    press(host, "\x1b[D")
    assert until(lambda: 5.0 <= host.snapshot().position_s < 9.0)  # type: ignore[operator]


@pytest.mark.parametrize("key", ["", "5", "9", "0", "%", "x", "ö", "\x1b", "\x1b[A", "\x1b[15~", "²", "1a"])
def test_other_keys_do_nothing(host: Host, key: str) -> None:
    before = host.controls.values()
    assert not press(host, key)
    assert host.controls.values() == before


@pytest.mark.parametrize("key", ["q", "\x03"])
def test_keys_that_end(host: Host, key: str) -> None:
    assert press(host, key)


def test_lit_switches(host: Host) -> None:
    def styles() -> str:
        console = Console(width=80, force_terminal=True, color_system="standard", file=io.StringIO(), record=True)
        console.print(render(host))
        return console.export_text(styles=True)

    lit = {"1": ";41mM", "!": ";43mS", "a": ";45macapella", "b": ";45mbypass"}
    for key, mark in lit.items():
        assert mark not in styles()
        press(host, key)
        assert mark in styles()


@pytest.mark.parametrize(
    ("peak", "full", "figure"),
    [(0.0, 0, "-"), (0.0009, 0, "-"), (1.0, 36, "0.0"), (0.1, 24, "-20.0"), (4.0, 36, "12.0")],
)
def test_meters(peak: float, full: int, figure: str) -> None:
    text = meter(peak).plain
    assert text.count("━") == full and text.count("─") == 36 - full
    assert text[36:].strip() == figure
    assert len(text) == 43


def test_clock_text() -> None:
    assert [clock_text(seconds) for seconds in (0.0, 59.99, 60.0, 3601.0)] == ["0:00", "0:59", "1:00", "60:01"]


def test_watching_without_a_terminal_prints_only_warnings(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings = iter(["", "the disk is full", "the disk is full", "", *[""] * 1000])
    monkeypatch.setattr(host, "_warning", lambda: next(warnings))
    out = io.StringIO()
    watch(host, host.rig.seconds + 1.0, Console(file=out))
    assert out.getvalue() == "the disk is full\nall is well again\n"


# Real terminals ----------------------------------------------------------------------------------


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyboard]:
    """Types into what the program takes for its terminal."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r+b", buffering=0) as raw, io.TextIOWrapper(raw) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield lambda keys: os.write(ours, keys)
    os.close(ours)


def test_keys_that_come_at_once_are_all_read(keyboard: Keyboard) -> None:
    with terminal._raw_keys() as read_keys:
        assert read_keys(0.0) == []
        keyboard("1a\x1b[C\x1b[D\x1bOA\x1b[15~ö!".encode())
        time.sleep(0.05)
        assert read_keys(1.0) == ["1", "a", "\x1b[C", "\x1b[D", "\x1bOA", "\x1b[15~", "ö", "!"]


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("q"))
    with terminal._raw_keys() as read_keys:
        assert read_keys(0.01) == []


class Tmux:
    """A terminal of 80 by 24 with a shell in it."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "env PS1='$ ' sh")

    def __call__(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-L", self._socket, *words], capture_output=True, text=True, check=True)
        return done.stdout

    def type(self, *keys: str) -> None:
        self("send-keys", *keys)

    def shows(self, pattern: str, styles: bool = False, seconds: float = 30.0) -> bool:
        """Whether a pattern comes on the screen."""
        options = ("-e",) if styles else ()
        return until(lambda: bool(re.search(pattern, self("capture-pane", "-p", *options))), seconds)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    if not shutil.which("tmux"):
        pytest.skip("tmux is not installed")
    socket = f"rtsep-test-{os.getpid()}"
    made = Tmux(socket)
    yield made
    made("kill-server")


@pytest.mark.parametrize("end", ["q", "C-c"])
def test_a_session_in_a_real_terminal(tmux: Tmux, tmp_path: Path, end: str) -> None:
    tmux.type(
        f"stty -a > {tmp_path}/before; {sys.executable} -m rtsep live -i demo -o null -m streaming-2stems --loop",
        "Enter",
    )
    assert tmux.shows(r"1  vocals .* M S ")
    assert not tmux.shows(r"\x1b\[[\d;]*41m", styles=True, seconds=0.2)
    tmux.type("1", "a")
    assert tmux.shows(r"41mM", styles=True)
    assert tmux.shows(r"45macapella", styles=True)
    before = tmux("capture-pane", "-p")
    tmux.type("Right", "Right")
    assert tmux.shows(r"rtsep  0:1\d /")
    assert len(tmux("capture-pane", "-p").strip().splitlines()) == len(before.strip().splitlines()), "it stands still"
    tmux.type(end)
    assert tmux.shows(r"age of the mask [\s\d.]+\n[#$]")
    tmux.type(f"clear; stty -a > {tmp_path}/after; echo done", "Enter")
    assert tmux.shows(r"(?m)^done")
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()


def test_an_error_is_raised_after_the_view(host: Host) -> None:
    """A view in a terminal ends when the host does."""
    host.rig.scheduler.error = FileError("broken")
    host._fail()
    started = time.monotonic()
    out = io.StringIO()
    watch(host, None, Console(file=out, force_terminal=True, width=80))
    assert time.monotonic() - started < 5.0
    host.rig.scheduler.error = None
    assert not ESCAPES.sub("", out.getvalue()).strip()
