"""Runs of training: to the bit, through a stop, from other models, and to known results."""

from __future__ import annotations

import errno
import json
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rtsep.dataset.examples import Example, Examples
from rtsep.errors import FileError, ModelError, RtsepError, SpecError
from rtsep.model.embed import embed
from rtsep.model.networks import factory as networks
from rtsep.model.store import EMBEDDED, JSON_NAME, StoredModel, find
from rtsep.training import checkpoint, initialisation
from rtsep.training import run as training
from rtsep.training.data import find_training_data
from rtsep.training.device import TrainingDevice
from rtsep.training.initialisation import build_network, resolve_architecture
from rtsep.training.logs import read_log
from rtsep.training.settings import TrainSettings, read_train_settings
from rtsep.training.trainer import Progress, Trainer
from tests.training import runs

KERNEL = "towers.0.encoders.0.conv.weight"
HERE = TrainingDevice("cpu", 0)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(folder / "checkpoint.pt").network


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("family", "carry"), [*((family, 0.0) for family in runs.NETWORKS), ("causal", 0.7)])
def test_a_run_that_goes_on_is_one_that_never_stopped(tmp_path: Path, family: str, carry: float) -> None:
    path = runs.write(tmp_path, network=runs.NETWORKS[family], steps=6, optimisation={"carry": carry})
    settings = read_train_settings(path)
    training.train(settings, tmp_path / "whole", HERE)
    with pytest.raises(runs.StoppedError):
        training.train(
            settings, tmp_path / "parts", HERE, on_progress=runs.stop_at(5)
        )  # killed after the checkpoint of step 4
    assert checkpoint.load(tmp_path / "parts" / "checkpoint.pt").step == 4
    model = training.train(settings, tmp_path / "parts", HERE, resume=True)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    assert model.sha256 == find(tmp_path / "whole" / "model").sha256
    logs = [[(row["step"], row["loss"]) for row in read_log(tmp_path / run / "log.csv")] for run in ("whole", "parts")]
    assert logs[0] == logs[1]
    assert [step for step, _ in logs[0]] == [1, 2, 3, 4, 5, 6]


def test_a_model_that_is_only_a_graph_cannot_be_trained_on(tmp_path: Path) -> None:
    settings = read_train_settings(runs.write(tmp_path, network={"family": "causal"}))
    graph = shutil.copytree(EMBEDDED / "streaming-2stems", tmp_path / "graph")
    entries = json.loads((graph / JSON_NAME).read_text(encoding="utf-8"))
    (graph / entries.pop("weights")["file"]).unlink()
    (graph / JSON_NAME).write_text(json.dumps(entries), encoding="utf-8")
    with pytest.raises(ModelError, match="streaming-2stems is only a graph, without weights"):
        resolve_architecture(settings, str(graph))


def test_a_packed_model_can_be_trained_on(tmp_path: Path) -> None:
    settings = read_train_settings(runs.write(tmp_path, network=runs.UNET, steps=2, valid=[]))
    model = training.train(settings, tmp_path / "run", HERE)
    (tmp_path / "credits.md").write_text("thanks")
    packed = find(embed(model, tmp_path / "credits.md", tmp_path / "packed"))
    _, _, network = build_network(settings, str(tmp_path / "packed"))
    wanted = {name: torch.from_numpy(tensor) for name, tensor in packed.read_weights().tensors.items()}
    assert same(wanted, network.state_dict())
    assert not np.array_equal(wanted[KERNEL], model.read_weights().tensors[KERNEL])


