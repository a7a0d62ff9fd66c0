"""What Spleeter's configurations say of a model, and the configurations that it ships."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from rtsep.core.spec import PLAIN_STEM, ModelSpec
from rtsep.errors import ModelError
from rtsep.model.architectures import STANDARD_FILTERS, Activation, UNetArchitecture

ModelType = Literal["unet.unet", "unet.softmax_unet"]
MaskExtension = Literal["zeros", "average"]

MAX_JSON_BYTES = 1_000_000
PREFIX = "spleeter:"  # before the name of a shipped configuration, as the original writes it

# Any other word means the default here, as in the original: a model that was trained with a
# misspelt activation was trained with the default.
CONV_ACTIVATIONS: dict[str, Activation] = {"ReLU": "relu", "ELU": "elu"}
DECONV_ACTIVATIONS: dict[str, Activation] = {"LeakyReLU": "leaky_relu", "ELU": "elu"}

RANGES = (  # of whole numbers: key, lowest, highest
    ("sample_rate", 8000, 384_000),
    ("frame_length", 16, 65536),
    ("frame_step", 1, 65536),
    ("T", 1, 4096),
    ("F", 1, 32769),
)


@dataclass(frozen=True)
class SpleeterConfig:
    """The part of a Spleeter configuration that makes the model, under Spleeter's names.

    Raises:
        ModelError: for a value that is not allowed.
    """

    instrument_list: tuple[str, ...]
    sample_rate: int = 44100  # Hz
    frame_length: int = 4096  # of the Hann window and the FFT
    frame_step: int = 1024
    T: int = 512  # spectra that the network sees at once
    F: int = 1024  # lowest bins that the network sees
    separation_exponent: float = 2.0
    mask_extension: MaskExtension = "zeros"
    type: ModelType = "unet.unet"
    conv: Activation = "leaky_relu"  # that `conv_activation` comes to
    deconv: Activation = "relu"  # that `deconv_activation` comes to
    filters: tuple[int, ...] = STANDARD_FILTERS  # `conv_n_filters`

    def __post_init__(self) -> None:
        _check_instruments(self.instrument_list)
        for key, low, high in RANGES:
            value = getattr(self, key)
            if type(value) is not int or not low <= value <= high:
                raise ModelError(f"{key} is {value!r:.200}; it must be a whole number, {low} to {high}")
        if not self.filters or not all(type(width) is int and 1 <= width <= 4096 for width in self.filters):
            raise ModelError(f"conv_n_filters is {list(self.filters)!s:.200}; they must be whole numbers, 1 to 4096")
        if len(self.filters) > 8:
            raise ModelError(
                f"conv_n_filters has {len(self.filters)} steps; Spleeter has 6, and more than 8 do not fit"
            )
        for key in ("T", "F"):
            if getattr(self, key) % self.step:
                raise ModelError(f"{key} is {getattr(self, key)}; it must be a multiple of {self.step}")
        if self.frame_step > self.frame_length:
            raise ModelError(f"frame_step is {self.frame_step}; it must not exceed frame_length, {self.frame_length}")
        if self.frame_length // 2 + 1 < self.F:
            raise ModelError(
                f"F is {self.F}; frames of {self.frame_length} have only {self.frame_length // 2 + 1} bins"
            )
        exponent = self.separation_exponent
        if isinstance(exponent, bool) or not isinstance(exponent, int | float) or not 0 < exponent <= 16:
            raise ModelError(f"separation_exponent is {exponent!r:.200}; it must be a number above 0, at most 16")
        if self.mask_extension not in get_args(MaskExtension):
            allowed = ", ".join(get_args(MaskExtension))
            raise ModelError(f"mask_extension is {self.mask_extension!r:.200}; allowed are {allowed}")
        if self.type not in get_args(ModelType):
            why = "recurrent models are not supported" if str(self.type).startswith("blstm") else "it is unknown"
            raise ModelError(f"model.type is {self.type!r:.200}: {why}; allowed are {', '.join(get_args(ModelType))}")

    @property
    def step(self) -> int:
        """What T and F must be multiples of: each filter halves them once."""
        return 1 << len(self.filters)

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> SpleeterConfig:
        """Build from Spleeter's JSON object; its other keys are left alone, as the original does.

        Raises:
            ModelError: for a key that is missing, and for a value that is not allowed.
        """
        keys = ("instrument_list", *(key for key, _, _ in RANGES), "separation_exponent", "mask_extension")
        if missing := [key for key in (*keys, "n_channels", "model") if key not in entries]:
            raise ModelError(f"{missing[0]!r} is missing; Spleeter's configurations have it")
        if (channels := entries["n_channels"]) != 2 or type(channels) is not int:
            raise ModelError(f"n_channels is {channels!r:.200}; Spleeter's networks give 2, and only 2 is supported")
        model = entries["model"]
        if not isinstance(model, dict) or "params" not in model:
            raise ModelError(f"model is {model!r:.200}; it must be an object with 'type' and 'params'")
        params = {} if model["params"] is None else model["params"]
        if not isinstance(params, dict):
            raise ModelError(f"model.params is {params!r:.200}; it must be an object")
        filters = params.get("conv_n_filters", list(STANDARD_FILTERS))
        for key, value in (("instrument_list", entries["instrument_list"]), ("conv_n_filters", filters)):
            if not isinstance(value, list):
                raise ModelError(f"{key} is {value!r:.200}; it must be a list")
        return cls(
            **{key: entries[key] for key in keys if key != "instrument_list"},
            instrument_list=tuple(entries["instrument_list"]),
            type=model.get("type", "unet.unet"),
            conv=CONV_ACTIVATIONS.get(str(params.get("conv_activation")), "leaky_relu"),
            deconv=DECONV_ACTIVATIONS.get(str(params.get("deconv_activation")), "relu"),
            filters=tuple(filters),
        )

    def architecture(self, context: int | None = None) -> UNetArchitecture:
        """Give the network.

        Args:
            context: spectra that it sees at once; None for T.

        Raises:
            ModelError: for a context that is no multiple of `step`.
        """
        context = self.T if context is None else context
        if not 1 <= context <= 4096 or context % self.step:
            raise ModelError(f"context is {context}; allowed are multiples of {self.step} up to 4096")
        return UNetArchitecture(
            stems=self.instrument_list,
            sample_rate=self.sample_rate,
            window=self.frame_length,
            hop=self.frame_step,
            bins=self.F,
            context=context,
            filters=self.filters,
            conv=self.conv,
            deconv=self.deconv,
            output="softmax" if self.type == "unet.softmax_unet" else "sigmoid",
            exponent=float(self.separation_exponent),
            extension=self.mask_extension,
        )

    def spec(self, name: str, licence: str, context: int | None = None) -> ModelSpec:
        """Give the spec of this model.

        Args:
            name: of the model.
            licence: what it says of its terms.
            context: spectra that the network sees at once; None for T.

        Raises:
            ModelError: for a context that is no multiple of `step`.
        """
        return self.architecture(context).spec(name, licence)


def _check_instruments(names: tuple[str, ...]) -> None:
    for name in names:
        if not isinstance(name, str) or not PLAIN_STEM.fullmatch(name):
            raise ModelError(
                f"instrument_list has {name!r:.80}; allowed are letters, digits, '_' and '-', at most 64, and not 'mix'"
            )
    if len(names) < 2 or len(set(names)) != len(names):
        raise ModelError(f"instrument_list is {list(names)!s:.200}; there must be two or more, all different")


_TWO = SpleeterConfig(("vocals", "accompaniment"))
_FOUR = SpleeterConfig(("vocals", "drums", "bass", "other"), conv="elu", deconv="elu")
_FIVE = replace(_FOUR, instrument_list=("vocals", "piano", "drums", "bass", "other"), type="unet.softmax_unet")
RELEASED = {  # the names of Deezer's own weights; those for 16 kHz are the same, seen up to a higher bin
    f"{name}{ending}": replace(config, F=1536) if ending == "-16kHz" else config
    for name, config in (("2stems", _TWO), ("4stems", _FOUR), ("5stems", _FIVE))
    for ending in ("", "-16kHz", "-finetune")
}
SHIPPED = {**RELEASED, "musdb": _FOUR}


def shipped_name(descriptor: str | Path) -> str | None:
    """Give the name of the shipped configuration that `descriptor` means, if it means one."""
    name = str(descriptor).removeprefix(PREFIX)
    return name if name in SHIPPED else None


def read_config(path: Path) -> SpleeterConfig:
    """Read a configuration in Spleeter's JSON.

    Raises:
        ModelError: for a file that is none; it names the file, the key and its value.
    """
    entries = read_json(path)
    try:
        return SpleeterConfig.from_dict(entries)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of bounded size.

    Raises:
        ModelError: for anything else.
    """
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise ModelError(f"{path} has {size} bytes; a configuration has at most {MAX_JSON_BYTES}")
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON ({error}); give Spleeter's configuration of the model") from error
    if not isinstance(entries, dict):
        raise ModelError(f"{path} is not a JSON object; give Spleeter's configuration of the model")
    return entries
