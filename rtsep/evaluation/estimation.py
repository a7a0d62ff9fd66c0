"""A mix to estimates by one setting: the streaming path as it plays, or what it is measured against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsep.audio.sources import Signal, resampled
from rtsep.core.presets import plan
from rtsep.core.spec import WindowSpec
from rtsep.engine.base import Engine
from rtsep.engine.own_thread import OwnThreadEngine
from rtsep.engine.registry import DEFAULTS, ENGINES, EngineOptions, open_engine
from rtsep.evaluation.caching_engine import CachingEngine
from rtsep.evaluation.delayed_engine import DelayedEngine
from rtsep.evaluation.mid_side_baseline import MidSideBaseline, mid_side_spec
from rtsep.evaluation.settings import Setting
from rtsep.model.store import StoredModel
from rtsep.separation.batches import BatchProcess, StreamProcess
from rtsep.separation.blocks import Process, run
from rtsep.separation.options import SeparationOptions
from rtsep.separation.separate import separate

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class EvaluatedModel:
    """What separates: a model in an engine."""

    model: StoredModel
    options: EngineOptions = DEFAULTS

    def stems(self, setting: Setting) -> tuple[str, ...]:
        """Name the stems that come out, in their order."""
        spec = self.model.spec
        if setting.way == "offline":
            return SeparationOptions().stems(spec)
        return mid_side_spec(spec).stems if setting.way == "centre" else spec.stems

    def prepare(self) -> None:
        """Build the engine, which is kept.

        Raises:
            EngineError: for an engine that is missing, or does not run the model.
            ModelError: for a model whose graph cannot be had.
        """
        _engine(self, self.model.live())

    def latency_ms(self, setting: Setting, sample_rate: int) -> float:
        """Give by how many ms the stems are behind.

        Args:
            setting: how the mix is separated.
            sample_rate: of the device, in Hz.

        Raises:
            SpecError: for a setting that cannot be.
        """
        if setting.way == "offline":
            return 0.0
        return _window(self.model, setting, sample_rate).latency.ms(sample_rate)

    def cache_key(self, setting: Setting, sample_rate: int) -> list[Any]:
        """Give all that the estimates depend on beside model and sound.

        Args:
            setting: how the mix is separated.
            sample_rate: of the device, in Hz.

        Returns:
            Plain values; settings that come to the same have the same.
        """
        if setting.way == "offline":
            return [setting.way, setting.level_db]
        window = asdict(_window(self.model, setting, sample_rate))
        return [setting.way, setting.level_db, setting.late, _live(self.model, setting).spec.context, window]

    def passes(self, setting: Setting) -> Setting:
        """Give what the network's passes depend on; settings with equal ones may share them, see `estimates`."""
        if setting.way != "stream" or self.model.spec.kind == "stateful":
            return setting
        return replace(setting, mask_interval=None, lookahead=0, late=0)

    def estimate(self, mix: Float32, sample_rate: int, setting: Setting) -> dict[str, Float32]:
        """Separate a whole mix.

        Args:
            mix: (channels, frames).
            sample_rate: in Hz.
            setting: how it is separated.

        Returns:
            The stems by name, (channels, frames) each, as long as the mix and in time with it.
        """
        return next(self.estimates(mix, sample_rate, [setting]))

    def estimates(self, mix: Float32, sample_rate: int, settings: Sequence[Setting]) -> Iterator[dict[str, Float32]]:
        """Separate a whole mix by several settings whose `passes` are equal; no context is inferred twice.

        Args:
            mix: (channels, frames).
            sample_rate: in Hz.
            settings: one, or several.

        Yields:
            The stems of each setting by name, (channels, frames) each, as long as the mix and in time with it.
        """
        engine = self._shared(settings) if len(settings) > 1 else None
        for setting in settings:
            gain = np.float32(1.0 if setting.level_db is None else _gain(mix, setting.level_db))
            sounds = _WAYS[setting.way](self, gain * mix, sample_rate, setting, engine)
            yield {stem: sound / gain for stem, sound in zip(self.stems(setting), sounds, strict=True)}

    def _shared(self, settings: Sequence[Setting]) -> Engine:
        assert len({self.passes(setting) for setting in settings}) == 1
        farthest = max(settings, key=lambda setting: setting.lookahead)
        return CachingEngine(_engine(self, _live(self.model, farthest)), farthest.lookahead + 1)


