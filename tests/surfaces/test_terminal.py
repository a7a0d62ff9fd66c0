"""The terminal: what the keys do, on a rig without sound; real terminals; and a host that plays."""

from __future__ import annotations

import io
import os
import pty
import re
import shutil
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from rtsep.control.store import Change
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import FileError
from rtsep.host.host import Host
from rtsep.surfaces import terminal
from rtsep.surfaces.session import watch
from rtsep.surfaces.terminal import Terminal
from tests.support.engines import stateful_spec
from tests.support.hosts import file_host, until
from tests.support.rigs import STEMS, Rig, deck_snapshot
from tests.support.signals import noise

RATE = 44100
Keyboard = Callable[[bytes], int]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
TWO = {"a": STEMS, "b": ("vocals", "accompaniment")}


def on(rig: Rig | Host, out: io.StringIO | None = None, width: int = 80) -> Terminal:
    console = Console(width=width, height=24, force_terminal=True, file=out or io.StringIO())
    return Terminal(rig.store, rig.actions, rig.publisher, console)


def screen(shown: Terminal, width: int = 80) -> list[str]:
    console = Console(width=width, force_terminal=True, file=io.StringIO(), record=True)
    console.print(shown.view())
    return console.export_text().splitlines()


# Keys -----------------------------------------------------------------------------------------

SWITCHES = {"a": "acapella", "i": "instrumental", "b": "bypass"} | {
    key: f"stems/{stem}/{switch}"
    for switch, keys in (("mute", "1234"), ("solo", "!@#$"))
    for key, stem in zip(keys, STEMS, strict=True)
}


@pytest.mark.parametrize("decks", [{"main": STEMS}, TWO])
def test_every_switch_has_its_key_there_and_back(decks: dict[str, tuple[str, ...]]) -> None:
    rig = Rig(decks)
    shown, deck, changes = on(rig), next(iter(decks)), list[Change]()
    rig.store.subscribe(changes.append)
    before = rig.store.values()
    for key, path in SWITCHES.items():
        shown.press(key)
        assert rig.store.values() == {**before, f"decks/{deck}/{path}": 1.0}
        shown.press(key)
        assert rig.store.values() == before
    assert {change.origin for change in changes} == {"terminal"} and len(changes) == 2 * len(SWITCHES)
    assert not rig.done


def test_nine_stems_have_keys_and_a_tenth_has_none() -> None:
    stems = tuple(f"stem{number}" for number in range(1, 11))
    rig = Rig({"main": stems})
    shown = on(rig)
    for keys, switch in (("123456789", "mute"), ("!@#$%^&*(", "solo")):
        for key in keys:
            shown.press(key)
        turned = [rig.store.get(f"stems/{stem}/{switch}") for stem in stems]
        assert turned == [1.0] * 9 + [0.0]


def test_level_keys_stop_at_the_ends() -> None:
    rig = Rig()
    shown = on(rig)
    for key, end in (("+", 12.0), ("-", -60.0), ("=", 12.0)):
        shown.press(key)
        for _ in range(80):
            shown.press(key)
        assert rig.store.values()["master/gain_db"] == end
    rig.store.set("master/gain_db", 0.0)
    shown.press("-")
    assert rig.store.values()["master/gain_db"] == -1.0
    assert any("mix" in line and " -1.0 dB" in line for line in screen(shown))
    for key in "<>":
        shown.press(key)
        assert rig.store.get("master/gain_db") == -1.0 and rig.store.get("gain_db") == 0.0


def test_with_two_decks_levels_are_the_lit_ones_and_the_mix_has_keys_of_its_own() -> None:
    rig = Rig(TWO)
    shown = on(rig)
    for key in "--<\t+>>>":
        shown.press(key)
    assert [rig.store.get(path) for path in ("decks/a/gain_db", "decks/b/gain_db", "master/gain_db")] == [-2, 1, 2]


@pytest.mark.parametrize(("key", "lit"), [("\t", "bca"), ("]", "bca"), ("[", "cba"), ("\x1b[Z", "cba")])
def test_the_lit_deck_goes_round(key: str, lit: str) -> None:
    rig = Rig(dict.fromkeys("abc", ("vocals", "drums")))
    shown = on(rig)
    for deck in lit:
        shown.press(key)
        before = rig.store.values()
        for pressed, path in {"1": "stems/vocals/mute", "@": "stems/drums/solo", "i": "instrumental"}.items():
            shown.press(pressed)
            assert rig.store.values() == {**before, f"decks/{deck}/{path}": 1.0}
            shown.press(pressed)


