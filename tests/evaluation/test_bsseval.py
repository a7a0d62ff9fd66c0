"""BSSEval: the original's own figures, kept and live, and what it does where they are not defined."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsep.core.spec import DEFAULT_MODEL
from rtsep.demo.song import SAMPLE_RATE, render
from rtsep.errors import EngineError
from rtsep.evaluation.bsseval import bss_eval, require_museval, rounding_step, why_undefined
from rtsep.evaluation.estimation import EvaluatedModel
from rtsep.evaluation.settings import Setting
from rtsep.model.store import find
from tests.evaluation.scenes import RATE, as_16_bits, scene
from tests.support.signals import Float32, late, noise

FIGURES = ("sdr", "isr", "sir", "sar")
KEPT: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "museval.json").read_text(encoding="utf-8"))


def with_museval() -> None:
    pytest.importorskip("museval", reason="museval is not installed: pip install 'rtsep[evaluate]'")


def random_scene() -> tuple[Float32, Float32]:
    first, second, third, fourth = (noise(3 * RATE, 1, seed=seed) for seed in (1, 2, 3, 4))
    return np.stack([first, second]), np.stack([third, fourth])


def gap_scene() -> tuple[Float32, Float32]:
    """As `scene`, with a second in which one reference is silent."""
    references, estimates = scene(5)
    references[1, :, RATE : 2 * RATE] = 0.0
    return references, estimates


SCENES = {
    "separated": scene,
    "stereo": lambda: scene(3, channels=2),
    "random": random_scene,
    "gap": gap_scene,
}


@pytest.mark.parametrize("name", SCENES)
def test_the_originals_figures(name: str) -> None:
    """Within 0.01 dB of what museval gave in another environment, for sounds as float32."""
    with_museval()
    references, estimates = SCENES[name]()
    found = bss_eval(references, estimates, RATE)
    assert found is not None
    for figure in FIGURES:
        np.testing.assert_allclose(getattr(found, figure), np.array(KEPT[name][figure], float), atol=0.01)


def test_sounds_of_16_bits_go_to_the_original_as_they_are() -> None:
    with_museval()
    from museval.metrics import bss_eval as original

    references, estimates = map(as_16_bits, scene(2))
    found = bss_eval(references, estimates, RATE)
    assert found is not None
    swapped = (sounds.transpose(0, 2, 1).astype(np.float64) for sounds in (references, estimates))
    for figure, theirs in zip(FIGURES, original(*swapped, window=RATE, hop=RATE), strict=False):
        np.testing.assert_allclose(getattr(found, figure), theirs, atol=0.001)


def test_the_originals_figures_for_a_trained_model() -> None:
    """Within 0.01 dB of museval alone, on what the default model makes of the demo song."""
    with_museval()
    from museval.metrics import bss_eval as original

    song = render()
    names = ("vocals", "accompaniment")
    rest = np.sum([sound for stem, sound in song.items() if stem != "vocals"], axis=0)
    played = slice(6 * SAMPLE_RATE, 12 * SAMPLE_RATE)
    references = as_16_bits(np.stack([song["vocals"], rest])[:, :, played])
    found = EvaluatedModel(find(DEFAULT_MODEL)).estimate(references.sum(0), SAMPLE_RATE, Setting(latency="23"))
    estimates = np.stack([found[name] for name in names])
    ours = bss_eval(references, estimates, SAMPLE_RATE)
    assert ours is not None and ours.sdr.shape == (2, 6)
    swapped = (sounds.transpose(0, 2, 1).astype(np.float64) for sounds in (references, estimates))
    for figure, theirs in zip(FIGURES, original(*swapped, window=SAMPLE_RATE, hop=SAMPLE_RATE), strict=False):
        np.testing.assert_allclose(getattr(ours, figure), theirs, atol=0.01)


def test_a_window_in_which_a_reference_is_silent_is_not_defined() -> None:
    with_museval()
    found = bss_eval(*gap_scene(), RATE)
    assert found is not None
    assert np.isnan(found.sdr[:, 1]).all()
    assert np.isfinite(found.sdr[:, [0, 2, 3]]).all()


def test_figures_mean_what_their_names_say() -> None:
    """A leak lowers SIR, a hiss SAR, a filter ISR; and SDR is lowered by each."""
    with_museval()
    references = np.stack([noise(3 * RATE, 1, seed=seed, level=0.1) for seed in (1, 2)])
    spoilt = {
        "sir": references + np.float32(0.1) * references[::-1],
        "sar": references + noise(3 * RATE, 1, seed=7, level=0.01),
        "isr": references + np.float32(0.1) * late(references, 40)[:, :, : 3 * RATE],
    }
    for lowered, estimates in spoilt.items():
        found = bss_eval(references, estimates, RATE)
        assert found is not None
        for figure in FIGURES:
            middle = float(np.median(getattr(found, figure)))
            assert (abs(middle - 20.0) < 0.6) == (figure in (lowered, "sdr")), (lowered, figure, middle)


def test_a_band_without_energy_does_no_harm() -> None:
    """Here museval alone says 14 and 7 dB instead of 20, and a SAR of 15 and 8: its equations are nearly singular."""
    with_museval()
    spectrum = np.fft.rfft(np.stack([noise(8 * RATE, 1, seed=seed, level=0.05) for seed in (1, 2)]))
    spectrum[:, :, spectrum.shape[2] // 2 :] = 0.0
    references = np.fft.irfft(spectrum).astype(np.float32)
    found = bss_eval(references, references + np.float32(0.1) * references[::-1], RATE)
    assert found is not None
    np.testing.assert_allclose(np.median(found.sir), 20.0, atol=0.3)
    assert np.median(found.sar) > 35.0


@pytest.mark.parametrize("what", ["reference", "estimate", "length", "count"])
def test_what_is_not_defined(what: str) -> None:
    with_museval()
    references, estimates = scene()
    if what == "length":
        references, estimates = references[:, :, : RATE // 2], estimates[:, :, : RATE // 2]
    elif what == "count":
        references, estimates = references[:1], estimates[:1]
    else:
        {"reference": references, "estimate": estimates}[what][0] = 0.0
    assert bss_eval(references, estimates, RATE) is None
    why = {"length": "it is shorter than 1 s", "count": "fewer than two stems sound"}
    assert why_undefined(references, estimates, RATE) == why.get(what, "a stem or an estimate is silent throughout")
    assert why_undefined(*scene(), RATE) == ""


def test_other_faults_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with_museval()
    import museval.metrics

    def broken(*sounds: Float32, **choices: int) -> None:
        museval.metrics.no_such_name  # noqa: B018

    monkeypatch.setattr(museval.metrics, "bss_eval", broken)
    with pytest.raises(AttributeError, match="no_such_name"):
        bss_eval(*scene(), RATE)


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_references_on_one_side_or_in_the_middle_are_scored(right: float) -> None:
    """Then the equations have no single solution; SDR does not depend on which one is taken."""
    with_museval()
    references, estimates = scene(1, channels=2)
    references[:, 1] = np.float32(right) * references[:, 0]
    found = bss_eval(references, estimates, RATE)
    assert found is not None
    energy, distortion = (
        np.square(sounds, dtype=np.float64).reshape(2, 2, 4, RATE).sum(axis=(1, 3))
        for sounds in (references, references - estimates)
    )
    np.testing.assert_allclose(found.sdr, 10.0 * np.log10(energy / distortion), atol=0.1)


def test_the_step_is_that_of_16_bits_at_the_references_peak() -> None:
    assert rounding_step(np.array([0.9], np.float32)) == 2.0**-15
    assert rounding_step(np.array([-0.2], np.float32)) == 2.0**-17
    assert rounding_step(np.array([3.0], np.float32)) == 2.0**-15
    assert rounding_step(np.zeros((2, 0), np.float32)) == 2.0**-15


def test_without_museval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "museval.metrics", None)
    monkeypatch.setitem(sys.modules, "museval", None)
    with pytest.raises(EngineError, match=r"pip install 'rtsep\[evaluate\]', or leave it out with --no-museval"):
        require_museval()
