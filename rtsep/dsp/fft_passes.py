"""The passes of a complex FFT, after T. Stockham: each reads one array in order and writes another, never in place.

A pass of radix r turns `rest` times `stride` butterflies of r numbers each, that lie `rest * stride` apart, into
numbers that lie `stride` apart. The first pass, of radix 8, has stride 1 and transposes; so in
all that follow the stride is a multiple of eight, and eight neighbours have the same twiddle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsep.dsp.native import inlined, kernel
from rtsep.dsp.simd import LANES, load, splat, store, store_transposed, turned

LEAST = LANES * LANES  # points
ODD = (13, 11, 7, 5, 3)  # radices, beside 8, 4 and 2
DIAGONAL = np.float32(np.sqrt(0.5))


def find_radices(points: int) -> list[int]:
    """Give the radices of the passes that transform so many points; none where they cannot.

    Thread: any; not real-time safe (Python).
    """
    if points < LEAST or points % LANES:
        return []
    found, rest = [LANES], points // LANES
    for radix in (*ODD, 4, 2):
        while rest % radix == 0:
            found.append(radix)
            rest //= radix
    return found if rest == 1 else []


def unit_circle(turns: ArrayLike) -> NDArray[np.float32]:
    """Give exp(-2 pi i turns), as (2, ...): real parts and imaginary parts.

    Thread: any; not real-time safe (allocates).
    """
    angle = 2.0 * np.pi * np.asarray(turns, np.float64)
    return np.stack([np.cos(angle), -np.sin(angle)]).astype(np.float32)


def make_twiddles(points: int, radices: list[int]) -> NDArray[np.float32]:
    """Give the factors that the outputs of all passes are multiplied by, but the first output of each butterfly.

    Returns:
        (2, points - 1): pass by pass, (radix - 1, rest) for the first one, then (rest, radix - 1).

    Thread: any; not real-time safe (allocates).
    """
    parts, length = [], points
    for radix in radices:
        rest = length // radix
        turns = np.outer(np.arange(rest), np.arange(1, radix)) / length
        parts.append(unit_circle(turns.T if length == points else turns).reshape(2, -1))
        length = rest
    return np.concatenate(parts, axis=1)


def make_roots(radices: list[int]) -> NDArray[np.float32]:
    """Give cosine and sine of every product j k / radix of a turn, for the butterflies of odd radices.

    Returns:
        (2, passes, 6, 6): the last are k - 1 and j - 1, of which a radix uses the first radix // 2.

    Thread: any; not real-time safe (allocates).
    """
    one = np.arange(1, ODD[0] // 2 + 1)
    return np.stack([unit_circle(-np.outer(one, one) / radix) for radix in radices], axis=1)


@inlined
def run_passes(
    radices: NDArray[np.int64],
    twiddles: NDArray[np.float32],
    roots: NDArray[np.float32],
    work: NDArray[np.float32],
    source: int,
) -> int:
    """Transform `work[source]`, forward and without a scale.

    Args:
        radices: (passes,), the first one is 8.
        twiddles: (2, points - 1).
        roots: (2, passes, 6, 6).
        work: (2, 2, points): two complex rows, real and imaginary parts of each; both are written to.
        source: 0 or 1, the row that is transformed.

    Returns:
        The row with the spectrum.

    Thread: one at a time; real-time safe.
    """
    stride, rest, at = 1, work.shape[2], 0
    for i in range(len(radices)):
        radix = radices[i]
        rest //= radix
        x, y = work[source], work[1 - source]
        if i == 0:
            _pass_of_8(rest, twiddles, x, y)
        elif radix == 4:
            _pass_of_4(rest, stride, twiddles, at, x, y)
        elif radix == 2:
            _pass_of_2(rest, stride, twiddles, at, x, y)
        else:
            _pass_of_odd(radix, rest, stride, roots[0, i], roots[1, i], twiddles, at, x, y)
        stride *= radix
        at += rest * (radix - 1)
        source = 1 - source
    return source


@kernel
def _pass_of_8(rest: int, twiddles: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]) -> None:
    for i in range(0, rest, LANES):
        p = min(i, rest - LANES)  # the last eight may overlap those before them, and say the same
        x0, x1, x2, x3 = load(x, p), load(x, p + rest), load(x, p + 2 * rest), load(x, p + 3 * rest)
        x4, x5, x6, x7 = load(x, p + 4 * rest), load(x, p + 5 * rest), load(x, p + 6 * rest), load(x, p + 7 * rest)
        a, b, c, d = x0 + x4, x1 + x5, x2 + x6, x3 + x7
        y0, y2, y4, y6 = a + c + (b + d), a - c + turned(b - d), a + c - (b + d), a - c - turned(b - d)
        a, b, c, d = x0 - x4, x1 - x5, turned(x2 - x6), x3 - x7
        b, d = (b + turned(b)) * DIAGONAL, (turned(d) - d) * DIAGONAL
        y1, y3, y5, y7 = a + c + (b + d), a - c + turned(b - d), a + c - (b + d), a - c - turned(b - d)
        store_transposed(
            y,
            LANES * p,
            (
                y0,
                y1 * load(twiddles, p),
                y2 * load(twiddles, p + rest),
                y3 * load(twiddles, p + 2 * rest),
                y4 * load(twiddles, p + 3 * rest),
                y5 * load(twiddles, p + 4 * rest),
                y6 * load(twiddles, p + 5 * rest),
                y7 * load(twiddles, p + 6 * rest),
            ),
        )


@kernel
def _pass_of_4(
    rest: int, stride: int, twiddles: NDArray[np.float32], at: int, x: NDArray[np.float32], y: NDArray[np.float32]
) -> None:
    apart = rest * stride
    for p in range(rest):
        w1, w2, w3 = splat(twiddles, at + 3 * p), splat(twiddles, at + 3 * p + 1), splat(twiddles, at + 3 * p + 2)
        for q in range(p * stride, (p + 1) * stride, LANES):
            a, b, c, d = load(x, q), load(x, q + apart), load(x, q + 2 * apart), load(x, q + 3 * apart)
            even, odd, cross = a + c, b + d, turned(b - d)
            out = q + 3 * p * stride
            store(y, out, even + odd)
            store(y, out + stride, (a - c + cross) * w1)
            store(y, out + 2 * stride, (even - odd) * w2)
            store(y, out + 3 * stride, (a - c - cross) * w3)


@kernel
def _pass_of_2(
    rest: int, stride: int, twiddles: NDArray[np.float32], at: int, x: NDArray[np.float32], y: NDArray[np.float32]
) -> None:
    for p in range(rest):
        w = splat(twiddles, at + p)
        for q in range(p * stride, (p + 1) * stride, LANES):
            a, b = load(x, q), load(x, q + rest * stride)
            store(y, q + p * stride, a + b)
            store(y, q + (p + 1) * stride, (a - b) * w)


@kernel
def _pass_of_odd(
    radix: int,
    rest: int,
    stride: int,
    cosine: NDArray[np.float32],
    sine: NDArray[np.float32],
    twiddles: NDArray[np.float32],
    at: int,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
) -> None:
    apart, pairs = rest * stride, radix // 2
    for p in range(rest):
        w = at + p * (radix - 1) - 1  # the twiddle of output k is at w + k
        for q in range(p * stride, (p + 1) * stride, LANES):
            out = q + p * (radix - 1) * stride
            first = load(x, q)
            total = first
            for j in range(1, radix):
                total += load(x, q + j * apart)
            store(y, out, total)
            for k in range(1, pairs + 1):  # outputs k and radix - k differ by a sign
                even, odd = first, first - first  # nothing yet
                for j in range(1, pairs + 1):
                    a, b = load(x, q + j * apart), load(x, q + (radix - j) * apart)
                    even += (a + b) * cosine[k - 1, j - 1]
                    odd += (a - b) * sine[k - 1, j - 1]
                odd = turned(odd)
                store(y, out + k * stride, (even + odd) * splat(twiddles, w + k))
                store(y, out + (radix - k) * stride, (even - odd) * splat(twiddles, w + radix - k))
