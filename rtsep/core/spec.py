"""Specifications of audio, models, windows and latency: arithmetic only, no arrays and no I/O."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from rtsep.core.records import RecordError, convert
from rtsep.errors import ModelError, SpecError

Analysis = Literal["hann", "sqrt_hann"]
Basis = Literal["lr", "ms"]
Kind = Literal["windowed", "stateful"]
Output = Literal["mask", "magnitude"]
Extension = Literal["zeros", "average", "edge"]
Family = Literal["rtsep", "spleeter", "openunmix"]

BUNDLED = ("spleeter-2stems-live", "spleeter-2stems-small", "streaming-2stems")  # of two stems, the best first
DEFAULT_MODEL = BUNDLED[0]  # where none is named; live use takes the best that holds
RESIDUAL = "residual"  # the stem that an Open-Unmix model's targets leave of the mix
PLAIN_STEM = re.compile(r"(?!mix$)[A-Za-z0-9][A-Za-z0-9_-]{0,63}")  # a file's name, and a word in routes


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
    (batch, stems, channels, frames, bins), float32. A `windowed` graph has `context` frames, or
    any multiple of `context_step` where that is not 0, and gives as many, or only the `newest`; a
    `stateful` one takes any number, in order, and carries `states` from call to call.

    Raises:
        ModelError: for a value that is out of range, or values that do not go together.
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
    context_step: int = 0  # what a context must be a multiple of; 0: the graph has just the one
    family: Family = "rtsep"  # whose way with a whole file `separate` follows to the letter
    ahead: int = 0  # hops of the model that the masks lie after the newest spectrum: for networks trained so
    own_window: tuple[str, ...] = ()  # presets at which the network sees its own window, by a second transform
    newest: int = 0  # how many frames of a context a windowed graph gives, the newest; 0: all

    def __post_init__(self) -> None:
        for field in ("name", "licence"):
            if not isinstance(getattr(self, field), str) or not getattr(self, field):
                raise ModelError(f"model spec: {field} {getattr(self, field)!r} is not plain text")
        _one_of("analysis", self.analysis, get_args(Analysis))
        _one_of("basis", self.basis, get_args(Basis))
        _one_of("kind", self.kind, get_args(Kind))
        _one_of("output", self.output, get_args(Output))
        _one_of("extension", self.extension, get_args(Extension))
        _one_of("family", self.family, get_args(Family))
        for field, low, high in (
            ("sample_rate", 8000, 384_000),
            ("channels", 1, 2),
            ("window", 16, 65536),
            ("hop", 1, self.window),
            ("context", 1, 4096),
            ("context_step", 0, 4096),
            ("ahead", 0, 64 if self.kind == "windowed" else 0),
            ("newest", 0, 4096),
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
        if self.context_step and (self.kind == "stateful" or self.context % self.context_step):
            raise ModelError(
                f"model spec: context_step is {self.context_step}; only a windowed model has one, and its context "
                f"({self.context}) is a multiple of it"
            )
        if self.newest and (self.kind == "stateful" or self.newest > self.context):
            raise ModelError(
                f"model spec: newest is {self.newest}; only a windowed model has one, at most its context "
                f"({self.context})"
            )

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> ModelSpec:
        """Build one from a JSON object.

        Raises:
            ModelError: for a key that is unknown, missing or mistyped, and for values that cannot be.
        """
        try:
            return convert(entries, cls)
        except RecordError as error:
            raise ModelError(f"model spec: {error}") from error

    def with_context(self, frames: int) -> ModelSpec:
        """Give the same model with another context.

        Args:
            frames: spectra that it sees.

        Raises:
            SpecError: where its graph has no such context.
        """
        if frames == self.context:
            return self
        if not self.context_step:
            raise SpecError(f"context {frames}: {self.name} has a fixed context of {self.context} frames; leave it out")
        if not 1 <= frames <= 4096 or frames % self.context_step:
            raise SpecError(
                f"context {frames} does not suit {self.name}; allowed are multiples of {self.context_step} up to 4096"
            )
        return replace(self, context=frames, newest=min(self.newest, frames))

    def with_newest(self, frames: int) -> ModelSpec:
        """Give the same model, of whose contexts only the newest frames are wanted.

        Args:
            frames: how many; 0: all.
        """
        return replace(self, newest=frames)

    def given(self, frames: int) -> int:
        """Give the number of frames that come out of a call of `frames`."""
        return min(self.newest, frames) if self.newest else frames

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
    frame_stride: int  # hops between two frames that the model sees as neighbours
    mask_interval: int  # hops between two masks
    lookahead_hops: int  # hops of the model that a mask may look ahead
    ahead: int = 0  # hops by which a mask is used later than the newest spectrum that it was made from
    own_window: bool = False  # the network sees the model's own window, not the one that the sound is cut with

    @property
    def delay_hops(self) -> int:
        """Hops by which the spectra wait for their masks."""
        return self.lookahead_hops * self.frame_stride

    @property
    def latency(self) -> Latency:
        """The separator's own latency: `feed` emits whole hops."""
        return Latency(window=self.synthesis - self.hop, lookahead=self.delay_hops * self.hop)


@dataclass(frozen=True)
class Latency:
    """Latency in frames, in the parts that add up to it."""

    device: int | None = 0  # None where the device does not tell
    block: int = 0
    window: int = 0
    lookahead: int = 0
    compute: int = 0
    effects: int = 0

    @property
    def total(self) -> int:
        """All parts that are known together, in frames."""
        return sum(frames or 0 for frames in self.parts().values())

    def __add__(self, other: Latency) -> Latency:
        """Give the parts of both, one behind the other; what one does not know, nobody knows."""
        return Latency(
            device=None if self.device is None or other.device is None else self.device + other.device,
            block=self.block + other.block,
            window=self.window + other.window,
            lookahead=self.lookahead + other.lookahead,
            compute=self.compute + other.compute,
            effects=self.effects + other.effects,
        )

    def parts(self) -> dict[str, int | None]:
        """Give the parts in frames, by name, in the order of the signal."""
        return asdict(self)

    def ms(self, sample_rate: int) -> float:
        """Give the total in milliseconds.

        Args:
            sample_rate: of the device, in Hz.
        """
        return 1000.0 * self.total / sample_rate


def _one_of(field: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ModelError(f"model spec: {field} is {value!r}; allowed are {', '.join(allowed)}")
