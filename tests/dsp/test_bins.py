from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.core.presets import plan
from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.dsp.bins import BinMap, interpolate, to_device, to_model
from tests.support.engines import RATES, windowed_spec

Float32 = NDArray[np.float32]


def mapped(bin_map: BinMap, source: Float32, beyond: float = 0.0) -> Float32:
    index, weight = bin_map
    target = np.full(len(index), np.nan, np.float32)
    interpolate(index, weight, np.append(source, np.float32(beyond)), target)
    return target


def hertz(model: ModelSpec, window: WindowSpec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies of the model's bins and of the device's."""
    device = np.arange(window.window // 2 + 1) * window.sample_rate / window.window
    return np.arange(model.bins) * model.sample_rate / model.window, device


@pytest.mark.parametrize(("rate", "preset"), [(44100, "23"), (44100, "exact"), (88200, "23"), (88200, "exact")])
def test_grids_that_coincide_map_bin_to_bin(rate: int, preset: str) -> None:
    """At 88.2 kHz a window of twice the length has the same bins, and more of them."""
    model = windowed_spec(bins=1025)
    window = plan(model, rate, preset)
    values = np.random.default_rng(1).random(window.window // 2 + 1, np.float32)
    assert np.array_equal(mapped(to_model(model, window), values), values[:1025])
    masks = np.random.default_rng(2).random(1025, np.float32)
    assert np.array_equal(mapped(to_device(model, window), masks, 0.5)[:1025], masks)
    assert (mapped(to_device(model, window), masks, 0.5)[1025:] == 0.5).all()


@pytest.mark.parametrize("preset", ["exact", "23", "3"])
@pytest.mark.parametrize("rate", [*RATES, 32000, 192000])
def test_a_ramp_is_mapped_exactly_both_ways(rate: int, preset: str) -> None:
    model = windowed_spec(bins=700)
    window = plan(model, rate, preset)
    at_model, at_device = hertz(model, window)
    down = mapped(to_model(model, window), at_device.astype(np.float32))
    within = at_model <= rate / 2
    assert np.abs(down - at_model)[within].max() < 0.01
    up = mapped(to_device(model, window), at_model.astype(np.float32), model.bins * 44100 / model.window)
    within = at_device <= at_model[-1]
    assert np.abs(up - at_device)[within].max() < 0.01


@pytest.mark.parametrize("rate", [48000, 96000])
def test_random_values_agree_with_numpy(rate: int) -> None:
    model = windowed_spec(window=4096, hop=1024, bins=1024)
    window = plan(model, rate, "12")
    at_model, at_device = hertz(model, window)
    values = np.random.default_rng(3).random(len(at_device), np.float32)
    assert np.allclose(mapped(to_model(model, window), values), np.interp(at_model, at_device, values), atol=1e-4)
    masks = np.random.default_rng(4).random(1024, np.float32)
    whole = np.append(at_model, 1024 * 44100 / 4096)
    expected = np.interp(at_device, whole, np.append(masks, 0.25))
    assert np.allclose(mapped(to_device(model, window), masks, 0.25), expected, atol=1e-4)


def test_a_device_below_the_model_s_band_gives_zeros_there() -> None:
    """At 22.05 kHz there is nothing from 11025 Hz on."""
    model = windowed_spec(bins=1025)
    window = plan(model, 22050, "23")
    at_model, _ = hertz(model, window)
    down = mapped(to_model(model, window), np.ones(window.window // 2 + 1, np.float32))
    assert (down[at_model <= 11025.0] == 1.0).all()
    step = window.sample_rate / window.window
    assert (down[at_model >= 11025.0 + step] == 0.0).all()
    masks = np.random.default_rng(5).random(1025, np.float32)
    up = mapped(to_device(model, window), masks, 9.0)
    assert len(up) == window.window // 2 + 1 and (up <= 1.0).all()


def test_every_index_lies_inside_the_source() -> None:
    """Kernels do not check bounds."""
    for bins in (1, 100, 1025):
        model = windowed_spec(bins=bins)
        for rate in (8000, 22050, 44100, 48000, 192000):
            window = plan(model, rate, "23")
            down, up = to_model(model, window), to_device(model, window)
            for (index, weight), source in ((down, window.window // 2 + 1), (up, bins)):
                assert index.min() >= 0 and index.max() + 1 <= source
                assert weight.min() >= 0.0 and weight.max() <= 1.0
