"""The choice of a device, and how many processes make examples for it."""

from __future__ import annotations

import pytest
import torch

from rtsep.errors import EngineError
from rtsep.training import device as device_choice
from rtsep.training.device import TrainingDevice, choose_device


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_choice, "processors", lambda: 8)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize(
    ("device", "workers", "chosen"),
    [
        ("auto", None, TrainingDevice("cuda", 7)),
        ("cuda:1", None, TrainingDevice("cuda:1", 7)),
        ("cuda", 0, TrainingDevice("cuda", 0)),
        ("cpu", None, TrainingDevice("cpu", 1)),
        ("cpu", 3, TrainingDevice("cpu", 3)),
    ],
)
def test_where_gpus_are(two_gpus: None, device: str, workers: int | None, chosen: TrainingDevice) -> None:
    assert choose_device(device, 0, workers) == chosen


def test_where_none_is(no_gpu: None) -> None:
    assert choose_device("auto", 0, None) == TrainingDevice("cpu", 1)
    with pytest.raises(EngineError, match="'cuda': torch finds no NVIDIA GPU here; use --device cpu"):
        choose_device("cuda", 0, None)


def test_devices_that_are_not_there(two_gpus: None) -> None:
    with pytest.raises(EngineError, match="'cuda:2': there are 2 NVIDIA GPUs here, counted from 0"):
        choose_device("cuda:2", 0, None)
    with pytest.raises(EngineError, match="'gpu'; allowed are auto, cpu, cuda and cuda:0"):
        choose_device("gpu", 0, None)


@pytest.mark.parametrize(("threads", "cores", "set_to"), [(0, 8, 8), (3, 8, 3), (0, 1, 1)])
def test_threads(monkeypatch: pytest.MonkeyPatch, no_gpu: None, threads: int, cores: int, set_to: int) -> None:
    heard: list[int] = []
    monkeypatch.setattr(device_choice, "processors", lambda: cores)
    monkeypatch.setattr(torch, "set_num_threads", heard.append)
    choose_device("cpu", threads, None)
    assert heard == [set_to]
