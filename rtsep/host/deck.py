"""A deck: one source of sound, the state of its stream, its masks, and what its stems go through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.sources import Resampled
from rtsep.core.spec import Latency, ModelSpec, WindowSpec
from rtsep.dsp.native import exchange, kernel, store_release
from rtsep.dsp.ring import RingMemory, read
from rtsep.dsp.spectrogram_ring import SpectrogramRing, commit, next_frame, spectrogram_ring
from rtsep.dsp.stft import Stream, analyse, delayed, open_stream, set_masks, synthesise
from rtsep.dsp.triple_buffer import publish, take, triple_buffer
from rtsep.host.device_io import DeckInput
from rtsep.host.player import Player
from rtsep.host.recorder import Recorder
from rtsep.host.stage import Stage, total_latency

STATE = np.dtype(
    [
        ("taken", np.int64),  # hop that the mask in use was made at
        ("nonfinite_mask_hop", np.int64),  # hop whose mask was not finite, or -1; the scheduler clears it
    ],
    align=True,
)


class DeckMemory(NamedTuple):
    """A deck as kernels see it. S stems, C channels, F model bins."""

    state: NDArray[np.void]  # (1,) of STATE
    input: RingMemory
    stream: Stream
    spectrogram_ring: SpectrogramRing
    mask_control: NDArray[np.void]  # of the triple buffer of masks
    mask_hop: NDArray[np.int64]  # (3,) hop that each mask was made at
    raw_masks: NDArray[np.float32]  # (3, S, C, F)
    interleaved: NDArray[np.float32]  # (hop, C)
    block: NDArray[np.float32]  # (C, hop)
    sound: NDArray[np.float32]  # (S + 1, C, hop): the two that follow
    stems: NDArray[np.float32]  # (S, C, hop)
    dry: NDArray[np.float32]  # (C, hop)


@dataclass(frozen=True)
class DeckSettings:
    """What one deck plays."""

    name: str = "a"
    file: Resampled | None = None  # at the clock's rate; None: the device's input
    channels: tuple[int, int] = (1, 2)  # of the device, counted from 1
    record: Path | None = None  # a folder for its stems
    loop: bool = False
    stages: tuple[Stage, ...] = ()  # what its stems go through before their faders

    @property
    def source(self) -> str:
        """Where its sound comes from, in words."""
        return self.file.path.name if self.file else f"input {','.join(map(str, self.channels))}"


def open_deck(
    model: ModelSpec, window: WindowSpec, deck_input: DeckInput, behind: int, sound: NDArray[np.float32]
) -> DeckMemory:
    """Make a silent deck with equal masks.

    Args:
        model: what is played.
        window: how it is run.
        deck_input: where its sound comes from.
        behind: frames that stages add which its dry sound does not go through, by which it is delayed too.
        sound: (S + 1, C, hop), where its stems and its dry sound go.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    stems, channels, hop = len(model.stems), model.channels, window.hop
    state = np.zeros(1, STATE)
    state["taken"] = state["nonfinite_mask_hop"] = -1
    return DeckMemory(
        state=state,
        input=deck_input.ring,
        stream=open_stream(model, window, behind=behind),
        spectrogram_ring=spectrogram_ring(model, window),
        mask_control=triple_buffer(),
        mask_hop=np.full(3, -1),
        raw_masks=np.full((3, stems, channels, model.bins), 1.0, np.float32),
        interleaved=np.zeros((hop, channels), np.float32),
        block=np.zeros((channels, hop), np.float32),
        sound=sound,
        stems=sound[:stems],
        dry=sound[stems],
    )


@kernel
def take_hop(deck: DeckMemory) -> None:
    """Read one hop, which is there, and remember its spectrum for the network.

    Thread: the pipeline's; real-time safe.
    """
    read(deck.input, deck.interleaved)
    channels, hop = deck.block.shape
    for channel in range(channels):
        for i in range(hop):
            deck.block[channel, i] = deck.interleaved[i, channel]
    analyse(deck.stream, deck.block, next_frame(deck.spectrogram_ring))
    commit(deck.spectrogram_ring)


@kernel
def take_mask(deck: DeckMemory) -> int:
    """Use the newest mask, if there is one since; give the hop that the one in use was made at.

    Thread: the pipeline's; real-time safe.
    """
    if take(deck.mask_control):
        front = deck.mask_control[0].front
        store_release(deck.state, "taken", deck.mask_hop[front])
        if set_masks(deck.stream, deck.raw_masks[front]):
            store_release(deck.state, "nonfinite_mask_hop", deck.mask_hop[front])
    return deck.state[0].taken


@kernel
def take_nonfinite(deck: DeckMemory) -> int:
    """Give the hop of a mask that was not finite, once, or -1; in one step, as the next one may come meanwhile.

    Thread: the scheduler's; real-time safe.
    """
    return exchange(deck.state, "nonfinite_mask_hop", -1)


@kernel
def give_mask(deck: DeckMemory, hop: int, masks: NDArray[np.float32]) -> None:
    """Publish the masks that were made at a hop.

    Args:
        deck: whose they are.
        hop: counted from 0.
        masks: (S, C, F), raw.

    Thread: the scheduler's; real-time safe.
    """
    back = deck.mask_control[0].back
    deck.raw_masks[back] = masks
    deck.mask_hop[back] = hop
    publish(deck.mask_control)


@kernel
def separate_hop(deck: DeckMemory) -> None:
    """Make the next hop of the stems, and of the input that belongs to them behind the stages of stems alone.

    Thread: the pipeline's; real-time safe.
    """
    synthesise(deck.stream, deck.stems)
    delayed(deck.stream, deck.dry)


def file_length(deck_input: DeckInput) -> int | None:
    """Give the frames that a deck has played to the end of its file, once that is reached.

    Thread: any; not real-time safe (Python).
    """
    end, dropped, *silent = (
        int(deck_input.state[0][name]) for name in ("file_end", "file_dropped", "file_starved", "file_tails")
    )
    return end - dropped + sum(silent) if end >= 0 else None


class Deck:
    """One deck of a host: its memory, and the threads that bring and keep its sound.

    Args:
        settings: what it plays.
        window: how the model is run.
        deck_input: where its sound comes from.
        memory: as kernels see it.
        stages: what its stems go through before their inserts, the switches last.
        player: of its file.
        recorder: of its stems.

    Thread: any reads its properties; not real-time safe (locks).
    """

    def __init__(
        self,
        settings: DeckSettings,
        window: WindowSpec,
        deck_input: DeckInput,
        memory: DeckMemory,
        stages: tuple[Stage, ...],
        player: Player | None,
        recorder: Recorder | None,
    ) -> None:
        self.name, self.settings, self.memory, self.stages = settings.name, settings, memory, stages
        self.player, self.recorder = player, recorder
        self._window, self._input = window, deck_input.state

    @property
    def latency(self) -> Latency:
        """What separation and stages add, in frames."""
        return self._window.latency + total_latency(self.stages)

    @property
    def tail(self) -> int | None:
        """Frames of silence played behind the end of its file; None for a device."""
        return int(self._input[0]["tail"]) if self.player else None

    @property
    def silent(self) -> int:
        """Frames since the device's channels were last not all zero."""
        return int(self._input[0]["silent"])

    @property
    def starved(self) -> int:
        """Frames that the file did not bring in time."""
        return int(self._input[0]["file_starved"])

    @property
    def warning(self) -> str:
        """What its player or its recorder failed with, in one line, or nothing."""
        errors = (worker.error for worker in (self.recorder, self.player) if worker and worker.error)
        return str(next(errors, ""))
