"""Files to stems: the same core, with many frames to one call of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp import stft
from rtsep.dsp.native import kernel
from rtsep.engine.base import Engine
from rtsep.errors import RouteError
from rtsep.files import AudioReader, StemWriter, keep_source, open_audio, to_channels
from rtsep.plan import plan
from rtsep.separator import StreamSeparator
from rtsep.spec import WindowSpec

Float32 = NDArray[np.float32]

STATEFUL_FRAMES = 256  # spectra in one call of a stateful engine


class Process(Protocol):
    """Separates blocks of a fixed size."""

    block: int  # frames

    def __call__(self, block: Float32, stems: Float32) -> None:
        """block: (channels, block); stems: (stems, channels, block), `latency` frames behind."""


@kernel
def _analyse_all(stream: stft.Stream, block: Float32, magnitudes: Float32) -> None:
    """Analyse whole hops; magnitudes: (hops, channels, bins)."""
    hop = stream.state[0].hop
    for i in range(len(magnitudes)):
        stft.analyse(stream, block[:, i * hop : (i + 1) * hop], magnitudes[i])


@kernel
def _synthesise_all(stream: stft.Stream, masks: Float32, step: int, stems: Float32) -> None:
    """Synthesise whole hops with a mask every `step` of them; masks: (hops / step, stems, channels, bins)."""
    hop = stream.state[0].hop
    for i in range(len(masks) * step):
        if i % step == 0:
            stft.set_masks(stream, masks[i // step])
        stft.synthesise(stream, stems[:, :, i * hop : (i + 1) * hop])


class BatchProcess:
    """Gives the engine a time axis: as `StreamSeparator`, within 1e-5, and many times faster.

    A windowed model sees segments of its own length one after the other, as Spleeter tiles a file.
    """

    def __init__(self, engine: Engine, window: WindowSpec) -> None:
        model = engine.spec
        stateful = model.kind == "stateful"
        self._engine = engine
        self._step = window.refresh if stateful else 1
        self._spacing = window.spacing
        frames = STATEFUL_FRAMES if stateful else model.context
        self._hops = frames * window.spacing
        self.block = self._hops * window.hop
        self._stream = stft.open_stream(model, window, self._hops)
        self._magnitudes = np.zeros((self._hops, model.channels, model.bins), np.float32)
        self._seen = np.zeros((model.channels, frames, model.bins), np.float32)
        self._raw = np.zeros((len(model.stems), *self._seen.shape), np.float32)
        self._masks = np.zeros((self._hops // self._step, len(model.stems), model.channels, model.bins), np.float32)
        engine.warmup(frames, window.spacing // self._step)
        engine.reset()

    def __call__(self, block: Float32, stems: Float32) -> None:
        """See `Process`."""
        _analyse_all(self._stream, block, self._magnitudes)
        for phase in range(self._spacing // self._step):
            first = phase * self._step
            self._seen[...] = self._magnitudes[first :: self._spacing].transpose(1, 0, 2)
            self._engine.infer(self._seen, self._raw, phase)
            self._masks[phase :: self._spacing // self._step] = self._raw.transpose(2, 0, 1, 3)
        _synthesise_all(self._stream, self._masks, self._step, stems)


class StreamProcess:
    """What live use would give, hop by hop: for windowed models at a live preset."""

    def __init__(self, engine: Engine, window: WindowSpec) -> None:
        self._separator = StreamSeparator(engine, window)
        self.block = window.hop * max(1, 16384 // window.hop)

    def __call__(self, block: Float32, stems: Float32) -> None:
        """See `Process`."""
        self._separator.feed(block, stems)


def open_process(engine: Engine, window: WindowSpec) -> Process:
    """The fastest way to what the settings mean."""
    batched = engine.spec.kind == "stateful" or window.preset == "exact"
    return BatchProcess(engine, window) if batched else StreamProcess(engine, window)


def separate_blocks(engine: Engine, window: WindowSpec, reader: AudioReader) -> Iterator[Float32]:
    """The stems of a whole file, block by block, (stems, channels, frames), as long as the file and in time with it."""
    model = engine.spec
    process = open_process(engine, window)
    stems = np.zeros((len(model.stems), model.channels, process.block), np.float32)
    block = np.zeros((model.channels, process.block), np.float32)
    skip, fed, given, ended = window.latency.total, 0, 0, False
    while not ended or given < fed:
        part = to_channels(reader.read(process.block), model.channels) if not ended else block[:, :0]
        ended = part.shape[1] < process.block
        fed += part.shape[1]
        block[:, : part.shape[1]] = part
        block[:, part.shape[1] :] = 0.0
        process(block, stems)
        start = min(skip, process.block)
        skip -= start
        end = process.block if not ended else min(process.block, start + fed - given)
        given += end - start
        yield stems[:, :, start:end]


def separate_file(
    source: Path,
    folder: Path,
    engine: Engine,
    preset: str = "exact",
    stems: tuple[str, ...] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Path, ...]:
    """Write `folder/<stem>.wav` for the stems asked for, or all; give the paths.

    progress is told the frames done and in all. Raises `FileError`, `RouteError`, `SpecError`.
    """
    model = engine.spec
    chosen = pick_stems(model.stems, stems)
    reader = open_audio(source)
    writer: StemWriter | None = None
    try:
        window = plan(model, reader.sample_rate, preset)
        names = tuple(model.stems[i] for i in chosen)
        keep_source(source, folder, names)
        writer = StemWriter(folder, names, reader.sample_rate, model.channels, reader.frames)
        done = 0
        for block in separate_blocks(engine, window, reader):
            writer.write(block[chosen])
            done += block.shape[2]
            progress(done, max(done, reader.frames))
        return writer.paths
    finally:
        reader.close()
        if writer:
            writer.close()


def pick_stems(known: tuple[str, ...], wanted: tuple[str, ...]) -> list[int]:
    """Places of the wanted stems, or of all; `RouteError` for an unknown one."""
    for stem in wanted:
        if stem not in known:
            raise RouteError(f"there is no stem {stem!r}; choose from {', '.join(known)}")
    return [i for i, stem in enumerate(known) if not wanted or stem in wanted]
