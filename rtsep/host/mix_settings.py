"""What the mixer is told: whole sets of settings, handed from Python to the signal path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.control.parameters import SEND_BUSES, SILENCE_DB, Parameter, parameters
from rtsep.dsp.triple_buffer import publish, triple_buffer
from rtsep.host.mix_layout import MixLayout

STRIP = np.dtype([("gain", np.float64), ("pan", np.float64), ("mute", np.int64), ("solo", np.int64)], align=True)
DECK = np.dtype([("acapella", np.int64), ("instrumental", np.int64), ("bypass", np.int64)], align=True)


class MixSettings(NamedTuple):
    """Three sets of settings; S stems of all decks, D decks, B buses."""

    control: NDArray[np.void]  # of the triple buffer
    strips: NDArray[np.void]  # (3, S) of STRIP
    decks: NDArray[np.void]  # (3, D) of DECK
    sends: NDArray[np.float64]  # (3, S, send buses, 2) gains behind the fader and before it: one of them is 0
    buses: NDArray[np.float64]  # (3, B) gain
    master: NDArray[np.float64]  # (3,) gain


def open_settings(layout: MixLayout) -> MixSettings:
    """Make room for settings.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    strips = len(layout.strips)
    return MixSettings(
        control=triple_buffer(),
        strips=np.zeros((3, strips), STRIP),
        decks=np.zeros((3, len(layout.decks)), DECK),
        sends=np.zeros((3, strips, len(SEND_BUSES), 2)),
        buses=np.zeros((3, len(layout.buses))),
        master=np.zeros(3),
    )


def mix_parameters(layout: MixLayout) -> Mapping[str, Parameter]:
    """List the parameters of a layout, by path.

    Raises:
        ParameterError: see `parameters`.

    Thread: any; not real-time safe (Python).
    """
    return parameters(layout.decks, layout.own_buses)


def default_settings(layout: MixLayout) -> Mapping[str, float]:
    """Give every parameter's default, by path.

    Thread: any; not real-time safe (Python).
    """
    return {path: row.default for path, row in mix_parameters(layout).items()}


def linear(gain_db: float) -> float:
    """Turn decibels into a factor; the lower end of a fader is silence.

    Thread: any; not real-time safe (Python).
    """
    return 0.0 if gain_db <= SILENCE_DB else 10.0 ** (gain_db / 20.0)


def set_parameters(settings: MixSettings, layout: MixLayout, values: Mapping[str, float]) -> None:
    """Hand a whole set of parameters to the mixer.

    Args:
        settings: the mixer's.
        layout: its strips and buses.
        values: by path in full, each as `Parameter.check` gives it; others may be among them.

    Thread: one at a time; not real-time safe (Python).
    """
    back = int(settings.control[0]["back"])
    for i, (deck, stem) in enumerate(layout.strips):
        path = f"decks/{deck}/stems/{stem}"
        switches = (values[f"{path}/{name}"] for name in ("pan", "mute", "solo"))
        settings.strips[back, i] = (linear(values[f"{path}/gain_db"]), *switches)
        for bus, name in enumerate(SEND_BUSES):
            gain, pre = linear(values[f"{path}/sends/{name}_db"]), values[f"{path}/sends/{name}_pre"]
            settings.sends[back, i, bus] = (0.0, gain) if pre else (gain, 0.0)
    for i, deck in enumerate(layout.decks):
        settings.decks[back, i] = tuple(values[f"decks/{deck}/{name}"] for name in DECK.names or ())
        settings.buses[back, i] = linear(values[f"decks/{deck}/gain_db"])
    for i, bus_name in enumerate(layout.own_buses, len(layout.decks)):
        muted = values[f"buses/{bus_name}/mute"]
        settings.buses[back, i] = 0.0 if muted else linear(values[f"buses/{bus_name}/gain_db"])
    settings.master[back] = linear(values["master/gain_db"])
    publish(settings.control)
