"""Stems to files: wav that can be heard while it grows, and any codec for whole files."""

from __future__ import annotations

import contextlib
import math
import tempfile
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from rtsep.audio import wav
from rtsep.audio.codecs import CODECS, check_codec
from rtsep.audio.encoders import Encoder, WavEncoder, failed, open_encoder, reason
from rtsep.audio.folders import drop_folder, make_folder
from rtsep.audio.readers import Subtype
from rtsep.core.limits import processors
from rtsep.errors import FileError

Float32 = NDArray[np.float32]

KINDS: dict[Subtype, int] = {"PCM_16": wav.PCM, "FLOAT": wav.FLOAT}
BLOCK = 1 << 16  # frames that are encoded at once


class StemWriter:
    """Writes every stem to its own 32-bit float wav, `folder/<stem>.wav`, that can be heard while it grows.

    Args:
        folder: it is made where it is not there.
        stems: their names.
        sample_rate: in Hz.
        channels: of every stem.

    Raises:
        FileError: where the files cannot be written.
    """

    def __init__(self, folder: Path, stems: tuple[str, ...], sample_rate: int, channels: int) -> None:
        self.folder = folder
        self.paths = tuple(folder / f"{stem}.wav" for stem in stems)
        _make(folder)
        self._encoders: list[WavEncoder] = []
        try:
            for path in self.paths:
                self._encoders.append(_wav(path, sample_rate, channels))
        except FileError:
            self.close()
            raise

    def write(self, stems: Float32) -> None:
        """Append a block of every stem.

        Args:
            stems: (stems, channels, frames).

        Raises:
            FileError: when the disk is full or fails; what was written before is kept.
        """
        try:
            for encoder, stem in zip(self._encoders, stems, strict=True):
                encoder.write(stem)
        except FileError as error:
            raise FileError(f"{error}; what was written before is kept") from error

    def close(self) -> None:
        """Finish the files; where nothing was written at all none of them stay.

        Raises:
            FileError: if one is not whole.
        """
        for encoder in self._encoders:
            encoder.close()
        if not any(encoder.frames for encoder in self._encoders):
            _drop(encoder.path for encoder in self._encoders)
            drop_folder(self.folder)


