"""What the live view shows of snapshots that are made by hand."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from rich.console import Console

from rtsep.control.snapshot import MIX, ChainSnapshot, DeckSnapshot, Snapshot
from rtsep.surfaces.live_view import View, clock_text, meter, render, warnings
from tests.support.rigs import LATENCY_MS, STEMS, deck_snapshot, snapshot

A = deck_snapshot("a", STEMS, source="first.wav", position_s=61.0, length_s=200.0)
B = deck_snapshot("b", ("vocals", "accompaniment"), source="input 3,4", position_s=None, length_s=None)


HERE = View()
NOTHING: Mapping[str, float] = {}


def screen(now: Snapshot, view: View = HERE, turned: Mapping[str, float] = NOTHING, width: int = 80) -> list[str]:
    console = Console(width=width, force_terminal=True, file=io.StringIO(), record=True)
    console.print(render(now, {**now.parameters, **turned}, view))
    return [line.rstrip() for line in console.export_text().splitlines()]


def styles(now: Snapshot, view: View = HERE, turned: Mapping[str, float] = NOTHING) -> str:
    console = Console(width=80, force_terminal=True, color_system="standard", file=io.StringIO(), record=True)
    console.print(render(now, {**now.parameters, **turned}, view))
    return console.export_text(styles=True)


def bars(lines: list[str]) -> list[str]:
    return [line for line in lines if "─" in line or "━" in line]


def test_the_view_of_one_deck_is_this() -> None:
    bar = "━" * 24 + "─" * 12 + "  -20.0"
    assert screen(snapshot()) == [
        "rtsep  0:03 / 0:20   stateful",
        "null, 44.1 kHz, identity, no network",
        "",
        f"1  vocals  {bar}  M S   +0.0 dB",
        f"2  drums   {bar}  M S   +0.0 dB",
        f"3  bass    {bar}  M S   +0.0 dB",
        f"4  other   {bar}  M S   +0.0 dB",
        f"   mix     {bar}        +0.0 dB",
        "",
        "latency  29.0 ms = block 5.8 + window 17.4 + compute 5.8",
        "0 dropouts   0 of 1000 hops with a stale mask   25 % of a core",
        "",
        "a acapella   i instrumental   b bypass",
        "1-4 mute   shift 1-4 solo   + - level   ← → seek   q end",
    ]


def test_buses_are_shown_where_they_are_in_use() -> None:
    quiet = snapshot(buses={"reverb": 0.0, "delay": 0.0005})
    assert "reverb" not in "".join(screen(quiet)) and "delay" not in "".join(screen(quiet))
    used = screen(snapshot(buses={"reverb": 0.1, "delay": 0.0}))
    assert used[7] == f"   reverb  {'━' * 24}{'─' * 12}  -20.0  M     +0.0 dB" and "   mix" in used[8]
    assert len(used) == len(screen(quiet)) + 1
    turned = screen(quiet, turned={"buses/delay/gain_db": -6.0})
    assert "delay" in turned[7] and "-6.0 dB" in turned[7]


def test_effects_are_one_line() -> None:
    vocals = ChainSnapshot("decks/main/stems/vocals", ("Reverb", "Compressor"), (False, True), 0, 100, 0, 0)
    master = ChainSnapshot("master", ("Limiter",), (False,), 64, 100, 3, 0)
    assert not [line for line in screen(snapshot()) if line.startswith("effects")]
    (line,) = [line for line in screen(snapshot(effects=(vocals,))) if line.startswith("effects")]
    assert line.split() == ["effects", "vocals", "Reverb", "Compressor"]
    (line,) = [line for line in screen(snapshot(effects=(vocals, master))) if line.startswith("effects")]
    assert line.endswith("master Limiter   3 blocks dry")
    two = snapshot(deck_snapshot("a"), deck_snapshot("b"), effects=(replace(vocals, strip="decks/b/stems/vocals"),))
    assert any(line.startswith("effects  b/vocals Reverb") for line in screen(two))


def test_the_view_of_two_decks_is_this() -> None:
    bar = "━" * 24 + "─" * 12 + "  -20.0"
    lines = screen(snapshot(A, B), View(lit=1), {"decks/b/acapella": 1.0, "decks/a/gain_db": -3.0})
    assert lines == [
        "rtsep  0:03   stateful",
        "null, 44.1 kHz, identity, no network",
        "",
        " a   1:01 / 3:20  first.wav",
        f"   vocals         {bar}  M S   +0.0 dB",
        f"   drums          {bar}  M S   +0.0 dB",
        f"   bass           {bar}  M S   +0.0 dB",
        f"   other          {bar}  M S   +0.0 dB",
        f"   deck           {bar}        -3.0 dB",
        " b     input 3,4  acapella",
        f"1  vocals         {bar}  M S   +0.0 dB",
        f"2  accompaniment  {bar}  M S   +0.0 dB",
        f"   deck           {bar}        +0.0 dB",
        f"   mix            {bar}        +0.0 dB",
        "",
        "latency  29.0 ms = block 5.8 + window 17.4 + compute 5.8",
        "0 dropouts   0 of 1000 hops with a stale mask   25 % of a core",
        "",
        "a acapella   i instrumental   b bypass",
        "tab deck   1-2 mute   shift 1-2 solo   + - level   < > mix   q end",
    ]


def test_the_keys_of_two_decks_fit_80_columns_and_two_decks_of_five_stems_24_lines() -> None:
    stems = (*STEMS, "piano")
    decks = [deck_snapshot(name, stems, warning="its file has ended") for name in "ab"]
    lines = screen(snapshot(*decks, warning="masks 12 ms late: try --mask-interval 4"), View(said="no such key"))
    assert lines[-1] == "tab deck   1-5 mute   shift 1-5 solo   + - level   < > mix   ← → seek   q end"
    assert len(lines) <= 24 and max(map(len, lines)) <= 80


@pytest.mark.parametrize(("height", "rows"), [(24, 11), (22, 11), (21, 7), (10, 7)])
def test_where_lines_are_few_the_decks_that_are_not_lit_fold_to_their_bus(height: int, rows: int) -> None:
    now = snapshot(deck_snapshot("a"), deck_snapshot("b"))
    lines = screen(now, View(lit=1, height=height))
    assert len(bars(lines)) == rows
    assert [line.split()[0] for line in lines if "song.wav" in line] == ["a", "b"]
    assert [line[0] for line in bars(lines)][-6:] == ["1", "2", "3", "4", " ", " "], "the lit one is whole"
    assert len(lines) <= max(height, 18)


def test_one_deck_never_folds() -> None:
    assert len(bars(screen(snapshot(), View(height=5)))) == 5


def test_a_level_of_the_only_deck_is_seen_where_it_is_not_0() -> None:
    lines = screen(snapshot(), turned={"decks/main/gain_db": -6.0, "master/gain_db": -1.0})
    assert any("deck" in line and line.endswith("-6.0 dB") for line in bars(lines))
    assert any("mix" in line and line.endswith("-1.0 dB") for line in bars(lines))


def test_a_device_has_no_position_and_nothing_to_seek() -> None:
    lines = screen(snapshot(deck_snapshot(position_s=None, length_s=None), running_s=125.0))
    assert lines[0] == "rtsep  2:05   stateful"
    assert "seek" not in "\n".join(lines)


def test_values_are_the_newest_ones() -> None:
    """A key is seen at once, before the next snapshot."""
    now = snapshot()
    assert any(
        "vocals" in line and line.endswith(" -7.5 dB")
        for line in screen(now, turned={"decks/main/stems/vocals/gain_db": -7.5})
    )


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("decks", [(deck_snapshot(source="x" * 300),), (A, deck_snapshot("b", source="y" * 300))])
def test_no_line_is_wrapped(width: int, decks: tuple[DeckSnapshot, ...]) -> None:
    now = snapshot(
        *decks,
        device="A sound device with a name that is by far too long for any terminal: USB Audio (hw:1,0)",
        warning="a warning of more words than there is room for on any line of a terminal of eighty columns, or so",
    )
    switched = {path: 1.0 for path in now.parameters if path.endswith(("acapella", "bypass", "mute", "instrumental"))}
    lines = screen(now, View(said="z" * 300), switched, width)
    assert len(lines) == len(screen(now, View(said="z" * 300), switched, 400))
    assert max(map(len, lines)) <= width


# When things go wrong -------------------------------------------------------------------------


def test_a_warning_is_shown_as_it_is_written() -> None:
    assert "the [disk] is full" in screen(snapshot(warning="the [disk] is full"))


def test_warnings_are_the_rigs_and_each_decks_once() -> None:
    assert warnings(snapshot()) == []
    assert warnings(snapshot(deck_snapshot(warning="full"), warning="full")) == ["full"]
    two = snapshot(deck_snapshot("a", warning="no signal"), deck_snapshot("b", warning="no signal"), warning="late")
    assert warnings(two) == ["late", "deck a: no signal", "deck b: no signal"]
    assert all(line in screen(two) for line in warnings(two))


def test_what_a_key_could_not_do_is_shown() -> None:
    assert "unknown action" in screen(snapshot(), View(said="unknown action"))


@pytest.mark.parametrize(("age_s", "lost"), [(0.51, False), (60.0, False), (0.0, True)])
def test_meters_fall_while_there_is_no_sound(age_s: float, lost: bool) -> None:
    for decks in ((deck_snapshot(),), (A, B)):
        found = bars(screen(snapshot(*decks, device_lost=lost), View(age_s=age_s)))
        assert found and all("━" not in line and " - " in line for line in found)


def test_meters_stand_while_news_are_fresh() -> None:
    assert all("━" in line for line in bars(screen(snapshot(), View(age_s=0.49))))


def test_that_nothing_is_heard_of_the_sound_is_said() -> None:
    assert not any("no news" in line for line in screen(snapshot(), View(age_s=1.9)))
    assert "no news of the sound for 7 s" in screen(snapshot(), View(age_s=7.2))


def test_dropouts_stale_masks_and_latency_that_nobody_knows() -> None:
    latency = {**LATENCY_MS, "device": None, "total": 29.025}
    lines = screen(snapshot(dropouts=3, stale_masks=12, hops=400, load=1.5, latency_ms=latency))
    assert "3 dropouts   12 of 400 hops with a stale mask   150 % of a core" in lines
    assert any(line.startswith("latency  29.0 ms + device unknown = block") for line in lines)


def test_a_deck_that_has_ended_says_so() -> None:
    ended = deck_snapshot("a", finished=True)
    assert any(line.endswith("song.wav  ended") for line in screen(snapshot(ended, B)))


# Colours --------------------------------------------------------------------------------------


def test_lit_switches() -> None:
    now = snapshot()
    lit = {
        "decks/main/stems/vocals/mute": ";41mM",
        "decks/main/stems/vocals/solo": ";43mS",
        "decks/main/acapella": ";45macapella",
        "decks/main/instrumental": ";45minstrumental",
        "decks/main/bypass": ";45mbypass",
    }
    for path, mark in lit.items():
        assert mark not in styles(now)
        assert mark in styles(now, turned={path: 1.0})


def test_the_deck_that_keys_act_on_is_lit_and_alone() -> None:
    now = snapshot(A, B)
    for lit, other, number in (("a", "b", 0), ("b", "a", 1)):
        text = styles(now, View(lit=number))
        assert f"46m {lit} " in text and f"46m {other} " not in text


def test_a_switch_of_another_deck_is_seen_and_lights_no_key() -> None:
    text = styles(snapshot(A, B), View(lit=0), {"decks/b/bypass": 1.0})
    assert text.count(";45mbypass") == 1
    assert styles(snapshot(A, B), View(lit=1), {"decks/b/bypass": 1.0}).count(";45mbypass") == 2


@pytest.mark.parametrize(
    ("peak", "full", "figure"),
    [(0.0, 0, "-"), (0.0009, 0, "-"), (1.0, 36, "0.0"), (0.1, 24, "-20.0"), (4.0, 36, "12.0")],
)
def test_meters(peak: float, full: int, figure: str) -> None:
    text = meter(peak).plain
    assert text.count("━") == full and text.count("─") == 36 - full
    assert text[36:].strip() == figure
    assert len(text) == 43


def test_each_meter_shows_its_own_peak() -> None:
    peaks = {"vocals": 1.0, "drums": 0.1, "bass": 0.01, "other": 0.0, MIX: 0.5}
    other = {"vocals": 0.2, "accompaniment": 0.3, MIX: 0.05}
    now = snapshot(
        deck_snapshot("a", peaks=peaks), deck_snapshot("b", ("vocals", "accompaniment"), peaks=other), peaks={MIX: 0.9}
    )
    figures = [re.findall(r"[━─] +(-?\d*\.?\d*)", line)[-1] for line in bars(screen(now))]
    assert figures == ["0.0", "-20.0", "-40.0", "-", "-6.0", "-14.0", "-10.5", "-26.0", "-0.9"]


def test_clock_text() -> None:
    assert [clock_text(seconds) for seconds in (0.0, 59.99, 60.0, 3601.0)] == ["0:00", "0:59", "1:00", "60:01"]
