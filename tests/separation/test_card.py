"""Whole files on a card that is none: batches of segments, two engines in turn, several files at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.audio.sources import Signal
from rtsep.engine.base import Engine
from rtsep.engine.onnx import OnnxEngine
from rtsep.engine.own_thread import OwnThreadEngine
from rtsep.engine.tensorrt.engine import TensorRtEngine
from rtsep.model.store import StoredModel, find
from rtsep.model.weights import write_model
from rtsep.separation.files import separate_files
from rtsep.separation.jobs import plan_job
from rtsep.separation.options import SeparationOptions
from rtsep.separation.output import Output
from rtsep.separation.separate import separate
from tests.model.graphs.test_unet import SHALLOW, weights
from tests.support.cuda import FakeCard
from tests.support.signals import Float32, noise
from tests.support.tensorrt import built, device

RATE, ROWS = 44100, 2
PATIENCE_S = 60.0
EXACT = SeparationOptions()


class WatchedCard(FakeCard):
    """Tells of all that its stream does, before it is done."""

    def __init__(self, tell: Callable[[FakeCard, str], None]) -> None:
        super().__init__()
        self.tell = tell

    def enqueue(self, name: str, work: Callable[[], None]) -> None:
        def told() -> None:
            self.tell(self, name)
            work()

        super().enqueue(name, told)


@pytest.fixture
def model(tmp_path: Path) -> StoredModel:
    spec = replace(SHALLOW.spec("mine", "none"), family="spleeter", extension="zeros")
    write_model(weights(SHALLOW), spec, tmp_path / "mine")
    return find(tmp_path / "mine")


def on_card(folder: Path, model: StoredModel, card: FakeCard) -> Engine:
    made = built(folder, model, ROWS)
    return OwnThreadEngine(lambda: TensorRtEngine(made, device(card)))


def separated(engines: list[Engine], sound: Float32) -> Float32:
    return np.concatenate([block.copy() for block in separate(engines, Signal(sound, RATE), EXACT)], axis=2)


def test_while_one_batch_computes_the_next_is_uploaded_and_the_sound_is_that_of_onnx_runtime(
    tmp_path: Path, model: StoredModel
) -> None:
    """The inference of the first batch does not end before the upload of the second has begun."""
    uploads: list[FakeCard] = []
    overlapped, second = [], threading.Event()

    def tell(card: FakeCard, name: str) -> None:
        if name == "upload":
            uploads.append(card)
            if len({id(one) for one in uploads}) == 2:
                second.set()
        if name == "inference":
            overlapped.append(second.wait(PATIENCE_S))

    cards = [WatchedCard(tell), WatchedCard(tell)]
    engines = [on_card(tmp_path, model, card) for card in cards]
    sound = noise(9 * model.spec.context * model.spec.hop)
    found = separated(engines, sound)
    for engine in engines:
        engine.close()
    assert overlapped and all(overlapped)
    wanted = separated([OnnxEngine(model)], sound)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
    passes = sum(card.calls.count("launch") for card in cards)
    assert passes == 5, "ten segments, two in a call"


def test_files_share_the_engines_of_a_card(tmp_path: Path, model: StoredModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many files at once as there are processors, though there is one engine; each has its own sound."""
    monkeypatch.setattr("rtsep.separation.files.processors", lambda: 3)
    sources = []
    for number in range(3):
        sources.append(tmp_path / f"{number}.wav")
        soundfile.write(sources[-1], noise(30_000, seed=number).T, RATE, subtype="FLOAT")
    begun = threading.Barrier(3)
    seen: set[Path] = set()

    def progress(source: Path, done: int, total: int) -> None:
        if source not in seen:
            seen.add(source)
            begun.wait(PATIENCE_S)  # all are under way at once

    output = Output(tmp_path / "out")
    jobs = [plan_job(source, model.spec.stems, output) for source in sources]
    engine = on_card(tmp_path, model, FakeCard())
    assert [one.error for one in separate_files(jobs, [engine], EXACT, output, progress=progress)] == [None] * 3
    engine.close()
    for number, job in enumerate(jobs):
        wanted = separated([OnnxEngine(model)], noise(30_000, seed=number))
        for path, stem in zip(job.paths, wanted, strict=True):
            assert np.abs(soundfile.read(path)[0].T - stem).max() < 1e-5 * np.abs(wanted).max()
