"""What networks are described by: a frozen dataclass a family, words and sizes only.

An architecture comes from a TOML table or a JSON object and goes back to one; it lies beside the
weights that are trained on. Together with a name and a licence it gives the `ModelSpec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from rtsep.core.records import RecordError, convert
from rtsep.core.spec import RESIDUAL, Analysis, Basis, Extension, ModelSpec, StateSpec
from rtsep.errors import ModelError

Activation = Literal["relu", "elu", "leaky_relu"]  # of the U-Net
OutputKind = Literal["sigmoid", "softmax"]

# Widths of a causal network's bands in bins of 21.5 Hz (a window of 2048): 744 bins, up to 16 kHz.
STANDARD_BANDS = (4,) * 8 + (8,) * 8 + (16,) * 7 + (32,) * 6 + (48,) * 3 + (64, 136)
BANDS = {"standard": STANDARD_BANDS}
STANDARD_FILTERS = (16, 32, 64, 128, 256, 512)  # of Spleeter's U-Net
STANDARD_SEEN = 1487  # bins up to 16 kHz, of Open-Unmix's

MOST_STEMS = 64
RANGES = {  # of numbers: lowest, highest; what a spec has too is checked there
    "features": (1, 1024),
    "hidden": (1, 8192),
    "layers": (1, 32),
    "level_target_db": (-60.0, 0.0),
    # The level of many spectra is found in one go, in numbers that hold 88 time constants.
    "level_time_s": (1.0, 60.0),
    "level_gate_db": (-120.0, -20.0),
}
STATELESS = (StateSpec("level", (1, 2)),)  # stands for a causal network's states where only its sizes matter


@dataclass(frozen=True)
class Architecture:
    """What all networks have.

    Raises:
        ModelError: for a value that is not allowed.
    """

    family: ClassVar[str]

    stems: tuple[str, ...]
    sample_rate: int = 44100  # Hz
    channels: int = 2
    window: int = 4096  # of the analysis, and FFT length
    hop: int = 1024  # between two spectra

    def __post_init__(self) -> None:
        if len(self.stems) > MOST_STEMS:
            raise ModelError(f"network: {len(self.stems)} stems; at most {MOST_STEMS} are allowed")
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is Literal and getattr(self, name) not in get_args(hint):
                allowed = ", ".join(get_args(hint))
                raise ModelError(f"network: {name} is {getattr(self, name)!r:.100}; allowed are {allowed}")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name, low)
            if not low <= value <= high:
                raise ModelError(f"network: {name} is {value}; allowed are {low:g} to {high:g}")
        self._check()
        self.spec("sizes", "none")

    def _check(self) -> None:
        """What only this family asks for."""

    def spec(self, name: str, licence: str, states: tuple[StateSpec, ...] = ()) -> ModelSpec:
        """Give the spec of a model with this network.

        Args:
            name: of the model.
            licence: what the model says of its terms.
            states: that the network carries from one call to the next.

        Raises:
            ModelError: for sizes that do not go together.
            NotImplementedError: here; each family has its own.
        """
        raise NotImplementedError

    def _shared(self, name: str, licence: str) -> dict[str, Any]:
        """What every family's spec takes over as it is."""
        same = ("stems", "sample_rate", "channels", "window", "hop")
        return {"name": name, "licence": licence, **{field: getattr(self, field) for field in same}}

    def to_dict(self) -> dict[str, Any]:
        """Give the object that `from_dict` reads."""
        return {"family": self.family, **asdict(self)}


@dataclass(frozen=True)
class CausalArchitecture(Architecture):
    """The causal band-split network (`causal.py`)."""

    family = "causal"

    window: int = 2048
    hop: int = 512
    analysis: Analysis = "sqrt_hann"
    basis: Basis = "ms"
    bands: tuple[int, ...] = STANDARD_BANDS  # widths in bins, or the name of one of `BANDS` in a file
    features: int = 32  # of each band
    hidden: int = 256  # of each GRU
    level_target_db: float = -18.0  # RMS that the mix is brought to, dBFS
    level_time_s: float = 3.0  # time constant of the running level
    level_gate_db: float = -60.0  # spectra below it do not count
    masks_per_stem: tuple[int, ...] = ()  # of the network's softmax, side by side; empty: one a stem
    extension: Extension = "edge"

    @property
    def masks(self) -> int:
        """How many masks the network's softmax gives."""
        return sum(self.masks_per_stem) or len(self.stems)

    def _check(self) -> None:
        if not self.bands or len(self.bands) > 512 or min(self.bands) < 1:
            raise ModelError(f"network: bands are {self.bands!s:.100}; they must be 1 to 512 widths of 1 bin or more")
        merged = self.masks_per_stem
        if merged and (len(merged) != len(self.stems) or min(merged) < 1 or sum(merged) > MOST_STEMS):
            raise ModelError(
                f"network: masks_per_stem is {merged!s:.100}; each of the {len(self.stems)} stems needs 1 or more, "
                f"at most {MOST_STEMS} together"
            )

    def spec(self, name: str, licence: str, states: tuple[StateSpec, ...] = STATELESS) -> ModelSpec:
        """See `Architecture.spec`."""
        return ModelSpec(
            **self._shared(name, licence),
            analysis=self.analysis,
            basis=self.basis,
            kind="stateful",
            context=1,
            bins=sum(self.bands),
            output="mask",
            exponent=1.0,
            extension=self.extension,
            states=states,
        )


