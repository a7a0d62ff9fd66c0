"""The rig: what a host plays with, built and joined: decks, mixer, signal path, scheduler. No thread runs in it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from rtsep.audio.writers import StemWriter
from rtsep.core.budget import Budget, wanted_compute
from rtsep.core.spec import AudioSpec, Latency, WindowSpec
from rtsep.engine.base import Engine
from rtsep.errors import DeviceError
from rtsep.host.clock import Clock
from rtsep.host.deck import Deck, DeckSettings, file_length, open_deck
from rtsep.host.delay import Delay, delay
from rtsep.host.device_io import LARGEST_BLOCK, RUNNING, DeckInput, DeviceIO, InputSettings, open_device_io
from rtsep.host.insert import Insert, open_insert
from rtsep.host.mix_layout import MixLayout, Strip
from rtsep.host.mixer import bus_faders, master_fader, open_mixer, strip_faders, strip_switches
from rtsep.host.pipeline import open_pipeline
from rtsep.host.player import PACE_S, Player, ring_frames
from rtsep.host.recorder import Recorder, RecordTap, record_tap
from rtsep.host.routes import Route
from rtsep.host.scheduler import InferenceScheduler
from rtsep.host.stage import Stage, StemStages, total_latency

RING_S = 0.5  # capacity of the rings to and from the signal path, at the least
FREEWHEEL_PACE_S = 0.001
TAIL_S, SILENT = 10.0, 10.0 ** (-90.0 / 20.0)  # how long the end of a file waits for its effects, and for what


@dataclass(frozen=True)
class HostSettings:
    """How a host runs; `compute` is the slack of the out ring in frames, None for the default."""

    window: WindowSpec
    routes: tuple[Route, ...]
    decks: tuple[DeckSettings, ...] = (DeckSettings(),)
    groups: Mapping[str, tuple[Strip, ...]] = field(default_factory=lambda: MappingProxyType({}))
    inserts: bool = False  # whether strips, buses and the master have places for chains of effects
    compute: int | None = None
    stages: tuple[Stage, ...] = ()  # what the mix goes through before the master's fader
    freewheel: bool = False  # files without pacing, JACK freewheel: every mask is fresh
    pass_s: float = 0.0  # what a pass of the network was measured to take; 0 where none was timed
    note: str = ""  # what is to be said before the sound


class Rig:
    """All that sound goes through, from the clock to the clock.

    Args:
        engine: of the model that is played.
        clock: drives the sound; not yet open.
        settings: how it runs, and what is played.

    Raises:
        RtsepError: for what does not fit together, and what cannot be written.

    Thread: any reads its properties; not real-time safe (Python).
    """

    def __init__(self, engine: Engine, clock: Clock, settings: HostSettings) -> None:
        self.model, self.clock, self.settings = engine.spec, clock, settings
        self.stems = {deck.name: self.model.stems for deck in settings.decks}
        rate, window = clock.spec.sample_rate, settings.window
        self.device_io = self._open_device_io()
        self.layout = MixLayout(self.stems, settings.groups)
        self.mixer = open_mixer(self.layout, self.model.channels, settings.routes, rate, window.hop)
        self._sound = np.zeros((len(self.layout.rows), self.model.channels, window.hop), np.float32)
        self.inserts = self._open_inserts()
        self._latency = Latency()
        with ExitStack() as self._opened:  # recordings that were begun, should anything be lacking
            self.decks = tuple(self._open_deck(number) for number in range(len(settings.decks)))
            memories, deck_stages = tuple(deck.memory for deck in self.decks), tuple(deck.stages for deck in self.decks)
            self.pipeline = open_pipeline(
                window,
                self.device_io,
                memories,
                deck_stages,
                self.mixer,
                self._sound,
                (*self.inserts[:1], strip_faders(self.mixer)),
                (*self.inserts[1:2], bus_faders(self.mixer)),
                (*settings.stages, *self.inserts[2:], master_fader(self.mixer)),
            )
            self.scheduler = InferenceScheduler(engine, window, self.pipeline)
            self._opened.pop_all()

    @property
    def provider(self) -> str:
        """What infers, in words for people."""
        return self.scheduler.provider

    @property
    def audio(self) -> AudioSpec:
        """The stream as the device runs it."""
        spec = self.clock.spec
        return AudioSpec(spec.sample_rate, int(self.device_io.state[0]["block"]), spec.inputs, spec.outputs)

    @property
    def latency(self) -> Latency:
        """Every part of the way from a deck's input to the output, in frames, as it is now or was last."""
        if int(self.device_io.state[0]["phase"]) == RUNNING:  # decks are in time, and so are buses
            behind = *self.pipeline.strip_stages, *self.pipeline.bus_stages, *self.pipeline.stages
            stages = total_latency((self.device_io, self.decks[0], *behind))
            self._latency = Latency(device=self.clock.latency) + stages
        return self._latency

    @property
    def played_out(self) -> bool:
        """Whether every deck's file has been heard to its end, and what its effects add to it."""
        # The tail is counted as it is taken in; one block more and all of it has been played.
        played, tails = self.latency.total + self.audio.block, [deck.tail for deck in self.decks]
        if self.latency.effects and float(self.mixer.meters.peaks[-1]) > SILENT:  # an echo or a reverb
            played += round(TAIL_S * self.clock.spec.sample_rate)
        return all(tail is not None and tail >= played for tail in tails)

    @property
    def seconds(self) -> float:
        """Sound that has been played, in seconds."""
        return int(self.device_io.inputs[0].ring.state[0]["written"]) / self.clock.spec.sample_rate

    @property
    def budget(self) -> Budget:
        """The time that a mask may take, as it is now."""
        stateful = self.model.kind == "stateful"
        return Budget(self.settings.window, self.audio.block, self.device_io.latency.compute, stateful)

    def _open_inserts(self) -> tuple[Insert, ...]:
        """Those of the strips, the buses and the master; none where none are wanted."""
        levels = (len(self.layout.rows), len(self.layout.buses), 1) if self.settings.inserts else ()
        rate, hop = self.clock.spec.sample_rate, self.settings.window.hop
        return tuple(open_insert(self.device_io.state, rows, self.model.channels, hop, rate) for rows in levels)

    def _open_device_io(self) -> DeviceIO:
        settings, spec = self.settings, self.clock.spec
        hop = settings.window.hop
        compute = wanted_compute(self.model, settings.window) if settings.compute is None else settings.compute
        capacity = max(int(RING_S * spec.sample_rate), 2 * LARGEST_BLOCK) + compute + 2 * hop
        inputs = [self._input_settings(deck) for deck in settings.decks]
        device_io = open_device_io(self.model.channels, spec.outputs, capacity, inputs)
        state = device_io.state[0]
        state["freewheel"], state["sample_rate"], state["hop"] = settings.freewheel, spec.sample_rate, hop
        state["compute"], state["compute_exact"] = compute, settings.compute is not None
        return device_io

    def _input_settings(self, deck: DeckSettings) -> InputSettings:
        spec = self.clock.spec
        if deck.file:
            return InputSettings(file_frames=ring_frames(spec.sample_rate))
        doubled = spec.inputs == 1 and deck.channels == (1, 2)  # a mono device is heard on both sides
        wanted = (1, 1) if doubled else deck.channels
        if spec.inputs and not all(1 <= channel <= spec.inputs for channel in wanted):
            raise DeviceError(f"input channels {wanted}: {self.clock.name} has 1 to {spec.inputs}")
        return InputSettings((wanted[0] - 1, wanted[1] - 1))

    def _open_deck(self, number: int) -> Deck:
        settings, deck_input = self.settings.decks[number], self.device_io.inputs[number]
        of_deck = "" if len(self.settings.decks) == 1 else f" of deck {settings.name}"
        player = recorder = None
        of_stems: tuple[Stage, ...] = (*settings.stages, *self._in_time(settings))
        if settings.file:
            pace_s = FREEWHEEL_PACE_S if self.settings.freewheel else PACE_S
            player = Player(f"player{of_deck}", settings.file, deck_input, pace_s, settings.loop)
            self._opened.callback(player.release)
        if settings.record:
            recorder, tap = self._open_recorder(f"recorder{of_deck}", settings, deck_input)
            of_stems = (tap, *of_stems)
        behind, own = total_latency(of_stems).total, self.layout.rows_of(settings.name)
        memory = open_deck(self.model, self.settings.window, deck_input, behind, self._sound[own])
        stages = (*((StemStages(of_stems),) if of_stems else ()), strip_switches(self.mixer, number))
        return Deck(settings, self.settings.window, deck_input, memory, stages, player, recorder)

    def _in_time(self, settings: DeckSettings) -> tuple[Delay, ...]:
        """What delays a deck as the one whose stages take longest."""
        most = max(total_latency(deck.stages).total for deck in self.settings.decks)
        missing = most - total_latency(settings.stages).total
        return (delay(missing, len(self.model.stems), self.model.channels),) if missing else ()

    def _open_recorder(self, role: str, settings: DeckSettings, deck_input: DeckInput) -> tuple[Recorder, RecordTap]:
        model, window, rate = self.model, self.settings.window, self.clock.spec.sample_rate
        tap = record_tap(self.device_io, len(model.stems) * model.channels, window.hop, rate)
        assert settings.record
        writer = StemWriter(settings.record, model.stems, rate, model.channels)
        self._opened.callback(writer.close)
        return Recorder(role, writer, tap.ring, window.latency.total, lambda: file_length(deck_input)), tap
