"""Runs of training on an NVIDIA GPU: the optimisation that the CPU takes, and what a GPU alone does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rtsep.errors import EngineError
from rtsep.training import checkpoint
from rtsep.training import run as training
from rtsep.training.device import TrainingDevice
from rtsep.training.logs import read_log
from rtsep.training.settings import read_train_settings
from tests.training import runs

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")]

GPU = TrainingDevice("cuda", 2)


def optimisation(folder: Path) -> list[tuple[float, float]]:
    return [(row["loss"], row["gradient"]) for row in read_log(folder / "log.csv")]


@pytest.mark.parametrize(("family", "carry"), [*((family, 0.0) for family in runs.NETWORKS), ("causal", 0.7)])
def test_the_gpu_takes_the_course_of_the_cpu(tmp_path: Path, family: str, carry: float) -> None:
    told = {"carry": carry, "freeze_norms": True}  # with which dropout rests: each device draws it by itself
    path = runs.write(tmp_path, network=runs.NETWORKS[family], steps=8, optimisation=told)
    settings = read_train_settings(path)
    for name, machine in (("cpu", TrainingDevice("cpu", 0)), ("gpu", GPU)):
        model = training.train(settings, tmp_path / name, machine)
        assert model.weights is not None
    cpu, gpu = (np.array(optimisation(tmp_path / name)) for name in ("cpu", "gpu"))
    assert len(gpu) == 8
    np.testing.assert_allclose(gpu, cpu, rtol=0.02, atol=1e-3)  # convolutions there are of 10-bit mantissas
    judged = [[row["sdr_db"] for row in read_log(tmp_path / name / "valid.csv")] for name in ("cpu", "gpu")]
    np.testing.assert_allclose(judged[1], judged[0], atol=0.1)


@pytest.mark.parametrize("family", runs.NETWORKS)
def test_a_stopped_run_goes_on_on_the_gpu(tmp_path: Path, family: str) -> None:
    path = runs.write(tmp_path, network=runs.NETWORKS[family], steps=6)
    settings = read_train_settings(path)
    training.train(settings, tmp_path / "whole", GPU)
    with pytest.raises(runs.StoppedError):
        training.train(settings, tmp_path / "parts", GPU, on_progress=runs.stop_at(5))
    assert checkpoint.load(tmp_path / "parts" / "checkpoint.pt").step == 4
    training.train(settings, tmp_path / "parts", GPU, resume=True)
    np.testing.assert_allclose(optimisation(tmp_path / "parts"), optimisation(tmp_path / "whole"), rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("family", runs.NETWORKS)
def test_half_precision_learns_on_the_gpu(tmp_path: Path, family: str) -> None:
    told = {"precision": "bf16", "learning_rate": 1e-2, "average": 0.5}
    path = runs.write(
        tmp_path, network=runs.NETWORKS[family], steps=100, optimisation=told, intervals={"valid_steps": 25}
    )
    training.train(read_train_settings(path), tmp_path / "run", GPU)
    judged = read_log(tmp_path / "run" / "valid.csv")
    assert judged[-1]["loss"] < judged[0]["loss"]


def test_what_does_not_fit_into_the_gpus_memory_is_said_in_one_line(tmp_path: Path) -> None:
    settings = read_train_settings(runs.write(tmp_path, steps=1, valid=[]))
    torch.cuda.empty_cache()
    held = torch.cuda.memory_reserved()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((held + 1e6) / total)
    try:
        with pytest.raises(EngineError, match=r"the GPU's memory is full; lower optimisation\.batch"):
            training.train(replace(settings, seed=1), tmp_path / "run", GPU)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
