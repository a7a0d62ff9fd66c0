"""`rtsep build` as a user meets it, on a machine without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtsep.engine.tensorrt import driver
from rtsep.engine.tensorrt.family import Family
from rtsep.engine.tensorrt.key import as_used
from rtsep.engine.tensorrt.manifest import find_built
from rtsep.model.store import find
from tests.support.commands import Here, check_complaint, run_here
from tests.support.models import TINY, tiny_spleeter


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Here]:
    monkeypatch.setenv("RTSEP_ENGINES", str(tmp_path / "engines"))
    monkeypatch.setenv("RTSEP_MODELS", str(tiny_spleeter(tmp_path / "models")))
    monkeypatch.setattr(driver, "load", _no_driver)
    yield from run_here(monkeypatch, capsys)


def _no_driver() -> None:
    raise OSError


def test_an_engine_is_built_and_listed(here: Here, tmp_path: Path) -> None:
    code, out, err = here("build", TINY, "--for", "sm89,sm120", "--for", "SM89", "--precision", "fp16", "--batch", "2")
    assert code == 0 and not err, err
    found = [find_built(as_used(find(TINY)), "fp16", 16, 2, gpu) for gpu in ("sm89", "sm120")]
    assert len(list((tmp_path / "engines").iterdir())) == 2
    lines = out.splitlines()
    assert lines[0] == f"{TINY}: writing the graph, fp16, context 16"
    assert lines[1].strip() == str(found[0].manifest.parity) and "dB from fp32, on 8 calls of music" in lines[1]
    assert found[0].manifest.parity.db is not None and found[0].manifest.parity.db > 40
    assert [line.strip() for line in lines if "engines/" in line] == [str(one.path) for one in found]
    (found[1].path / "engine.bin").write_bytes(b"")
    code, out, err = here("build", "--list")
    assert code == 0
    assert out.splitlines()[0] == found[0].path.name and "2 rows" in out and "will not be used" not in out
    assert err.startswith(f"rtsep: {found[1].path.name}: engine.bin has 0 bytes")


def test_a_stale_engine_is_listed_with_what_builds_it_again(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    here("build", TINY, "--for", "sm86", "--precision", "fp32")
    monkeypatch.setattr(Family, "version", "9.9")
    code, out, _ = here("build", "--list")
    assert code == 0
    assert "it will not be used: it was built with TensorRT-RTX 1." in out and "here is TensorRT-RTX 9.9" in out
    assert f"build it again with: rtsep build {TINY} --precision fp32 --context 16 --for sm86" in out


def test_an_empty_list_says_how_to_fill_it(here: Here) -> None:
    assert here("build", "--list")[1] == "no engines were built; build one as in: rtsep build spleeter-2stems-live\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "which model? name one, as in: rtsep build spleeter-2stems-live"),
        ((TINY,), "there is no NVIDIA GPU here; name those to build for, as in: --for sm86,sm89,sm120"),
        ((TINY, "--for", "sm90"), "TensorRT-RTX"),
        ((TINY, "--for", "rtx4090"), "GPU 'rtx4090'; it must be a compute capability, as sm89"),
        ((TINY, "--for", "sm89", "--precision", "fp12"), "allowed are fp32, tf32, fp16"),
        ((TINY, "--for", "sm89", "--context", "17"), "allowed are multiples of 4"),
        ((TINY, "--for", "sm89", "--library", "cudnn"), "allowed are tensorrt_rtx, tensorrt"),
        (("no-such-model", "--for", "sm89"), "no model 'no-such-model'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_built_is_one_line(here: Here, words: tuple[str, ...], complaint: str) -> None:
    check_complaint(complaint, *here("build", *words))


def test_without_a_library_the_cure_is_named(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Family, "installed", False)
    check_complaint("pip install 'rtsep[gpu]'", *here("build", TINY, "--for", "sm89"))
    check_complaint("pip install 'tensorrt>=11'", *here("build", TINY, "--library", "tensorrt"))


def test_the_card_at_hand_is_built_for(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = driver.Gpu(0, "GeForce RTX 4090", (8, 9), 24 << 30)
    monkeypatch.setattr(driver, "probe", lambda: driver.Driver((13, 0), (gpu,)))
    code, out, _ = here("build", TINY, "--precision", "fp32")
    assert code == 0 and "  sm89: TensorRT-RTX" in out and "  sm89: not timed: " in out  # no pycuda here
