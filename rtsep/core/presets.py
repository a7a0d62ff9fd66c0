"""Presets, and how a model is fitted to a device rate and one of them: arithmetic only."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.errors import SpecError

STRIDE_TOLERANCE = 0.10  # how far the stride of the frames may be from the model's own hop
PART_TOLERANCE = 1.25  # how much longer than the preset's a window part may be
WINDOW_TOLERANCE = 0.05  # how far an `exact` window may be from the model's own length


@dataclass(frozen=True)
class Preset:
    """A latency preset, in frames at 44.1 kHz; other rates scale the hop by powers of two."""

    synthesis: int | None  # None: the model's own symmetric window
    hop: int | None  # None: the model's own hop
    mask_interval: int
    label: str


PRESETS: dict[str, Preset] = {
    "exact": Preset(None, None, 1, "the model's own symmetric window"),
    "46": Preset(2048, 512, 1, "46 ms window"),
    "23": Preset(1024, 256, 1, "23 ms window"),
    "12": Preset(512, 128, 2, "12 ms window"),
    "6": Preset(256, 128, 2, "6 ms window"),
    "3": Preset(128, 64, 4, "3 ms window"),
}


def find_preset(name: str) -> Preset:
    """Find a preset by its name.

    Raises:
        SpecError: for an unknown one.
    """
    if name not in PRESETS:
        raise SpecError(f"unknown latency preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def plan(
    model: ModelSpec,
    sample_rate: int,
    preset: str = "23",
    hop: int | None = None,
    mask_interval: int | None = None,
    lookahead_hops: int = 0,
    own_window: bool | None = None,
) -> WindowSpec:
    """Fit a model to a device rate and a latency preset.

    The hop is a power of two times the preset's, small enough that the frames which the model
    sees as neighbours lie within 10 % of its own hop.

    Args:
        model: what is played.
        sample_rate: of the device, in Hz.
        preset: a name out of `PRESETS`.
        hop: in frames; None: the preset's.
        mask_interval: hops from one mask to the next; None: as preset and model need it.
        lookahead_hops: hops of the model that a mask may look ahead.
        own_window: whether the network sees the model's own window by a second transform; None: as
            the model says of the preset.

    Raises:
        SpecError: for what cannot be.
    """
    if not 8000 <= sample_rate <= 384_000:
        raise SpecError(f"sample rate {sample_rate} Hz is out of range; allowed are 8000 to 384000 Hz")
    chosen = find_preset(preset)
    ratio = sample_rate / model.sample_rate
    octave = 2.0 ** round(math.log2(sample_rate / 44100))
    exact = chosen.synthesis is None
    wanted_hop = model.hop * 2.0 ** round(math.log2(ratio)) if chosen.hop is None else chosen.hop * octave
    wanted = max(1, int(wanted_hop))
    part = model.window * ratio if chosen.synthesis is None else chosen.synthesis * sample_rate / 44100
    if hop is None:
        fitted = wanted
        while fitted > 1 and _misfit(model, ratio, fitted, part, exact):
            fitted //= 2
    else:
        fitted = _checked_hop(model, ratio, hop, part, exact)
    if exact:
        window = synthesis = fitted * round(model.window * ratio / fitted)
    else:
        assert chosen.synthesis is not None
        window = _good_length(model.window * ratio)
        synthesis = _synthesis(model, preset, part, window, fitted)
    _check_overlap(model, preset, synthesis, fitted, exact)
    frame_stride = max(1, round(model.hop * ratio / fitted))
    if lookahead_hops < 0 or (model.kind == "windowed" and lookahead_hops >= model.context):
        raise SpecError(f"lookahead of {lookahead_hops} hops is out of range; allowed are 0 to {model.context - 1}")
    if lookahead_hops and model.kind == "stateful":
        raise SpecError(f"lookahead of {lookahead_hops} hops: {model.name} is causal and cannot look ahead; use 0")
    return WindowSpec(
        preset=preset,
        sample_rate=sample_rate,
        window=window,
        synthesis=synthesis,
        hop=fitted,
        frame_stride=frame_stride,
        mask_interval=_fit_mask_interval(
            model, frame_stride, mask_interval, chosen.mask_interval * max(1, wanted // fitted)
        ),
        lookahead_hops=lookahead_hops,
        ahead=model.ahead * frame_stride,
        own_window=not exact and (preset in model.own_window if own_window is None else own_window),
    )


def phase_intervals(frame_stride: int) -> list[int]:
    """Give the mask intervals of a stateful model: what its phases see in turn is as far apart as its own hop.

    Args:
        frame_stride: hops between two frames that a phase sees.

    Returns:
        The divisors of the stride, the least first; in hops.
    """
    return [n for n in range(1, frame_stride + 1) if frame_stride % n == 0]


def _stride_error(model: ModelSpec, ratio: float, hop: int) -> float:
    own = model.hop * ratio
    return abs(max(1, round(own / hop)) * hop / own - 1.0)


def _misfit(model: ModelSpec, ratio: float, hop: int, part: float, exact: bool) -> str:
    """Why a hop does not fit the model's hop or the preset's window part; empty if it does."""
    if hop < 1 or _stride_error(model, ratio, hop) > STRIDE_TOLERANCE:
        return f"the model's hop of {model.hop * ratio:.0f} frames within 10 %"
    if exact and abs(hop * round(part / hop) / part - 1.0) > WINDOW_TOLERANCE:
        return f"the model's window of {part:.0f} frames within 5 %"
    if not exact and 2 * hop > PART_TOLERANCE * part:
        return f"twice into the window part of {part:.0f} frames"
    return ""


def _checked_hop(model: ModelSpec, ratio: float, hop: int, part: float, exact: bool) -> int:
    if misfit := _misfit(model, ratio, hop, part, exact):
        hops = [round(model.hop * ratio / n) for n in (1, 2, 4, 8, 16, 32)]
        fitting = [str(n) for n in hops if not _misfit(model, ratio, n, part, exact)]
        raise SpecError(f"hop {hop} does not fit {misfit}; try {', '.join(fitting)}")
    return hop


def _good_length(wanted: float) -> int:
    """The length nearest to `wanted` that FFTs like: 16 times a product of 2, 3, 5 and 7."""

    def smooth(number: int) -> bool:
        for prime in (2, 3, 5, 7):
            while number % prime == 0:
                number //= prime
        return number == 1

    middle = max(1, round(wanted / 16))
    return 16 * min((n for n in range(1, 2 * middle + 1) if smooth(n)), key=lambda n: abs(16 * n - wanted))


def _synthesis(model: ModelSpec, preset: str, wanted: float, window: int, hop: int) -> int:
    """Whole hops nearest to `wanted`, within the analysis window."""
    if wanted > window * (1.0 + WINDOW_TOLERANCE):
        raise SpecError(
            f"preset {preset} needs a window of {wanted:.0f} frames, but {model.name} has {window}; "
            f"choose a shorter preset or exact"
        )
    return hop * max(2, min(round(wanted / hop), window // hop))


def _check_overlap(model: ModelSpec, preset: str, synthesis: int, hop: int, exact: bool) -> None:
    least = 4 if exact and model.analysis == "hann" else 2
    if synthesis % hop or synthesis // hop < least:
        allowed = [synthesis // n for n in (2, 4, 8, 16, 32) if synthesis % n == 0 and n >= least]
        raise SpecError(
            f"hop {hop} does not overlap-add with the {synthesis}-frame window of preset {preset}; "
            f"allowed are {', '.join(map(str, allowed))}"
        )


def _fit_mask_interval(model: ModelSpec, frame_stride: int, asked: int | None, default: int) -> int:
    if model.kind == "windowed":
        mask_interval = frame_stride if asked is None else asked
        least = max(1, model.ahead * frame_stride)
        if mask_interval < least:
            raise SpecError(
                f"mask interval {mask_interval} is out of range; it must be {least} hop{'s' * (least > 1)} or more"
            )
        return mask_interval
    divisors = phase_intervals(frame_stride)
    if asked is None:
        return max(n for n in divisors if n <= max(1, default))
    if asked not in divisors:
        raise SpecError(
            f"mask interval {asked} does not fit a model that sees every {frame_stride}. hop; "
            f"allowed are {', '.join(map(str, divisors))}"
        )
    return asked
