"""Meters and routes: every source's peak, and its sound on the outputs that it is routed to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import kernel
from rtsep.dsp.triple_buffer import take, triple_buffer
from rtsep.host.mix_layout import MixLayout
from rtsep.host.routes import Route

METER_FALL_DB_S = 20.0  # as a peak programme meter falls
ROUTE = np.dtype([("source", np.int64), ("channel", np.int64), ("output", np.int64), ("gain", np.float32)], align=True)


class Meters(NamedTuple):
    """Routes and peaks as kernels see them, of N sources: strips, buses, the master."""

    routes: NDArray[np.void]  # of ROUTE
    control: NDArray[np.void]  # of the triple buffer of peaks
    shown: NDArray[np.float32]  # (3, N) falling peaks, linear
    peaks: NDArray[np.float32]  # (N,) the signal path's own
    fall: float  # factor of the peaks for one hop


def open_meters(layout: MixLayout, routes: Sequence[Route], channels: int, sample_rate: int, hop: int) -> Meters:
    """Make meters that show nothing.

    Args:
        layout: what there is to show.
        routes: where its sound goes.
        channels: of every source.
        sample_rate: of the device, in Hz.
        hop: in frames.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    sources = len(layout.sources)
    return Meters(
        routes=_route_table(routes, layout, channels),
        control=triple_buffer(),
        shown=np.zeros((3, sources), np.float32),
        peaks=np.zeros(sources, np.float32),
        fall=10.0 ** (-METER_FALL_DB_S * hop / sample_rate / 20.0),
    )


def _route_table(routes: Sequence[Route], layout: MixLayout, channels: int) -> NDArray[np.void]:
    table = []
    for route in routes:
        source = layout.sources.index((route.deck, route.source))
        if len(route.channels) < channels:  # a mono sum
            table += [(source, channel, route.channels[0] - 1, 1.0 / channels) for channel in range(channels)]
        else:
            table += [(source, channel, output - 1, 1.0) for channel, output in enumerate(route.channels)]
    return np.array(table, ROUTE)


def read_meters(meters: Meters) -> NDArray[np.float32]:
    """Read the peaks of every source: all stems behind their faders, the buses behind theirs, the master.

    Returns:
        (sources,), linear; good until the next call.

    Thread: one at a time; not real-time safe (Python).
    """
    take(meters.control)
    return meters.shown[int(meters.control[0]["front"])]


@kernel
def show(meters: Meters, source: int, rows: NDArray[np.float32], out: NDArray[np.float32]) -> np.float32:
    """Add a source to the outputs that it is routed to, and note its peak.

    Args:
        meters: changed in place.
        source: its number.
        rows: (C, hop), its sound.
        out: (hop, outputs), added to.

    Returns:
        The peak of this hop: 0 for silence, which goes nowhere.

    Thread: the pipeline's; real-time safe.
    """
    peak = np.float32(0.0)
    for channel in range(len(rows)):
        row = rows[channel]
        for i in range(len(row)):
            peak = max(peak, abs(row[i]))
    meters.peaks[source] = max(peak, meters.peaks[source] * meters.fall)
    if peak == 0.0:
        return peak
    for channel in range(len(rows)):
        row = rows[channel]
        for route in range(len(meters.routes)):
            way = meters.routes[route]
            if way.source == source and way.channel == channel:
                for i in range(len(row)):
                    out[i, way.output] += way.gain * row[i]
    return peak
