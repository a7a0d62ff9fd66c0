"""Fine-tuning an imported Spleeter model on a new sound: it learns, its norms stay, and it plays live."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rtsep.model.importers.spleeter import import_spleeter
from rtsep.model.importers.spleeter_config import SHIPPED, SpleeterConfig
from rtsep.model.weights import read_weights
from rtsep.training import run as training
from rtsep.training.device import TrainingDevice
from rtsep.training.logs import read_log
from rtsep.training.settings import read_train_settings
from tests.support import spleeters
from tests.support.commands import run
from tests.training import runs


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("RTSEP_MODELS", str(folder))
    return folder


@pytest.mark.parametrize(
    ("config", "steps"),
    [
        pytest.param(spleeters.SMALL, 40, id="small"),
        pytest.param(SHIPPED["2stems"], 16, id="official", marks=pytest.mark.slow),
    ],
)
def test_an_imported_spleeter_learns_a_new_sound_and_plays_it_live(
    config: SpleeterConfig, steps: int, tmp_path: Path, store: Path
) -> None:
    torch.set_num_threads(1)
    imported = import_spleeter(spleeters.small(tmp_path / "checkpoint", config), name="mine")
    path = runs.write(
        tmp_path,
        network={"family": "unet", "context": 64},  # the shortest: 512 spectra a step would take minutes
        steps=steps,
        stems=["drums", "rest"],
        examples={"seconds": 1.5},
        optimisation={"learning_rate": 3e-3, "freeze_norms": True, "average": 0.5},
        intervals={"valid_steps": steps // 2},
    )
    model = training.train(read_train_settings(path), tmp_path / "run", TrainingDevice(), init="mine")
    first, last = (row["loss"] for row in read_log(tmp_path / "run" / "valid.csv"))
    assert last < first
    assert model.spec.stems == ("drums", "rest")
    assert model.weights is not None and imported.weights is not None
    before, after = read_weights(imported.weights).tensors, read_weights(model.weights).tensors
    unused = f"encoders.{len(config.filters) - 1}.norm"
    for name, tensor in after.items():
        kept = name.endswith(("running_mean", "running_var")) or unused in name
        assert np.array_equal(tensor, before[name]) == kept, name
    song = next((tmp_path / "songs").rglob("drums.wav"))
    played = run(
        "live",
        "--input",
        song,
        "--output",
        "null",
        "--freewheel",
        "-m",
        model.path.parent,
        "--record",
        tmp_path / "stems",
    )
    assert played.returncode == 0, played.stderr
    assert np.any([path.stat().st_size > 10_000 for path in (tmp_path / "stems").rglob("drums.wav")])
