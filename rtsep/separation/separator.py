"""Spleeter's `Separator`, for every model that rtsep has."""

from __future__ import annotations

import ctypes
import threading
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.codecs import CODECS
from rtsep.audio.downmix import to_channels
from rtsep.audio.sources import Signal, resampled
from rtsep.audio.writers import StemFiles
from rtsep.engine.base import Engine
from rtsep.errors import FileError
from rtsep.model.descriptor import resolve
from rtsep.separation.engine_pool import open_pool
from rtsep.separation.files import separate_file
from rtsep.separation.forks import Forkable
from rtsep.separation.job import Job
from rtsep.separation.jobs import plan_job
from rtsep.separation.options import Refinement, SeparationOptions
from rtsep.separation.output import Output
from rtsep.separation.separate import prepare, separate
from rtsep.separation.span import Span
from rtsep.separation.stem_record import StemRecord, settings_of

Float32 = NDArray[np.float32]

BLOCK = 1 << 18  # frames that are written at once


class Separator(Forkable):
    """Whole signals and files to stems, with Spleeter's arguments, axes and results.

    As in Spleeter the second argument may be MWF, the third is multiprocess then. Any thread may call;
    one at a time is served.

    Args:
        params_descriptor: a model (`spleeter:2stems`, `openunmix:umxhq`, the name of an imported one),
            or the path of a Spleeter JSON.
        checkpoint_dir: of a JSON's checkpoint; None: where the JSON's own `model_dir` says.
        MWF: the multichannel Wiener filter.
        multiprocess: let `separate_to_file` and `save_to_file` go on in the background.
        engine: as `rtsep separate` has it.
        threads: 0: all.
        precision: as `rtsep separate` has it.
        refinement: of Open-Unmix models.

    Raises:
        ModelError, EngineError, SpecError: for a model, an engine or a setting that cannot be.
    """

    def __init__(
        self,
        params_descriptor: str | Path = "spleeter:2stems",
        checkpoint_dir: str | Path | bool | None = None,
        MWF: bool | None = None,  # noqa: N803 - Spleeter's name
        multiprocess: bool = True,
        *,
        engine: str = "onnx",
        threads: int = 0,
        precision: str = "fp32",
        refinement: Refinement | None = None,
    ) -> None:
        if isinstance(checkpoint_dir, bool):  # Spleeter's order: MWF, multiprocess
            checkpoint_dir, MWF, multiprocess = None, checkpoint_dir, multiprocess if MWF is None else MWF  # noqa: N806
        stored = resolve(params_descriptor, None if checkpoint_dir is None else Path(checkpoint_dir))
        self.method = method = SeparationOptions(mwf=bool(MWF), refinement=refinement)
        self.method.check(stored.spec)
        self.model = stored.spec
        self._open = partial(open_pool, stored, method, 1, engine, threads, precision)
        self._settings = partial(settings_of, stored, method, engine=engine, precision=precision)
        prepare(stored.spec, method)  # here: a fork in the midst of an import would leave half a module in the child
        self._engines = self._open()
        self._background = multiprocess
        self._begin()
        super().__init__()

    def _begin(self) -> None:
        """Have locks and threads of this process."""
        self._thinking = threading.RLock()  # the engines serve one signal at a time
        self._pool = ThreadPoolExecutor(1, "rtsep-separator")
        self._tasks: list[Future[None]] = []

    def _forked(self) -> None:
        """Begin anew in a child: it has the parent's memory and none of its threads, for which engines would wait."""
        for engine in self._engines:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine))  # never to be let go
        self._engines = []
        self._begin()

    def _opened(self) -> list[Engine]:
        """The engines of this process; for who has the lock."""
        self._engines = self._engines or self._open()
        return self._engines

    @property
    def stems(self) -> tuple[str, ...]:
        """The instruments, in their order."""
        return self.method.stems(self.model)

    def separate(self, waveform: NDArray[np.floating], audio_descriptor: str = "") -> dict[str, Float32]:
        """Separate a waveform at the model's own rate.

        Args:
            waveform: (frames, channels) or (frames,).
            audio_descriptor: not used.

        Returns:
            Each stem by its name, (frames, channels), as long as the waveform.

        Raises:
            FileError: for an array of another shape.
        """
        sound = _sound(waveform)
        stems = np.zeros((len(self.stems), self.model.channels, sound.shape[1]), np.float32)
        done = 0
        if sound.shape[1]:
            with self._thinking:
                for block in separate(self._opened(), Signal(sound, self.model.sample_rate), self.method):
                    stems[:, :, done : done + block.shape[2]] = block
                    done += block.shape[2]
        return {name: np.ascontiguousarray(stem.T) for name, stem in zip(self.stems, stems, strict=True)}

    def separate_at(self, waveform: NDArray[np.floating], sample_rate: int) -> dict[str, Float32]:
        """Separate a waveform at any rate.

        Args:
            waveform: (frames, channels) or (frames,).
            sample_rate: in Hz.

        Returns:
            Each stem by its name, (frames, channels), with the waveform's rate and length.

        Raises:
            FileError: for an array of another shape.
            SpecError: for a rate that cannot be.
        """
        own, sound = self.model.sample_rate, _sound(waveform)
        found = self.separate(resampled(sound, sample_rate, own).T)
        stems = {}
        for name, stem in found.items():
            back = resampled(stem.T, own, sample_rate)[:, : sound.shape[1]]
            stems[name] = np.ascontiguousarray(np.pad(back, ((0, 0), (0, sound.shape[1] - back.shape[1]))).T)
        return stems

    def separate_to_file(
        self,
        audio_descriptor: str | Path,
        destination: str | Path,
        audio_adapter: object = None,
        offset: float = 0.0,
        duration: float | None = 600.0,
        codec: str = "wav",
        bitrate: str = "128k",
        filename_format: str = "{filename}/{instrument}.{codec}",
        synchronous: bool = True,
    ) -> None:
        """Separate a file into files.

        Args:
            audio_descriptor: the file.
            destination: the folder of the stems.
            audio_adapter: for programs written for Spleeter; it is not used.
            offset: in seconds.
            duration: in seconds; None: all of it.
            codec: one of `rtsep.audio.codecs.CODECS`.
            bitrate: bits per second, as `128k`; not for wav.
            filename_format: see `stem_paths`.
            synchronous: wait for it; else, with `multiprocess`, it goes on in the background.

        Raises:
            FileError: for a file that cannot be read or written; where not synchronous, from `join`.
        """
        output = _output(destination, codec, bitrate, filename_format)
        job, span = plan_job(Path(audio_descriptor), self.stems, output), Span(offset, duration)
        record = StemRecord(self._settings(output, span))

        def work() -> None:
            with self._thinking:
                remarks = separate_file(job, self._opened(), self.method, output, span, record=record)
            for remark in remarks:
                warnings.warn(f"{job.source}: {remark}", stacklevel=2)

        self._do(work, synchronous)

    def save_to_file(
        self,
        sources: Mapping[str, NDArray[np.floating]],
        audio_descriptor: str | Path,
        destination: str | Path,
        filename_format: str = "{filename}/{instrument}.{codec}",
        codec: str = "wav",
        audio_adapter: object = None,
        bitrate: str = "128k",
        synchronous: bool = True,
    ) -> None:
        """Write what `separate` gave.

        Args:
            sources: each stem by its name, (frames, channels).
            audio_descriptor: the file that the names are made of.
            destination: the folder of the stems.
            filename_format: see `stem_paths`.
            codec: one of `rtsep.audio.codecs.CODECS`.
            audio_adapter: for programs written for Spleeter; it is not used.
            bitrate: bits per second, as `128k`; not for wav.
            synchronous: wait for it; else, with `multiprocess`, it goes on in the background.

        Raises:
            FileError: for a file that cannot be written; where not synchronous, from `join`.
        """
        output = _output(destination, codec, bitrate, filename_format)
        job = plan_job(Path(audio_descriptor), tuple(sources), output)
        sounds = [_sound(waveform) for waveform in sources.values()]
        self._do(lambda: _save(job, sounds, self.model.sample_rate, output), synchronous)

    def join(self, timeout: float | None = None) -> None:
        """Wait for all that goes on in the background.

        Args:
            timeout: at most so many seconds; None: to the end.

        Raises:
            RtsepError: what went wrong first; what did afterwards is for the next call.
        """
        wait_for(self._tasks, timeout)
        while self._tasks and self._tasks[0].done():  # they are done in their order
            self._tasks.pop(0).result()

    def close(self) -> None:
        """Finish what goes on in the background and let the engines go."""
        self._pool.shutdown()
        for engine in self._engines:
            engine.close()

    def _do(self, work: Callable[[], None], synchronous: bool) -> None:
        if synchronous or not self._background:
            work()
        else:
            self._tasks.append(self._pool.submit(work))


