"""The songs of a run: found, looked over, and made into what it learns from and what it is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtsep.core.spec import ModelSpec
from rtsep.dataset.examples import Collection, Examples, too_short
from rtsep.dataset.inspection import Issue, inspect
from rtsep.dataset.layouts import find_songs
from rtsep.dataset.songs import Song
from rtsep.errors import FileError
from rtsep.training.settings import Songs, TrainSettings
from rtsep.training.validation import ValidationClip, read_clips


@dataclass(frozen=True)
class TrainingData:
    """The songs of a run, and what is to be said of them."""

    collections: tuple[Collection, ...]  # to learn from
    valid: tuple[Song, ...]  # to be judged by
    issues: tuple[Issue, ...]


def find_training_data(settings: TrainSettings, sample_rate: int, thorough: bool = False) -> TrainingData:
    """Find all songs of a run and look them over, before anything starts.

    Args:
        settings: of the run.
        sample_rate: of the network, in Hz.
        thorough: all their sound is read, not only their headers; see `inspect`.

    Raises:
        FileError: with all that is fatal.
    """
    issues: list[Issue] = []

    def songs(group: Sequence[Songs]) -> list[list[Song]]:
        found = [
            [song for folder in one.folders for song in find_songs(one.layout, folder, one.options)] for one in group
        ]
        for one in found:
            issues.extend(inspect(one, (), sample_rate, thorough))  # what no stem claims is the last one's
        return found

    train, valid = songs(settings.train), songs(settings.valid)
    issues.extend(too_short((song for one in train for song in one), settings.examples))
    if fatal := [issue for issue in issues if issue.fatal]:
        first = "; ".join(map(str, fatal[:5]))
        more = f"; and {len(fatal) - 5} more" if len(fatal) > 5 else ""
        raise FileError(f"{len(fatal)} faults in the songs: {first}{more}; mend them or take them out")
    collections = [Collection(tuple(one), group.weight) for one, group in zip(train, settings.train, strict=True)]
    return TrainingData(tuple(collections), tuple(song for one in valid for song in one), tuple(issues))


def build_datasets(
    settings: TrainSettings, spec: ModelSpec, data: TrainingData
) -> tuple[Examples, list[ValidationClip]]:
    """Make what a run learns from and what it is judged by.

    Args:
        settings: of the run.
        spec: of the model that comes out.
        data: the songs.

    Raises:
        SpecError: where songs lack what the model has.
    """
    examples = build_examples(settings, spec, data)
    return examples, read_clips(data.valid, spec, settings.validation.seconds, settings.validation.songs)


def build_examples(settings: TrainSettings, spec: ModelSpec, data: TrainingData) -> Examples:
    """Make what a run learns from.

    Args:
        settings: of the run.
        spec: of the model that comes out.
        data: the songs.

    Raises:
        SpecError: where songs lack what the model has.
    """
    return Examples(data.collections, settings.stems, spec.sample_rate, settings.examples, settings.seed)
