"""The live view: meters, latency in its parts, and what was missed, of every deck."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rtsep.control.snapshot import MIX, DeckSnapshot, Snapshot
from rtsep.surfaces.latency import latency_text

METER_CELLS = 36
METER_FLOOR_DB = -60.0
NAME_CELLS = 16  # of a stem's name
DECK = "deck"  # the row of a deck's own bus
SWITCHES = {"a": "acapella", "i": "instrumental", "b": "bypass"}  # of a deck, by their keys
LIT = {
    "mute": "bold white on red",
    "solo": "bold black on yellow",
    "switch": "bold white on magenta",
    "deck": "bold black on cyan",
}
STALE_S = 0.5  # peaks that are older are those of sound that may have stopped: meters show none
QUIET_S = 2.0  # without news for so long that it is said


@dataclass(frozen=True)
class View:
    """How a snapshot is looked at."""

    lit: int = 0  # the number, from 0, of the deck that keys act on
    age_s: float = 0.0  # of the snapshot, in seconds
    said: str = ""  # what the last key could not do
    height: int = 24  # lines that there are


def render(now: Snapshot, values: Mapping[str, float], view: View) -> RenderableType:
    """Draw one moment; a line is never wrapped, only cut.

    Where there are too few lines for all decks, those that are not lit show their own bus alone.

    Args:
        now: what is to be seen.
        values: of all parameters, by path; newer than the snapshot's.
        view: how it is looked at.
    """
    parts = _parts(now, values, view, folded=False)
    if sum(part.row_count if isinstance(part, Table) else 1 for part in parts) > view.height:
        parts = _parts(now, values, view, folded=True)
    for part in parts:
        if isinstance(part, Text):
            part.no_wrap, part.overflow = True, "ellipsis"
    return Group(*parts)


def warnings(now: Snapshot) -> list[str]:
    """List what a snapshot warns of: the rig, then each deck by its name."""
    several = len(now.decks) > 1
    decks = [f"deck {deck.name}: {deck.warning}" if several else deck.warning for deck in now.decks if deck.warning]
    return list(dict.fromkeys([*([now.warning] if now.warning else []), *decks]))


def _parts(now: Snapshot, values: Mapping[str, float], view: View, folded: bool) -> list[Text | Table]:
    alive = view.age_s <= STALE_S and not now.device_lost
    names = {DECK, MIX, *_used_buses(now, values), *(stem for deck in now.decks for stem in deck.stems)}
    several, width = len(now.decks) > 1, min(NAME_CELLS, max(map(len, names)))
    parts: list[Text | Table] = [*_head(now), Text()]
    for number, deck in enumerate(now.decks):
        lit = number == view.lit
        if several:
            parts.append(_heading(deck, values, lit))
        parts.append(_strips(deck, values, width, lit, alive, several, folded and not lit))
    master = _grid(width)
    _add_buses(master, now, values, alive)
    master.add_row("", Text(MIX, "bold"), meter(now.peaks[MIX] * alive), "", gain_text(values["master/gain_db"]))
    parts += [master, Text(), latency_text(now.latency_ms), _counters(now), *_chains(now)]
    if view.age_s > QUIET_S:
        parts.append(Text(f"no news of the sound for {view.age_s:.0f} s", "bold red"))
    parts += [Text(line, "bold red") for line in (*warnings(now), view.said) if line]
    return [*parts, Text(), *_keys(now, values, view.lit)]


def _head(now: Snapshot) -> tuple[Text, Text]:
    position = clock_text(now.running_s)
    if len(now.decks) == 1:
        position = position_text(now.decks[0]) or position
    machine = f"{now.device}, {now.sample_rate / 1000:g} kHz, {now.engine}"
    return Text.assemble(("rtsep  ", "bold cyan"), (position, "bold"), f"   {now.model}"), Text(machine, "dim")


def _heading(deck: DeckSnapshot, values: Mapping[str, float], lit: bool) -> Text:
    """One line over a deck: its name, which is lit where the keys go; what plays; the switches that are on."""
    line = Text.assemble((f" {deck.name} ", LIT["deck"] if lit else "bold"), f"  {position_text(deck)}  {deck.source}")
    line.append("  ended" if deck.finished else "", "dim")
    for name in SWITCHES.values():
        if values[f"decks/{deck.name}/{name}"]:
            line.append("  ").append(name, LIT["switch"])
    return line


def _grid(width: int) -> Table:
    table = Table.grid(padding=(0, 2))
    for cells in (1, width, METER_CELLS + 7, 3, 8):
        table.add_column(no_wrap=True, width=cells)
    return table


def _strips(
    deck: DeckSnapshot, values: Mapping[str, float], width: int, lit: bool, alive: bool, several: bool, folded: bool
) -> Table:
    table, own = _grid(width), f"decks/{deck.name}"
    for number, stem in enumerate(() if folded else deck.stems, 1):
        mute, solo = (bool(values[f"{own}/stems/{stem}/{switch}"]) for switch in ("mute", "solo"))
        marks = Text.assemble(("M", LIT["mute"] if mute else "dim"), " ", ("S", LIT["solo"] if solo else "dim"))
        gain = gain_text(values[f"{own}/stems/{stem}/gain_db"])
        table.add_row(Text(str(number) if lit else "", "dim"), Text(stem), meter(deck.peaks[stem] * alive), marks, gain)
    level_db = values[f"{own}/gain_db"]
    if several or level_db:  # one deck at 0 dB is the mix
        table.add_row("", Text(DECK, "bold"), meter(deck.peaks[MIX] * alive), "", gain_text(level_db))
    return table


def _used_buses(now: Snapshot, values: Mapping[str, float]) -> list[str]:
    """Send buses and groups where something is heard, or was turned."""
    floor = 10.0 ** (METER_FLOOR_DB / 20.0)
    turned = {bus for bus in now.buses if values[f"buses/{bus}/gain_db"] or values[f"buses/{bus}/mute"]}
    return [bus for bus, peak in now.buses.items() if peak >= floor or bus in turned]


def _add_buses(table: Table, now: Snapshot, values: Mapping[str, float], alive: bool) -> None:
    for bus in _used_buses(now, values):
        mute = Text("M", LIT["mute"] if values[f"buses/{bus}/mute"] else "dim")
        table.add_row(
            "", Text(bus, "bold"), meter(now.buses[bus] * alive), mute, gain_text(values[f"buses/{bus}/gain_db"])
        )


def _chains(now: Snapshot) -> list[Text]:
    """One line about all effects; what is bypassed is dim."""
    if not now.effects:
        return []
    line, several = Text("effects  "), len(now.decks) > 1
    for chain in now.effects:
        name = chain.strip.removeprefix("decks/") if several else chain.strip.rpartition("/")[2]
        line.append(f"{name.replace('/stems/', '/')} ", "bold")
        for effect, bypassed in zip(chain.effects, chain.bypassed, strict=True):
            line.append(f"{effect} ", "dim" if bypassed else "")
        line.append("  ")
    if dry := sum(chain.dry for chain in now.effects):
        line.append(f"{dry} block{'s' * (dry > 1)} dry", "yellow")
    return [line]


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
    return Text.assemble(
        (f"{now.dropouts} dropouts   ", "bold red" if now.dropouts else "dim"),
        (f"{now.stale_masks} of {now.hops} hops with a stale mask   ", "yellow" if now.stale_masks else "dim"),
        (f"{100 * now.load:.0f} % of a core", "dim"),
    )


def _keys(now: Snapshot, values: Mapping[str, float], lit: int) -> tuple[Text, Text]:
    """What the keys do to the deck that is lit; a switch that is on is lit too."""
    deck, several = now.decks[lit], len(now.decks) > 1
    count = len(deck.stems)
    seek = "   ← → seek" if deck.position_s is not None else ""
    first, master = ("tab deck   ", "   < > mix") if several else ("", "")
    turns = Text(f"{first}1-{count} mute   shift 1-{count} solo   + - level{master}{seek}   q end", "dim")
    switches = Text()
    for key, name in SWITCHES.items():
        switches.append(f"{key} ", "dim")
        switches.append(name, LIT["switch"] if values[f"decks/{deck.name}/{name}"] else "dim")
        switches.append("   ")
    return switches, turns


def position_text(deck: DeckSnapshot) -> str:
    """Write where a deck is in its file; empty for a device."""
    if deck.position_s is None or deck.length_s is None:
        return ""
    return f"{clock_text(deck.position_s)} / {clock_text(deck.length_s)}"


def clock_text(seconds: float) -> str:
    """Write minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
