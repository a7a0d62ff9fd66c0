"""Recorded speech, joined to phrases and sung: what a song of one singer is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.sources import resampled
from rtsep.corpus.inventory import SourceFile
from rtsep.corpus.recording import SAMPLE_RATE, is_silent, read_raw
from rtsep.errors import FileError

Float32 = NDArray[np.float32]
Speech = tuple[Float32, int]  # (frames,) and its rate in Hz
Sing = Callable[[Float32, int, np.random.Generator], Float32]

PHRASE_S = (2.5, 8.0)  # of speech in one phrase
PIECE_S = 12.0  # of one file that are used at most
REST_S = (0.1, 2.5)  # between two phrases
BREATH_S = 0.12  # between two pieces of speech


def phrases(
    files: Sequence[SourceFile], rng: np.random.Generator, broken: Callable[[SourceFile, FileError], None]
) -> Iterator[tuple[Speech, tuple[SourceFile, ...]]]:
    """Join recorded speech of one singer to phrases, as long as there are files.

    Silent files are passed over.

    Args:
        files: of one singer.
        rng: draws how long phrases are.
        broken: hears of each file that is broken, which is passed over too.

    Yields:
        A phrase, and the files that it was joined from.
    """
    pieces: list[Float32] = []
    used: list[SourceFile] = []
    rate, wanted_s = 0, float(rng.uniform(*PHRASE_S))
    for file in files:
        try:
            sound, own_rate = read_raw(file.path, seconds=PIECE_S)
        except FileError as error:
            broken(file, error)
            continue
        if is_silent(sound):
            continue
        rate = rate or own_rate
        pieces += [
            resampled(sound.mean(axis=0, keepdims=True), own_rate, rate)[0],
            np.zeros(round(BREATH_S * rate), np.float32),
        ]
        used.append(file)
        if sum(map(len, pieces)) >= wanted_s * rate:
            yield (np.concatenate(pieces), rate), tuple(used)
            pieces, used, wanted_s = [], [], float(rng.uniform(*PHRASE_S))


def sung(
    spoken: Iterator[tuple[Speech, tuple[SourceFile, ...]]], sing: Sing, seconds: float, rng: np.random.Generator
) -> tuple[Float32, tuple[SourceFile, ...]]:
    """Make a song of phrases, with rests between them.

    A phrase in which nothing can be sung is left out.

    Args:
        spoken: the phrases, and the files of each.
        sing: makes (2, frames) of speech (frames,) and its rate.
        seconds: of the song, at most.
        rng: draws rests, and all that the singing draws.

    Returns:
        (2, frames) at 44.1 kHz, and the files that it holds.

    Raises:
        FileError: if no phrase is left.
    """
    length = round(seconds * SAMPLE_RATE)
    song = np.zeros((2, length), np.float32)
    position, used = 0, list[SourceFile]()
    for (speech, rate), files in spoken:
        try:
            phrase = sing(speech, rate, rng)[:, : length - position]
        except FileError:  # too little of it is voiced
            continue
        song[:, position : position + phrase.shape[1]] = phrase
        position += phrase.shape[1] + round(rng.uniform(*REST_S) * SAMPLE_RATE)
        used += files
        if position >= length:
            break
    if not used:
        raise FileError("in none of its speech is enough to sing")
    return song[:, :position], tuple(dict.fromkeys(used))
