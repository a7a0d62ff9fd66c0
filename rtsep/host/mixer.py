"""The mixer: switches, faders, sends and buses, every change a short straight ramp.

Strips of stems go to the bus of their deck or their group, and by their sends to the send buses; all buses to the
master; routes send any of them to outputs. Switches lie before a strip's insert, faders behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import kernel
from rtsep.dsp.triple_buffer import publish, take
from rtsep.host.faders import Faders
from rtsep.host.meters import Meters, open_meters, show
from rtsep.host.mix_layout import MixLayout
from rtsep.host.mix_settings import MixSettings, default_settings, open_settings, set_parameters
from rtsep.host.ramps import RAMP_S, add, aim, next_gain, open_ramps, settle
from rtsep.host.routes import Route
from rtsep.host.strips import POST, PRE, Strips

VOCALS = "vocals"  # the stem that acapella keeps and instrumental drops
WET, DRY = 0, 1  # what a deck's bus has: its stems, or its input


class Mixer(NamedTuple):
    """A mixer as kernels see it; S stems of all decks, D decks, B buses (the decks' first), C channels.

    Faders have R = S + D rows: the stems of a deck, its dry sound, those of the next.
    """

    settings: MixSettings
    first: NDArray[np.int64]  # (D + 1,) the first stem of each deck
    vocal: NDArray[np.int64]  # (S,) 1 for vocals
    home: NDArray[np.int64]  # (S,) the bus of each strip
    ramp: int  # frames
    switches: NDArray[np.void]  # (S, C) of RAMP, as all that follow
    faders: NDArray[np.void]  # (R, C)
    sends: NDArray[np.void]  # (R, send buses, 2, C)
    sending: NDArray[np.int64]  # (R,) 0 where all of a row's sends rest at 0
    grouped: NDArray[np.void]  # (S, C) the way to a group, which is shut while the deck is bypassed
    blends: NDArray[np.void]  # (D, 2, C) WET and DRY of a deck's bus
    bus_faders: NDArray[np.void]  # (B, C)
    master_fader: NDArray[np.void]  # (1, C)
    buses: NDArray[np.float32]  # (B, C, hop)
    mix: NDArray[np.float32]  # (1, C, hop) the master
    meters: Meters


def open_mixer(layout: MixLayout, channels: int, routes: Sequence[Route], sample_rate: int, hop: int) -> Mixer:
    """Make a mixer with every parameter at its default and no ramp under way.

    Args:
        layout: its strips and buses.
        channels: of every stem.
        routes: where the sound goes.
        sample_rate: of the device, in Hz.
        hop: in frames.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    strips, decks, buses = len(layout.strips), len(layout.decks), len(layout.buses)
    settings = open_settings(layout)
    mixer = Mixer(
        settings=settings,
        first=np.cumsum([0, *(len(stems) for stems in layout.decks.values())]),
        vocal=np.array([stem == VOCALS for _, stem in layout.strips], np.int64),
        home=np.array(layout.homes, np.int64),
        ramp=max(1, int(RAMP_S * sample_rate)),
        switches=open_ramps(strips, channels),
        faders=open_ramps(strips + decks, channels),
        sends=open_ramps(strips + decks, *settings.sends.shape[2:], channels),
        sending=np.zeros(strips + decks, np.int64),
        grouped=open_ramps(strips, channels),
        blends=open_ramps(decks, 2, channels),
        bus_faders=open_ramps(buses, channels),
        master_fader=open_ramps(1, channels),
        buses=np.zeros((buses, channels, hop), np.float32),
        mix=np.zeros((1, channels, hop), np.float32),
        meters=open_meters(layout, routes, channels, sample_rate, hop),
    )
    set_parameters(settings, layout, default_settings(layout))
    mixer.faders["target"] = 1.0  # of dry sounds for good
    retarget(mixer)
    ramps = mixer.switches, mixer.faders, mixer.sends, mixer.grouped, mixer.blends, mixer.bus_faders, mixer.master_fader
    for one in ramps:
        settle(one)
    return mixer


def strip_switches(mixer: Mixer, deck: int) -> Faders:
    """Give mute, solo and the deck's switches of one deck's stems, as a stage before their inserts.

    Thread: any, before the sound starts; not real-time safe (Python).
    """
    return Faders(mixer.switches[mixer.first[deck] : mixer.first[deck + 1]])


def strip_faders(mixer: Mixer) -> Strips:
    """Give faders and sends of all decks' stems, as a stage behind their inserts.

    Thread: any, before the sound starts; not real-time safe (Python).
    """
    decks = len(mixer.blends)
    return Strips(mixer.faders, mixer.sends, mixer.sending, mixer.buses[decks : decks + mixer.sends.shape[1]])


def bus_faders(mixer: Mixer) -> Faders:
    """Give the faders of all buses, as a stage behind their inserts.

    Thread: any, before the sound starts; not real-time safe (Python).
    """
    return Faders(mixer.bus_faders)


def master_fader(mixer: Mixer) -> Faders:
    """Give the master's fader, as a stage.

    Thread: any, before the sound starts; not real-time safe (Python).
    """
    return Faders(mixer.master_fader)


@kernel
def begin_mix(mixer: Mixer, out: NDArray[np.float32]) -> None:
    """Begin a hop: aim the ramps at the newest settings, and empty the buses, the master and the outputs.

    Args:
        mixer: changed in place.
        out: (hop, outputs).

    Thread: the pipeline's; real-time safe.
    """
    retarget(mixer)
    mixer.buses[:, :, :] = 0.0
    mixer.mix[:, :, :] = 0.0
    out[:, :] = 0.0


@kernel
def retarget(mixer: Mixer) -> None:
    """Take the newest settings, if there are any since, and derive what each ramp aims at.

    Thread: the pipeline's; real-time safe.
    """
    settings, frames = mixer.settings, mixer.ramp
    if not take(settings.control):
        return
    front = settings.control[0].front
    for deck in range(len(mixer.blends)):
        _retarget_deck(mixer, deck, front)
    for channel in range(mixer.master_fader.shape[1]):
        for bus in range(len(mixer.bus_faders)):
            aim(mixer.bus_faders[bus, channel], settings.buses[front, bus], frames)
        aim(mixer.master_fader[0, channel], settings.master[front], frames)


@kernel
def _retarget_deck(mixer: Mixer, deck: int, front: int) -> None:
    settings, frames = mixer.settings, mixer.ramp
    switches, channels = settings.decks[front, deck], mixer.faders.shape[1]
    soloed = False
    for stem in range(mixer.first[deck], mixer.first[deck + 1]):
        soloed |= settings.strips[front, stem].solo != 0
    wet = 0.0 if switches.bypass else 1.0
    for stem in range(mixer.first[deck], mixer.first[deck + 1]):
        strip = settings.strips[front, stem]
        sounding = strip.mute == 0 and (strip.solo != 0 or not soloed)
        if switches.acapella or switches.instrumental:
            sounding &= (switches.acapella if mixer.vocal[stem] else switches.instrumental) != 0
        mixer.sending[stem + deck] = 1  # until it is seen that none is
        for channel in range(channels):
            side = strip.pan if channel == 0 else -strip.pan
            balance = 1.0 - max(0.0, side) if channels == 2 else 1.0
            aim(mixer.switches[stem, channel], 1.0 if sounding else 0.0, frames)
            aim(mixer.faders[stem + deck, channel], strip.gain * balance, frames)
            aim(mixer.grouped[stem, channel], wet, frames)
            for bus in range(mixer.sends.shape[1]):
                for place in (POST, PRE):
                    aim(mixer.sends[stem + deck, bus, place, channel], settings.sends[front, stem, bus, place], frames)
    for channel in range(channels):
        aim(mixer.blends[deck, WET, channel], wet, frames)
        aim(mixer.blends[deck, DRY, channel], 1.0 - wet, frames)


@kernel
def mix_deck(mixer: Mixer, deck: int, sound: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Route one deck's stems, and sum them on its bus, or its input in their place, and on their groups'.

    Args:
        mixer: changed in place.
        deck: which, from 0.
        sound: (S + 1, C, hop), its stems behind their faders, then the input that belongs to them.
        out: (hop, outputs), added to.

    Thread: the pipeline's; real-time safe.
    """
    stems, (_, channels, hop) = len(sound) - 1, sound.shape
    bus, dry, first = mixer.buses[deck], sound[stems], mixer.first[deck]
    for stem in range(stems):
        show(mixer.meters, first + stem, sound[stem], out)
        home = mixer.home[first + stem]
        for channel in range(channels):
            if home != deck:
                add(mixer.grouped[first + stem, channel], sound[stem, channel], mixer.buses[home, channel])
                continue
            for i in range(hop):
                bus[channel, i] += sound[stem, channel, i]
    for channel in range(channels):
        wet, through = mixer.blends[deck, WET, channel], mixer.blends[deck, DRY, channel]
        if wet.left > 0 or wet.current != 1.0:
            for i in range(hop):
                bus[channel, i] = bus[channel, i] * next_gain(wet) + dry[channel, i] * next_gain(through)


@kernel
def mix_buses(mixer: Mixer, out: NDArray[np.float32]) -> None:
    """Route the buses, behind their stages, and sum them on the master.

    Args:
        mixer: changed in place.
        out: (hop, outputs), added to.

    Thread: the pipeline's; real-time safe.
    """
    buses, channels, hop = mixer.buses.shape
    for bus in range(buses):
        if show(mixer.meters, len(mixer.vocal) + bus, mixer.buses[bus], out) == 0.0:
            continue
        for channel in range(channels):
            for i in range(hop):
                mixer.mix[0, channel, i] += mixer.buses[bus, channel, i]


@kernel
def mix_master(mixer: Mixer, out: NDArray[np.float32]) -> None:
    """Route the master, behind its stages, and show all meters.

    Args:
        mixer: changed in place.
        out: (hop, outputs), added to.

    Thread: the pipeline's; real-time safe.
    """
    meters = mixer.meters
    show(meters, len(meters.peaks) - 1, mixer.mix[0], out)
    meters.shown[meters.control[0].back, :] = meters.peaks
    publish(meters.control)
