"""Specifications of audio, models, windows and latency: arithmetic only, no arrays and no I/O."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from rtsep.errors import ModelError, SpecError

Analysis = Literal["hann", "sqrt_hann"]
Basis = Literal["lr", "ms"]
Kind = Literal["windowed", "stateful"]
Output = Literal["mask", "magnitude"]
Extension = Literal["zeros", "average", "edge"]

SPACING_TOLERANCE = 0.10  # how far the spacing of the frames may be from the model's own hop
COMPUTE_S = 256 / 48000  # slack for inference and scheduling, where nothing else is asked for
PLAIN_STEM = re.compile(r"(?!mix$)[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # a file's name, and a word in routes
PART_TOLERANCE = 1.25  # how much longer than the preset's a window part may be
WINDOW_TOLERANCE = 0.05  # how far an `exact` window may be from the model's own length


@dataclass(frozen=True)
class StateSpec:
    """One recurrent state of a stateful model: graph input `name`, graph output `name_out`.

    Every state starts as zeros.
    """

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelSpec:
    """All that the separator must know of a model.

    The graph takes `magnitudes` (batch, channels, frames, bins) and gives `masks`
    (batch, stems, channels, frames, bins), float32. A `windowed` graph has `context` frames;
    a `stateful` one takes any number, in order, and carries `states` from call to call.
    """

    name: str
    stems: tuple[str, ...]
    sample_rate: int  # Hz
    channels: int
    window: int  # frames of the analysis window, also the FFT length
    hop: int  # frames between two spectra
    analysis: Analysis  # shape of the analysis window
    basis: Basis  # channels of the spectrum: left and right, or mid and side
    kind: Kind
    context: int  # spectra that a windowed model sees; 1 for a stateful one
    bins: int  # lowest bins that the model sees
    output: Output  # masks, or magnitudes that go through the ratio
    exponent: float  # of the ratio mask
    extension: Extension  # of the masks above the model's bins
    states: tuple[StateSpec, ...]
    licence: str

    def __post_init__(self) -> None:
        for field in ("name", "licence"):
            if not isinstance(getattr(self, field), str) or not getattr(self, field):
                raise ModelError(f"model spec: {field} {getattr(self, field)!r} is not plain text")
        _one_of("analysis", self.analysis, get_args(Analysis))
        _one_of("basis", self.basis, get_args(Basis))
        _one_of("kind", self.kind, get_args(Kind))
        _one_of("output", self.output, get_args(Output))
        _one_of("extension", self.extension, get_args(Extension))
        for field, low, high in (
            ("sample_rate", 8000, 384_000),
            ("channels", 1, 2),
            ("window", 16, 65536),
            ("hop", 1, self.window),
            ("context", 1, 4096),
            ("bins", 1, self.window // 2 + 1),
        ):
            value = getattr(self, field)
            if type(value) is not int or not low <= value <= high:
                raise ModelError(f"model spec: {field} is {value!r}; it must be a whole number, {low} to {high}")
        if not 0.0 < self.exponent <= 16.0:
            raise ModelError(f"model spec: exponent is {self.exponent}; it must be above 0, at most 16")
        for stem in self.stems:
            if not isinstance(stem, str) or not PLAIN_STEM.fullmatch(stem):
                raise ModelError(
                    f"model spec: stem name {stem!r} is not plain; letters, digits, '_' and '-' are allowed, not 'mix'"
                )
        if len(self.stems) < 2 or len(set(self.stems)) != len(self.stems):
            raise ModelError(f"model spec: stems are {self.stems}; there must be two or more, all different")
        if self.basis == "ms" and self.channels != 2:
            raise ModelError("model spec: a mid and side basis needs 2 channels")
        if (self.kind == "stateful") != bool(self.states):
            raise ModelError("model spec: a stateful model has states, a windowed one has none")

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> ModelSpec:
        """Build from a JSON object; unknown, missing or mistyped keys raise `ModelError`."""
        known = set(cls.__dataclass_fields__)
        if unknown := sorted(set(entries) - known):
            raise ModelError(f"model spec: unknown key {unknown[0]!r}; allowed are {', '.join(sorted(known))}")
        if missing := sorted(known - set(entries)):
            raise ModelError(f"model spec: {missing[0]!r} is missing")
        try:
            states = tuple(StateSpec(str(s["name"]), tuple(int(n) for n in s["shape"])) for s in entries["states"])
            stems, exponent = entries["stems"], entries["exponent"]
            if isinstance(stems, str) or isinstance(exponent, str | bool):
                raise TypeError(f"stems {stems!r}, exponent {exponent!r}")
            return cls(**{**entries, "stems": tuple(stems), "states": states, "exponent": float(exponent)})
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise ModelError(f"model spec: a value has the wrong type ({error})") from error

    def to_dict(self) -> dict[str, Any]:
        """Give the JSON object that `from_dict` reads."""
        return asdict(self)


@dataclass(frozen=True)
class AudioSpec:
    """A stream as the device runs it."""

    sample_rate: int  # Hz
    block: int  # frames of one callback
    inputs: int  # channels
    outputs: int  # channels


@dataclass(frozen=True)
class WindowSpec:
    """How one model is run at one device rate; all lengths in frames of the device."""

    preset: str
    sample_rate: int
    window: int  # analysis window and FFT length
    synthesis: int  # synthesis window: the last part of the analysis window
    hop: int
    spacing: int  # hops between two frames that the model sees as neighbours
    refresh: int  # hops between two masks
    lookahead_hops: int  # hops of the model that a mask may look ahead

    @property
    def delay_hops(self) -> int:
        """Hops by which the spectra wait for their masks."""
        return self.lookahead_hops * self.spacing

    @property
    def latency(self) -> Latency:
        """The separator's own latency: `feed` emits whole hops."""
        return Latency(window=self.synthesis - self.hop, lookahead=self.delay_hops * self.hop)


