"""The doctor: each lack has its cure, and what nothing plays without makes it fail."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rtsep.cli.app import app
from rtsep.core.budget import Budget, default_compute
from rtsep.core.limits import Limits
from rtsep.core.presets import plan
from rtsep.diagnostics import capacity as timing
from rtsep.diagnostics import doctor
from rtsep.diagnostics.doctor import Finding, examine
from rtsep.engine.registry import ENGINES, RegisteredEngine
from rtsep.errors import DeviceError, ModelError
from rtsep.host.device import Device
from tests.support.models import causal_spec, unet_spec


@pytest.fixture(autouse=True)
def no_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Drivers have said nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def found(subject: str) -> Finding:
    return next(finding for finding in examine() if finding.subject.startswith(subject))


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*arguments: object) -> Any:
        raise error

    return fail


def test_it_looks_at_everything_here() -> None:
    findings = examine()
    assert len({finding.subject for finding in findings}) == len(doctor.LOOKS)
    assert all(finding.state and "\n" not in finding.state + finding.cure for finding in findings)
    assert found("engine onnx") == Finding("engine onnx", "ONNX Runtime, fp32", needed=True)
    assert {f"engine {name}" for name in ENGINES} <= {finding.subject for finding in findings}
    assert found("models").state.startswith("spleeter-2stems-ahead, spleeter-2stems-live")


@pytest.mark.parametrize(
    ("subject", "module", "state", "cure", "needed"),
    [
        ("engine onnx", "onnxruntime", "ONNX Runtime is not installed", "pip install onnxruntime", True),
        ("engine openvino", "openvino", "OpenVINO is not installed", "pip install 'rtsep[openvino]'", False),
        ("PyTorch", "torch", "not installed", "pip install 'rtsep[train]'", False),
    ],
)
def test_a_missing_library(
    monkeypatch: pytest.MonkeyPatch, subject: str, module: str, state: str, cure: str, needed: bool
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else real(name))
    assert found(subject).state == state
    assert found(subject).cure == cure
    assert found(subject).needed is needed


def test_a_precision_that_the_processor_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(engine: RegisteredEngine, precision: str = "fp32") -> str:
        return "" if precision == "fp32" else "bf16 needs AMX; use fp32"

    monkeypatch.setattr(RegisteredEngine, "probe", probe)
    assert found("engine openvino") == Finding("engine openvino", "OpenVINO, fp32; bf16 needs AMX")


def test_no_portaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "devices", raising(DeviceError("PortAudio is not installed; sudo apt-get install it")))
    assert found("PortAudio") == Finding(
        "PortAudio", "missing", "PortAudio is not installed; sudo apt-get install it", True
    )


def test_no_sound_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "devices", tuple)
    assert found("sound devices").state == "none"
    assert "--output null" in found("sound devices").cure
    assert not found("sound devices").needed


def test_a_sound_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "devices", lambda: (Device(0, "Card", "ALSA", 2, 2, 48000),))
    assert found("sound devices") == Finding("sound devices", "1, see `rtsep devices`")


def test_a_broken_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "catalogue", raising(ModelError("model.onnx is missing; get it again")))
    assert found("models") == Finding("models", "broken", "model.onnx is missing; get it again", True)


def test_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Plan9")
    assert found("system").cure.startswith("live use is made for Linux")


@pytest.mark.parametrize(
    ("subject", "name"), [("real-time priority", "become_realtime"), ("locked memory", "lock_memory")]
)
def test_refused_by_the_system(monkeypatch: pytest.MonkeyPatch, subject: str, name: str) -> None:
    monkeypatch.setattr(doctor, name, lambda *arguments: False)
    assert found(subject).state == "refused"
    assert "/etc/security/limits.d/audio.conf" in found(subject).cure


def test_looking_leaves_the_priority_as_it_was() -> None:
    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    examine()
    assert (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == before


def test_nothing_compiled_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "compiled", lambda: False)
    assert found("signal path").state.startswith("not compiled yet")
    assert not found("signal path").cure, "it cures itself"


def test_a_cache_that_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "compiled", lambda: False)
    monkeypatch.setattr(doctor, "refusal", lambda: "Permission denied")
    assert found("signal path").state == "compiled at every start, which takes half a minute (Permission denied)"
    assert "set RTSEP_CACHE" in found("signal path").cure and not found("signal path").needed


def test_a_container_with_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "limits", lambda: Limits(2, 3 << 30, 4, 1.5, 3 << 30))
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert found("system").state.endswith(", 4 of 16, a quota of 1.5 cores, 3 GiB")
    assert "docker --cpuset-cpus" in found("system").cure


def looks(*findings: Finding) -> tuple[Callable[[], Finding], ...]:
    return tuple((lambda finding=finding: finding) for finding in findings)


@pytest.mark.parametrize(
    ("finding", "code"),
    [
        (Finding("thing", "well"), 0),
        (Finding("thing", "well", needed=True), 0),
        (Finding("thing", "lacking", "buy [one]"), 0),
        (Finding("thing", "lacking", "buy [one]", needed=True), 1),
    ],
)
def test_the_command(monkeypatch: pytest.MonkeyPatch, finding: Finding, code: int) -> None:
    monkeypatch.setattr(doctor, "LOOKS", looks(Finding("other", "[fine]"), finding))
    monkeypatch.setattr(doctor, "live_models", lambda named: ())
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == code
    assert result.stdout.splitlines()[:2] == ["● other: [fine]", f"● thing: {finding.state}"]
    assert result.stdout.splitlines()[2:] == (["    buy [one]"] if finding.cure else [])


def test_the_command_says_what_holds_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOOKS", ())
    monkeypatch.setattr(timing, "pass_time_s", lambda engine, every_s, rows=1: 0.0013)
    result = CliRunner().invoke(app, ["doctor", "-m", "streaming-2stems"])
    assert result.exit_code == 0
    first, *rows = result.stdout.strip().splitlines()
    assert first == "streaming-2stems, one thread: 1.3 ms for a mask"
    assert rows[2] == "   23: a mask every 5.8 ms: yes, 1.3 ms of 4.1 ms; 29 ms in all"
    assert [row.split(":")[0].strip() for row in rows] == ["exact", "46", "23", "12", "6", "3"]


def test_a_model_that_does_not_hold_comes_with_the_setting_that_does() -> None:
    model = unet_spec()
    window = plan(model, 44100, "23")
    budget = Budget(window, 256, default_compute(model, window, 256), False)
    slow = timing.ModelTiming("slow", 1, 0.029, (budget,))
    assert slow.words(budget) == (
        "   23: a mask every 23 ms: no, 29 ms of 15 ms; "
        "every 46 ms: yes, try --mask-interval 8 --compute 2048; 70 ms in all"
    )
    quick = timing.ModelTiming("quick", 2, 0.010, (budget,))
    assert quick.words(budget) == "   23: a mask every 23 ms: yes, 10 ms of 15 ms; 46 ms in all"


def test_a_stateful_model_that_nothing_holds_is_no_yes() -> None:
    model = causal_spec()
    window = plan(model, 44100, "23")
    budget = Budget(window, 256, default_compute(model, window, 256), True)
    slow = timing.ModelTiming("slow", 1, 0.029, (budget,))
    assert slow.words(budget) == (
        "   23: a mask every 5.8 ms: no, 29 ms of 4.1 ms; close other programs, or try another --model"
    )