def test_one_deck_stays_lit() -> None:
    rig = Rig()
    shown = on(rig)
    for key in ("\t", "[", "]", "1"):
        shown.press(key)
    assert rig.store.get("stems/vocals/mute") == 1.0


def test_arrows_skip_in_the_lit_deck() -> None:
    rig = Rig(TWO)
    shown = on(rig)
    for key in ("\x1b[C", "\x1b[D", "\t", "\x1bOC"):
        shown.press(key)
    assert rig.done == [
        ("decks/a/transport/skip", 5.0),
        ("decks/a/transport/skip", -5.0),
        ("decks/b/transport/skip", 5.0),
    ]


def test_a_device_has_nothing_to_skip() -> None:
    rig = Rig()
    rig.publish(deck_snapshot(position_s=None, length_s=None))
    on(rig).press("\x1b[C")
    assert not rig.done


@pytest.mark.parametrize("key", ["", "5", "9", "0", "%", "x", "ö", "\x1b", "\x1b[A", "\x1b[15~", "²", "1a"])
def test_other_keys_do_nothing(key: str) -> None:
    rig = Rig()
    before = rig.store.values()
    on(rig).press(key)
    assert rig.store.values() == before and not rig.done


@pytest.mark.parametrize("key", ["q", "\x03"])
def test_keys_that_end(key: str) -> None:
    rig = Rig()
    on(rig).press(key)
    assert rig.done == [("quit",)]


def test_what_a_key_could_not_do_is_said_until_the_next_key() -> None:
    rig = Rig()

    def broken() -> None:
        raise FileError("the song is gone; load another")

    rig.actions.register("decks/x/transport/skip", broken)
    rig.publish(deck_snapshot("x"))  # a deck that the store does not know
    shown = on(rig)
    shown.press("a")
    assert "unknown parameter 'decks/x/acapella'" in shown._said
    shown.press("\x1b[C")
    assert "takes nothing, not 5.0" in shown._said
    shown.press("z")
    assert shown._said == ""


def test_before_the_first_snapshot_it_waits() -> None:
    rig = Rig()
    rig.publisher = type(rig.publisher)()
    shown = on(rig)
    shown.press("1")
    shown.press("q")
    assert [line.rstrip() for line in screen(shown)] == ["getting ready"]
    assert rig.done == [("quit",)] and rig.store.get("stems/vocals/mute") == 0.0


def test_the_view_follows_store_and_publisher() -> None:
    rig = Rig(TWO)
    shown = on(rig)
    assert any(line.startswith("1  vocals") and "━" in line for line in screen(shown))
    rig.store.set("master/gain_db", -9.0, "midi")
    assert any("mix" in line and "-9.0 dB" in line for line in screen(shown)), "before the next snapshot"
    rig.time_s = 0.6
    assert not any("━" in line for line in screen(shown)), "an old snapshot is no sound"
    rig.publish()
    assert any("━" in line for line in screen(shown))


# Real terminals ------------------------------------------------------------------------------


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


# Its thread -----------------------------------------------------------------------------------


def test_without_a_terminal_only_the_warnings_are_printed_each_when_it_comes() -> None:
    rig, out = Rig(TWO), io.StringIO()
    shown = Terminal(rig.store, rig.actions, rig.publisher, Console(file=out))
    shown.start()

    def told(text: str) -> bool:
        return until(lambda: out.getvalue() == text, 30.0)

    a, b = (deck_snapshot(name, TWO[name]) for name in "ab")
    rig.publish(a, b, warning="the [disk] is full")
    assert told("the [disk] is full\n")
    rig.publish(a, deck_snapshot("b", TWO["b"], warning="no signal"), warning="the [disk] is full")
    assert told("the [disk] is full\ndeck b: no signal\n")
    rig.publish(a, b)
    assert told("the [disk] is full\ndeck b: no signal\nall is well again\n")
    shown.stop()
    rig.publish(warning="later")
    assert told("the [disk] is full\ndeck b: no signal\nall is well again\n") and not shown.error


def test_keys_reach_the_rig_from_a_terminal_until_it_is_given_back(keyboard: Keyboard) -> None:
    before = termios.tcgetattr(sys.stdin)
    rig, out = Rig(TWO), io.StringIO()
    shown = on(rig, out)
    shown.start()
    assert until(lambda: bool(out.getvalue()), 30.0), "what is typed before the view is there is dropped"
    keyboard(b"1\t1q")
    assert until(lambda: rig.done == [("quit",)], 30.0)
    assert rig.store.get("decks/a/stems/vocals/mute") == rig.store.get("decks/b/stems/vocals/mute") == 1.0
    assert not termios.tcgetattr(sys.stdin)[3] & termios.ECHO
    shown.stop()
    shown.stop()
    assert termios.tcgetattr(sys.stdin) == before
    assert "accompaniment" in out.getvalue() and not shown.error


