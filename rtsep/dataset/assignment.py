"""Which of a song's stems make up a stem of the model."""

from __future__ import annotations

from collections.abc import Sequence

from rtsep.dataset.songs import Song

VOCALS, ACCOMPANIMENT = "vocals", "accompaniment"


def has_submix(song: Song, stems: Sequence[str]) -> bool:
    """Tell whether a song has its accompaniment in one piece that a model wants to see into.

    Args:
        song: with its own stems.
        stems: all of the model's, in order.
    """
    return ACCOMPANIMENT in song.stems and bool(set(stems[:-1]) - {VOCALS} - set(song.stems))


def matching_stems(song: Song, stem: str, stems: Sequence[str]) -> tuple[str, ...]:
    """Name the song's stems whose sum is one of the model's; none where the song cannot tell.

    Args:
        song: with its own stems.
        stem: the model's.
        stems: all of the model's, in order. The last one is the rest: all that no other claims, whatever the song calls
            it.
    """
    if stem != stems[-1]:
        return (stem,) if stem in song.stems else ()
    return () if has_submix(song, stems) else residual_stems(song, stems)


def residual_stems(song: Song, stems: Sequence[str]) -> tuple[str, ...]:
    """Name the song's stems that are none of the model's but its last.

    Args:
        song: with its own stems.
        stems: all of the model's, in order.
    """
    return tuple(name for name in song.stems if name not in stems[:-1])
