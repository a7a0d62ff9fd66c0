"""Spleeter's configurations: what they say, and what they may not say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rtsep.errors import ModelError
from rtsep.model.importers.spleeter_config import RELEASED, SHIPPED, SpleeterConfig, read_config, shipped_name

MUSDB = {  # as Spleeter writes it
    "train_csv": "configs/musdb_train.csv",
    "mix_name": "mix",
    "instrument_list": ["vocals", "drums", "bass", "other"],
    "sample_rate": 44100,
    "frame_length": 4096,
    "frame_step": 1024,
    "T": 512,
    "F": 1024,
    "n_channels": 2,
    "separation_exponent": 2,
    "mask_extension": "zeros",
    "learning_rate": 1e-4,
    "model": {"type": "unet.unet", "params": {"conv_activation": "ELU", "deconv_activation": "ELU"}},
}


def test_the_json_of_musdb_is_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "musdb.json").write_text(json.dumps(MUSDB))
    assert read_config(tmp_path / "musdb.json") == SHIPPED["musdb"] == SHIPPED["4stems"]


def test_the_shipped_configurations() -> None:
    assert len(RELEASED) == 9 and set(SHIPPED) - set(RELEASED) == {"musdb"}
    for name, config in SHIPPED.items():
        bins = 1536 if name.endswith("-16kHz") else 1024
        kind = "unet.softmax_unet" if name.startswith("5stems") else "unet.unet"
        activations = ("leaky_relu", "relu") if name.startswith("2stems") else ("elu", "elu")
        assert (config.F, config.type, config.conv, config.deconv) == (bins, kind, *activations)
        assert (config.frame_length, config.frame_step, config.T, config.mask_extension) == (4096, 1024, 512, "zeros")
    assert SHIPPED["5stems"].instrument_list == ("vocals", "piano", "drums", "bass", "other")


def test_names_are_known_with_and_without_their_prefix() -> None:
    assert shipped_name("spleeter:4stems-16kHz") == shipped_name("4stems-16kHz") == "4stems-16kHz"
    assert shipped_name("4stems.json") is None


@pytest.mark.parametrize(
    ("conv", "deconv", "wanted"),
    [
        ("ReLU", "LeakyReLU", ("relu", "leaky_relu")),
        ("ELU", "ELU", ("elu", "elu")),
        ("LeakyReLU", "ReLU", ("leaky_relu", "relu")),
        ("elu", "relu", ("leaky_relu", "relu")),  # the original takes any other word for its default
        (None, None, ("leaky_relu", "relu")),
    ],
)
def test_activations(conv: str | None, deconv: str | None, wanted: tuple[str, str]) -> None:
    params = {"conv_activation": conv, "deconv_activation": deconv}
    config = SpleeterConfig.from_dict({**MUSDB, "model": {"params": params}})
    assert (config.conv, config.deconv) == wanted and config.type == "unet.unet"


def test_filters_say_the_step() -> None:
    config = SpleeterConfig.from_dict({**MUSDB, "model": {"params": {"conv_n_filters": [4, 8, 16]}}})
    assert config.filters == (4, 8, 16) and config.step == 8
    assert config.spec("x", "CC0-1.0", 24).context_step == 8


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("instrument_list", "vocals", "instrument_list is 'vocals'; it must be a list"),
        ("instrument_list", ["vocals"], "there must be two or more"),
        ("instrument_list", ["a", "a"], "all different"),
        ("instrument_list", ["a", "../b"], "instrument_list has '../b'"),
        ("instrument_list", ["a", 1], "instrument_list has 1"),
        ("sample_rate", 44100.0, "sample_rate is 44100.0; it must be a whole number, 8000 to 384000"),
        ("sample_rate", 10**4000, "sample_rate is 1000"),
        ("frame_length", True, "frame_length is True"),
        ("frame_step", 8192, "frame_step is 8192; it must not exceed frame_length, 4096"),
        ("T", 500, "T is 500; it must be a multiple of 64"),
        ("F", 1000, "F is 1000; it must be a multiple of 64"),
        ("F", 2112, "F is 2112; frames of 4096 have only 2049 bins"),
        ("n_channels", 1, "n_channels is 1"),
        ("n_channels", 2.0, "n_channels is 2.0"),
        ("separation_exponent", 0, "separation_exponent is 0"),
        ("separation_exponent", float("nan"), "separation_exponent is nan"),
        ("separation_exponent", "2", "separation_exponent is '2'"),
        ("mask_extension", "edge", "mask_extension is 'edge'; allowed are zeros, average"),
        ("model", None, "model is None; it must be an object with 'type' and 'params'"),
        ("model", {"type": "unet.unet"}, "it must be an object with 'type' and 'params'"),
        ("model", {"params": []}, "model.params is []"),
        ("model", {"type": "blstm.blstm", "params": {}}, "'blstm.blstm': recurrent models are not supported; allowed"),
        ("model", {"type": ["x"], "params": {}}, "model.type is ['x']: it is unknown; allowed are unet.unet"),
        ("model", {"params": {"conv_n_filters": 16}}, "conv_n_filters is 16; it must be a list"),
        ("model", {"params": {"conv_n_filters": [16, 0]}}, "conv_n_filters is [16, 0]"),
        ("model", {"params": {"conv_n_filters": []}}, "conv_n_filters is []"),
        ("model", {"params": {"conv_n_filters": [1] * 9}}, "conv_n_filters has 9 steps"),
    ],
)
def test_values_that_are_not_allowed(tmp_path: Path, key: str, value: Any, words: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps({**MUSDB, key: value}))
    with pytest.raises(ModelError) as caught:
        read_config(tmp_path / "a.json")
    assert f"{tmp_path}/a.json: " in str(caught.value) and words in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("key", ["instrument_list", "T", "n_channels", "mask_extension", "model"])
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(ModelError, match=f"'{key}' is missing"):
        SpleeterConfig.from_dict({name: value for name, value in MUSDB.items() if name != key})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("[" * 100_000, "is not JSON"),
        ("\0", "is not JSON"),
        (" " * 1_000_001, "has 1000001 bytes"),
    ],
)
def test_files_that_are_no_configuration(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ModelError, match=words):
        read_config(tmp_path / "a.json")