def test_quitting_may_stop_the_terminal_from_its_own_thread(keyboard: Keyboard) -> None:
    rig = Rig()
    shown = on(rig)
    quits = threading.Event()

    def end() -> None:
        shown.stop()
        quits.set()

    rig.actions = type(rig.actions)("decks/main/")
    rig.actions.register("quit", end)
    out = io.StringIO()
    shown = on(rig, out)
    shown.start()
    assert until(lambda: bool(out.getvalue()), 30.0), "what is typed before the view is there is dropped"
    keyboard(b"q")
    assert quits.wait(30.0)
    shown.stop()
    assert not shown.error


def test_a_view_that_fails_ends_alone_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    monkeypatch.setattr(terminal, "render", lambda *_: 1 / 0)
    shown = on(rig)
    shown.start()
    assert until(lambda: bool(shown.error), 30.0)
    assert isinstance(shown.error, ZeroDivisionError)
    shown.stop()


# A host that plays ----------------------------------------------------------------------------------


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host that plays noise in real time, for longer than any test here."""
    made, _ = file_host(
        tmp_path, IdentityEngine(stateful_spec(4)), noise(20 * RATE, level=0.1), freewheel=False, loop=True
    )
    with made:
        assert until(lambda: made.publisher.number > 0)
        yield made


@pytest.mark.realtime
def test_the_view_at_80_columns(host: Host) -> None:
    assert until(lambda: (now := host.publisher.latest) is not None and min(now.decks[0].peaks.values()) > 0.01)
    lines = screen(on(host))
    text = "\n".join(lines)
    assert re.match(r"rtsep  0:0\d / 0:20   stateful", lines[0])
    assert lines[1].rstrip() == "null, 44.1 kHz, identity, no network"
    for number, stem in enumerate(STEMS, 1):
        assert re.search(rf"^{number}  {stem} +━+─*  +-\d+\.\d  M S   \+0\.0 dB", text, re.MULTILINE)
    assert re.search(r"^   mix +━+─*  +-\d+\.\d +\+0\.0 dB", text, re.MULTILINE)
    assert "latency  29.0 ms = block 5.8 + window 17.4 + compute 5.8" in text
    assert "0 dropouts" in text and "hops with a stale mask" in text and "% of a core" in text
    assert "1-4 mute   shift 1-4 solo   + - level   ← → seek   q end" in text
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24


@pytest.mark.realtime
def test_keys_turn_what_is_heard(host: Host) -> None:
    shown = on(host)

    def peak(name: str) -> float:
        now = host.publisher.latest
        assert now is not None
        return now.decks[0].peaks[name]

    shown.press("1")
    assert until(lambda: peak("vocals") < 0.001 < peak("drums"))
    shown.press("b")
    assert until(lambda: host.store.get("bypass") == 1.0)


@pytest.mark.realtime
def test_arrows_seek(host: Host) -> None:
    shown = on(host)
    shown.press("\x1b[C")
    shown.press("\x1b[C")
    assert until(lambda: 10.0 <= host.publisher.latest.decks[0].position_s < 14.0)  # type: ignore[operator,union-attr]
    shown.press("\x1b[D")
    assert until(lambda: 5.0 <= host.publisher.latest.decks[0].position_s < 9.0)  # type: ignore[operator,union-attr]


@pytest.mark.realtime
def test_watching_without_a_terminal_prints_only_warnings(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings = iter([*[""] * 5, *["the disk is full"] * 5, *[""] * 1000])
    monkeypatch.setattr(Host, "warning", property(lambda host: next(warnings)))
    out = io.StringIO()
    shown = Terminal(host.store, host.actions, host.publisher, Console(file=out))
    watch([shown], host.publisher, host.ended.is_set, host.rig.seconds + 1.0)
    assert out.getvalue() == "the disk is full\nall is well again\n"


@pytest.mark.realtime
def test_an_error_is_raised_after_the_view(host: Host) -> None:
    """A view in a terminal ends when the host does."""
    host._signal_path.fail(FileError("broken"))
    assert until(lambda: host.publisher.latest.finished)  # type: ignore[union-attr]
    started = time.monotonic()
    out = io.StringIO()
    watch([on(host, out)], host.publisher, host.ended.is_set, None)
    assert time.monotonic() - started < 5.0
    host._signal_path.error = None
    assert not ESCAPES.sub("", out.getvalue()).strip()


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


@pytest.mark.realtime
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
