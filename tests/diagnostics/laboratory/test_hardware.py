"""What the driver tells of a card: a program in its place says it, and what it does not say is absent."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rtsep.diagnostics.laboratory import hardware
from rtsep.engine.tensorrt.driver import Driver, Gpu

SMI = """#!/bin/sh
echo "$*" >> "$(dirname "$0")/asked"
case "$*" in
*name*) echo "A Card, 580.1" ;;
*) echo "151.5, 1980, [N/A], 40, 1024" ;;
esac
"""


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(SMI, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(hardware, "_nvml", lambda: (_ for _ in ()).throw(ImportError("no pynvml")))


@pytest.mark.usefixtures("smi")
def test_what_is_told_is_kept_and_what_is_not_is_absent() -> None:
    assert hardware.card() == {"GPU": "A Card", "driver": "580.1"}
    with hardware.watched() as found:
        assert found == {}
    assert found["power_w"] == {"min": 151.5, "mean": 151.5, "max": 151.5}
    assert set(found) == {"power_w", "sm_mhz", "temperature_c", "memory_mib", "source"}
    assert found["source"] == "nvidia-smi, before and after"


@pytest.mark.usefixtures("smi")
def test_the_card_that_cuda_shows_is_asked_and_no_program_is_started_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Gpu(0, "A Card", (9, 0), 1 << 30, "0000:41:00.0")
    monkeypatch.setattr("rtsep.engine.tensorrt.driver.probe", lambda: Driver((13, 0), (gpu,)))
    monkeypatch.setattr(hardware, "EVERY_S", 0.001)
    with hardware.watched():
        before = (tmp_path / "asked").read_text(encoding="utf-8")
        time.sleep(0.05)
        assert (tmp_path / "asked").read_text(encoding="utf-8") == before
    assert all(line.endswith("--id=0000:41:00.0") for line in before.splitlines())


def test_without_a_card_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(hardware, "_nvml", lambda: (_ for _ in ()).throw(ImportError("no pynvml")))
    assert hardware.card() == {} and hardware.reader() is None
    with hardware.watched() as found:
        pass
    assert found == {}