def separate_waveform(
    waveform: NDArray[np.floating],
    sample_rate: int,
    params_descriptor: str | Path = "spleeter:2stems",
    checkpoint_dir: str | Path | None = None,
) -> dict[str, Float32]:
    """Separate a waveform at any rate.

    For many waveforms make one `Separator` and call `separate_at`.

    Args:
        waveform: (frames, channels) or (frames,).
        sample_rate: in Hz.
        params_descriptor: see `Separator`.
        checkpoint_dir: see `Separator`.

    Returns:
        Every source by its name, (frames, channels), with the waveform's rate and length.

    Raises:
        ModelError, EngineError, SpecError, FileError: see `Separator` and `Separator.separate_at`.
    """
    separator = Separator(params_descriptor, checkpoint_dir)
    try:
        return separator.separate_at(waveform, sample_rate)
    finally:
        separator.close()


def _sound(waveform: NDArray[np.floating]) -> Float32:
    """(frames, channels) or (frames,) to our (channels, frames)."""
    array = np.asarray(waveform, np.float32)
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] == 0):
        raise FileError(f"a waveform is (frames, channels) or (frames,), not {array.shape}")
    return np.ascontiguousarray(np.atleast_2d(array.T))


def _output(destination: str | Path, codec: str, bitrate: str, template: str) -> Output:
    """Spleeter's codecs are members of an enumeration, and its bitrate is there for wav too."""
    name = str(getattr(codec, "value", codec))
    has_none = name in CODECS and CODECS[name].bitrates is None
    return Output(Path(destination), name, None if has_none else bitrate, template)


def _save(job: Job, sounds: list[Float32], sample_rate: int, output: Output) -> None:
    channels = max((len(sound) for sound in sounds), default=1)
    longest = max((sound.shape[1] for sound in sounds), default=0)
    even = np.zeros((len(sounds), channels, longest), np.float32)
    for place, sound in zip(even, sounds, strict=True):
        place[:, : sound.shape[1]] = to_channels(sound, channels)
    with StemFiles(job.paths, sample_rate, channels, output.codec, output.bitrate) as files:
        for start in range(0, longest, BLOCK):
            files.write(even[:, :, start : start + BLOCK])
    for remark in files.remarks:
        warnings.warn(f"{job.paths[0].parent}: {remark}", stacklevel=2)
