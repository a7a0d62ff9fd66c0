"""The terminal: keys that turn knobs, and the live view."""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from rtsep.control.actions import Actions
from rtsep.control.publisher import Publisher
from rtsep.control.snapshot import DeckSnapshot
from rtsep.control.store import Store
from rtsep.errors import RtsepError
from rtsep.surfaces.live_view import SWITCHES, View, render, warnings
from rtsep.surfaces.surface import Surface

VIEW_HZ = 12
STOP_S = 2.0
SEEK_S = 5.0
MUTE_KEYS = "123456789"
SOLO_KEYS = "!@#$%^&*("  # Shift and the number of a stem
QUIT_KEYS = ("q", "\x03")
ARROWS = {"\x1b[C": SEEK_S, "\x1b[D": -SEEK_S, "\x1bOC": SEEK_S, "\x1bOD": -SEEK_S}
LEVEL_KEYS = {"+": 1, "=": 1, "-": -1}
MASTER_KEYS = {">": 1, "<": -1}  # where several decks have levels of their own
DECK_KEYS = {"\t": 1, "]": 1, "[": -1, "\x1b[Z": -1}
MASTER = "master/gain_db"
KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)  # an arrow and the like, or one character


class Terminal(Surface):
    """Shows a rig and takes keys, on a thread of its own; where there is no terminal it prints the warnings.

    Keys are for one deck, the one that is lit. The end is an action like others: whoever runs the rig stops it.

    Args:
        store: see `Surface`.
        actions: see `Surface`.
        publisher: see `Surface`.
        console: where it is shown.
        name: see `Surface`.
    """

    def __init__(
        self, store: Store, actions: Actions, publisher: Publisher, console: Console, name: str = "terminal"
    ) -> None:
        super().__init__(store, actions, publisher, name)
        self._console = console
        self._lit = 0
        self._said = ""  # what the last key could not do
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Take the terminal; see `Surface.start`."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, name="rtsep-terminal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Give the terminal back as it was; see `Surface.stop`."""
        self._ended.set()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(STOP_S)  # a terminal that takes no more holds it

    def press(self, key: str) -> None:
        """Do what a key means; what cannot be done is said in the view."""
        self._said = ""
        now = self.publisher.latest
        try:
            if key in QUIT_KEYS:
                self.actions.run("quit")
            elif now and key in DECK_KEYS:
                self._lit = (self._lit + DECK_KEYS[key]) % len(now.decks)
            elif now:
                self._turn(now.decks[self._lit], len(now.decks) > 1, key)
        except RtsepError as error:
            self._said = str(error)

    def _turn(self, deck: DeckSnapshot, several: bool, key: str) -> None:
        own, stems = f"decks/{deck.name}", deck.stems
        toggled = {
            **{switch_key: f"{own}/{switch}" for switch_key, switch in SWITCHES.items()},
            **{MUTE_KEYS[i]: f"{own}/stems/{stem}/mute" for i, stem in enumerate(stems[: len(MUTE_KEYS)])},
            **{SOLO_KEYS[i]: f"{own}/stems/{stem}/solo" for i, stem in enumerate(stems[: len(SOLO_KEYS)])},
        }
        if key in toggled:
            self.store.toggle(toggled[key], self.name)
        elif key in LEVEL_KEYS:
            self.store.step(f"{own}/gain_db" if several else MASTER, LEVEL_KEYS[key], self.name)
        elif several and key in MASTER_KEYS:
            self.store.step(MASTER, MASTER_KEYS[key], self.name)
        elif deck.position_s is not None and key in ARROWS:
            self.actions.run(f"{own}/transport/skip", ARROWS[key])

    def view(self) -> RenderableType:
        """Draw this moment."""
        now = self.publisher.latest
        if now is None:
            return Text("getting ready", "dim")
        seen = View(self._lit, self.publisher.age_s, self._said, self._console.height)
        return render(now, self.store.values(), seen)

    def _run(self) -> None:
        try:
            if self._console.is_terminal:
                self._show()
            else:
                self._print_warnings()
        except Exception as error:  # the sound goes on without its view
            self.error = error

    def _show(self) -> None:
        with _raw_keys() as read_keys, Live(console=self._console, auto_refresh=False, transient=True) as live:
            while not self._ended.is_set():
                live.update(self.view(), refresh=True)
                for key in read_keys(1.0 / VIEW_HZ):
                    self.press(key)

    def _print_warnings(self) -> None:
        """Each when it comes, and when there is none any more."""
        told: list[str] = []
        number = 0
        while not self._ended.is_set():
            number = self.publisher.wait(number, 1.0 / VIEW_HZ)
            now = self.publisher.latest
            if now and (found := warnings(now)) != told:
                for line in [line for line in found if line not in told] or ([] if found else ["all is well again"]):
                    self._console.print(Text(line), soft_wrap=True)
                told = found


@contextmanager
def _raw_keys() -> Iterator[Callable[[float], list[str]]]:
    """A function that waits for keys, up to some seconds; it only sleeps without a terminal."""
    if not sys.stdin.isatty():
        yield _no_keys
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield _read_keys
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _no_keys(seconds: float) -> list[str]:
    time.sleep(seconds)
    return []


def _read_keys(seconds: float) -> list[str]:
    """Straight from the terminal: Python's own buffer would hide what lies behind the first character."""
    if not select.select([sys.stdin], [], [], seconds)[0]:
        return []
    found = os.read(sys.stdin.fileno(), 256)
    if not found:  # the terminal has gone
        time.sleep(seconds)
    return KEY.findall(found.decode(errors="ignore"))
