"""The whole corpus: packages to songs, with the manifest and the credits; what is there is not made again."""

from __future__ import annotations

import signal
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from rtsep.corpus.credits import write_credits
from rtsep.corpus.generators import GENERATORS, GeneratedStem, generate
from rtsep.corpus.inventory import OnProgress, build_inventory
from rtsep.corpus.jobs import Amounts, SongJob, plan_jobs
from rtsep.corpus.manifest import NAME, Entry, Manifest, Refused, read_manifest, sha256_of, write_manifest
from rtsep.corpus.multitrack import find_multitrack
from rtsep.corpus.package_table import PACKAGES, Package
from rtsep.corpus.recording import SAMPLE_RATE, write
from rtsep.errors import FileError, RtsepError

SONGS = "corpus"
SAVE_EVERY_S = 10.0  # a run that is killed loses so much of the manifest


@dataclass(frozen=True)
class BuildOptions:
    """What to build: how much, from which packages, how."""

    amounts: Amounts
    packages: tuple[Package, ...] = PACKAGES
    seed: int = 0
    jobs: int = 1  # processes
    given: Path | None = None  # a folder of .debs that are there already
    multitrack: Path | None = None  # a folder of songs in stems
    skip_missing: bool = False  # go on without what cannot be had


def build(folder: Path, options: BuildOptions, on_progress: OnProgress) -> Manifest:
    """Build the corpus in a folder and give its manifest.

    Songs that are there and whole are kept, also those of earlier builds, but not those that hold what is refused by
    now. A song whose sound is broken is noted in the manifest.

    Args:
        folder: of the corpus.
        options: what to build.
        on_progress: hears what is being done.

    Raises:
        FileError: for a package that is broken, missing or not safe, and for a full disk.
    """
    inventory = build_inventory(folder, options.packages, options.given, options.skip_missing, on_progress)
    if options.multitrack is not None:
        songs, unknown = find_multitrack(options.multitrack)
        inventory = replace(inventory, files=(*inventory.files, *songs), refused=(*inventory.refused, *unknown))
    old = _purged(folder, inventory.refused)
    on_progress("planning", 0, 1)
    jobs, broken = plan_jobs(inventory, options.amounts, options.seed)
    if not jobs:
        raise FileError(f"{folder}: there is nothing to build from; name packages with sound, or more hours")
    manifest = _grown(old, Manifest(inventory.archives, (), (*inventory.refused, *broken)))
    before = {entry.file: entry for entry in manifest.entries}
    missing = [job for job in jobs if not _is_there(folder, job, before)]
    saved = time.monotonic()
    try:
        with closing(_made(folder, missing, options.jobs)) as made:
            for number, (job, outcome) in enumerate(made, 1 + len(jobs) - len(missing)):
                on_progress(f"{job.generator} {job.song}", number, len(jobs))
                manifest = _grown(manifest, outcome)
                if time.monotonic() - saved > SAVE_EVERY_S:
                    write_manifest(folder, manifest)
                    saved = time.monotonic()
    finally:
        manifest = replace(manifest, entries=tuple(e for e in manifest.entries if (folder / e.file).is_file()))
        write_manifest(folder, manifest)
    write_credits(folder, manifest)
    return manifest


def _purged(folder: Path, refused: Sequence[Refused]) -> Manifest:
    """The manifest without the songs that hold a refused file; their sound is deleted."""
    if not (folder / NAME).exists():
        return Manifest()
    old = read_manifest(folder)
    banned = {(one.package, one.file) for one in refused}
    gone = [entry for entry in old.entries if banned & {(source.package, source.file) for source in entry.sources}]
    for entry in gone:
        _delete(folder, entry.file)
    left = replace(old, entries=tuple(entry for entry in old.entries if entry not in gone))
    if gone:
        write_manifest(folder, left)
    return left


