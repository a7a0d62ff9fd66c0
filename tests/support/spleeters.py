"""Small Spleeter models with random weights, as the original would leave them on disk."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rtsep.model.importers.spleeter_config import SHIPPED, SpleeterConfig
from rtsep.model.networks.unet import Decoder, Encoder, Tower, UNet
from tests.support.tensorflow import write_checkpoint

FEW = (2, 3, 4)  # filters, as exports of the usual six steps take long
SMALL = replace(SHIPPED["2stems"], T=64, F=128, filters=FEW)
FIVE = replace(SHIPPED["5stems"], T=64, F=128, filters=FEW)

_CONV = {"weight": "kernel", "bias": "bias"}
KERAS_NAMES = {
    "conv2d": _CONV,
    "conv2d_transpose": _CONV,
    "batch_normalization": {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    },
}


def network_of(config: SpleeterConfig, seed: int = 0) -> UNet:
    """A network with random weights, and with moments that are not 0 and 1 as in the official files."""
    torch.manual_seed(seed)
    output = "softmax" if config.type == "unet.softmax_unet" else "sigmoid"
    network = UNet(len(config.instrument_list), 2, config.filters, config.conv, config.deconv, output)  # type: ignore[arg-type]
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.5, 1.5),
                (module.bias, -0.5, 0.5),
                (module.running_mean, -0.5, 0.5),
                (module.running_var, 0.5, 2.0),
            ):
                assert tensor is not None
                nn.init.uniform_(tensor, low, high)
    return network.eval()


def to_json(config: SpleeterConfig) -> dict[str, Any]:
    """A configuration as Spleeter writes one, with keys that only training needs."""
    words = {"relu": "ReLU", "elu": "ELU", "leaky_relu": "LeakyReLU"}
    keys = ("sample_rate", "frame_length", "frame_step", "T", "F", "separation_exponent", "mask_extension")
    params = {
        "conv_activation": words[config.conv],
        "deconv_activation": words[config.deconv],
        "conv_n_filters": list(config.filters),
    }
    return {
        **{key: getattr(config, key) for key in keys},
        "instrument_list": list(config.instrument_list),
        "n_channels": 2,
        "model": {"type": config.type, "params": params},
        "train_csv": "path/to/train.csv",
    }


def small(folder: Path, config: SpleeterConfig | None = SMALL, name: str = "model") -> Path:
    """A folder with a checkpoint of `SMALL` or `config`, and its JSON unless that is None."""
    write_checkpoint(folder / name, keras_variables(network_of(config or SMALL)))
    if config:
        (folder / "config.json").write_text(json.dumps(to_json(config)))
    return folder


def keras_variables(network: UNet) -> dict[str, NDArray[Any]]:
    """The weights of a U-Net as Spleeter's graph names them: Keras numbers each kind of layer as it is made."""
    variables: dict[str, NDArray[Any]] = {"global_step": np.array(1_000_000)}
    made: Counter[str] = Counter()

    def add(kind: str, module: nn.Module) -> None:
        number, made[kind] = made[kind], made[kind] + 1
        for name, tensor in module.state_dict().items():
            if name in KERAS_NAMES[kind]:
                array = tensor.numpy().copy()
                array = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
                variables[f"{kind}{f'_{number}' if number else ''}/{KERAS_NAMES[kind][name]}"] = array

    for tower in network.towers:
        assert isinstance(tower, Tower)
        for kind, steps in (("conv2d", tower.encoders), ("conv2d_transpose", tower.decoders)):
            for step in steps:
                assert isinstance(step, Encoder | Decoder)
                add(kind, step.conv)
                add("batch_normalization", step.norm)
        add("conv2d", tower.output)
    return variables