class TestLowRanks:
    RANKS = (4, 5, 4, 0)  # of filters 4, 8

    @pytest.fixture
    def full(self, tmp_path: Path) -> StoredModel:
        settings = read_train_settings(runs.write(tmp_path, network=runs.UNET, steps=2, valid=[]))
        return training.train(settings, tmp_path / "full", HERE)

    def settings(self, folder: Path, ranks: tuple[int, ...], **more: Any) -> TrainSettings:
        return read_train_settings(runs.write(folder, network={"ranks": list(ranks)}, valid=[], **more))

    @pytest.mark.parametrize("edge", [{}, {"edge": {"context": 16, "future": 2}}])
    def test_a_run_begins_with_what_the_full_network_gives(
        self, tmp_path: Path, full: StoredModel, edge: dict[str, Any]
    ) -> None:
        course = {"learning_rate": 1e-9, "freeze_norms": True}
        again = {"steps": 1, "optimisation": course, "examples": {"seconds": 0.5}, **edge}
        model = training.train(
            self.settings(tmp_path, (4, 8, 4, 1), **again), tmp_path / "run", HERE, init=str(full.path.parent)
        )
        described, tensors = model.read_weights()
        before = full.read_weights()
        assert described.to_dict() == {**before.architecture.to_dict(), "ranks": (4, 8, 4, 1)}
        network = networks.build(described)
        networks.load(network, tensors)
        whole = networks.build(before.architecture)
        networks.load(whole, before.tensors)
        x = torch.rand(1, 2, 16, 256)
        with torch.no_grad():
            found, wanted = network.eval()(x), whole.eval()(x)
        assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()

    def test_a_run_that_goes_on(self, tmp_path: Path, full: StoredModel) -> None:
        settings, init = self.settings(tmp_path, self.RANKS, steps=6), str(full.path.parent)
        training.train(settings, tmp_path / "whole", HERE, init=init)
        with pytest.raises(runs.StoppedError):
            training.train(settings, tmp_path / "parts", HERE, init=init, on_progress=runs.stop_at(5))
        model = training.train(settings, tmp_path / "parts", HERE, init=init, resume=True)
        assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
        small = replace(settings, network={})  # and it is trained on as any other
        assert resolve_architecture(small, str(model.path.parent))[0] == model.read_weights().architecture
        build_network(replace(settings, network={"ranks": list(self.RANKS)}), str(model.path.parent))

    def test_other_ranks_want_a_full_network(self, tmp_path: Path, full: StoredModel) -> None:
        settings = self.settings(tmp_path, self.RANKS, steps=1)
        model = training.train(settings, tmp_path / "low", HERE, init=str(full.path.parent))
        other = replace(settings, network={"ranks": [0, 5, 0, 0]})
        with pytest.raises(
            ModelError, match=r"ranks are \[0, 5, 0, 0\], those of --init \[4, 5, 4, 0\]; leave them out"
        ):
            build_network(other, str(model.path.parent))
        with pytest.raises(ModelError, match="the weights do not fit the network"):
            build_network(replace(settings, network={"filters": [4, 9], "ranks": [0, 5, 0, 0]}), str(full.path.parent))


def interrupted(step: int, what: str) -> Any:
    """Trainer's method `what`, that is met by Ctrl-C once, when it is called at a step."""
    real = getattr(Trainer, what)
    met: list[int] = []

    def method(self: Trainer, *arguments: Any) -> Any:
        found = real(self, *arguments)
        if self.step == step and not met:
            met.append(step)
            signal.raise_signal(signal.SIGINT)
        return found

    return method


@pytest.mark.parametrize(("what", "step", "kept"), [("_loss_of", 2, 3), ("_held_out_loss", 4, 4)])
def test_a_stop_within_a_step_or_a_validation_loses_nothing(tmp_path: Path, what: str, step: int, kept: int) -> None:
    settings = read_train_settings(runs.write(tmp_path, network=runs.UNET, steps=6))  # which has dropout
    training.train(settings, tmp_path / "whole", HERE)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, what, interrupted(step, what))
        training.train(settings, tmp_path / "parts", HERE)
    assert checkpoint.load(tmp_path / "parts" / "checkpoint.pt").step == kept
    training.train(settings, tmp_path / "parts", HERE, resume=True)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    judged = [read_log(tmp_path / run / "valid.csv") for run in ("whole", "parts")]
    assert judged[0] == judged[1]
    assert [row["step"] for row in judged[0]] == [4, 6]


@pytest.mark.parametrize("family", runs.NETWORKS)
def test_half_precision_trains_every_family(tmp_path: Path, family: str) -> None:
    path = runs.write(tmp_path, network=runs.NETWORKS[family], steps=2, optimisation={"precision": "bf16"}, valid=[])
    training.train(read_train_settings(path), tmp_path / "run", HERE)
    assert all(np.isfinite(row["gradient"]) for row in read_log(tmp_path / "run" / "log.csv"))


