"""Fourier transforms of real rows that take no memory and no lock: a plan holds all that they need.

A row of even length is transformed as half as many complex numbers (P. Duhamel and M. Vetterli, "Fast Fourier
transforms: a tutorial review", Signal Processing 1990, section 7). Numbers of points that the passes
(`fft_passes.py`) cannot do become a convolution that they can (L. Bluestein, "A linear filtering approach to
the computation of the discrete Fourier transform", NEREM Record 1968), at about four times the cost.

All of it is one C function that kernels call by its address: compiled once, not anew into each of its callers.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from rtsep.dsp.fft_passes import (
    LEAST,
    ODD,
    find_radices,
    make_roots,
    make_twiddles,
    run_passes,
    unit_circle,
)
from rtsep.dsp.native import call, callback_kernel, kernel, pointer_at
from rtsep.dsp.simd import LANES, conjugate, load, store
from rtsep.errors import SpecError

LONGEST = 1 << 20  # frames of a row
ROOTS = ODD[0] // 2

STATE = np.dtype(
    [
        ("length", np.int64),  # of a row, in frames
        ("odd", np.int64),  # 1: an odd length, transformed as so many complex numbers
        ("points", np.int64),  # complex numbers of a transform
        ("size", np.int64),  # of the passes: the points, or those of the convolution
        ("passes", np.int64),
        ("convolved", np.int64),  # 1: by a convolution
        ("function", np.int64),  # address of the compiled `_transform_rows`
        ("radices", np.int64),  # addresses of the tables
        ("twiddles", np.int64),
        ("roots", np.int64),
        ("half_circle", np.int64),
        ("chirp", np.int64),
        ("response", np.int64),
        ("work", np.int64),
    ],
    align=True,
)


class Plan(NamedTuple):
    """What transforms of one length need. One thread at a time may use it: the working memory is its own."""

    state: NDArray[np.void]  # (1,) of STATE
    radices: NDArray[np.int64]  # (passes,)
    twiddles: NDArray[np.float32]  # (2, size - 1)
    roots: NDArray[np.float32]  # (2, passes, ROOTS, ROOTS)
    half_circle: NDArray[np.float32]  # (2, points) exp(-pi i k / points)
    chirp: NDArray[np.float32]  # (2, size) exp(-pi i k^2 / points), then zeros; else (2, 0)
    response: NDArray[np.float32]  # (2, size) spectrum of the chirp's conjugate, over the size; else (2, 0)
    work: NDArray[np.float32]  # (2, 2, size)


def plan(length: int) -> Plan:
    """Plan the transforms of rows of one length.

    Args:
        length: in frames.

    Raises:
        SpecError: for a length that is out of range.

    Thread: any, before the sound starts; not real-time safe (allocates, and compiles).
    """
    if not 2 <= length <= LONGEST:
        raise SpecError(f"a transform of {length} frames is out of range; allowed are 2 to {LONGEST}")
    points = length if length % 2 else length // 2
    convolved = not find_radices(points)
    size = points
    while not find_radices(size):
        size = max(LEAST, -(-max(size + 1, 2 * points - 1) // LANES) * LANES)
    radices = find_radices(size)
    chirp, response = _chirp(points, size) if convolved else (np.zeros((2, 0), np.float32),) * 2
    made = Plan(
        state=np.zeros(1, STATE),
        radices=np.array(radices),
        twiddles=make_twiddles(size, radices),
        roots=make_roots(radices),
        half_circle=unit_circle(np.arange(points) / (2 * points)),
        chirp=chirp,
        response=response,
        work=np.zeros((2, 2, size), np.float32),
    )
    state = made.state[0]
    state["length"], state["odd"], state["points"], state["size"] = length, length % 2, points, size
    state["passes"], state["convolved"], state["function"] = len(radices), convolved, _function().address
    for name in Plan._fields[1:]:
        state[name] = getattr(made, name).ctypes.data
    return made


def _chirp(points: int, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The chirp, and the response of the filter that it goes through."""
    turns = np.arange(points) ** 2 % (2 * points) / (2 * points)
    impulse = np.zeros(size, np.complex128)
    impulse[:points] = np.exp(2j * np.pi * turns)
    impulse[size - points + 1 :] = impulse[points - 1 : 0 : -1]
    response = np.fft.fft(impulse) / size
    chirp = np.zeros((2, size), np.float32)
    chirp[:, :points] = unit_circle(turns)
    return chirp, np.stack([response.real, response.imag]).astype(np.float32)


