"""Batches: what is wrong with a song arrives as it was said, from whatever process."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.data.examples import Collection, Examples, Recipe
from rtsep.data.layouts import find_songs
from rtsep.errors import FileError
from rtsep.train.batches import batches
from tests import songs as data_sets
from tests.recordings import RATE


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_song_is_one_line_from_any_process(tmp_path: Path, workers: int) -> None:
    data_sets.write("stems", tmp_path)
    for path in tmp_path.rglob("drums.wav"):
        soundfile.write(path, np.full((RATE, 2), np.nan, np.float32), RATE, subtype="FLOAT")
    collection = Collection(tuple(find_songs("stems", tmp_path)))
    examples = Examples([collection], ("vocals", "drums", "rest"), RATE, Recipe(seconds=0.3), 0)
    with closing(batches(examples, 2, 0, workers)) as made, pytest.raises(FileError) as caught:
        next(made)
    assert "drums.wav holds a sample that is not a finite number" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ctrl_c_ends_no_worker_before_the_run(tmp_path: Path) -> None:
    """A terminal sends it to all processes; a worker that died of it left a traceback beside the run's own words."""
    data_sets.write("stems", tmp_path)
    collection = Collection(tuple(find_songs("stems", tmp_path)))
    examples = Examples([collection], ("vocals", "accompaniment"), RATE, Recipe(seconds=0.3), 0)
    with closing(batches(examples, 2, 0, 2)) as made:
        next(made)
        workers = multiprocessing.active_children()
        assert len(workers) == 2
        for worker in workers:
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGINT)
        for _ in range(20):  # more than had been made ahead
            next(made)
        assert all(worker.is_alive() for worker in workers)
    assert not any(worker.is_alive() for worker in workers)
