"""Files to files: one after the other or side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from rtsep.audio.readers import AudioReader
from rtsep.audio.writers import StemFiles, keep_source
from rtsep.core.limits import processors
from rtsep.engine.base import Engine
from rtsep.errors import FileError, RtsepError, one_line
from rtsep.separation.ahead import Float32, ahead
from rtsep.separation.job import Job
from rtsep.separation.options import SeparationOptions
from rtsep.separation.output import Output, pick_stems
from rtsep.separation.separate import separate
from rtsep.separation.span import EVERYTHING, Span
from rtsep.separation.stem_record import StemRecord

AT_ONCE = 4  # files that a card separates: each holds some hundred megabytes

Progress = Callable[[Path, int, int], None]  # the source, its frames done, its frames in all


@dataclass(frozen=True)
class Ended:
    """A job that is over."""

    job: Job
    error: RtsepError | None  # what went wrong
    remarks: tuple[str, ...] = ()  # what is to be known of stems that are there


def separate_file(
    job: Job,
    engines: Sequence[Engine],
    method: SeparationOptions,
    output: Output,
    span: Span = EVERYTHING,
    progress: Progress = lambda source, done, total: None,
    record: StemRecord | None = None,
) -> tuple[str, ...]:
    """Write the stems of one file.

    Args:
        job: the file, and where its stems go.
        engines: of one model.
        method: how it is separated.
        output: which stems are kept, and as what.
        span: the part of the file.
        progress: called with the source, its frames done and its frames in all.
        record: where it is kept what stems were made of, and how.

    Returns:
        What is to be known of the stems: where the file was not as it should be, or they are not as they came.

    Raises:
        FileError, RouteError, SpecError: for what cannot be; then nothing is left of the stems.
    """
    model = engines[0].spec
    method.check(model)
    chosen = pick_stems(method.stems(model), output.stems)
    reader = span.open(job.source)
    try:
        keep_source(job.source, job.paths)
        part = span.of(reader)
        rate = method.sample_rate(model, part.sample_rate)
        total = round(part.frames * rate / part.sample_rate)

        def told() -> None:  # it may end the work
            progress(job.source, total, total)

        with (
            record.making(job) if record else nullcontext(),
            # closed in any case: an engine may still think of this file when the next one wants it
            closing(_blocks(engines, part, method)) as blocks,
            StemFiles(job.paths, rate, model.channels, output.codec, output.bitrate, on_block=told) as files,
        ):
            done, every = 0, chosen == list(range(len(method.stems(model))))
            for block in blocks:
                files.write(block if every else block[chosen])
                done += block.shape[2]
                progress(job.source, done, max(done, total))
            if not done:
                raise FileError(f"{job.source} holds no sound")
        return (*getattr(reader, "remarks", ()), *files.remarks)
    finally:
        reader.close()


def separate_files(
    jobs: Sequence[Job],
    engines: Sequence[Engine],
    method: SeparationOptions,
    output: Output,
    span: Span = EVERYTHING,
    progress: Progress = lambda source, done, total: None,
    record: StemRecord | None = None,
) -> Generator[Ended, None, None]:
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
        record: see `separate_file`.

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

    def work(job: Job) -> Ended:
        engines = free.get()
        try:
            told(job.source, 0, 1)
            return Ended(job, None, separate_file(job, engines, method, output, span, told, record))
        except RtsepError as error:
            return Ended(job, error)
        except Exception as error:  # whatever a library makes of one file is no reason to give up the others
            return Ended(job, FileError(f"{job.source}: {one_line(error) or type(error).__name__}"))
        finally:
            free.put(engines)

    with ThreadPoolExecutor(len(teams), "rtsep-file") as pool:
        running: set[Future[Ended]] = {pool.submit(work, job) for job in jobs}
        try:
            while running:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield future.result()
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
