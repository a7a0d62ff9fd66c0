"""The mixer: gain, pan, mute, solo, switches and routes, every change a short straight ramp.

Strips of stems go to the bus of their deck, buses to the master; routes send any of them to outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.control.parameters import SILENCE_DB, parameters
from rtsep.control.snapshot import MIX
from rtsep.core.spec import Latency
from rtsep.dsp.native import kernel
from rtsep.dsp.triple_buffer import publish, take, triple_buffer
from rtsep.host.routes import Route
from rtsep.host.stage import stage

RAMP_S = 0.010
METER_FALL_DB_S = 20.0  # as a peak programme meter falls
VOCALS = "vocals"  # the stem that acapella keeps and instrumental drops

STRIP = np.dtype([("gain", np.float64), ("pan", np.float64), ("mute", np.int64), ("solo", np.int64)], align=True)
BUS = np.dtype(
    [("gain", np.float64), ("acapella", np.int64), ("instrumental", np.int64), ("bypass", np.int64)], align=True
)
RAMP = np.dtype([("current", np.float64), ("target", np.float64), ("step", np.float64), ("left", np.int64)], align=True)
ROUTE = np.dtype([("source", np.int64), ("channel", np.int64), ("output", np.int64), ("gain", np.float32)], align=True)

Decks = Mapping[str, tuple[str, ...]]  # the stems of each deck, by its name


class Faders(NamedTuple):
    """A stage: the faders of a deck's stems, or the master's.

    Thread: any; not real-time safe (Python).
    """

    ramps: NDArray[np.void]  # (rows, C) of RAMP

    @property
    def latency(self) -> Latency:
        """Nothing."""
        return Latency()


class Mixer(NamedTuple):
    """A mixer as kernels see it; S stems of all decks, D decks, C channels. Sources: stems, decks, the master."""

    control: NDArray[np.void]  # of the triple buffer of settings
    strips: NDArray[np.void]  # (3, S) of STRIP
    decks: NDArray[np.void]  # (3, D) of BUS
    master: NDArray[np.float64]  # (3,) gain
    first: NDArray[np.int64]  # (D + 1,) the first stem of each deck
    vocal: NDArray[np.int64]  # (S,) 1 for vocals
    ramps: NDArray[np.void]  # (S + 2 D + 1, C) of RAMP: strips, the buses' wet and dry sides, the master
    ramp: int  # frames
    routes: NDArray[np.void]  # of ROUTE
    bus: NDArray[np.float32]  # (C, hop)
    mix: NDArray[np.float32]  # (1, C, hop) the master
    meter_control: NDArray[np.void]
    meters: NDArray[np.float32]  # (3, S + D + 1) falling peaks, linear
    peaks: NDArray[np.float32]  # (S + D + 1,) the mixer's own
    fall: float  # factor of the meters for one hop


def open_mixer(decks: Decks, channels: int, routes: Sequence[Route], sample_rate: int, hop: int) -> Mixer:
    """Make a mixer with every parameter at its default and no ramp under way.

    Args:
        decks: the stems of each deck, by its name.
        channels: of every stem.
        routes: where the sound goes.
        sample_rate: of the device, in Hz.
        hop: in frames.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    names = [(deck, stem) for deck, stems in decks.items() for stem in stems]
    sources = [*names, *((deck, MIX) for deck in decks), ("", MIX)]
    mixer = Mixer(
        control=triple_buffer(),
        strips=np.zeros((3, len(names)), STRIP),
        decks=np.zeros((3, len(decks)), BUS),
        master=np.zeros(3),
        first=np.cumsum([0, *(len(stems) for stems in decks.values())]),
        vocal=np.array([stem == VOCALS for _, stem in names], np.int64),
        ramps=np.zeros((len(sources) + len(decks), channels), RAMP),
        ramp=max(1, int(RAMP_S * sample_rate)),
        routes=_route_table(routes, sources, channels),
        bus=np.zeros((channels, hop), np.float32),
        mix=np.zeros((1, channels, hop), np.float32),
        meter_control=triple_buffer(),
        meters=np.zeros((3, len(sources)), np.float32),
        peaks=np.zeros(len(sources), np.float32),
        fall=10.0 ** (-METER_FALL_DB_S * hop / sample_rate / 20.0),
    )
    set_parameters(mixer, decks, {path: row.default for path, row in parameters(decks).items()})
    retarget(mixer)
    mixer.ramps["current"] = mixer.ramps["target"]
    mixer.ramps["left"] = 0
    return mixer


