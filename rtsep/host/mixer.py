"""The mixer: gain, pan, mute, solo, switches and routes, every change a short straight ramp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.control.parameters import SILENCE_DB, Parameter, parameters
from rtsep.dsp.native import kernel
from rtsep.dsp.triple_buffer import publish, take, triple_buffer
from rtsep.errors import RouteError

RAMP_S = 0.010
METER_FALL_DB_S = 20.0  # as a peak programme meter falls
MIX = "mix"  # the name of the master bus in a route
VOCALS = "vocals"  # the stem that acapella keeps and instrumental drops

STRIP = np.dtype([("gain", np.float64), ("pan", np.float64), ("mute", np.int64), ("solo", np.int64)], align=True)
MASTER = np.dtype(
    [("gain", np.float64), ("acapella", np.int64), ("instrumental", np.int64), ("bypass", np.int64)], align=True
)
RAMP = np.dtype([("current", np.float64), ("target", np.float64), ("step", np.float64), ("left", np.int64)], align=True)
ROUTE = np.dtype([("source", np.int64), ("channel", np.int64), ("output", np.int64), ("gain", np.float32)], align=True)


@dataclass(frozen=True)
class Route:
    """One source, a stem or `mix`, to output channels counted from 1."""

    source: str
    channels: tuple[int, ...]


class Mixer(NamedTuple):
    """A mixer as kernels see it; S stems, C channels, the mix being source S."""

    control: NDArray[np.void]  # of the triple buffer of settings
    strips: NDArray[np.void]  # (3, S) of STRIP
    master: NDArray[np.void]  # (3,) of MASTER
    vocal: NDArray[np.int64]  # (S,) 1 for the vocals
    ramps: NDArray[np.void]  # (S + 2, C) of RAMP: the strips, the master's wet and dry side
    ramp: int  # frames
    routes: NDArray[np.void]  # of ROUTE
    bus: NDArray[np.float32]  # (C, hop)
    meter_control: NDArray[np.void]
    meters: NDArray[np.float32]  # (3, S + 1) falling peaks, linear
    peaks: NDArray[np.float32]  # (S + 1,) the mixer's own
    fall: float  # factor of the meters for one hop


def parse_routes(texts: list[str], stems: tuple[str, ...], channels: int) -> tuple[Route, ...]:
    """Read `vocals=3,4` and the like, or `vocals=3` for a mono sum.

    Args:
        texts: one route or several in each; without any the mix goes to the first outputs.
        stems: the names that are known, besides `mix`.
        channels: of the model; a route has no more outputs.

    Raises:
        RouteError: for an unknown source, or a text that is no route.

    Thread: any; not real-time safe (Python).
    """
    routes = []
    for text in [word for entry in texts for word in entry.split()] or [f"{MIX}=1,2" if channels > 1 else f"{MIX}=1"]:
        source, equals, numbers = text.partition("=")
        if source not in (*stems, MIX):
            raise RouteError(f"route {text!r}: there is no stem {source!r}; choose from {', '.join((*stems, MIX))}")
        parts = numbers.split(",")
        if not equals or not all(part.isdecimal() and 0 < int(part) <= 256 for part in parts) or len(parts) > channels:
            raise RouteError(f"route {text!r}: write it as {source}=1,2 with channels counted from 1")
        routes.append(Route(source, tuple(int(part) for part in parts)))
    return tuple(routes)


def open_mixer(stems: tuple[str, ...], channels: int, routes: tuple[Route, ...], sample_rate: int, hop: int) -> Mixer:
    """Make a mixer with every parameter at its default and no ramp under way.

    Args:
        stems: their names.
        channels: of every stem.
        routes: where the sound goes.
        sample_rate: of the device, in Hz.
        hop: in frames.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    count = len(stems)
    mixer = Mixer(
        control=triple_buffer(),
        strips=np.zeros((3, count), STRIP),
        master=np.zeros(3, MASTER),
        vocal=np.array([stem == VOCALS for stem in stems], np.int64),
        ramps=np.zeros((count + 2, channels), RAMP),
        ramp=max(1, int(RAMP_S * sample_rate)),
        routes=_route_table(routes, (*stems, MIX), channels),
        bus=np.zeros((channels, hop), np.float32),
        meter_control=triple_buffer(),
        meters=np.zeros((3, count + 1), np.float32),
        peaks=np.zeros(count + 1, np.float32),
        fall=10.0 ** (-METER_FALL_DB_S * hop / sample_rate / 20.0),
    )
    set_parameters(mixer, stems, {path: row.default for path, row in one_deck(stems).items()})
    _retarget(mixer)
    mixer.ramps["current"] = mixer.ramps["target"]
    mixer.ramps["left"] = 0
    return mixer


def _route_table(routes: tuple[Route, ...], sources: tuple[str, ...], channels: int) -> NDArray[np.void]:
    table = []
    for route in routes:
        source = sources.index(route.source)
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


