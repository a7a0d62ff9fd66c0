"""What is scored is what plays: the same hops, the same masks, in time with the mix."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Engine, Real
from rtsep.engine.registry import EngineOptions
from rtsep.errors import SpecError
from rtsep.evaluation import estimation as separation
from rtsep.evaluation.estimation import EvaluatedModel
from rtsep.evaluation.settings import Setting
from rtsep.model.store import StoredModel
from rtsep.separation.stream import StreamSeparator
from tests.evaluation.scenes import identity, stored
from tests.support.engines import FrameEngine, stateful_spec, windowed_spec
from tests.support.signals import Float32, error_db, impulse, late, noise, rms

RATE = 44100
SOUND = noise(30_000, level=0.1)


@pytest.fixture
def framed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every engine that is built depends on the frames around it."""

    def framed_engine(model: StoredModel, options: EngineOptions) -> Engine:
        return FrameEngine(model.spec)

    monkeypatch.setattr(separation, "open_engine", framed_engine)
    separation._built.cache_clear()


def fed(spec: ModelSpec, setting: Setting, mix: Float32, rate: int) -> Float32:
    """The stems as the host's separator gives them, without the latency."""
    separator = StreamSeparator(FrameEngine(spec), setting.window(spec, rate))
    behind = separator.latency.total
    stems = np.zeros((len(spec.stems), 2, mix.shape[1] + behind + separator.window.hop), np.float32)
    given = separator.feed(mix, stems)
    given += separator.flush(stems[:, :, given:])
    return stems[:, :, behind : behind + mix.shape[1]]


@pytest.mark.parametrize(
    "setting",
    [
        Setting(),
        Setting(latency="23"),
        Setting(latency="6", hop=64),
        Setting(latency="23", mask_interval=2),
        Setting(latency="46", lookahead=2),
    ],
    ids=lambda setting: setting.label,
)
@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("kind", ["windowed", "stateful"])
def test_estimates_are_what_the_separator_gives(framed: None, setting: Setting, rate: int, kind: str) -> None:
    spec = windowed_spec() if kind == "windowed" else stateful_spec()
    if kind == "stateful" and setting.lookahead:
        setting = replace(setting, lookahead=0)
    found = EvaluatedModel(stored(spec)).estimate(SOUND, rate, setting)
    wanted = fed(spec, setting, SOUND, rate)
    for stem, sound in zip(spec.stems, wanted, strict=True):
        assert error_db(sound, found[stem]) < -90.0


@pytest.mark.parametrize("way", ["stream", "offline"])
@pytest.mark.parametrize("rate", [44100, 48000, 22050])
def test_estimates_are_in_time_with_the_mix(way: str, rate: int) -> None:
    mix = impulse(rate // 2, 9000)
    found = identity().estimate(mix, rate, Setting(way))  # type: ignore[arg-type]
    assert int(np.abs(found["vocals"][0]).argmax()) == 9000
    assert error_db(mix, found["vocals"] + found["accompaniment"]) < -100.0


@pytest.mark.parametrize("rate", [44100, 48000])
def test_offline_is_at_the_songs_own_rate_again(rate: int) -> None:
    """Spleeter's way resamples to the model's rate, and cuts what is above its bins."""
    spec = windowed_spec(family="spleeter", analysis="hann", bins=1024, extension="average", output="magnitude")
    low = np.sin(np.arange(rate) * 2.0 * np.pi * 440.0 / rate).astype(np.float32)
    mix = np.stack([low, low])
    found = identity(spec).estimate(mix, rate, Setting("offline"))
    assert found["vocals"].shape == mix.shape
    inside = slice(rate // 4, rate // 2)
    assert error_db(mix[:, inside], (found["vocals"] + found["accompaniment"])[:, inside]) < -50.0


@pytest.mark.parametrize("level_db", [-6.0, -46.0])
def test_the_mix_is_separated_at_a_level_and_scored_at_its_own(framed: None, level_db: float) -> None:
    heard: list[float] = []

    class Listening(FrameEngine):
        def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
            heard.append(float(magnitudes.max()))
            super().infer(magnitudes, masks, real)

    spec = windowed_spec()
    engines = {"plain": Listening(spec), "level": Listening(spec)}
    peaks = {}
    for name, level in (("plain", None), ("level", level_db)):
        separation._built.cache_clear()
        heard.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(separation, "open_engine", lambda *rest, engine=engines[name]: engine)
            found = EvaluatedModel(stored(spec)).estimate(SOUND, RATE, Setting(latency="23", level_db=level))
        peaks[name] = max(heard)
        assert error_db(SOUND, found["vocals"] + found["accompaniment"]) < -100.0
    separation._built.cache_clear()
    wanted = 10.0 ** (level_db / 20.0) / rms(SOUND)
    assert peaks["level"] / peaks["plain"] == pytest.approx(wanted, rel=1e-4)


def test_a_silent_mix_has_no_level() -> None:
    found = identity().estimate(np.zeros((2, 5000), np.float32), RATE, Setting(level_db=-20.0))
    assert not found["vocals"].any()


def test_latency_is_the_separators_own() -> None:
    separator = identity()
    assert separator.latency_ms(Setting(latency="23"), RATE) == pytest.approx(1000.0 * (1024 - 256) / RATE)
    ahead = separator.latency_ms(Setting(latency="23", lookahead=2), RATE)
    assert ahead == pytest.approx(1000.0 * (1024 - 256 + 2 * 512) / RATE)
    assert separator.latency_ms(Setting("offline"), RATE) == 0.0
    with pytest.raises(SpecError, match="unknown latency preset '7'"):
        separator.latency_ms(Setting(latency="7"), RATE)


def test_a_late_mix_gives_late_estimates(framed: None) -> None:
    """An engine that is used again begins anew: nothing of the song before is in the next."""
    separator, setting = EvaluatedModel(stored(stateful_spec())), Setting(latency="12")
    first = separator.estimate(SOUND, RATE, setting)["vocals"]
    separator.estimate(late(SOUND, 700), RATE, setting)
    assert np.array_equal(first, separator.estimate(SOUND, RATE, setting)["vocals"])
