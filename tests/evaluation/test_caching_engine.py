"""Settings that see the same contexts share the network's passes, and are scored as if each stood alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtsep.engine.base import Engine, Real
from rtsep.engine.registry import EngineOptions, open_engine
from rtsep.evaluation import estimation as separation
from rtsep.evaluation.caching_engine import CachingEngine
from rtsep.evaluation.estimation import EvaluatedModel
from rtsep.evaluation.runner import Evaluation, score_songs
from rtsep.evaluation.score_cache import ScoreCache
from rtsep.evaluation.scores import TrackScore
from rtsep.evaluation.settings import Setting
from rtsep.model.architectures import UNetArchitecture
from rtsep.model.shapes import tensor_shapes
from rtsep.model.store import StoredModel, find
from rtsep.model.weights import Weights, write_model
from tests.evaluation.scenes import song, stored
from tests.support.engines import FrameEngine, infer_one, windowed_spec
from tests.support.signals import Float32, noise

RATE = 44100
UNET = UNetArchitecture(("vocals", "rest"), window=1024, hop=256, bins=128, context=64, filters=(2, 3))
BASE = Setting(latency="12", context=16)
ALIKE = [
    BASE,
    replace(BASE, lookahead=3),
    replace(BASE, lookahead=8),
    replace(BASE, mask_interval=4),
    replace(BASE, mask_interval=1),
    replace(BASE, late=2),
]
passes: Counter[str] = Counter()


@pytest.fixture
def unet(tmp_path: Path) -> StoredModel:
    """A U-Net of random weights whose graph is written for what is wanted of it."""
    rng = np.random.default_rng(0)
    tensors = {
        name: rng.uniform(0.5, 1.0, shape).astype(np.float32)
        if name.endswith("running_var")
        else rng.uniform(-0.3, 0.3, shape).astype(np.float32)
        for name, shape in tensor_shapes(UNET).items()
    }
    write_model(Weights(UNET, tensors), UNET.spec("mine", "none"), tmp_path / "mine")
    return find(tmp_path / "mine")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines count their passes."""

    def made(model: StoredModel, options: EngineOptions) -> Engine:
        found = open_engine(model, options)
        infer = found.infer

        def counting(magnitudes: Float32, masks: Float32, real: Real = None) -> None:
            passes["all"] += 1
            infer(magnitudes, masks, real)

        found.infer = counting  # type: ignore[method-assign]
        return found

    monkeypatch.setattr(separation, "open_engine", made)
    separation._built.cache_clear()
    passes.clear()


def test_what_is_shared_is_what_each_gives_alone(unet: StoredModel, counted: None) -> None:
    separator, mix = EvaluatedModel(unet), noise(RATE // 2, level=0.1)
    assert len({separator.passes(setting) for setting in ALIKE}) == 1
    together = list(separator.estimates(mix, RATE, ALIKE))
    shared, alone = passes.pop("all"), [separator.estimate(mix, RATE, setting) for setting in ALIKE]
    assert shared < 0.45 * passes["all"]
    for one, other in zip(together, alone, strict=True):
        for stem in ("vocals", "rest"):
            assert np.abs(one[stem] - other[stem]).max() < 1e-5 * np.abs(mix).max()
    assert np.abs(together[0]["vocals"] - together[1]["vocals"]).max() > 1e-3  # else nothing would be shown
    separation._built.cache_clear()


def test_what_sees_other_contexts_shares_nothing() -> None:
    separator = EvaluatedModel(stored(windowed_spec(context_step=4)))
    base = Setting(latency="23")
    others = [base, replace(base, latency="46"), replace(base, context=4), replace(base, seen="own"),
              replace(base, hop=128), replace(base, level_db=-20.0), Setting("centre", "23")]  # fmt: skip
    assert len({separator.passes(setting) for setting in others}) == len(others)


def test_what_does_not_fit_is_made_anew() -> None:
    spec = windowed_spec()
    shape = (spec.channels, spec.context, spec.bins)
    masks = np.zeros((len(spec.stems), *shape), np.float32)
    sounds = [np.abs(np.random.default_rng(seed).normal(size=shape)).astype(np.float32) for seed in range(3)]
    engine = CachingEngine(FrameEngine(spec), 1, most_bytes=masks[:, :, -1:].nbytes * 2)
    for _ in range(2):
        for sound in sounds:
            infer_one(engine, sound, masks)
            wanted = np.zeros_like(masks)
            infer_one(FrameEngine(spec), sound, wanted)
            assert np.array_equal(masks[:, :, -1], wanted[:, :, -1])
    assert len(engine._known) == 2


def test_settings_that_come_to_the_same_are_scored_once(unet: StoredModel, tmp_path: Path, counted: None) -> None:
    one = song(tmp_path / "songs", "one", {"vocals": noise(RATE, level=0.1), "rest": noise(RATE, seed=1, level=0.1)})
    same = [BASE, replace(BASE, mask_interval=2), replace(BASE, seen="preset")]
    kept = tmp_path / "scores.jsonl"
    evaluation = Evaluation(EvaluatedModel(unet), bsseval=False)
    found = [
        score for score in score_songs(evaluation, [one], same, ScoreCache(kept), 1) if isinstance(score, TrackScore)
    ]
    assert [score.setting for score in found] == same
    assert found[0].stems == found[1].stems == found[2].stems
    assert len(kept.read_text().splitlines()) == 1
    before = passes["all"]
    again = list(score_songs(evaluation, [one], same[::-1], ScoreCache(kept), 1))
    assert [score.setting for score in again if isinstance(score, TrackScore)] == same[::-1]
    assert passes["all"] == before
    separation._built.cache_clear()
