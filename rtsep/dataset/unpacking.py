"""Songs whose sound is decoded once: what takes long to decode is kept as wav, and read from there."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from rtsep.audio import wav
from rtsep.audio.readers import Subtype, lossless_subtype
from rtsep.audio.writers import KINDS, StemFiles
from rtsep.core.limits import processors
from rtsep.dataset.examples import Collection
from rtsep.dataset.songs import Song, StemSource, read_header, read_source
from rtsep.errors import FileError

QUICK = frozenset((".wav", ".aif", ".aiff", ".au", ".caf", ".rf64", ".w64"))  # read as fast as a wav
BLOCK_S = 60.0  # decoded at once
ABANDONED_S = 3600.0  # a part that nobody has written to for so long is of a run that was killed
NAMED = 40  # characters of the file's own name in that of its wav

OnProgress = Callable[[int, int], None]  # files done, files in all


def unpacked(
    collections: Iterable[Collection], folder: Path, on_progress: OnProgress = lambda done, total: None
) -> tuple[Collection, ...]:
    """Decode once what lies in slow formats, and give the same songs, read from there.

    The wavs hold what was decoded, at the file's own rate: 16 bits where it has no more, else floats. One that is there
    already stays; a file that has changed gets another. A thread for each core decodes.

    Args:
        collections: the songs.
        folder: for the wavs; it is made where there is none.
        on_progress: gets the files that are done, and all.

    Returns:
        The collections, their stems read from wavs where they lay in slower formats.

    Raises:
        FileError: for files that are broken, and for a disk that has no room, before anything is written.
    """
    collections = tuple(collections)
    slow = {
        (source.path, source.stream): _place(source, folder)
        for one in collections
        for song in one.songs
        for sources in song.stems.values()
        for source in sources
        if source.path.suffix.lower() not in QUICK
    }
    there, free = _look(folder)
    missing = {place: StemSource(*key) for key, place in slow.items() if place.name not in there}
    subtypes = {place: lossless_subtype(source.path) for place, source in missing.items()}
    needed = sum(_bytes(source, subtypes[place]) for place, source in missing.items())
    if needed > free:
        raise FileError(
            f"{folder}: the unpacked songs need {needed / 1e9:.3g} GB, {free / 1e9:.3g} GB are free; "
            "name a folder on another disk, or train without --unpack"
        )
    pool = ThreadPoolExecutor(processors())
    try:
        jobs = [pool.submit(_unpack, source, place, subtypes[place]) for place, source in missing.items()]
        for done, job in enumerate(as_completed(jobs), 1):
            job.result()
            on_progress(done, len(jobs))
    finally:
        pool.shutdown(cancel_futures=True)

    def moved(source: StemSource) -> StemSource:
        place = slow.get((source.path, source.stream))
        return source if place is None else replace(source, path=place, stream=0)

    def of(song: Song) -> Song:
        return replace(song, stems={stem: tuple(map(moved, sources)) for stem, sources in song.stems.items()})

    return tuple(replace(one, songs=tuple(map(of, one.songs))) for one in collections)


def _place(source: StemSource, folder: Path) -> Path:
    """Where its wav lies: named by the file, its time and its size."""
    read_header(source)  # raises for a file that cannot be read
    facts = source.path.stat()
    told = os.fsencode(f"{source.path.resolve()} {source.stream} {facts.st_mtime_ns} {facts.st_size}")
    readable = source.path.stem[:NAMED].encode("ascii", "ignore").decode()
    return folder / f"{readable}-{hashlib.sha256(told).hexdigest()[:16]}.wav"


def _look(folder: Path) -> tuple[set[str], int]:
    """What lies in the folder, which is made where there is none, and how many bytes have room."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in folder.glob("*.part"):
            if part.stat().st_mtime < time.time() - ABANDONED_S:
                part.unlink()
        return {path.name for path in folder.iterdir()}, shutil.disk_usage(folder).free
    except OSError as error:
        raise FileError(f"{folder}: songs cannot be unpacked there ({error.strerror}); name another folder") from error


def _bytes(source: StemSource, subtype: Subtype) -> int:
    head = read_header(source)
    return head.frames * head.channels * wav.SAMPLE_BYTES[KINDS[subtype]]


def _unpack(source: StemSource, place: Path, subtype: Subtype) -> None:
    head = read_header(source)
    block = round(BLOCK_S * head.sample_rate)
    own = place.with_name(f"{place.stem}.{os.getpid()}.wav")  # another run may unpack the same file now
    with StemFiles((own,), head.sample_rate, head.channels, subtype=subtype) as files:
        for start in range(0, head.frames, block):
            files.write(read_source(source, start, min(block, head.frames - start), head.sample_rate)[None])
    own.replace(place)
