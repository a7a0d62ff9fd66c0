"""Against numpy in float64, and by what is known of spectra."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.core.presets import PRESETS, plan
from rtsep.dsp import fft
from rtsep.dsp.fft_passes import find_radices
from rtsep.errors import RtsepError, SpecError
from tests.support.engines import RATES, windowed_spec
from tests.support.signals import Float32, noise

Complex64 = NDArray[np.complex64]


def lengths_in_use() -> list[int]:
    """Windows that presets yield for usual models, also at rates and hops that a user may choose."""
    found = set()
    for length in (1536, 2048, 4096, 6144):
        model = windowed_spec(window=length, hop=length // 4, bins=length // 2 + 1)
        for rate in (*RATES, 8000, 16000, 22050, 32000, 192_000):
            for preset in PRESETS:
                for hop in (None, 461, length * rate // 44100 // 8, length * rate // 44100 // 4):
                    try:
                        found.add(plan(model, rate, preset, hop=hop).window)
                    except RtsepError:
                        continue
    return sorted(found)


def spectra_of(rows: Float32) -> Complex64:
    spectra = np.zeros((len(rows), rows.shape[1] // 2 + 1), np.complex64)
    fft.forward(fft.plan(rows.shape[1]), rows, spectra)
    return spectra


def rows_of(spectra: Complex64, length: int) -> Float32:
    rows = np.zeros((len(spectra), length), np.float32)
    fft.inverse(fft.plan(length), spectra, rows)
    return rows


def error(reference: NDArray[np.inexact], found: NDArray[np.inexact]) -> float:
    """RMS of the error against the reference's."""
    return float(np.sqrt(np.mean(np.abs(found - reference) ** 2) / np.mean(np.abs(reference) ** 2)))


def test_the_lengths_in_use_are_of_all_kinds() -> None:
    lengths = lengths_in_use()
    assert {4096, 4480, 4608, 8192} <= set(lengths)
    assert any(length % 2 for length in lengths), "odd ones"
    assert any(not find_radices(length // 2) for length in lengths if length % 2 == 0), "with large primes"


@pytest.mark.parametrize("length", lengths_in_use())
def test_spectra_and_their_inverse_are_numpy_s(length: int) -> None:
    """As near to float64 as ducc's float32, whose errors are 1.2e-7 to 1.4e-7, and 2.4e-7 with large primes."""
    rows = noise(length, 2, seed=length)
    reference = np.fft.rfft(rows.astype(np.float64))
    direct = length % 2 == 0 and bool(find_radices(length // 2))
    limit = 1.7e-7 if direct else 3.2e-7
    assert error(reference, spectra_of(rows)) < limit
    found = rows_of(reference.astype(np.complex64), length)
    assert error(np.fft.irfft(reference, length), found) < limit


@pytest.mark.parametrize("length", [128, 208, 176, 336, 16 * 9 * 25, 16 * 7 * 7, 16 * 11 * 13, 2, 3, 4, 7, 62, 64, 130])
@pytest.mark.parametrize("rows", [1, 2, 5, 10])
def test_every_radix_and_any_number_of_rows(rows: int, length: int) -> None:
    sound = noise(length, rows, seed=rows)
    spectra = spectra_of(sound)
    assert error(np.fft.rfft(sound.astype(np.float64)), spectra) < 3e-7
    assert error(sound, rows_of(spectra, length)) < 4e-7
    for row in range(rows):  # a row does not see the others
        assert np.array_equal(spectra_of(sound[row : row + 1]), spectra[row : row + 1])


@pytest.mark.parametrize("length", [4096, 4480, 4149, 4456])
def test_an_impulse_has_a_flat_spectrum_and_a_turning_phase(length: int) -> None:
    sound = np.zeros((1, length), np.float32)
    sound[0, 5] = 1.0
    bins = np.arange(length // 2 + 1)
    assert np.abs(spectra_of(sound)[0] - np.exp(-2j * np.pi * 5 * bins / length)).max() < 2e-6
    assert np.abs(rows_of(spectra_of(sound), length) - sound).max() < 1e-6


@pytest.mark.parametrize("length", [4096, 4480, 4149, 4456])
def test_power_is_kept(length: int) -> None:
    """Parseval's theorem."""
    sound = noise(length, 2)
    power = np.abs(spectra_of(sound).astype(np.complex128)) ** 2
    twice = power[:, 1:].sum(axis=1) * 2 - (power[:, -1] if length % 2 == 0 else 0.0)
    assert np.allclose((power[:, 0] + twice) / length, np.square(sound, dtype=np.float64).sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("length", [4096, 4149])
def test_silence_stays_silence_beside_a_loud_row(length: int) -> None:
    sound = np.concatenate([1000.0 * noise(length, 1), np.zeros((1, length), np.float32)])
    spectra = spectra_of(sound)
    assert not spectra[1].any() and not rows_of(spectra, length)[1].any()


@pytest.mark.parametrize("length", [4096, 4456])
def test_what_was_not_finite_leaves_no_trace(length: int) -> None:
    made, sound = fft.plan(length), noise(length, 1)
    spectra, again = np.zeros((2, 1, length // 2 + 1), np.complex64)
    fft.forward(made, sound, spectra)
    fft.forward(made, np.full((1, length), np.nan, np.float32), again)
    assert np.isnan(again).all()
    fft.forward(made, sound, again)
    assert np.array_equal(again, spectra)


@pytest.mark.parametrize("length", [-4, 0, 1, fft.LONGEST + 1])
def test_a_length_out_of_range_is_refused(length: int) -> None:
    with pytest.raises(SpecError, match=f"of {length} frames is out of range; allowed are 2 to 1048576"):
        fft.plan(length)


def test_arrays_that_do_not_fit_the_plan_are_refused() -> None:
    made = fft.plan(256)
    rows, spectra = np.zeros((2, 256), np.float32), np.zeros((2, 129), np.complex64)
    with pytest.raises(ValueError, match="length of the plan"):
        fft.forward(made, rows[:, :255].copy(), spectra)
    with pytest.raises(ValueError, match="length of the plan"):
        fft.inverse(made, spectra[:1], rows)
    with pytest.raises(ValueError, match="without gaps"):
        fft.forward(made, np.zeros((2, 512), np.float32)[:, ::2], spectra)