class StemFiles:
    """Writes every stem to its own path; a file has its name only once all of them are whole.

    `with StemFiles(...) as files:`; where the block is left by an error nothing stays behind. A codec that holds
    nothing above full scale gets its sound at the end, when the loudest sample of all stems is known: one gain makes
    them fit, and they still sum to the mix, so much lower. Until then the sound waits on the same disk, without a name.

    Args:
        paths: of the stems, in their order.
        sample_rate: in Hz.
        channels: of every stem.
        codec: one of `CODECS`.
        bitrate: see `parse_bitrate`; None: the usual one.
        subtype: of a wav; 16 bits only for sound that has no more.
        on_block: called by any thread for each block that is encoded at the end; what it raises ends the work.

    Raises:
        FileError: for what the codec cannot have, and where the files cannot be written.
    """

    def __init__(
        self,
        paths: tuple[Path, ...],
        sample_rate: int,
        channels: int,
        codec: str = "wav",
        bitrate: str | None = None,
        subtype: Subtype = "FLOAT",
        on_block: Callable[[], None] = lambda: None,
    ) -> None:
        check_codec(codec, bitrate, sample_rate, channels)
        self.paths = paths
        self.remarks: list[str] = []  # what is to be said of the stems once they are whole
        self._on_block = on_block
        self._channels = channels
        self._clips = not CODECS[codec].holds_all or subtype != "FLOAT"
        self._peaks = [0.0] * len(paths)
        self._encoders: list[Encoder] = []
        self._spools: list[IO[bytes]] = []
        try:
            for path in paths:
                _make(path.parent)
                _clear(path)
                if path.is_dir():
                    raise FileError(f"{path}: a stem cannot be written there (it is a folder)")
                self._encoders.append(
                    _wav(part_of(path), sample_rate, channels, KINDS[subtype])
                    if codec == "wav"
                    else open_encoder(part_of(path), codec, sample_rate, channels, bitrate)
                )
                if codec != "wav":
                    self._spools.append(_spool(path))
        except BaseException:
            self._abandon()
            raise

    def write(self, stems: Float32) -> None:
        """Append a block of every stem.

        Args:
            stems: (stems, channels, frames).

        Raises:
            FileError: when the disk is full or fails.
        """
        for i, (path, stem) in enumerate(zip(self.paths, stems, strict=True)):
            if self._clips and stem.size:
                self._peaks[i] = max(self._peaks[i], float(stem.max()), -float(stem.min()))
            if not self._spools:
                if self._peaks[i] > 1.0:
                    raise FileError(f"{path}: the sound is louder than 16 bits hold")
                self._encoders[i].write(stem)
                continue
            try:
                left = memoryview(np.ascontiguousarray(stem.T, np.float32).tobytes())
                while left:
                    left = left[self._spools[i].write(left) :]
            except OSError as error:
                raise failed(path, error) from error

    def __enter__(self) -> StemFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the files their names, or leave none of them."""
        try:
            if kind is None:
                if self._spools:
                    self._encode()
                for encoder in self._encoders:
                    encoder.close()
                for encoder, path in zip(self._encoders, self.paths, strict=True):
                    encoder.path.replace(path)
        except OSError as gone:
            raise FileError(f"{self.paths[0].parent}: stems cannot be kept there ({reason(gone)})") from gone
        finally:
            self._abandon()

    def _encode(self) -> None:
        """Give the encoders all that waits, each on a thread."""
        gain = np.float32(1.0)
        if (peak := max(self._peaks)) > 1.0:
            gain = np.float32(1.0 / peak)
            self.remarks.append(_remark(self.paths, self._peaks))
        stopped = threading.Event()
        with ThreadPoolExecutor(max(1, min(len(self.paths), processors())), "rtsep-encoder") as pool:
            try:
                pairs = zip(self._encoders, self._spools, strict=True)
                for job in [pool.submit(self._encode_stem, *pair, gain, stopped) for pair in pairs]:
                    job.result()
            finally:
                stopped.set()

    def _encode_stem(self, encoder: Encoder, spool: IO[bytes], gain: np.float32, stopped: threading.Event) -> None:
        spool.seek(0)
        while not stopped.is_set() and (data := spool.read(BLOCK * self._channels * 4)):
            self._on_block()
            encoder.write(gain * np.frombuffer(data, np.float32).reshape(-1, self._channels).T)
        if not stopped.is_set():
            encoder.close()

    def _abandon(self) -> None:
        for spool in self._spools:
            spool.close()
        for encoder in self._encoders:
            with contextlib.suppress(FileError):  # it is thrown away
                encoder.close()
        _drop(encoder.path for encoder in self._encoders)
        for path in self.paths:
            drop_folder(path.parent)


def part_of(path: Path) -> Path:
    """Give the path that a file is written to until it is whole."""
    return path.with_name(f"{path.name}.part")


def keep_source(source: Path, paths: tuple[Path, ...]) -> None:
    """Refuse to write over the very file that is read.

    Args:
        source: what is read.
        paths: what is written.

    Raises:
        FileError: if one of the paths is the source.
    """
    for path in paths:
        if path.exists() and source.exists() and path.samefile(source):
            raise FileError(f"{source} would be written over while it is read; choose another folder")


def _make(folder: Path) -> None:
    try:
        make_folder(folder)
    except OSError as error:
        raise FileError(f"{folder}: stems cannot be written there ({reason(error)})") from error


def _drop(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):  # what went wrong first is what matters
            path.unlink()


def _clear(path: Path) -> None:
    """Take away what a killed run left of this stem, in whichever codec."""
    _drop(part_of(path.with_suffix(f".{codec.ending}")) for codec in CODECS.values())


def _wav(path: Path, sample_rate: int, channels: int, kind: int = wav.FLOAT) -> WavEncoder:
    try:
        return WavEncoder(path, sample_rate, channels, kind)
    except OSError as error:
        raise FileError(f"{path.parent}: stems cannot be written there ({reason(error)})") from error


def _spool(path: Path) -> IO[bytes]:
    """A file without a name beside that of a stem: nothing is left of it whatever happens."""
    try:
        return tempfile.TemporaryFile(buffering=0, dir=path.parent)
    except OSError as error:
        raise failed(path, error) from error


def _remark(paths: tuple[Path, ...], peaks: list[float]) -> str:
    """What is said of stems that were made lower."""
    peak = max(peaks)
    louder = 20.0 * math.log10(peak)
    level = f"{louder:.1f} dB" if louder >= 0.1 else f"{louder:.1g} dB"
    name = paths[peaks.index(peak)].name
    return f"all stems are {level} lower, since {name} would clip at +{level}"
