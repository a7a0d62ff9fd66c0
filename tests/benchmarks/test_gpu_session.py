"""The session on a card, dry: every part runs on the CPU, and what was measured is kept whatever happens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu_parts, gpu_session
from benchmarks.gpu_parts import AIMS, Session
from rtsep.diagnostics.laboratory.report import read
from rtsep.errors import RtsepError
from tests.diagnostics.laboratory.test_report import validate
from tests.support.hosts import until

ALL_AIMS = AIMS  # before any test takes fewer


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_parts, "DRY_HOPS", 2)
    monkeypatch.setattr(gpu_parts, "AIMS", (AIMS[0], AIMS[3]))


def test_a_dry_run_does_every_part(tmp_path: Path) -> None:
    session = Session(tmp_path, 600.0, dry=True)
    session.run()
    assert session.all_met(), session.found["parts"]
    assert list(session.found["parts"]) == ["probe", AIMS[0].name, AIMS[3].name, "offline", "peers", "cold start"]
    kept = read(tmp_path / "gpu.json")
    validate(kept)
    assert [(row["case"]["engine"], row["case"]["decks"]) for row in kept["rows"]] == [
        ("torch-cpu", 1),
        ("torch-cpu", 2),
        ("onnx", 1),
    ]
    assert kept["rows"][0]["sdr_db"] > gpu_parts.SDR_DB  # float32 against float32
    assert kept["rows"][1]["live"]["hops"] == 2 and kept["rows"][1]["rows"] == 2
    told = json.loads((tmp_path / "session.json").read_text(encoding="utf-8"))
    assert told["dry_run"] and told["engine"] == "torch-cpu" and told["cold_start"]["first_mask_s"] > 0.0
    assert told["offline"]["times_real_time"] > 0.0 and told["weights"] == {"2": "random", "4": "random"}
    assert len(told["aims"]) == 4 and "unfinished" not in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gpu.json", "session.json", "session.md"]


def test_what_was_measured_is_kept_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that is lost in the middle of the second case, and then a kill."""
    monkeypatch.setattr(gpu_parts, "AIMS", (AIMS[0], AIMS[0]))

    def fail(self: Session, budget_s: float) -> None:
        raise RtsepError("the card is lost")

    def kill(self: Session, budget_s: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Session, "_offline", fail)
    monkeypatch.setattr(Session, "_peers", kill)
    session = Session(tmp_path, 600.0, dry=True)
    with pytest.raises(KeyboardInterrupt):
        session.run()
    told = json.loads((tmp_path / "session.json").read_text(encoding="utf-8"))
    assert told["parts"]["offline"]["why"] == "RtsepError: the card is lost"
    assert told["parts"][AIMS[0].name]["done"] and not session.all_met()
    assert read(tmp_path / "gpu.json")["rows"][0]["live"]["hops"] == 2


def test_a_session_without_time_says_so(tmp_path: Path) -> None:
    session = Session(tmp_path, 0.0, dry=True)
    session.run()
    assert all("s were left of the session" in part["why"] for part in session.found["parts"].values())
    assert len(session.found["parts"]) == 6 and not session.found["aims"]


def test_what_a_machine_lacks_is_named_before_anything_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from benchmarks import gpu_session as s;"
        "assert not any(name.startswith('rtsep') for name in sys.modules);"
        f"s.NEEDED = ('numpy', 'no_such_thing'); sys.argv = ['s', '--out', {str(tmp_path)!r}]; s.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "missing on this machine: no_such_thing; carry their wheels" in done.stderr
    assert json.loads((tmp_path / "session.json").read_text(encoding="utf-8")) == {"missing": ["no_such_thing"]}


def test_a_wheel_that_does_not_fit_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken-1-py3-none-any.whl").write_bytes(b"no zip")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", "before")
    gpu_session.install(tmp_path, tmp_path / "site")
    assert "broken-1-py3-none-any.whl: " in capsys.readouterr().out
    assert sys.path[0] == str(tmp_path / "site")


def test_what_does_not_end_is_ended_from_outside_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that hangs, and a child of it; what was on disk before stays."""
    program = tmp_path / "hangs"
    program.write_text(
        f"#!/bin/sh\necho kept > {tmp_path}/session.json\n(sleep 60) &\necho $! > {tmp_path}/child\nwait\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(gpu_session, "GRACE_S", 1.0)
    assert gpu_session.watch([], 1.0) == 1
    assert (tmp_path / "session.json").read_text() == "kept\n"
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    assert until(lambda: not child.exists() or child.read_text().split()[2] == "Z")  # it dies when it is next run


def test_the_budgets_fit_into_the_session_and_a_child_into_what_is_left(tmp_path: Path) -> None:
    session = Session(tmp_path, 7.0, dry=True)
    assert 6.0 < session._patience_s(60.0) <= 7.0 and session._patience_s(3.0) == 3.0
    assert Session(tmp_path, -5.0, dry=True)._patience_s(60.0) == 0.1
    assert sum(aim.budget_s for aim in ALL_AIMS) + sum(gpu_parts.BUDGETS_S.values()) <= gpu_session.SECONDS
