"""The live view: meters, latency in its parts, and what was missed; and the keys."""

from __future__ import annotations

import math
import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rtsep.host.control import Command, Snapshot
from rtsep.host.host import Host
from rtsep.host.mixer import MIX
from rtsep.host.report import latency_report
from rtsep.surfaces.summary import latency_text

VIEW_HZ = 12
METER_CELLS = 36
METER_FLOOR_DB = -60.0
NAME_CELLS = 16  # of a stem's name
SEEK_S = 5.0
SOLO_KEYS = "!@#$%"  # Shift and the number of a stem
QUIT_KEYS = ("q", "\x03")
ARROWS = {"\x1b[C": SEEK_S, "\x1b[D": -SEEK_S}
SWITCHES = {"a": "master/acapella", "i": "master/instrumental", "b": "master/bypass"}
STEPS = {"+": 1.0, "=": 1.0, "-": -1.0}
KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)  # an arrow and the like, or one character
LIT = {"mute": "bold white on red", "solo": "bold black on yellow", "switch": "bold white on magenta"}


def watch(host: Host, seconds: float | None, console: Console, requested: Callable[[], bool] = lambda: False) -> None:
    """Show the host until its file ends, the time is over, the end is requested, or `q`.

    Without a terminal only the warnings are printed, each when it comes.

    Args:
        host: it runs.
        seconds: of sound; None: no end.
        console: where it is shown.
        requested: whether the end is; asked many times a second.
    """

    def over() -> bool:
        return requested() or host.finished or (seconds is not None and host.seconds >= seconds)

    if not console.is_terminal:
        told = ""
        while not over():
            time.sleep(1.0 / VIEW_HZ)
            if (warning := host.snapshot().warning) != told:
                told = warning
                console.print(Text(warning or "all is well again"), soft_wrap=True)
        return
    with _raw_keys() as read_keys, Live(console=console, auto_refresh=False, transient=True) as live:
        while not over():
            live.update(render(host), refresh=True)
            if any(press(host, key) for key in read_keys(1.0 / VIEW_HZ)):
                return


def press(host: Host, key: str) -> bool:
    """Do what a key means.

    Returns:
        True for the one that ends the run.
    """
    controls = host.controls
    stems = controls.stems
    if key in QUIT_KEYS:
        return True
    if key in SWITCHES:
        controls.toggle(SWITCHES[key])
    elif key in tuple("123456789"[: len(stems)]):
        controls.toggle(f"stems/{stems[int(key) - 1]}/mute")
    elif key in tuple(SOLO_KEYS[: len(stems)]):
        controls.toggle(f"stems/{stems[SOLO_KEYS.index(key)]}/solo")
    elif key in STEPS:
        row = controls.table["master/gain_db"]
        wanted = controls.values()[row.path] + STEPS[key]
        controls.send(Command(row.path, min(max(wanted, row.low), row.high)))
    elif host.player and key in ARROWS:
        host.player.seek(host.player.position_s + ARROWS[key])
    return False


def render(host: Host) -> RenderableType:
    """Draw the whole view of this moment; a line is never wrapped, only cut."""
    now = host.snapshot()
    rate = host.audio.sample_rate
    lines = [latency_text(latency_report(now.latency, rate)["latency_ms"]), _counters(now)]
    if now.warning:
        lines.append(Text(now.warning, "bold red"))
    lines += [Text(), *_keys(host, now)]
    head = _head(host, now)
    for line in (*head, *lines):
        line.no_wrap, line.overflow = True, "ellipsis"
    return Group(*head, Text(), _strips(host, now), Text(), *lines)


def _head(host: Host, now: Snapshot) -> tuple[Text, Text]:
    position = clock_text(now.running_s)
    if now.position_s is not None and now.length_s is not None:
        position = f"{clock_text(now.position_s)} / {clock_text(now.length_s)}"
    model = f"   {host.engine.spec.name}"
    machine = f"{host.clock.name}, {host.audio.sample_rate / 1000:g} kHz, {host.engine.provider}"
    return Text.assemble(("rtsep  ", "bold cyan"), (position, "bold"), model), Text(machine, "dim")


def _strips(host: Host, now: Snapshot) -> Table:
    table = Table.grid(padding=(0, 2))
    for cells in (1, None, METER_CELLS + 7, 3, 8):
        table.add_column(no_wrap=True, width=cells, max_width=NAME_CELLS if cells is None else None)
    for number, stem in enumerate(host.controls.stems, 1):
        mute, solo = (bool(now.parameters[f"stems/{stem}/{switch}"]) for switch in ("mute", "solo"))
        marks = Text.assemble(("M", LIT["mute"] if mute else "dim"), " ", ("S", LIT["solo"] if solo else "dim"))
        gain = gain_text(now.parameters[f"stems/{stem}/gain_db"])
        table.add_row(Text(str(number), "dim"), Text(stem), meter(now.peaks[stem]), marks, gain)
    gain = gain_text(now.parameters["master/gain_db"])
    table.add_row("", Text(MIX, "bold"), meter(now.peaks[MIX]), "", gain)
    return table


def meter(peak: float) -> Text:
    """Draw a bar from -60 to 0 dBFS and the figure.

    Args:
        peak: linear, 1 is full scale.
    """
    level = 20.0 * math.log10(max(peak, 1e-9))
    cells = round(METER_CELLS * min(1.0, max(0.0, 1.0 - level / METER_FLOOR_DB)))
    colour = "red" if level > -0.1 else "yellow" if level > -6.0 else "green"
    figure = f"{level:7.1f}" if level > METER_FLOOR_DB else "      -"
    return Text.assemble(("━" * cells, colour), ("─" * (METER_CELLS - cells), "bright_black"), (figure, "dim"))


def gain_text(gain_db: float) -> Text:
    """Write a fader's place, in eight cells."""
    return Text(f"{gain_db:+5.1f} dB", "dim" if gain_db == 0.0 else "")


def _counters(now: Snapshot) -> Text:
    def count(number: int, word: str) -> tuple[str, str]:
        return (f"{number} {word}   ", "bold red" if number else "dim")

    return Text.assemble(
        count(now.underflows + now.overflows, "dropouts"),
        (f"{now.stale_masks} of {now.hops} hops with a stale mask   ", "yellow" if now.stale_masks else "dim"),
        (f"{100 * now.load:.0f} % of a core", "dim"),
    )


def _keys(host: Host, now: Snapshot) -> tuple[Text, Text]:
    """What the keys do; a switch that is on is lit."""
    count = len(host.controls.stems)
    seek = "   ← → seek" if host.player else ""
    turns = Text(f"1-{count} mute   shift 1-{count} solo   + - level{seek}   q end", "dim")
    switches = Text()
    for key, path in SWITCHES.items():
        switches.append(f"{key} ", "dim")
        switches.append(f"{path.removeprefix('master/')}", LIT["switch"] if now.parameters[path] else "dim")
        switches.append("   ")
    return switches, turns


def clock_text(seconds: float) -> str:
    """Write minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


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