def _stream(
    separator: EvaluatedModel, mix: Float32, sample_rate: int, setting: Setting, engine: Engine | None = None
) -> Float32:
    engine = engine or _engine(separator, _live(separator.model, setting))
    window = _window(separator.model, setting, sample_rate)
    if setting.late:
        return _run(StreamProcess(DelayedEngine(engine, setting.late), window), engine, mix, sample_rate)
    # a windowed model in batches would see its future: then it is no longer as it plays
    batched = engine.spec.kind == "stateful"
    return _run(BatchProcess(engine, window) if batched else StreamProcess(engine, window), engine, mix, sample_rate)


def _centre(
    separator: EvaluatedModel, mix: Float32, sample_rate: int, setting: Setting, engine: Engine | None = None
) -> Float32:
    engine = engine or MidSideBaseline(mid_side_spec(separator.model.spec))
    return _run(StreamProcess(engine, _window(separator.model, setting, sample_rate)), engine, mix, sample_rate)


def _offline(
    separator: EvaluatedModel, mix: Float32, sample_rate: int, setting: Setting, engine: Engine | None = None
) -> Float32:
    method, spec = SeparationOptions(), separator.model.spec
    engine = engine or _engine(separator, separator.model)
    sounds = _joined(separate([engine], Signal(mix, sample_rate), method))
    rate = method.sample_rate(spec, sample_rate)
    found = np.zeros((*sounds.shape[:2], mix.shape[1]), np.float32)
    for place, sound in enumerate(sounds):
        fitted = resampled(sound, rate, sample_rate)[:, : mix.shape[1]]
        found[place, :, : fitted.shape[1]] = fitted
    return found


_WAYS: dict[str, Callable[[EvaluatedModel, Float32, int, Setting, Engine | None], Float32]] = {
    "stream": _stream,
    "offline": _offline,
    "centre": _centre,
}


def _window(model: StoredModel, setting: Setting, sample_rate: int) -> WindowSpec:
    if setting.way == "centre":  # a new mask at every hop, as it costs nothing
        return plan(mid_side_spec(model.spec), sample_rate, setting.latency, setting.hop, mask_interval=1)
    return setting.window(_live(model, setting).spec, sample_rate)


def _live(model: StoredModel, setting: Setting) -> StoredModel:
    return model.live(setting.lookahead, setting.context)


def _run(process: Process, engine: Engine, mix: Float32, sample_rate: int) -> Float32:
    return _joined(run(process, Signal(mix, sample_rate), len(engine.spec.stems), engine.spec.channels))


def _joined(blocks: Iterable[Float32]) -> Float32:
    return np.concatenate([block.copy() for block in blocks], axis=2)


def _gain(mix: Float32, level_db: float) -> float:
    """What brings a mix to an RMS level in dB against full scale; 1 where it is silent."""
    power = float(np.mean(np.square(mix, dtype=np.float64)))
    return float(10.0 ** (level_db / 20.0) / np.sqrt(power)) if power else 1.0


def _engine(separator: EvaluatedModel, model: StoredModel) -> Engine:
    return _built(model, separator.options)


@lru_cache(maxsize=2)
def _built(model: StoredModel, options: EngineOptions) -> Engine:
    """An engine, kept for the next song; whoever uses it resets it first."""
    if "cpu" in ENGINES[options.engine].devices:
        return open_engine(model, options)
    return OwnThreadEngine(lambda: open_engine(model, options))  # closes itself when it is not kept any more