def test_one_seed_repeats_and_two_differ(tmp_path: Path) -> None:
    settings = read_train_settings(runs.write(tmp_path))
    for name, seed, workers in (("one", 0, 0), ("again", 0, 1), ("other", 1, 0)):
        training.train(replace(settings, seed=seed), tmp_path / name, TrainingDevice("cpu", workers))
    assert same(weights(tmp_path / "one"), weights(tmp_path / "again"))
    assert not same(weights(tmp_path / "one"), weights(tmp_path / "other"))


@pytest.mark.parametrize("family", runs.NETWORKS)
def test_the_loss_falls_and_the_model_is_whole(tmp_path: Path, family: str) -> None:
    path = runs.write(
        tmp_path,
        network=runs.NETWORKS[family],
        steps=100,  # an Open-Unmix needs dozens until its normalisation knows the music
        optimisation={"learning_rate": 1e-2, "average": 0.5},
        intervals={"valid_steps": 25},
    )
    model = training.train(read_train_settings(path), tmp_path / "run", HERE)
    judged = read_log(tmp_path / "run" / "valid.csv")
    assert judged[-1]["loss"] < judged[0]["loss"]
    assert model.spec.stems == ("vocals", "accompaniment")
    assert model.weights is not None
    assert (tmp_path / "run" / "curves.svg").exists()


def test_a_trained_model_is_trained_on_from_its_folder(tmp_path: Path) -> None:
    settings = read_train_settings(runs.write(tmp_path))
    first = training.train(settings, tmp_path / "first", HERE)
    init = str(first.path.parent)
    _, _, network = build_network(replace(settings, network={}), init)
    best = checkpoint.load(tmp_path / "first" / "best.pt").average
    assert same(network.state_dict(), best)
    other = replace(settings, network={}, stems=("guitar", "rest"))
    assert resolve_architecture(other, init)[0].stems == ("guitar", "rest")
    with pytest.raises(SpecError, match="has 2 stems"):
        resolve_architecture(replace(settings, stems=("vocals", "drums", "other")), init)
    with pytest.raises(SpecError, match="of family causal, the settings say 'unet'"):
        resolve_architecture(replace(settings, network=runs.UNET), init)
    with pytest.raises(ModelError, match="no model 'nothing'"):
        resolve_architecture(settings, "nothing")
    with pytest.raises(SpecError, match="channels is 1; training needs 2"):
        build_network(replace(settings, network={**runs.UNET, "channels": 1}), "")


def test_a_folder_holds_one_run(tmp_path: Path) -> None:
    settings = read_train_settings(runs.write(tmp_path))
    training.train(settings, tmp_path / "run", HERE)
    with pytest.raises(FileError, match="holds a run already; go on with --resume"):
        training.train(settings, tmp_path / "run", HERE)
    with pytest.raises(SpecError, match="seed was 0, now 3"):
        training.train(replace(settings, seed=3), tmp_path / "run", HERE, resume=True)
    with pytest.raises(FileError, match="no such checkpoint"):
        training.train(settings, tmp_path / "new", HERE, resume=True)


def test_broken_songs_are_named_before_training_starts(tmp_path: Path) -> None:
    path = runs.write(tmp_path)
    broken = next((tmp_path / "songs").rglob("drums.wav"))
    broken.write_bytes(broken.read_bytes()[:1000])
    with pytest.raises(FileError, match=r"drums\.wav.*truncated"):
        training.train(read_train_settings(path), tmp_path / "run", HERE)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_ends_the_run_and_keeps_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_train_settings(runs.write(tmp_path, steps=6, intervals={"valid_steps": 100}))
    real = torch.save

    def full(entries: Any, file: Any) -> None:
        if entries["step"] > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(entries, file)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(FileError, match=r"No space left.*of before is kept"):
        training.train(settings, tmp_path / "run", HERE)
    monkeypatch.undo()
    assert checkpoint.load(tmp_path / "run" / "checkpoint.pt").step == 2
    training.train(settings, tmp_path / "run", HERE, resume=True)
    assert checkpoint.load(tmp_path / "run" / "checkpoint.pt").step == 6


