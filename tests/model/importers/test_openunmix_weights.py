"""Files of strangers: what is not a state dict of plain tensors is refused, and runs no code."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rtsep.errors import ModelError
from rtsep.model.importers import openunmix_weights
from rtsep.model.importers.openunmix_weights import read_settings, read_weights
from rtsep.model.store import digest
from tests.model.networks.test_openunmix import random_weights


class Code:
    """What a pickle can do to whoever loads it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "vocals.pth"
    torch.save(random_weights(), path)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch(tmp_path: Path, zipped: bool) -> None:
    torch.save(random_weights(), tmp_path / "vocals.pth", _use_new_zipfile_serialization=zipped)
    found = read_weights(tmp_path / "vocals.pth")
    assert found.keys() == random_weights().keys()
    assert all(np.array_equal(found[name], tensor.numpy()) for name, tensor in random_weights().items())


def test_the_hash_is_compared(whole: Path) -> None:
    real = digest(whole)[:8]
    assert read_weights(whole, real)
    with pytest.raises(ModelError, match=f"begins with {real}, not with 0123abcd as its name says"):
        read_weights(whole, "0123abcd")


@pytest.mark.parametrize("zipped", [True, False])
def test_code_does_not_run(tmp_path: Path, zipped: bool) -> None:
    path, trace = tmp_path / "vocals.pth", tmp_path / "trace"
    weights = {**random_weights(), "fc1.weight": Code(trace)}
    torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match="no file of plain tensors"):
        read_weights(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists(), "the file is as bad as it was meant to be"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kept", [1, 100, 3000, -200, -1])
def test_a_truncated_file(tmp_path: Path, kept: int, zipped: bool) -> None:
    path = tmp_path / "vocals.pth"
    torch.save(random_weights(), path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match="damaged") as error:
        read_weights(path)
    assert len(str(error.value).splitlines()) == 1


def test_sizes_that_cannot_be(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openunmix_weights, "MAX_WEIGHT_BYTES", 1000)
    with pytest.raises(ModelError, match="1 to 1000 are allowed"):
        read_weights(whole)
    monkeypatch.undo()
    whole.write_bytes(b"")
    with pytest.raises(ModelError, match="has 0 bytes"):
        read_weights(whole)


def test_a_compressed_archive_is_not_unpacked(tmp_path: Path, whole: Path) -> None:
    torch.save({"input_mean": torch.zeros(5_000_000)}, whole)
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        for member in source.infolist():
            bomb.writestr(member.filename, source.read(member))
    assert path.stat().st_size < 100_000
    with pytest.raises(ModelError, match="would unpack to 2000"):
        read_weights(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([torch.zeros(3)], "holds a list"),
        ({}, "must be a state dict"),
        ({"epoch": 3, "state_dict": {"input_mean": torch.zeros(3)}}, "'epoch' is no tensor; .* no whole checkpoint"),
        ({3: torch.zeros(3)}, "3 is no tensor"),
        ({"input_mean": torch.eye(3).to_sparse()}, "'input_mean' is no plain tensor"),
        ({"input_mean": torch.zeros(3, device="meta")}, "'input_mean' is no plain tensor"),
        ({"input_mean": torch.zeros(1).expand(10**12)}, "its tensors claim 4000000000000"),
    ],
)
def test_what_is_no_state_dict(tmp_path: Path, content: object, words: str) -> None:
    torch.save(content, tmp_path / "vocals.pth")
    with pytest.raises(ModelError, match=words):
        read_weights(tmp_path / "vocals.pth")


def test_no_link_leaves_the_folder(tmp_path: Path, whole: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "vocals.pth").symlink_to(whole)
    (inner / "separator.json").symlink_to(os.devnull)
    with pytest.raises(ModelError, match="link that leaves its folder"):
        read_weights(inner / "vocals.pth")
    with pytest.raises(ModelError, match="link that leaves its folder"):
        read_settings(inner / "separator.json", ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"nfft": 4096', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1, 2]", "must be a JSON object with nfft, nhop"),
        ('{"nfft": 4096, "hop": 1024}', "must be a JSON object with nfft, nhop"),
        ("", "has 0 bytes"),
        (" " * 4_000_001, "4000001 bytes"),
    ],
)
def test_foreign_json(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "separator.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=words):
        read_settings(path, ("nfft", "nhop"))


def test_json_with_more_in_it(tmp_path: Path) -> None:
    path = tmp_path / "vocals.json"
    entries = {"args": {"nfft": 4096}, "best_loss": 0.5, "train_loss_history": [1.0, 0.5]}
    path.write_text(json.dumps(entries))
    assert read_settings(path, ("args",)) == entries