@kernel
def forward(plan: Plan, rows: NDArray[np.float32], spectra: NDArray[np.complex64]) -> None:
    """Give the spectra of real rows.

    Args:
        plan: of their length.
        rows: (any, length).
        spectra: (any, length // 2 + 1), written in place.

    Thread: one at a time; real-time safe.
    """
    _check(plan, rows, spectra)
    state = plan.state[0]
    call(state.function, plan.state.ctypes.data, rows.ctypes.data, spectra.ctypes.data, len(rows), 0)


@kernel
def inverse(plan: Plan, spectra: NDArray[np.complex64], rows: NDArray[np.float32]) -> None:
    """Give the real rows that have such spectra; the inverse of `forward`, with its scale.

    Args:
        plan: of their length.
        spectra: (any, length // 2 + 1).
        rows: (any, length), written in place.

    Thread: one at a time; real-time safe.
    """
    _check(plan, rows, spectra)
    state = plan.state[0]
    call(state.function, plan.state.ctypes.data, rows.ctypes.data, spectra.ctypes.data, len(rows), 1)


@kernel
def _check(plan: Plan, rows: NDArray[np.float32], spectra: NDArray[np.complex64]) -> None:
    length = plan.state[0].length
    if rows.shape[1] != length or spectra.shape != (len(rows), length // 2 + 1):
        raise ValueError("rows are (any, length of the plan), and spectra (as many, length // 2 + 1)")
    if not (rows.flags.c_contiguous and spectra.flags.c_contiguous):
        raise ValueError("rows and spectra lie in memory without gaps, as np.ascontiguousarray makes them")


@functools.cache
def _function() -> Any:
    """The compiled `_transform_rows`: of a STATE, rows, spectra, how many, and whether it is the inverse."""
    word, pointer = types.int64, types.voidptr
    return callback_kernel(types.void(pointer, pointer, pointer, word, word))(_transform_rows)


def _transform_rows(address, rows, spectra, count, backward):  # type: ignore[no-untyped-def]  # noqa: ANN001
    state = numba.carray(address, (1,), STATE)[0]
    sound = numba.carray(rows, (count, state.length), np.float32)
    bins = numba.carray(spectra, (count, state.length // 2 + 1), np.complex64)
    work = numba.carray(pointer_at(state.work), (2, 2, state.size), np.float32)
    circle = numba.carray(pointer_at(state.half_circle), (2, state.points), np.float32)
    for i in range(count):
        if backward:
            _pack_spectrum(state.odd, bins[i], circle, work[0])
            _unpack_sound(state.odd, work[_transform(state, work)], sound[i])
        else:
            _pack_sound(state.odd, sound[i], work[0])
            _unpack_spectrum(state.odd, work[_transform(state, work)], circle, bins[i])


@kernel
def _transform(state: Any, work: NDArray[np.float32]) -> int:
    """Transform the `points` of `work[0]`, forward; give the row where they are."""
    radices = numba.carray(pointer_at(state.radices), (state.passes,), np.int64)
    twiddles = numba.carray(pointer_at(state.twiddles), (2, state.size - 1), np.float32)
    roots = numba.carray(pointer_at(state.roots), (2, state.passes, ROOTS, ROOTS), np.float32)
    row = 0
    for turn in range(1 + state.convolved):
        if state.convolved:
            factors = numba.carray(pointer_at(state.response if turn else state.chirp), (2, state.size), np.float32)
            if turn == 0:
                for i in range(state.points, state.size):  # what the last transform left
                    work[0, 0, i] = work[0, 1, i] = 0.0
            for i in range(0, state.size, LANES):
                value = load(work[row], i) * load(factors, i)
                store(work[row], i, conjugate(value) if turn else value)
        row = run_passes(radices, twiddles, roots, work, row)
    if state.convolved:  # two conjugates make the second transform an inverse one
        chirp = numba.carray(pointer_at(state.chirp), (2, state.size), np.float32)
        for i in range(0, state.size, LANES):
            store(work[row], i, conjugate(load(work[row], i)) * load(chirp, i))
    return row


@kernel
def _pack_sound(odd: int, sound: NDArray[np.float32], z: NDArray[np.float32]) -> None:
    if odd:
        for i in range(len(sound)):
            z[0, i], z[1, i] = sound[i], 0.0
        return
    for i in range(len(sound) // 2):
        z[0, i], z[1, i] = sound[2 * i], sound[2 * i + 1]


@kernel
def _unpack_spectrum(
    odd: int, z: NDArray[np.float32], circle: NDArray[np.float32], spectrum: NDArray[np.complex64]
) -> None:
    if odd:
        for k in range(len(spectrum)):
            spectrum[k] = complex(z[0, k], z[1, k])
        return
    points, half = circle.shape[1], np.float32(0.5)
    spectrum[0], spectrum[points] = z[0, 0] + z[1, 0], z[0, 0] - z[1, 0]
    for k in range(1, points):  # spectra of the even and of the odd frames, the latter turned
        even_re, even_im = z[0, k] + z[0, points - k], z[1, k] - z[1, points - k]
        odd_re, odd_im = z[1, k] + z[1, points - k], z[0, points - k] - z[0, k]
        real = even_re + circle[0, k] * odd_re - circle[1, k] * odd_im
        imaginary = even_im + circle[0, k] * odd_im + circle[1, k] * odd_re
        spectrum[k] = complex(half * real, half * imaginary)


@kernel
def _pack_spectrum(
    odd: int, spectrum: NDArray[np.complex64], circle: NDArray[np.float32], z: NDArray[np.float32]
) -> None:
    """The conjugate of what is to be transformed back, so that a forward transform does it."""
    points = circle.shape[1]
    if odd:
        scale = np.float32(1.0 / points)
        z[0, 0], z[1, 0] = scale * spectrum[0].real, 0.0
        for k in range(1, len(spectrum)):
            real, imaginary = scale * spectrum[k].real, scale * spectrum[k].imag
            z[0, k], z[0, points - k], z[1, k], z[1, points - k] = real, real, -imaginary, imaginary
        return
    scale = np.float32(0.5 / points)
    first, last = spectrum[0].real, spectrum[points].real
    z[0, 0], z[1, 0] = scale * (first + last), scale * (last - first)
    for k in range(1, points):
        one, other = spectrum[k], spectrum[points - k]
        even_re, even_im = one.real + other.real, one.imag - other.imag
        turned_re, turned_im = one.real - other.real, one.imag + other.imag
        odd_re = turned_re * circle[0, k] + turned_im * circle[1, k]
        odd_im = turned_im * circle[0, k] - turned_re * circle[1, k]
        z[0, k], z[1, k] = scale * (even_re - odd_im), -scale * (even_im + odd_re)


@kernel
def _unpack_sound(odd: int, z: NDArray[np.float32], sound: NDArray[np.float32]) -> None:
    """The real rows behind the conjugate."""
    if odd:
        for i in range(len(sound)):
            sound[i] = z[0, i]
        return
    for i in range(len(sound) // 2):
        sound[2 * i], sound[2 * i + 1] = z[0, i], -z[1, i]