@dataclass(frozen=True)
class Latency:
    """Latency in frames, in the parts that add up to it."""

    device: int = 0
    block: int = 0
    window: int = 0
    lookahead: int = 0
    compute: int = 0
    effects: int = 0

    @property
    def total(self) -> int:
        """All parts together, in frames."""
        return sum(self.parts().values())

    def parts(self) -> dict[str, int]:
        """The parts by name, in the order of the signal."""
        return asdict(self)

    def ms(self, sample_rate: int) -> float:
        """The total in milliseconds."""
        return 1000.0 * self.total / sample_rate


@dataclass(frozen=True)
class Preset:
    """A latency preset, in frames at 44.1 kHz; other rates scale the hop by powers of two."""

    synthesis: int | None  # None: the model's own symmetric window
    hop: int | None  # None: the model's own hop
    refresh: int
    label: str


PRESETS: dict[str, Preset] = {
    "exact": Preset(None, None, 1, "the model's own symmetric window"),
    "46": Preset(2048, 512, 1, "46 ms window"),
    "23": Preset(1024, 256, 1, "23 ms window"),
    "12": Preset(512, 128, 2, "12 ms window"),
    "6": Preset(256, 128, 2, "6 ms window"),
    "3": Preset(128, 64, 4, "3 ms window"),
}


def host_block(block: int, hop: int) -> int:
    """Frames that the out ring must hold so that blocks and hops of any sizes never starve it."""
    return block + hop - math.gcd(block, hop)


def default_compute(block: int, hop: int, sample_rate: int) -> int:
    """Slack of the out ring in frames: 5.3 ms or a little more, in steps that blocks and hops can use.

    The ring's fill moves in steps of gcd(block, hop); a slack between two of them only costs latency.
    """
    step = math.gcd(block, hop)
    return step * math.ceil(COMPUTE_S * sample_rate / step)


def plan(
    model: ModelSpec,
    sample_rate: int,
    preset: str = "23",
    hop: int | None = None,
    refresh: int | None = None,
    lookahead_hops: int = 0,
) -> WindowSpec:
    """Fit a model to a device rate (Hz) and a latency preset.

    The hop is a power of two times the preset's, small enough that the frames which the model
    sees as neighbours lie within 10 % of its own hop. Raises `SpecError` for what cannot be.
    """
    if preset not in PRESETS:
        raise SpecError(f"unknown latency preset {preset!r}; choose one of {', '.join(PRESETS)}")
    if not 8000 <= sample_rate <= 384_000:
        raise SpecError(f"sample rate {sample_rate} Hz is out of range; allowed are 8000 to 384000 Hz")
    chosen = PRESETS[preset]
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
    spacing = max(1, round(model.hop * ratio / fitted))
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
        spacing=spacing,
        refresh=_fit_refresh(model, spacing, refresh, chosen.refresh * max(1, wanted // fitted)),
        lookahead_hops=lookahead_hops,
    )


def _spacing_error(model: ModelSpec, ratio: float, hop: int) -> float:
    own = model.hop * ratio
    return abs(max(1, round(own / hop)) * hop / own - 1.0)


def _misfit(model: ModelSpec, ratio: float, hop: int, part: float, exact: bool) -> str:
    """Why a hop does not fit the model's hop or the preset's window part; empty if it does."""
    if hop < 1 or _spacing_error(model, ratio, hop) > SPACING_TOLERANCE:
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


def _fit_refresh(model: ModelSpec, spacing: int, asked: int | None, default: int) -> int:
    if model.kind == "windowed":
        refresh = spacing if asked is None else asked
        if refresh < 1:
            raise SpecError(f"refresh {refresh} is out of range; it must be 1 hop or more")
        return refresh
    divisors = [n for n in range(1, spacing + 1) if spacing % n == 0]
    if asked is None:
        return max(n for n in divisors if n <= max(1, default))
    if asked not in divisors:
        raise SpecError(
            f"refresh {asked} does not fit a model that sees every {spacing}. hop; "
            f"allowed are {', '.join(map(str, divisors))}"
        )
    return asked


def _one_of(field: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ModelError(f"model spec: {field} is {value!r}; allowed are {', '.join(allowed)}")
