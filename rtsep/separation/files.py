"""Files to files: one after the other or side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

from rtsep.audio.readers import AudioReader, open_audio
from rtsep.audio.writers import StemFiles, keep_source
from rtsep.core.limits import processors
from rtsep.engine.base import Engine
from rtsep.errors import FileError, RtsepError
from rtsep.separation.ahead import Float32, ahead
from rtsep.separation.jobs import EVERYTHING, Job, Output, Span, pick_stems
from rtsep.separation.options import SeparationOptions
from rtsep.separation.separate import separate

AT_ONCE = 4  # files that a card separates: each holds some hundred megabytes

Progress = Callable[[Path, int, int], None]  # the source, its frames done, its frames in all


def separate_file(
    job: Job,
    engines: Sequence[Engine],
    method: SeparationOptions,
    output: Output,
    span: Span = EVERYTHING,
    progress: Progress = lambda source, done, total: None,
) -> None:
    """Write the stems of one file.

    Args:
        job: the file, and where its stems go.
        engines: of one model.
        method: how it is separated.
        output: which stems are kept, and as what.
        span: the part of the file.
        progress: called with the source, its frames done and its frames in all.

    Raises:
        FileError, RouteError, SpecError: for what cannot be; then nothing is left of the stems.
    """
    model = engines[0].spec
    method.check(model)
    chosen = pick_stems(method.stems(model), output.stems)
    reader = open_audio(job.source)
    try:
        keep_source(job.source, job.paths)
        part = span.of(reader)
        rate = method.sample_rate(model, part.sample_rate)
        total = round(part.frames * rate / part.sample_rate)
        with (
            # closed in any case: an engine may still think of this file when the next one wants it
            closing(_blocks(engines, part, method)) as blocks,
            StemFiles(job.paths, rate, model.channels, total, output.codec, output.bitrate) as files,
        ):
            done, every = 0, chosen == list(range(len(method.stems(model))))
            for block in blocks:
                files.write(block if every else block[chosen])
                done += block.shape[2]
                progress(job.source, done, max(done, total))
    finally:
        reader.close()


def separate_files(
    jobs: Sequence[Job],
    engines: Sequence[Engine],
    method: SeparationOptions,
    output: Output,
    span: Span = EVERYTHING,
    progress: Progress = lambda source, done, total: None,
) -> Generator[tuple[Job, RtsepError | None], None, None]:
    """Separate many files.

    Where there are as many files as engines each file has one engine, else one file has them all. Engines that serve
    many are all lent to a file for each processor, four at most: what is around them is done side by side.
    When the generator is closed, the files under way are given up.

    Args:
        jobs: the files, and where their stems go.
        engines: of one model.
        method: how they are separated.
        output: which stems are kept, and as what.
        span: the part of every file.
        progress: called with a source, its frames done and its frames in all, by any thread.

    Yields:
        Each file as it ends, with what went wrong.
    """
    teams = _teams(engines, len(jobs))
    free: SimpleQueue[list[Engine]] = SimpleQueue()
    for engines in teams:
        free.put(engines)
    stopped = threading.Event()

    def told(source: Path, done: int, total: int) -> None:
        if stopped.is_set():
            raise FileError(f"{source}: stopped")
        progress(source, done, total)

    def work(job: Job) -> RtsepError | None:
        engines = free.get()
        try:
            told(job.source, 0, 1)
            separate_file(job, engines, method, output, span, told)
        except RtsepError as error:
            return error
        finally:
            free.put(engines)
        return None

    with ThreadPoolExecutor(len(teams), "rtsep-file") as pool:
        running: dict[Future[RtsepError | None], Job] = {pool.submit(work, job): job for job in jobs}
        try:
            while running:
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield running.pop(future), future.result()
        finally:
            stopped.set()


def _serve_many(engines: Sequence[Engine]) -> bool:
    return all(getattr(engine, "serves_many", False) for engine in engines)


def _teams(engines: Sequence[Engine], jobs: int) -> list[list[Engine]]:
    if _serve_many(engines):
        return [list(engines)] * max(1, min(jobs, processors(), AT_ONCE))
    return [[engine] for engine in engines] if jobs >= len(engines) else [list(engines)]


def _blocks(
    engines: Sequence[Engine], reader: AudioReader, method: SeparationOptions
) -> Generator[Float32, None, None]:
    blocks = separate(engines, reader, method)
    return ahead(blocks) if _serve_many(engines) else blocks