def test_a_loss_that_is_not_finite_ends_the_run_with_a_word(tmp_path: Path) -> None:
    path = runs.write(tmp_path, network=runs.UNMIX, steps=200, optimisation={"learning_rate": 10.0, "clip": 0.0})
    settings = read_train_settings(path, ["intervals.log_steps=10"])

    def burst(settings: TrainSettings, init: str) -> Any:
        described, spec, network = build_network(settings, init)
        with torch.no_grad():
            next(network.parameters()).fill_(np.nan)
        return described, spec, network

    with pytest.MonkeyPatch.context() as patch, pytest.raises(RtsepError, match="not finite for 20 steps"):
        patch.setattr(training, "build_network", burst)
        patch.setattr(training, "initialise", lambda *found: None)
        training.train(settings, tmp_path / "run", HERE)
    (row,) = read_log(tmp_path / "run" / "log.csv")
    assert (row["step"], row["skipped"]) == (10, 10)


def test_a_run_says_how_long_it_waited_for_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_train_settings(runs.write(tmp_path), ["intervals.log_steps=2"])
    told: list[Progress] = []
    make = Examples.__getitem__

    def slow(examples: Examples, number: int) -> Example:
        time.sleep(0.2)
        return make(examples, number)

    monkeypatch.setattr(initialisation, "SCALED", 1)
    monkeypatch.setattr(Examples, "__getitem__", slow)
    training.train(settings, tmp_path / "run", HERE, on_progress=told.append)
    rows = read_log(tmp_path / "run" / "log.csv")
    assert [row["idle"] for row in rows] == pytest.approx([course.idle for course in told[:2]], abs=1e-5)
    for row in rows:
        waits_s = row["idle"] * 2 * 2 / row["examples_per_s"]  # of two batches of two
        assert waits_s > 0.8 and row["idle"] <= 1.0, row


def test_patience_ends_a_run_early(tmp_path: Path) -> None:
    path = runs.write(
        tmp_path, steps=40, optimisation={"learning_rate": 1e-9}, intervals={"valid_steps": 1, "patience": 2}
    )
    training.train(read_train_settings(path), tmp_path / "run", HERE)
    assert checkpoint.load(tmp_path / "run" / "checkpoint.pt").step == 3


@pytest.mark.slow
def test_a_unet_learns_one_song_by_heart(tmp_path: Path) -> None:
    network = {**runs.UNET, "filters": [8, 16, 32], "context": 32}
    path = runs.write(
        tmp_path,
        network=network,
        steps=300,
        examples={"seconds": 0.5, "remix": 0.0},
        optimisation={"learning_rate": 1e-2, "average": 0.9, "batch": 4},
        intervals={"log_steps": 100, "valid_steps": 100, "checkpoint_steps": 300},
        validation={"songs": 1, "seconds": 0.0},
    )
    song = next((tmp_path / "songs").iterdir())
    settings = read_train_settings(path, ("examples.augmentation={}",))
    only = replace(settings.train[0], folder=song.parent)
    training.train(replace(settings, train=(only,), valid=(only,)), tmp_path / "run", HERE)
    best = max(read_log(tmp_path / "run" / "valid.csv"), key=lambda row: row["sdr_db"])
    assert best["sdr_vocals_db"] > 15.0
    assert best["sdr_accompaniment_db"] > 15.0


def test_a_pattern_means_several_folders(tmp_path: Path) -> None:
    settings = read_train_settings(runs.write(tmp_path))
    (tmp_path / "songs").rename(tmp_path / "a-music")
    shutil.copytree(tmp_path / "a-music", tmp_path / "b-music")
    (tmp_path / "c-music.txt").touch()
    several = replace(settings, train=(replace(settings.train[0], folder=tmp_path / "*-music"),), valid=())
    (collection,) = find_training_data(several, 44100).collections
    assert len(collection.songs) == 6
    none = replace(settings, train=(replace(settings.train[0], folder=tmp_path / "*-noise"),))
    with pytest.raises(FileError, match="no folder is called so"):
        find_training_data(none, 44100)
