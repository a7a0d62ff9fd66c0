"""What the original programs gave for small random networks, kept by `benchmarks/parity`, and what we give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.model.importers.openunmix import import_openunmix
from rtsep.separation.options import Refinement
from rtsep.separation.separator import Separator

KEPT = Path(__file__).parents[1] / "data" / "parity"
WINDOW = 15  # spectra that Open-Unmix refined together there


def kept(name: str, case: str) -> dict[str, NDArray[np.float32]]:
    """{stem: (frames, channels)} of one case of the original, in its order."""
    with np.load(KEPT / f"{name}.npz") as arrays:
        return {key.partition("/")[2]: arrays[key] for key in arrays if key.startswith(f"{case}/")}


def song(name: str) -> NDArray[np.float32]:
    with np.load(KEPT / f"{name}.npz") as arrays:
        return np.asarray(arrays["song"])


def check(found: dict[str, NDArray[np.float32]], wanted: dict[str, NDArray[np.float32]], tolerance: float) -> None:
    assert list(found) == list(wanted)
    for stem, sound in wanted.items():
        assert np.abs(sound).max() > 1e-3, "a silent stem proves nothing"
        assert np.abs(found[stem] - sound).max() < tolerance * np.abs(sound).max(), stem


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path / "models"))


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("spleeter-small", "zeros"),
        ("spleeter-small", "average"),
        ("spleeter-small", "mwf"),
        ("spleeter-small-softmax", "zeros"),
    ],
)
def test_spleeter(name: str, case: str, tmp_path: Path) -> None:
    """From its own checkpoint and its own JSON, as written by TensorFlow."""
    entries = json.loads((KEPT / name / "config.json").read_text(encoding="utf-8"))
    entries["mask_extension"] = "zeros" if case == "mwf" else case
    (tmp_path / "params.json").write_text(json.dumps(entries), encoding="utf-8")
    separator = Separator(tmp_path / "params.json", KEPT / name, MWF=case == "mwf", threads=2)
    check(separator.separate(song(name)), kept(name, case), 1e-3 if case == "mwf" else 1e-4)
    separator.close()


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("niter", [0, 1])
def test_openunmix(niter: int, residual: bool) -> None:
    import_openunmix(KEPT / "openunmix-small", "small", ("vocals", "drums"))
    separator = Separator("small", refinement=Refinement(niter, residual=residual, window=WINDOW))
    case = f"niter{niter}{'-residual' if residual else ''}"
    check(separator.separate(song("openunmix-small")), kept("openunmix-small", case), 1e-3 if niter else 1e-4)
    separator.close()
