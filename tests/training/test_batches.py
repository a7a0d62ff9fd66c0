"""Batches: what is wrong with a song arrives as it was said, from whatever process."""

from __future__ import annotations

import multiprocessing
import multiprocessing.util
import os
import signal
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from rtsep.dataset.examples import Collection, Examples, Recipe
from rtsep.dataset.layouts import find_songs
from rtsep.errors import FileError
from rtsep.training.batches import AHEAD, batches
from tests.support import songs as data_sets
from tests.support.recordings import RATE

ON_GPU = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU"))


def small(folder: Path) -> Examples:
    data_sets.write("stems", folder)
    collection = Collection(tuple(find_songs("stems", folder)))
    return Examples([collection], ("vocals", "accompaniment"), RATE, Recipe(seconds=0.3), 0)


@pytest.mark.parametrize("pinned", [False, pytest.param(True, marks=ON_GPU)])
def test_a_batch_is_the_same_from_any_process_and_holds_until_the_next(tmp_path: Path, pinned: bool) -> None:
    """Workers write to the same few places again and again: never to one that is in use."""
    examples = small(tmp_path)
    with closing(batches(examples, 2, 5, 0)) as alone, closing(batches(examples, 2, 5, 2, pinned)) as together:
        for number in range(5, 5 + 2 * 2 * (AHEAD + 1) + 1):
            stems, known = next(together)
            time.sleep(0.02)  # in which the workers go on, as far as they may
            expected, expected_known = next(alone)
            assert stems.is_pinned() == pinned
            assert torch.equal(stems, expected) and torch.equal(known, expected_known)
            assert np.array_equal(stems[1], examples[2 * number + 1].stems)


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


class Forked:
    """While it lives, what is forked is interrupted at once."""

    def __init__(self) -> None:
        multiprocessing.util.register_after_fork(self, lambda _: os.kill(os.getpid(), signal.SIGINT))


def test_ctrl_c_ends_no_worker_before_the_run(tmp_path: Path) -> None:
    """A terminal sends it to all processes; a worker that died of it left a traceback beside the run's own words."""
    _forked = Forked()
    with closing(batches(small(tmp_path), 2, 0, 2)) as made:
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
