"""The live view: meters, latency in its parts, and what was missed; and the keys."""

from __future__ import annotations

import math
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
from rtsep.host.live import Host
from rtsep.mixer import MIX

VIEW_HZ = 12
METER_CELLS = 36
METER_FLOOR_DB = -60.0
SEEK_S = 5.0
SOLO_KEYS = "!@#$%"  # Shift and the number of a stem
QUIT_KEYS = "q\x03"
ARROWS = {"\x1b[C": SEEK_S, "\x1b[D": -SEEK_S}
SWITCHES = {"a": "master/acapella", "i": "master/instrumental", "b": "master/bypass"}
STEPS = {"+": 1.0, "=": 1.0, "-": -1.0}


def watch(host: Host, seconds: float | None, console: Console) -> None:
    """Show the host until its file ends, the time is over, or `q`; a keyboard interrupt passes through."""

    def over() -> bool:
        return host.finished or (seconds is not None and host.seconds >= seconds)

    if not console.is_terminal:
        while not over():
            time.sleep(1.0 / VIEW_HZ)
        return
    with _raw_keys() as read_key, Live(console=console, auto_refresh=False, transient=True) as live:
        while not over():
            live.update(render(host), refresh=True)
            if press(host, read_key(1.0 / VIEW_HZ)):
                return


def press(host: Host, key: str) -> bool:
    """Do what a key means; True for the one that ends the run."""
    controls = host.controls
    stems = controls.stems
    if key and key in QUIT_KEYS:
        return True
    if key in SWITCHES:
        controls.toggle(SWITCHES[key])
    elif key.isdecimal() and 1 <= int(key) <= len(stems):
        controls.toggle(f"stems/{stems[int(key) - 1]}/mute")
    elif key and key in SOLO_KEYS[: len(stems)]:
        controls.toggle(f"stems/{stems[SOLO_KEYS.index(key)]}/solo")
    elif key in STEPS:
        row = controls.table["master/gain_db"]
        wanted = controls.values()[row.path] + STEPS[key]
        controls.send(Command(row.path, min(max(wanted, row.low), row.high)))
    elif host.player and key in ARROWS:
        host.player.seek(host.player.position_s + ARROWS[key])
    return False


def render(host: Host) -> RenderableType:
    """The whole view of this moment."""
    now = host.snapshot()
    return Group(
        _head(host, now),
        Text(),
        _strips(host, now),
        Text(),
        latency_line(host, now),
        _counters(now),
        *_notes(now),
        Text("1-9 mute   shift solo   a acapella   i instrumental   b bypass   + - level   ← → seek   q end", "dim"),
    )


def _head(host: Host, now: Snapshot) -> Text:
    position = clock_text(now.running_s)
    if now.position_s is not None and now.length_s is not None:
        position = f"{clock_text(now.position_s)} / {clock_text(now.length_s)}"
    return Text.assemble(
        ("rtsep ", "bold cyan"),
        (position, "bold"),
        f"   {host.engine.spec.name}",
        (f"   {host.clock.name}   {host.audio.sample_rate / 1000:g} kHz   {host.engine.provider}", "dim"),
    )


def _strips(host: Host, now: Snapshot) -> Table:
    table = Table.grid(padding=(0, 2))
    for number, stem in enumerate(host.controls.stems, 1):
        mute, solo = (now.parameters[f"stems/{stem}/{switch}"] for switch in ("mute", "solo"))
        gain = now.parameters[f"stems/{stem}/gain_db"]
        marks = Text.assemble(("M", "bold red" if mute else "dim"), " ", ("S", "bold yellow" if solo else "dim"))
        table.add_row(Text(str(number), "dim"), stem, meter(now.peaks[stem]), marks, f"{gain:+.1f} dB")
    names = [path for key, path in SWITCHES.items() if now.parameters[path]]
    lit = Text(" ".join(path.removeprefix("master/") for path in names), "bold magenta")
    table.add_row("", Text(MIX, "bold"), meter(now.peaks[MIX]), lit, f"{now.parameters['master/gain_db']:+.1f} dB")
    return table


def meter(peak: float) -> Text:
    """A bar from -60 to 0 dBFS and the figure."""
    level = 20.0 * math.log10(max(peak, 1e-9))
    cells = round(METER_CELLS * min(1.0, max(0.0, 1.0 - level / METER_FLOOR_DB)))
    colour = "red" if level > -0.1 else "yellow" if level > -6.0 else "green"
    figure = f"{level:6.1f}" if level > METER_FLOOR_DB else "     -"
    return Text.assemble(("━" * cells, colour), ("─" * (METER_CELLS - cells), "bright_black"), (figure, "dim"))


def latency_line(host: Host, now: Snapshot) -> Text:
    """The total, and the parts that are not zero."""
    rate = host.audio.sample_rate
    parts = " + ".join(f"{name} {1000 * n / rate:.1f}" for name, n in now.latency.parts().items() if n)
    return Text.assemble("latency ", (f"{now.latency.ms(rate):.1f} ms", "bold"), (f" = {parts}", "dim"))


def _counters(now: Snapshot) -> Text:
    def count(number: int, word: str) -> tuple[str, str]:
        return (f"{number} {word}   ", "bold red" if number else "dim")

    return Text.assemble(
        count(now.underflows, "underflows"),
        count(now.overflows, "overflows"),
        (f"{now.held} held masks of {now.hops} hops   ", "yellow" if now.held else "dim"),
        (f"{100 * now.load:.0f} % of a core", "dim"),
    )


def _notes(now: Snapshot) -> list[Text]:
    return [Text(now.warning, "bold red")] if now.warning else []


def clock_text(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


@contextmanager
def _raw_keys() -> Iterator[Callable[[float], str]]:
    """A function that waits for a key, up to some seconds; it gives an empty string without a terminal."""
    if not sys.stdin.isatty():
        yield _no_key
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield _read_key
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _no_key(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _read_key(seconds: float) -> str:
    if not select.select([sys.stdin], [], [], seconds)[0]:
        return ""
    key = sys.stdin.read(1)
    while key.startswith("\x1b") and len(key) < 3 and select.select([sys.stdin], [], [], 0.0)[0]:
        key += sys.stdin.read(1)
    return key