def deck_faders(mixer: Mixer, deck: int) -> Faders:
    """Give the faders of one deck's stems, as a stage.

    Thread: any, before the sound starts; not real-time safe (Python).
    """
    return Faders(mixer.ramps[mixer.first[deck] : mixer.first[deck + 1]])


def master_fader(mixer: Mixer) -> Faders:
    """Give the master's fader, as a stage.

    Thread: any, before the sound starts; not real-time safe (Python).
    """
    return Faders(mixer.ramps[-1:])


def _route_table(routes: Sequence[Route], sources: Sequence[tuple[str, str]], channels: int) -> NDArray[np.void]:
    table = []
    for route in routes:
        source = sources.index((route.deck, route.source))
        if len(route.channels) < channels:  # a mono sum
            table += [(source, channel, route.channels[0] - 1, 1.0 / channels) for channel in range(channels)]
        else:
            table += [(source, channel, output - 1, 1.0) for channel, output in enumerate(route.channels)]
    return np.array(table, ROUTE)


def linear(gain_db: float) -> float:
    """Turn decibels into a factor; the lower end of a fader is silence.

    Thread: any; not real-time safe (Python).
    """
    return 0.0 if gain_db <= SILENCE_DB else 10.0 ** (gain_db / 20.0)


def set_parameters(mixer: Mixer, decks: Decks, values: Mapping[str, float]) -> None:
    """Hand a whole set of parameters to the mixer.

    Args:
        mixer: to which.
        decks: the stems of each of its decks, by its name.
        values: by path in full, each as `Parameter.check` gives it.

    Thread: one at a time; not real-time safe (Python).
    """
    back = int(mixer.control[0]["back"])
    stems = [f"decks/{deck}/stems/{stem}" for deck, names in decks.items() for stem in names]
    for i, path in enumerate(stems):
        switches = (values[f"{path}/{name}"] for name in ("pan", "mute", "solo"))
        mixer.strips[back, i] = (linear(values[f"{path}/gain_db"]), *switches)
    for i, deck in enumerate(decks):
        switches = (values[f"decks/{deck}/{name}"] for name in ("acapella", "instrumental", "bypass"))
        mixer.decks[back, i] = (linear(values[f"decks/{deck}/gain_db"]), *switches)
    mixer.master[back] = linear(values["master/gain_db"])
    publish(mixer.control)


def read_meters(mixer: Mixer) -> NDArray[np.float32]:
    """Read the peaks of every source: all stems behind their faders, the decks' buses, the master.

    Returns:
        (stems + decks + 1,), linear; good until the next call.

    Thread: one at a time; not real-time safe (Python).
    """
    take(mixer.meter_control)
    return mixer.meters[int(mixer.meter_control[0]["front"])]


@kernel
def _aim(ramp: Any, target: float, frames: int) -> None:
    if target != ramp.target:
        ramp.target = target
        ramp.step = (target - ramp.current) / frames
        ramp.left = frames