@dataclass(frozen=True)
class UNetArchitecture(Architecture):
    """Spleeter's U-Net (`unet.py`), of any width and depth."""

    family = "unet"

    bins: int = 1024  # lowest that the network sees; a multiple of 2 ** depth
    context: int = 512  # spectra that it sees at once; likewise
    filters: tuple[int, ...] = STANDARD_FILTERS  # of the steps down; their number is the depth
    conv: Activation = "leaky_relu"  # on the way down
    deconv: Activation = "relu"  # on the way up
    output: OutputKind = "sigmoid"
    levelled: bool = False  # every context is brought to one level first; Spleeter's are not
    exponent: float = 2.0  # of the ratio that makes masks of the stems' magnitudes
    extension: Extension = "average"
    ahead: int = 0  # spectra that the masks lie after the newest one, where it was trained so
    own_window: tuple[str, ...] = ()  # presets at which it sees its own window, not the preset's
    # Channels that each convolution's kernel ends in before a 1 x 1 convolution makes its outputs, the steps down
    # and then the steps up; 0: it makes them itself. Empty: so do all.
    ranks: tuple[int, ...] = ()

    @property
    def step(self) -> int:
        """What bins and context are multiples of: each filter halves them once."""
        return 1 << len(self.filters)

    def _check(self) -> None:
        if not 1 <= len(self.filters) <= 8 or not all(1 <= width <= 4096 for width in self.filters):
            raise ModelError(f"network: filters are {self.filters!s:.100}; they must be 1 to 8 widths of 1 to 4096")
        outputs = (*self.filters, *reversed(self.filters[:-1]), 1)
        if self.ranks and len(self.ranks) != len(outputs):
            raise ModelError(
                f"network: ranks are {len(self.ranks)} numbers; {len(self.filters)} filters want {len(outputs)}, of "
                "the steps down and then up, or none"
            )
        for place, (rank, most) in enumerate(zip(self.ranks, outputs, strict=False)):
            if not 0 <= rank <= most:
                raise ModelError(f"network: ranks[{place}] is {rank}; allowed are 0 (full) to {most}, its outputs")
        for name in ("bins", "context"):
            if (value := getattr(self, name)) < 1 or value % self.step:
                raise ModelError(
                    f"network: {name} is {value}; {len(self.filters)} filters allow multiples of {self.step}"
                )

    def spec(self, name: str, licence: str, states: tuple[StateSpec, ...] = ()) -> ModelSpec:
        """See `Architecture.spec`."""
        return ModelSpec(
            **self._shared(name, licence),
            analysis="hann",
            basis="lr",
            kind="windowed",
            context=self.context,
            bins=self.bins,
            output="magnitude",
            exponent=self.exponent,
            extension=self.extension,
            states=states,
            context_step=self.step,
            ahead=self.ahead,
            own_window=self.own_window,
            family="spleeter",
        )


@dataclass(frozen=True)
class OpenUnmixArchitecture(Architecture):
    """Open-Unmix's networks (`openunmix.py`), one for each target, trained together.

    A last stem that is called `residual` has no network: it is what the mix has above the others.
    """

    family = "openunmix"

    bins: int = STANDARD_SEEN  # lowest that the networks see; they give all
    hidden: int = 512
    layers: int = 3
    bidirectional: bool = True
    context: int = 256  # spectra that bidirectional networks see at once

    @property
    def residual(self) -> bool:
        """Whether the last stem is what the others leave."""
        return self.stems[-1:] == (RESIDUAL,)

    @property
    def targets(self) -> tuple[str, ...]:
        """The stems that have networks."""
        return self.stems[: len(self.stems) - self.residual]

    def _check(self) -> None:
        if RESIDUAL in self.targets:
            raise ModelError(f"network: stems are {', '.join(self.stems)}; only the last may be {RESIDUAL!r}")
        if not 1 <= self.bins <= self.window // 2 + 1:
            raise ModelError(f"network: bins is {self.bins}; a window of {self.window} has 1 to {self.window // 2 + 1}")
        if self.bidirectional and self.hidden % 2:
            raise ModelError(f"network: hidden is {self.hidden}; a bidirectional network has an even number")

    def spec(self, name: str, licence: str, states: tuple[StateSpec, ...] = STATELESS) -> ModelSpec:
        """See `Architecture.spec`."""
        return ModelSpec(
            **self._shared(name, licence),
            analysis="hann",
            basis="lr",
            kind="windowed" if self.bidirectional else "stateful",
            context=self.context if self.bidirectional else 1,
            bins=self.window // 2 + 1,
            output="magnitude",
            exponent=1.0,
            extension="edge",  # only for devices of higher rates: the model covers all of its own bins
            states=() if self.bidirectional else states,
            context_step=1 if self.bidirectional else 0,
            family="openunmix",
        )


FAMILIES: dict[str, type[Architecture]] = {
    kind.family: kind for kind in (CausalArchitecture, UNetArchitecture, OpenUnmixArchitecture)
}


def from_dict(entries: Mapping[str, Any]) -> Architecture:
    """Build an architecture from a TOML table or a JSON object.

    Args:
        entries: `family`, and the fields of that family's architecture.

    Raises:
        ModelError: for an unknown family or key, and for a value that is not allowed; it names the key and what is
            allowed.
    """
    family = entries.get("family")
    if not isinstance(family, str) or family not in FAMILIES:
        raise ModelError(f"network: family is {family!r:.100}; allowed are {', '.join(FAMILIES)}")
    told = {name: value for name, value in entries.items() if name != "family"}
    if isinstance(bands := told.get("bands"), str):
        if bands not in BANDS:
            raise ModelError(f"network: bands are {bands!r:.100}; allowed are {', '.join(BANDS)}, or a list of widths")
        told["bands"] = list(BANDS[bands])
    try:
        return convert(told, FAMILIES[family])
    except RecordError as error:
        raise ModelError(f"network: {error}") from error
