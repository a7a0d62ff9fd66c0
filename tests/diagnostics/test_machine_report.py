"""`rtsep doctor --report`: everything is in it, nothing of it is personal, and it comes whatever fails."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from rtsep import __version__
from rtsep.core.last_error import keep_error
from rtsep.diagnostics import machine_report as module
from rtsep.diagnostics.doctor import Finding
from rtsep.diagnostics.machine_report import SECTIONS, machine_report
from rtsep.errors import FileError
from rtsep.host.device import Device
from tests.support.commands import run


@pytest.fixture(autouse=True)
def lisbeth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has called her machine and her headset after herself."""
    home = tmp_path / "lisbeth"
    (home / ".local/share/rtsep/models").mkdir(parents=True)
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "RTSEP_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", "lisbeth")
    monkeypatch.setenv("RTSEP_CACHE", str(home / "kernels"))
    monkeypatch.setattr(platform, "node", lambda: "lisbeth-desk.salander.net")
    monkeypatch.setattr(module, "devices", lambda: (Device(3, "Lisbeth's Buds", "ALSA", 1, 2, 48000),))
    monkeypatch.setattr(module, "examine", lambda: (Finding("locked memory", "refused", "add yourself to audio"),))
    return home


def lines_of(text: str, title: str) -> list[str]:
    after = text.partition(f"\n{title}\n")[2]
    return [line[2:] for line in after.split("\n\n")[0].splitlines()]


def test_it_says_everything(lisbeth: Path) -> None:
    keep_error(FileError(f"{lisbeth}/song.wav is empty"), ["separate"])
    (lisbeth / ".local/share/rtsep/models/one").write_bytes(bytes(1 << 20))
    text = machine_report("\n".join(f"ALSA {number} of lisbeth" for number in range(99)))
    assert all(lines_of(text, title) for title in SECTIONS)
    assert any(line.startswith(f"rtsep: {__version__}") for line in lines_of(text, "machine"))
    assert any("numba" in line and "onnxruntime" in line for line in lines_of(text, "machine"))
    assert any(line.startswith("locked memory: ") for line in lines_of(text, "limits"))
    assert lines_of(text, "findings") == ["locked memory: refused (add yourself to audio)"]
    assert lines_of(text, "sound devices") == ["3 <user>'s Buds (ALSA), 1 in, 2 out, 48000 Hz"]
    assert any(line.startswith("streaming-2stems: embedded, ") for line in lines_of(text, "models"))
    assert "models: ~/.local/share/rtsep/models, 1 files, 1 MiB" in lines_of(text, "folders")
    assert "RTSEP_CACHE=~/kernels" in lines_of(text, "environment")
    assert lines_of(text, "last error")[1] == "FileError: ~/song.wav is empty"
    said = lines_of(text, "what drivers said last")
    assert len(said) == module.MOST_LINES and said[-1] == "ALSA 98 of <user>"


def test_nothing_personal_is_in_it(lisbeth: Path) -> None:
    text = machine_report("opened by lisbeth on lisbeth-desk").lower()
    assert "lisbeth" not in text and "salander" not in text and str(lisbeth.parent).lower() + "/l" not in text


def test_what_cannot_be_told_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> tuple[Device, ...]:
        raise OSError("the sound\nserver hangs")

    monkeypatch.setattr(module, "devices", fail)
    assert lines_of(machine_report(), "sound devices") == ["cannot be told (OSError: the sound server hangs)"]


def test_of_drivers_only_what_they_said() -> None:
    log = "--- rtsep 1\n--- rtsep 2\nALSA: busy\n--- rtsep 3\nFatal Python error: Segmentation fault\n--- rtsep 4\n"
    assert lines_of(machine_report(log), "what drivers said last") == [
        "--- rtsep 2",
        "ALSA: busy",
        "--- rtsep 3",
        "Fatal Python error: Segmentation fault",
    ]
    assert lines_of(machine_report("--- rtsep 1\n"), "what drivers said last") == ["nothing"]


def test_of_a_kernel(tmp_path: Path) -> None:
    files = {
        "proc/cmdline": "BOOT_IMAGE=/vmlinuz root=UUID=1234 threadirqs isolcpus=2,3 quiet",
        "proc/sys/kernel/sched_rt_runtime_us": "950000",
        **{f"sys/devices/system/cpu/cpu{n}/cpufreq/scaling_governor": "powersave" for n in range(3)},
        "sys/devices/system/cpu/cpu3/cpufreq/scaling_governor": "performance",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert list(module._kernel(tmp_path))[:3] == [
        "governor: powersave on 3, performance on 1",
        "started with: threadirqs isolcpus=2,3",
        "real-time share: 950000",
    ]


def test_of_sound_servers(tmp_path: Path) -> None:
    for number, name in enumerate(("bash", "pipewire", "wireplumber")):
        (tmp_path / f"proc/{number}").mkdir(parents=True)
        (tmp_path / f"proc/{number}/comm").write_text(f"{name}\n")
    assert next(iter(module._servers(tmp_path))) == "running: pipewire, wireplumber"


def test_the_command(lisbeth: Path) -> None:
    done = run("doctor", "--report")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("rtsep doctor --report, ") and "\nlast error\n" in done.stdout
    assert "lisbeth" not in done.stdout.lower()


def test_a_failed_run_is_in_it(lisbeth: Path) -> None:
    run("separate", lisbeth / "nothing.wav", "-o", "stems")
    kept = lines_of(run("doctor", "--report").stdout, "last error")
    assert kept[0].endswith(", separate -o") and "~/nothing.wav" in kept[1]
