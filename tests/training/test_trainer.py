"""Single steps of a run: what a batch changes, and what the next one remembers of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rtsep.errors import SpecError
from rtsep.training import run as training
from rtsep.training.device import TrainingDevice
from rtsep.training.initialisation import build_network
from rtsep.training.logs import read_log
from rtsep.training.settings import read_train_settings
from rtsep.training.trainer import Trainer
from tests.training import runs

HERE = TrainingDevice("cpu", 0)
KNOWN = torch.ones(2, 2, dtype=torch.bool)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def trainer_of(folder: Path, **more: Any) -> Trainer:
    settings = read_train_settings(runs.write(folder, steps=20, valid=[], **more))
    return Trainer(settings, *build_network(settings, ""), folder, HERE, "")


def noise() -> torch.Tensor:
    """Stems of a batch (batch, stems, channels, frames)."""
    return torch.randn(2, 2, 2, 4096)


def test_a_batch_whose_loss_is_not_finite_changes_nothing(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, network=runs.UNET)
    for _ in range(3):
        trainer._learn((noise(), KNOWN))
    before = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
    loss, _ = trainer._learn((torch.full_like(noise(), torch.nan), KNOWN))
    assert not np.isfinite(loss)
    assert all(torch.equal(before[name], tensor) for name, tensor in trainer.network.state_dict().items())
    assert trainer.step == 4


def test_memory_is_carried_from_batch_to_batch(tmp_path: Path) -> None:
    """The first step knows of no other; from the second on the course is another one."""
    losses = {}
    for carry in (0.0, 1.0):
        path = runs.write(tmp_path, steps=3, optimisation={"carry": carry})
        training.train(read_train_settings(path), tmp_path / f"run{carry}", HERE)
        losses[carry] = [row["loss"] for row in read_log(tmp_path / f"run{carry}" / "log.csv")]
    assert losses[0.0][0] == losses[1.0][0]
    assert losses[0.0][1] != losses[1.0][1]


def test_only_a_causal_network_has_memory_to_carry(tmp_path: Path) -> None:
    path = runs.write(tmp_path, network=runs.UNET, optimisation={"carry": 0.5})
    with pytest.raises(SpecError, match=r"optimisation.carry = 0.5: a network of family unet remembers nothing; leave"):
        build_network(read_train_settings(path), "")


def test_a_batch_whose_loss_is_not_finite_leaves_the_memory_of_the_one_before(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path, optimisation={"carry": 1.0})
    trainer._learn((noise(), KNOWN))
    before = trainer._memory
    assert before
    assert all(part.any() for part in before)
    trainer._learn((torch.full_like(noise(), torch.nan), KNOWN))
    assert all(torch.equal(*pair) for pair in zip(before, trainer._memory, strict=True))


def test_each_example_carries_its_own_memory_on_or_begins_afresh(tmp_path: Path, monkeypatch: Any) -> None:
    trainer = trainer_of(tmp_path, optimisation={"carry": 0.5})
    heard: list[tuple[torch.Tensor, ...]] = []
    real = Trainer._loss_of

    def listening(self: Trainer, network: Any, sounds: Any, window: torch.Tensor, rng: Any, memory: Any) -> Any:
        heard.append(memory)
        return real(self, network, sounds, window, rng, memory)

    monkeypatch.setattr(Trainer, "_loss_of", listening)
    trainer._learn((noise(), KNOWN))
    carried = []
    for _ in range(12):
        before = trainer._memory
        trainer._learn((noise(), KNOWN))
        for row in range(2):
            afresh = all(not part[:, row].any() for part in heard[-1])
            same = all(torch.equal(part[:, row], old[:, row]) for part, old in zip(heard[-1], before, strict=True))
            assert afresh != same
            carried.append(same)
    assert 4 <= sum(carried) <= 20
    assert len(set(zip(carried[::2], carried[1::2], strict=True))) > 2  # rows are drawn one by one