def _delete(folder: Path, file: str) -> None:
    """Delete a song's stem, and the folders that are empty then: a song without stems would stop a training."""
    path = folder / file
    try:
        path.unlink(missing_ok=True)
        for above in path.relative_to(folder).parents[:-2]:  # down to corpus/
            if (folder / above).is_dir() and not any((folder / above).iterdir()):
                (folder / above).rmdir()
    except OSError as error:
        raise FileError(
            f"{path} holds what is refused by now and cannot be deleted: {error.strerror}; delete it yourself"
        ) from error


def _grown(old: Manifest, new: Manifest) -> Manifest:
    """A manifest with what another says too; the newer word counts, and what was had or made is refused no more."""
    had = {archive.package for archive in new.packages}
    made = {entry.file.removeprefix(f"{SONGS}/").rpartition("/")[0] for entry in new.entries}
    still = [row for row in old.refused if row.file not in made and (row.file or row.package not in had)]
    archives = {archive.package: archive for archive in (*old.packages, *new.packages)}
    entries = {entry.file: entry for entry in (*old.entries, *new.entries)}
    refused = {(refused.package, refused.file): refused for refused in (*still, *new.refused)}
    return Manifest(tuple(archives.values()), tuple(entries.values()), tuple(refused.values()))


def _files(job: SongJob) -> dict[str, str]:
    """The stems of a job, and where each goes below the corpus's folder."""
    return {stem: f"{SONGS}/{job.song}/{stem}.flac" for stem in GENERATORS[job.generator].stems}


def _name(job: SongJob) -> str:
    return f"{job.generator} {GENERATORS[job.generator].version}"


def _is_there(folder: Path, job: SongJob, before: dict[str, Entry]) -> bool:
    """Whether the song of a job was made by this very job, and is still whole."""
    entries = [before.get(file) for file in _files(job).values()]
    return all(
        entry is not None
        and (entry.seed, entry.generator) == (job.seed, _name(job))
        and (folder / entry.file).is_file()
        and sha256_of(folder / entry.file) == entry.sha256
        for entry in entries
    )


def _made(folder: Path, jobs: Sequence[SongJob], processes: int) -> Generator[tuple[SongJob, Manifest], None, None]:
    if processes == 1 or len(jobs) < 2:
        yield from ((job, _work(folder, job)) for job in jobs)
        return
    # not forked: the progress bar has a thread
    pool = ProcessPoolExecutor(min(processes, len(jobs)), get_context("spawn"), initializer=_ignore_interrupts)
    try:
        waiting = {pool.submit(_work, folder, job): job for job in jobs}
        for done in as_completed(waiting):
            yield waiting.pop(done), done.result()
    except BrokenProcessPool as error:
        raise FileError("a process that made songs was killed; is there enough memory? Try fewer --jobs") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    """Ctrl-C goes to all processes; only the first is to act on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(folder: Path, job: SongJob) -> Manifest:
    """Make one song, and give what the manifest is to say of it."""
    files = _files(job)
    try:
        song = generate(job)
    except RtsepError as error:
        return Manifest(refused=(_unmade(job, error),))
    write({folder / files[name]: stem.sound for name, stem in song.stems.items()})
    entries = tuple(_entry(folder, files[name], job, stem) for name, stem in song.stems.items())
    return Manifest(entries=entries, refused=song.refused)


def _entry(folder: Path, file: str, job: SongJob, stem: GeneratedStem) -> Entry:
    seconds = round(stem.sound.shape[1] / SAMPLE_RATE, 3)
    sources = tuple(dict.fromkeys(source_file.origin for source_file in stem.files))
    return Entry(file, _name(job), job.seed, seconds, sha256_of(folder / file), sources)


def _unmade(job: SongJob, error: RtsepError) -> Refused:
    """One file that makes a song is to blame; of many, the song."""
    refused = job.files[0].refused(error)
    return refused if len(job.files) == 1 else replace(refused, file=job.song)
