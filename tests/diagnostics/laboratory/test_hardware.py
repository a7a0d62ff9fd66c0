"""What the driver tells of a card: a program in its place says it, and what it does not say is absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsep.diagnostics.laboratory import hardware

SMI = """#!/bin/sh
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
    assert set(found) == {"power_w", "sm_mhz", "temperature_c", "memory_mib"}


def test_without_a_card_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(hardware, "_nvml", lambda: (_ for _ in ()).throw(ImportError("no pynvml")))
    assert hardware.card() == {} and hardware.reader() is None
    with hardware.watched() as found:
        pass
    assert found == {}
