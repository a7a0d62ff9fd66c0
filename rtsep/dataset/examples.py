"""Examples to train on: each a pure function of the seed and its number, so that any can be made anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from rtsep.dataset.assignment import VOCALS, has_submix, matching_stems, residual_stems
from rtsep.dataset.augmentation import Augmentation, augment_mix, augment_stem
from rtsep.dataset.inspection import Issue
from rtsep.dataset.songs import Song, read_stem, summed
from rtsep.errors import ConfigError, SpecError

Float32 = NDArray[np.float32]

QUIET = 10.0 ** (-50.0 / 20.0)  # RMS below which a crop has nothing to learn from
CHANNELS = 2


@dataclass(frozen=True)
class Recipe:
    """How songs become examples; probabilities are for each example.

    Raises:
        ConfigError: for a value that is out of range.
    """

    seconds: float = 6.0
    avoid_s: tuple[float, float] = (0.0, 0.0)  # of a song's beginning and end, that no crop is taken from
    remix: float = 0.5  # that the stems come from different songs, although one has them all
    balance: float = 1.0  # that a stem from another song is brought to a level against the rest
    balance_db: tuple[float, float] = (-3.0, 4.5)  # mean and deviation of that level; of two stems, the first one's
    thin: float = 0.0  # that of a stem of several parts (drums, bass, other) only some are heard: as in a break
    absent: float = 0.0  # that the first stem does not sound at all: so a network learns to hold back
    retries: int = 3  # further crops that are tried while one is quiet
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if not 0.1 <= self.seconds <= 60.0:
            raise ConfigError(f"examples.seconds = {self.seconds} is out of range; allowed are 0.1 to 60")
        if not all(0.0 <= edge_s <= 600.0 for edge_s in self.avoid_s):
            raise ConfigError(f"examples.avoid_s = {list(self.avoid_s)} is out of range; allowed are twice 0 to 600")
        for name in ("remix", "balance", "thin", "absent"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"examples.{name} = {getattr(self, name)} is a probability; allowed are 0 to 1")
        mean_db, deviation_db = self.balance_db
        if not (-60.0 <= mean_db <= 60.0 and 0.0 <= deviation_db <= 60.0):
            raise ConfigError(
                f"examples.balance_db = [{mean_db}, {deviation_db}] is out of range; allowed are a mean of -60 to 60 "
                "and a deviation of 0 to 60"
            )
        if not 0 <= self.retries <= 100:
            raise ConfigError(f"examples.retries = {self.retries} is out of range; allowed are 0 to 100")

    def span_s(self, seconds: float) -> tuple[float, float]:
        """Tell from where to where crops of a song are taken; all of it where too little would be left.

        Args:
            seconds: how long the song is.

        Returns:
            Begin and end, in seconds.
        """
        begin_s, end_s = self.avoid_s[0], seconds - self.avoid_s[1]
        return (begin_s, end_s) if end_s - begin_s >= self.seconds else (0.0, seconds)


@dataclass(frozen=True)
class Collection:
    """Songs that are drawn together."""

    songs: tuple[Song, ...]
    weight: float = 1.0  # against other collections


@dataclass(frozen=True)
class Example:
    """One example: stems that sum to a mix."""

    stems: Float32  # (stems, channels, frames)
    known: NDArray[np.bool_]  # (stems,), which of them can be learnt from


class Examples:
    """An endless row of examples; `examples[n]` is always the same for one seed.

    A song is as likely as it is long, within its collection.

    Args:
        collections: the songs.
        stems: all of the model's, in order.
        sample_rate: of the examples, in Hz.
        recipe: how songs become examples.
        seed: another one gives other examples.

    Raises:
        SpecError: where no song has one of the stems.
        ConfigError: where no song can be drawn.
    """

    def __init__(
        self, collections: Sequence[Collection], stems: Sequence[str], sample_rate: int, recipe: Recipe, seed: int
    ) -> None:
        self.stems, self.recipe = tuple(stems), recipe
        self.frames = round(recipe.seconds * sample_rate)
        self._sample_rate, self._seed = sample_rate, seed
        useful = [(one, [song for song in one.songs if self._teaches(song)]) for one in collections]
        self._songs = [song for _, songs in useful for song in songs]
        chances = [one.weight * _normalised([song.seconds for song in songs]) for one, songs in useful if songs]
        self._chances = _normalised(np.concatenate([*chances, np.zeros(0)]))
        self._sources: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
        for stem in self.stems:
            sources = np.array(
                [i for i, song in enumerate(self._songs) if matching_stems(song, stem, self.stems)], np.int64
            )
            if not len(sources):
                raise SpecError(f"no song for training has {stem!r}; name stems that the songs have, or more songs")
            self._sources[stem] = sources, _normalised(self._chances[sources])

    def __getitem__(self, number: int) -> Example:
        """The example of a number, from 0."""
        rng = np.random.default_rng((self._seed, number))
        song = self._songs[rng.choice(len(self._songs), p=self._chances)]
        taken = self._taken(song, rng.random() < self.recipe.remix)
        submixed = has_submix(song, self.stems)
        crops = self._crops(song, taken, rng)
        sound = np.zeros((len(self.stems), CHANNELS, self.frames), np.float32)
        drawn = []
        for index, stem in enumerate(self.stems):
            if stem in crops:
                sound[index] = crops[stem]
            elif not submixed or stem == VOCALS:
                sound[index] = self._draw(stem, rng)
                drawn.append(index)
            sound[index] = augment_stem(sound[index], self._sample_rate, self.recipe.augmentation, rng)
        for index in drawn:
            self._balance(sound, index, rng)
        # what is not asked for draws nothing: a run of before has the same examples
        if self.recipe.absent and rng.random() < self.recipe.absent:
            sound[0] = 0.0
        known = np.array([not submixed or stem == VOCALS for stem in self.stems])
        return Example(augment_mix(sound, self._sample_rate, self.recipe.augmentation, rng), known)

    def _teaches(self, song: Song) -> bool:
        if has_submix(song, self.stems):
            return VOCALS in self.stems
        return any(matching_stems(song, stem, self.stems) for stem in self.stems)

    def _taken(self, song: Song, remix: bool) -> dict[str, tuple[str, ...]]:
        """The stems that an example takes from its own song, and the song's stems that make them up."""
        taken = {stem: names for stem in self.stems if (names := matching_stems(song, stem, self.stems))}
        if has_submix(song, self.stems):
            taken = {stem: taken[stem] for stem in taken if stem == VOCALS}
            taken[self.stems[-1]] = residual_stems(song, self.stems)
        elif remix:
            taken = dict(list(taken.items())[:1])
        return taken

    def _draw(self, stem: str, rng: np.random.Generator) -> Float32:
        """A crop of a stem from any song that has it."""
        sources, chances = self._sources[stem]
        song = self._songs[rng.choice(sources, p=chances)]
        return self._crops(song, {stem: matching_stems(song, stem, self.stems)}, rng)[stem]

    def _crops(self, song: Song, taken: dict[str, tuple[str, ...]], rng: np.random.Generator) -> dict[str, Float32]:
        """One crop of a song, of each stem: where the first stem is not quiet, if a few tries find such a place."""
        (leading, names), *others = ((stem, self._thinned(names, rng)) for stem, names in taken.items())
        first, last = (round(edge_s * self._sample_rate) for edge_s in self.recipe.span_s(song.seconds))
        room = max(0, last - first - self.frames)
        for _ in range(1 + self.recipe.retries):
            start = first + int(rng.integers(room + 1))
            crop = self._read(song, names, start)
            if _rms(crop) > QUIET:
                break
        return {leading: crop} | {stem: self._read(song, names, start) for stem, names in others}

    def _thinned(self, names: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
        """The parts of a stem that are heard: all, or now and then some, but at least one."""
        if len(names) < 2 or not self.recipe.thin or rng.random() >= self.recipe.thin:
            return names
        heard = rng.random(len(names)) < 0.5
        heard[rng.integers(len(names))] = True
        return tuple(compress(names, heard))

    def _read(self, song: Song, names: Sequence[str], start: int) -> Float32:
        sounds = (read_stem(song, name, start, self.frames, self._sample_rate, CHANNELS) for name in names)
        return summed(sounds, CHANNELS, self.frames)

    def _balance(self, sound: Float32, index: int, rng: np.random.Generator) -> None:
        """Bring a stem of another song to a level against all the others: songs are not equally loud."""
        wanted = rng.random() < self.recipe.balance
        level_db = rng.normal(*self.recipe.balance_db)
        if len(self.stems) == 2 and index == 1:
            level_db = -level_db  # which of two was drawn must not decide which is the louder one
        rest, own = _rms(sound.sum(0) - sound[index]), _rms(sound[index])
        if wanted and rest > QUIET and own > QUIET:
            sound[index] *= np.float32(rest / own * 10.0 ** (level_db / 20.0))


def too_short(songs: Iterable[Song], recipe: Recipe) -> list[Issue]:
    """Find the songs whose beginning and end cannot be left out: crops come from all of them.

    Args:
        songs: to look at.
        recipe: says what is to be left out.

    Returns:
        An issue for each, none of them fatal.
    """
    if not any(recipe.avoid_s):
        return []
    wanted_s = sum(recipe.avoid_s) + recipe.seconds
    words = f"shorter than the {wanted_s:g} s that examples.avoid_s needs; its beginning and end are used too"
    return [
        Issue(song.name, None, f"{song.seconds:.1f} s, {words}", False)
        for song in songs
        if recipe.span_s(song.seconds) == (0.0, song.seconds)
    ]


def _rms(sound: Float32) -> float:
    return float(np.sqrt(np.mean(np.square(sound))))


def _normalised(weights: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.asarray(weights, np.float64)
    total = float(shares.sum())
    if not total > 0.0:
        raise ConfigError("no song can be drawn: there is none for these stems, or all weights are 0")
    return shares / total
