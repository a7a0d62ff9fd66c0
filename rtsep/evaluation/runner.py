"""All songs by all settings, on several cores, and what is kept of it while it goes on."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from rtsep import __version__
from rtsep.core.limits import memory, processors
from rtsep.dataset.songs import Song, StemSource
from rtsep.errors import EngineError, RtsepError
from rtsep.evaluation.bsseval import BYTES_PER_SAMPLE
from rtsep.evaluation.caching_engine import MOST_BYTES
from rtsep.evaluation.estimation import EvaluatedModel
from rtsep.evaluation.score_cache import ScoreCache
from rtsep.evaluation.scores import TrackScore, score_track
from rtsep.evaluation.settings import Setting
from rtsep.evaluation.tracks import WHOLE, Clip, pooled_estimates, read_track, stems_to_score

BASE_BYTES = 500_000_000  # of a process, whatever it scores
SEPARATION_BYTES = 40  # for each sample of every stem
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # what linear algebra listens to


@dataclass(frozen=True)
class Evaluation:
    """What is the same for all songs and settings."""

    separator: EvaluatedModel
    stems: tuple[str, ...] = ()  # only these are reported; all if empty
    clip: Clip = WHOLE
    sample_rate: int = 0  # of the device in Hz; 0 for each song's own
    bsseval: bool = True  # whether museval's figures are made, which take longer than all else

    def rate(self, song: Song) -> int:
        """Give the rate in Hz that a song is played at."""
        return self.sample_rate or song.sample_rate

    def key(self, song: Song, setting: Setting) -> str:
        """Give what a score depends on, in one word: model, song, what the setting comes to, and how it is scored."""
        rate, separator, files = (
            self.rate(song),
            self.separator,
            [song.mix, *(one for parts in song.stems.values() for one in parts)],
        )
        facts = [
            *(__version__, separator.model.sha256, separator.model.spec.to_dict(), separator.options.engine),
            *(
                separator.options.precision,
                separator.cache_key(setting, rate),
                asdict(self.clip),
                rate,
                self.stems,
                self.bsseval,
            ),
            *(song.name, song.frames, list(song.stems), [_signature(one) for one in files if one]),
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def check(self, songs: Sequence[Song], settings: Sequence[Setting]) -> None:
        """Raise what would go wrong later on.

        Args:
            songs: that are to be scored.
            settings: by which they are.

        Raises:
            RtsepError: for a preset, a stem, a place or an engine that cannot be.
        """
        for setting in settings:
            stems_to_score(self.separator.stems(setting), self.stems)
            for rate in {self.rate(song) for song in songs}:
                self.separator.latency_ms(setting, rate)
        for song in songs:
            self.clip.of(song, self.rate(song))
        self.separator.prepare()

    def score(self, song: Song, setting: Setting) -> TrackScore:
        """Separate and score one song."""
        return self.scores(song, [setting])[0]

    def scores(self, song: Song, settings: Sequence[Setting]) -> list[TrackScore]:
        """Separate and score one song by settings that share their passes, see `EvaluatedModel.estimates`."""
        rate, separator = self.rate(song), self.separator
        stems = stems_to_score(separator.stems(settings[0]), self.stems)
        track = read_track(song, stems, self.clip, rate, separator.model.spec.channels)
        scores = []
        for setting, sounds in zip(settings, separator.estimates(track.mix, rate, settings), strict=True):
            estimates = pooled_estimates(sounds, stems)
            found = score_track(track, setting, separator.latency_ms(setting, rate), estimates, self.bsseval)
            scores.append(found.only(self.stems) if self.stems else found)
        return scores


def score_songs(
    evaluation: Evaluation, songs: Sequence[Song], settings: Sequence[Setting], score_cache: ScoreCache, jobs: int = 0
) -> Generator[TrackScore | tuple[Song, RtsepError], None, None]:
    """Score every song by every setting, in any order.

    What the cache holds already is taken from there, and what is new is kept in it at once. Settings that come to the
    same are scored once, and those that see the same contexts together.

    Args:
        evaluation: what is the same for all songs and settings.
        songs: to score.
        settings: by which they are.
        score_cache: of scores that are there already.
        jobs: processes; 0 for as many as cores and memory have room for.

    Yields:
        A score, or a song that cannot be read with its error.

    Raises:
        EngineError: where a process was killed.
    """
    asked: dict[str, list[Pair]] = {}
    for setting in settings:
        for song in songs:
            asked.setdefault(evaluation.key(song, setting), []).append((song, setting))
    left: dict[tuple[int, Setting], Task] = {}
    for key, pairs in asked.items():
        kept, (song, setting) = score_cache.get(key), pairs[0]
        if kept is None:
            task = left.setdefault((id(song), evaluation.separator.passes(setting)), Task(song, {}))
            task.settings[setting] = key
        else:
            yield from (replace(kept, setting=setting) for _, setting in pairs)
    tasks = list(left.values())
    shared = any(len(task.settings) > 1 for task in tasks)
    count = min(len(tasks), jobs or max_workers(evaluation, songs, shared))
    for task, result in _here(evaluation, tasks) if count <= 1 else _side_by_side(evaluation, tasks, count):
        if isinstance(result, RtsepError):
            yield from ((task.song, result) for key in task.settings.values() for _ in asked[key])
            continue
        for score, key in zip(result, task.settings.values(), strict=True):
            score_cache.put(key, score)
            yield from (replace(score, setting=setting) for _, setting in asked[key])


def _signature(source: StemSource) -> tuple[str, int, int, int, float, float]:
    facts = source.path.stat()
    return source.path.name, facts.st_size, facts.st_mtime_ns, source.stream, source.offset_s, source.gain


def max_workers(evaluation: Evaluation, songs: Sequence[Song], shared: bool = False) -> int:
    """Count the processes that the cores and the memory of this machine have room for, at least one.

    Args:
        evaluation: what is the same for all songs.
        songs: the longest of them counts.
        shared: whether settings are scored together, with passes that are remembered.
    """
    spec = evaluation.separator.model.spec
    longest = max((evaluation.clip.of(song, evaluation.rate(song))[1] for song in songs), default=0)
    samples = longest * len(spec.stems) * spec.channels
    base = BASE_BYTES + (MOST_BYTES if shared else 0)
    each = base + samples * (BYTES_PER_SAMPLE if evaluation.bsseval else SEPARATION_BYTES)
    return max(1, min(processors(), int(0.8 * memory()) // each))


Pair = tuple[Song, Setting]
Result = list[TrackScore] | RtsepError


@dataclass(frozen=True)
class Task:
    """A song, and the settings that are scored together, each with its key."""

    song: Song
    settings: dict[Setting, str]


def _score(evaluation: Evaluation, song: Song, settings: Sequence[Setting]) -> Result:
    try:
        return evaluation.scores(song, settings)
    except RtsepError as error:
        return error
    except MemoryError:
        return EngineError(f"{song.name}: memory ran out; try --jobs 1, or --seconds for a part of each song")


def _here(evaluation: Evaluation, tasks: Sequence[Task]) -> Iterator[tuple[Task, Result]]:
    for task in tasks:
        yield task, _score(evaluation, task.song, list(task.settings))


def _side_by_side(evaluation: Evaluation, tasks: Sequence[Task], count: int) -> Iterator[tuple[Task, Result]]:
    before = multiprocessing.active_children()
    # spawned, since engines and numba have threads that do not survive a fork
    with (
        _one_thread(),
        ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _leave_interrupts) as pool,
    ):
        longest_first = sorted(tasks, key=lambda task: -len(task.settings))
        running: dict[Future[Result], Task] = {
            pool.submit(_score, evaluation, task.song, list(task.settings)): task for task in longest_first
        }
        try:
            while running:
                ended, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield running.pop(future), future.result()
        except BrokenProcessPool as error:
            raise EngineError("a process was killed, as happens when memory runs out; try --jobs 1") from error
        finally:
            for child in multiprocessing.active_children() if running else ():
                if child not in before:
                    child.terminate()  # nobody waits for a minute after Ctrl-C


def _leave_interrupts() -> None:
    """In a process of ours: Ctrl-C is for the parent, which ends us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that are started meanwhile do their linear algebra in one thread each."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