def one_deck(stems: tuple[str, ...]) -> Mapping[str, Parameter]:
    """List the parameters of a mixer of one deck by short paths, its switches as the master's: until it mixes decks.

    Thread: any; not real-time safe (Python).
    """
    found = {path.removeprefix("decks/deck/"): row for path, row in parameters({"deck": stems}).items()}
    del found["gain_db"]
    paths = {path: path if "/" in path else f"master/{path}" for path in found}
    return {paths[path]: replace(row, path=paths[path]) for path, row in found.items()}


def set_parameters(mixer: Mixer, stems: tuple[str, ...], values: Mapping[str, float]) -> None:
    """Hand a whole set of parameters to the mixer.

    Args:
        mixer: to which.
        stems: the names of its stems.
        values: by path, each as `Parameter.check` gives it.

    Thread: one at a time; not real-time safe (Python).
    """
    back = int(mixer.control[0]["back"])
    for i, stem in enumerate(stems):
        mixer.strips[back, i] = (
            linear(values[f"stems/{stem}/gain_db"]),
            values[f"stems/{stem}/pan"],
            values[f"stems/{stem}/mute"],
            values[f"stems/{stem}/solo"],
        )
    switches = ("acapella", "instrumental", "bypass")
    mixer.master[back] = (linear(values["master/gain_db"]), *(values[f"master/{name}"] for name in switches))
    publish(mixer.control)


def read_meters(mixer: Mixer) -> NDArray[np.float32]:
    """Read the peaks of every stem behind its fader, and of the mix.

    Returns:
        (stems + 1,), linear; good until the next call.

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
def _retarget(mixer: Mixer) -> None:
    """Take the newest settings and derive what each ramp aims at."""
    if not take(mixer.control):
        return
    front = mixer.control[0].front
    master = mixer.master[front]
    count = len(mixer.vocal)
    soloed = False
    for stem in range(count):
        soloed |= mixer.strips[front, stem].solo != 0
    for stem in range(count):
        strip = mixer.strips[front, stem]
        sounding = strip.mute == 0 and (strip.solo != 0 or not soloed)
        if master.acapella or master.instrumental:
            sounding &= (master.acapella if mixer.vocal[stem] else master.instrumental) != 0
        gain = strip.gain if sounding else 0.0
        for channel in range(len(mixer.bus)):
            side = strip.pan if channel == 0 else -strip.pan
            balance = 1.0 - max(0.0, side) if len(mixer.bus) == 2 else 1.0
            _aim(mixer.ramps[stem, channel], gain * balance, mixer.ramp)
    for channel in range(len(mixer.bus)):
        _aim(mixer.ramps[count, channel], 0.0 if master.bypass else master.gain, mixer.ramp)
        _aim(mixer.ramps[count + 1, channel], master.gain if master.bypass else 0.0, mixer.ramp)


@kernel
def _gain(ramp: Any) -> float:
    """The ramp's next value."""
    if ramp.left > 0:
        ramp.left -= 1
        ramp.current = ramp.target if ramp.left == 0 else ramp.current + ramp.step
    return ramp.current


@kernel
def _send(mixer: Mixer, source: int, channel: int, row: NDArray[np.float32], out: NDArray[np.float32]) -> float:
    """Add a row to the outputs that it is routed to; give its peak."""
    for route in range(len(mixer.routes)):
        way = mixer.routes[route]
        if way.source == source and way.channel == channel:
            for i in range(len(row)):
                out[i, way.output] += way.gain * row[i]
    peak = 0.0
    for i in range(len(row)):
        peak = max(peak, abs(row[i]))
    return peak


@kernel
def mix(mixer: Mixer, stems: NDArray[np.float32], dry: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Mix one hop; bypass acts on the mix alone.

    Args:
        mixer: changed in place.
        stems: (S, C, hop); they are left behind their faders, in place.
        dry: (C, hop), the input that belongs to them.
        out: (hop, outputs), written in place.

    Thread: the pipeline's; real-time safe.
    """
    _retarget(mixer)
    count, channels, hop = stems.shape
    out[:, :] = 0.0
    mixer.bus[:, :] = 0.0
    for source in range(count + 1):
        peak = 0.0
        for channel in range(channels):
            row = stems[source, channel] if source < count else mixer.bus[channel]
            if source < count:
                ramp = mixer.ramps[source, channel]
                for i in range(hop):
                    row[i] *= _gain(ramp)
                    mixer.bus[channel, i] += row[i]
            else:
                wet, through = mixer.ramps[count, channel], mixer.ramps[count + 1, channel]
                for i in range(hop):
                    row[i] = row[i] * _gain(wet) + dry[channel, i] * _gain(through)
            peak = max(peak, _send(mixer, source, channel, row, out))
        mixer.peaks[source] = max(peak, mixer.peaks[source] * mixer.fall)
    mixer.meters[mixer.meter_control[0].back, :] = mixer.peaks
    publish(mixer.meter_control)
