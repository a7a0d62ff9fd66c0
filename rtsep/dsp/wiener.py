"""The multichannel Wiener filter: from estimated magnitudes to stems that share the mix by level and place.

The local Gaussian model of N. Duong, E. Vincent and R. Gribonval, "Under-determined reverberant
audio source separation using a full-rank spatial covariance model" (IEEE TASLP 2010), with the
expectation-maximisation of A. Liutkus, A. Nugraha and others as norbert and Open-Unmix have it. A
source is a power in every frame and bin, and one spatial covariance in every bin. The covariance
is a mean over frames, so it can be gathered frame by frame and the frames need not be kept.

Shapes: S sources, C channels (1 or 2), K bins.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsep.dsp.native import kernel

LOUD = 10.0  # magnitudes are scaled down so that the loudest is no more


class Places(NamedTuple):
    """What was seen of the sources, to make their covariances of."""

    outer: NDArray[np.complex128]  # (S, K, C, C) sum of the outer products
    power: NDArray[np.float64]  # (S, K) sum of the powers
    loudest: NDArray[np.float64]  # (1,) magnitude of the mix


def open_places(sources: int, channels: int, bins: int) -> Places:
    """Make room for what will be seen of the sources.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    return Places(
        np.zeros((sources, bins, channels, channels), np.complex128),
        np.zeros((sources, bins)),
        np.zeros(1),
    )


@kernel
def estimate(
    magnitudes: NDArray[np.float32],
    mix: NDArray[np.complex64],
    share: bool,
    residual: bool,
    epsilon: float,
    sources: NDArray[np.complex64],
) -> None:
    """Make first estimates of one frame, from the network's magnitudes and the mix's phase.

    Args:
        magnitudes: (S or S - 1, C, K or fewer); bins above them are zero.
        mix: (C, K).
        share: whether they share the mix by magnitude, instead of having the magnitudes themselves.
        residual: whether the last source is what the others leave of the mix.
        epsilon: added to the sum of magnitudes that the mix is shared by.
        sources: (S, C, K), written in place.

    Thread: any; real-time safe.
    """
    targets, channels, bins = magnitudes.shape
    for channel in range(channels):
        for k in range(mix.shape[1]):
            value = mix[channel, k]
            rest = value
            total = epsilon
            for s in range(targets):
                total += magnitudes[s, channel, k] if k < bins else 0.0
            size = total if share else np.sqrt(np.float64(value.real) ** 2 + np.float64(value.imag) ** 2)
            for s in range(targets):
                gain = magnitudes[s, channel, k] / size if k < bins and size > 0.0 else 0.0
                sources[s, channel, k] = np.complex64(gain) * value
                rest -= sources[s, channel, k]
            if residual:
                sources[targets, channel, k] = rest


@kernel
def look(places: Places, sources: NDArray[np.complex64], mix: NDArray[np.complex64]) -> None:
    """Gather one frame, for the means that the covariances are made of.

    Args:
        places: what was seen so far; changed in place.
        sources: (S, C, K).
        mix: (C, K).

    Thread: one at a time; real-time safe.
    """
    count, channels, bins = sources.shape
    for k in range(bins):
        for c in range(channels):
            value = mix[c, k]
            places.loudest[0] = max(places.loudest[0], np.hypot(value.real, value.imag))
        for s in range(count):
            power = 0.0
            for i in range(channels):
                one = np.complex128(sources[s, i, k])
                power += one.real * one.real + one.imag * one.imag
                for j in range(channels):
                    places.outer[s, k, i, j] += one * np.conj(np.complex128(sources[s, j, k]))
            places.power[s, k] += power / channels


@kernel
def refine(places: Places, mix: NDArray[np.complex64], epsilon: float, sources: NDArray[np.complex64]) -> None:
    """Filter the mix of one frame, by the places that were seen.

    Args:
        places: of all frames.
        mix: (C, K).
        epsilon: regularises the covariances, as norbert's `eps`.
        sources: (S, C, K), the estimates before and after, in place.

    Thread: any; not real-time safe (allocates).
    """
    count, channels, bins = sources.shape
    scale = max(1.0, places.loudest[0] / LOUD) ** 2
    floor = np.sqrt(epsilon)
    powers = np.zeros(count)
    for k in range(bins):
        # the covariance of the mix, [[a, b], [conj(b), d]]
        a, d, b = floor, floor, 0j
        for s in range(count):
            power = 0.0
            for c in range(channels):
                value = sources[s, c, k]
                power += np.float64(value.real) ** 2 + np.float64(value.imag) ** 2
            # power and place are both scaled; the place is a quotient, so only its epsilon sees it
            powers[s] = power / channels / scale / (epsilon * scale + places.power[s, k])
            a += powers[s] * places.outer[s, k, 0, 0].real
            if channels == 2:
                d += powers[s] * places.outer[s, k, 1, 1].real
                b += powers[s] * places.outer[s, k, 0, 1]
        if channels == 1:
            for s in range(count):
                gain = powers[s] * places.outer[s, k, 0, 0].real / a
                sources[s, 0, k] = np.complex64(gain * mix[0, k])
            continue
        determinant = a * d - (b.real * b.real + b.imag * b.imag)
        left, right = np.complex128(mix[0, k]), np.complex128(mix[1, k])
        # the inverse of the mix's covariance, applied to the mix
        first = (d * left - b * right) / determinant
        second = (a * right - np.conj(b) * left) / determinant
        for s in range(count):
            place = places.outer[s, k]
            sources[s, 0, k] = np.complex64(powers[s] * (place[0, 0] * first + place[0, 1] * second))
            sources[s, 1, k] = np.complex64(powers[s] * (place[1, 0] * first + place[1, 1] * second))