@kernel
def retarget(mixer: Mixer) -> None:
    """Take the newest settings and derive what each ramp aims at: once for each hop, before its sound.

    Thread: the pipeline's; real-time safe.
    """
    if not take(mixer.control):
        return
    front = mixer.control[0].front
    stems, decks, channels = len(mixer.vocal), mixer.decks.shape[1], mixer.ramps.shape[1]
    for deck in range(decks):
        bus = mixer.decks[front, deck]
        soloed = False
        for stem in range(mixer.first[deck], mixer.first[deck + 1]):
            soloed |= mixer.strips[front, stem].solo != 0
        for stem in range(mixer.first[deck], mixer.first[deck + 1]):
            strip = mixer.strips[front, stem]
            sounding = strip.mute == 0 and (strip.solo != 0 or not soloed)
            if bus.acapella or bus.instrumental:
                sounding &= (bus.acapella if mixer.vocal[stem] else bus.instrumental) != 0
            gain = strip.gain if sounding else 0.0
            for channel in range(channels):
                side = strip.pan if channel == 0 else -strip.pan
                balance = 1.0 - max(0.0, side) if channels == 2 else 1.0
                _aim(mixer.ramps[stem, channel], gain * balance, mixer.ramp)
        for channel in range(channels):
            _aim(mixer.ramps[stems + 2 * deck, channel], 0.0 if bus.bypass else bus.gain, mixer.ramp)
            _aim(mixer.ramps[stems + 2 * deck + 1, channel], bus.gain if bus.bypass else 0.0, mixer.ramp)
    for channel in range(channels):
        _aim(mixer.ramps[stems + 2 * decks, channel], mixer.master[front], mixer.ramp)


@kernel
def _gain(ramp: Any) -> float:
    """The ramp's next value."""
    if ramp.left > 0:
        ramp.left -= 1
        ramp.current = ramp.target if ramp.left == 0 else ramp.current + ramp.step
    return ramp.current


@stage(Faders)
def move_faders(faders: Faders, block: NDArray[np.float32]) -> None:
    """Apply a hop of each row's ramps.

    Args:
        faders: their ramps go on.
        block: (rows, channels, hop), in place.

    Thread: the pipeline's; real-time safe.
    """
    rows, channels, hop = block.shape
    for row in range(rows):
        for channel in range(channels):
            ramp = faders.ramps[row, channel]
            for i in range(hop):
                block[row, channel, i] *= _gain(ramp)


@kernel
def _send(mixer: Mixer, source: int, rows: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Add a source's channels (C, hop) to the outputs that it is routed to, and show its peak."""
    peak = np.float32(0.0)
    for channel in range(len(rows)):
        row = rows[channel]
        for route in range(len(mixer.routes)):
            way = mixer.routes[route]
            if way.source == source and way.channel == channel:
                for i in range(len(row)):
                    out[i, way.output] += way.gain * row[i]
        for i in range(len(row)):
            peak = max(peak, abs(row[i]))
    mixer.peaks[source] = max(peak, mixer.peaks[source] * mixer.fall)


@kernel
def mix_deck(
    mixer: Mixer, deck: int, stems: NDArray[np.float32], dry: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Send one deck's stems, sum them on its bus, or its input in their place, and add that to the master.

    Args:
        mixer: changed in place.
        deck: which, from 0; the first begins the master anew.
        stems: (S, C, hop) behind their faders.
        dry: (C, hop), the input that belongs to them; bypass acts on the bus alone.
        out: (hop, outputs), added to.

    Thread: the pipeline's; real-time safe.
    """
    count, channels, hop = stems.shape
    first, all_stems = mixer.first[deck], len(mixer.vocal)
    mixer.bus[:, :] = 0.0
    if deck == 0:
        mixer.mix[:, :, :] = 0.0
    for stem in range(count):
        _send(mixer, first + stem, stems[stem], out)
        for channel in range(channels):
            for i in range(hop):
                mixer.bus[channel, i] += stems[stem, channel, i]
    for channel in range(channels):
        wet, through = mixer.ramps[all_stems + 2 * deck, channel], mixer.ramps[all_stems + 2 * deck + 1, channel]
        for i in range(hop):
            mixer.bus[channel, i] = mixer.bus[channel, i] * _gain(wet) + dry[channel, i] * _gain(through)
            mixer.mix[0, channel, i] += mixer.bus[channel, i]
    _send(mixer, all_stems + deck, mixer.bus, out)


@kernel
def mix_master(mixer: Mixer, out: NDArray[np.float32]) -> None:
    """Send the master, behind its stages, and show all meters.

    Args:
        mixer: changed in place.
        out: (hop, outputs), added to.

    Thread: the pipeline's; real-time safe.
    """
    _send(mixer, len(mixer.peaks) - 1, mixer.mix[0], out)
    mixer.meters[mixer.meter_control[0].back, :] = mixer.peaks
    publish(mixer.meter_control)
