"""`rtsep effects ...` and `rtsep live --effects` as a user meets them."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from rtsep.effects.catalogue import Knob
from rtsep.effects.records import Description, Record, Records, digest, write_records
from tests.host.test_report import validate
from tests.support.commands import Here, check_complaint, run, run_here
from tests.support.plugins import bad_plugin, real_plugin
from tests.support.signals import noise

pytest.importorskip("pedalboard")
RATE = 44100
GOOD = """
[stems.vocals]
effects = [
  { name = "Compressor", values = { threshold_db = -20.0 } },
  { name = "Delay", values = { delay_seconds = "1/4 beat", mix = 0.3 } },
]

[buses.reverb]
effects = [{ name = "Reverb", values = { dry_level = 0.0 } }]

[buses.beat]
effects = [{ name = "Gain", values = { gain_db = -3.0 } }]

[master]
effects = [{ name = "Limiter" }]

[macros]
1 = [{ path = "stems/vocals/effects/1/threshold_db", first = 0.0, last = -40.0 }]
"""
PLAYS = ("live", "-o", "null", "-m", "streaming-2stems", "--freewheel")
BROKEN = {
    "[stems.vocals": "chain.toml is not TOML: Expected ']'",
    "[stems.horns]\neffects = [{ name = 'Gain' }]": "effects on stems/horns: there is no such strip; choose from",
    "[stems.vocals]\neffects = [{ nam = 'Gain' }]": "chain.toml: unknown key 'stems.vocals.effects[0].nam'",
    "[stems.vocals]\neffects = [{ name = 'Gain', values = { gian_db = 1.0 } }]": "Gain has no parameter 'gian_db'",
    "[master]\neffects = [{ name = 'Gain', values = { gain_db = 90.0 } }]": "allowed are -60 to 24 dB",
    "[master]\neffects = [{ name = 'Gain', preset = '../x.vstpreset' }]": "lies outside of",
}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    yield from run_here(monkeypatch, capsys)


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The user's data folder: empty."""
    folder = tmp_path / "data"
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    return folder


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    soundfile.write(path, noise(20_000).T, RATE, subtype="FLOAT")
    return path


def written(folder: Path, text: str) -> Path:
    path = folder / "chain.toml"
    path.write_text(text, encoding="utf-8")
    return path


# Live ------------------------------------------------------------------------------------------


def test_live_with_chains_on_stems_buses_and_master(tmp_path: Path, song: Path) -> None:
    chains, report = written(tmp_path, GOOD), tmp_path / "run.json"
    done = run(*PLAYS, "-i", song, "--group", "beat=accompaniment", "--effects", chains, "--report", report)
    assert done.returncode == 0 and not done.stderr
    lines = done.stdout.splitlines()
    # A hop of 256 frames at each of three levels: strips, buses, master.
    assert lines[0] == f"streaming-2stems on null, {RATE} Hz, 46.4 ms behind the input"
    assert "latency  46.4 ms = block 5.8 + window 17.4 + compute 5.8 + effects 17.4" in lines
    assert "effects  decks/a/stems/vocals: Compressor, Delay" in lines and "effects  master: Limiter" in lines
    found = json.loads(report.read_text(encoding="utf-8"))
    validate(found)
    assert found["latency_frames"]["effects"] == 3 * 256 and found["effect_faults"] == []
    chains_of = {one["strip"]: one for one in found["effects"]}
    assert set(chains_of) == {"decks/a/stems/vocals", "buses/reverb", "buses/beat", "master"}
    assert all(one["dry_hops"] <= 1 and one["hops"] > 50 for one in chains_of.values()), "but for the last one"


@pytest.mark.parametrize("text", BROKEN, ids=BROKEN.values())
def test_a_broken_file_is_one_line(here: Here, tmp_path: Path, text: str) -> None:
    check_complaint(BROKEN[text], *here(*PLAYS, "-i", "demo", "--effects", written(tmp_path, text)))


def test_a_file_that_is_not_there(here: Here, tmp_path: Path) -> None:
    check_complaint("the settings cannot be read", *here(*PLAYS, "-i", "demo", "--effects", tmp_path / "none.toml"))


def test_a_missing_plugin_lets_the_sound_through_and_is_said(tmp_path: Path, song: Path) -> None:
    chains = written(tmp_path, '[stems.vocals]\neffects = [{ name = "Gone", values = { depth = 0.5 } }]\n')
    report = tmp_path / "run.json"
    done = run(*PLAYS, "-i", song, "--effects", chains, "--report", report)
    assert done.returncode == 0 and not done.stderr
    assert "effects  decks/a/stems/vocals: Gone" in done.stdout.splitlines()
    (line,) = json.loads(report.read_text(encoding="utf-8"))["effect_faults"]
    assert "vocals: Gone is no plugin that was scanned (`rtsep effects scan` looks for them)" in line
    assert line[:40] in done.stdout


# Plugins ---------------------------------------------------------------------------------------


def test_help_has_an_example_and_fits_80_columns(here: Here) -> None:
    for command in ("scan", "list", "describe", "edit"):
        code, out, err = here("effects", command, "--help")
        assert code == 0 and not err
        assert max(map(len, out.splitlines())) <= 80 and f"rtsep effects {command}" in out


def test_a_scan_says_what_it_refused_and_why_and_list_repeats_it(here: Here, tmp_path: Path) -> None:
    fake = tmp_path / "plugins" / "fake.vst3"
    fake.parent.mkdir()
    fake.write_text("no plugin")
    code, out, err = here("effects", "scan", fake.parent)
    lines = out.replace("\n", " ")
    assert code == 0 and not err
    assert "refused: " in lines and "fake.vst3 is no plugin (" in lines
    assert "0 accepted, 1 refused; `rtsep effects list` lists all" in lines
    assert "(known)" in here("effects", "scan", fake)[1].replace("\n", " "), "it is not opened twice"
    listed = here("effects", "list")[1]
    assert "Reverb   room_size, damping" in listed and "fake.vst3 is no plugin" in listed.replace("\n", " ")


@pytest.mark.skipif(platform.machine() != "x86_64" or platform.system() != "Linux", reason="bundles are for x86-64")
def test_a_folder_with_a_crashing_and_a_hanging_plugin(here: Here, tmp_path: Path) -> None:
    folder = tmp_path / "plugins"
    for way in ("crashes", "hangs"):
        bad_plugin(folder, way)
    code, out, err = here("effects", "scan", folder, "--limit", "3")
    lines = out.replace("\n", " ")
    assert code == 0 and not err
    assert "crashed (SIGSEGV)" in lines and "did not answer within 3 s" in lines and "0 accepted, 2 refused" in lines
    check_complaint("crashes.vst3 crashed (SIGSEGV)", *here("effects", "describe", folder / "crashes.vst3"))


def test_there_may_be_nothing_to_scan(here: Here, tmp_path: Path) -> None:
    check_complaint("there are no plugins in", *here("effects", "scan", tmp_path))


def test_an_effect_is_described(here: Here) -> None:
    code, out, err = here("effects", "describe", "Compressor")
    assert code == 0 and not err
    assert "Compressor   one of Pedalboard's own" in out and "threshold_db   -60 to 0 dB, 0 at first" in out
    check_complaint("Compresor is no plugin that was scanned", *here("effects", "describe", "Compresor"))


def known(folder: Path) -> Path:
    """A plugin that a scan has accepted, as far as its record says."""
    plugin = folder.resolve() / "comp.vst3"
    plugin.write_bytes(b"plugin")
    described = Description(
        "Comp", "Somebody", "1.0", "Fx", channels=1, knobs=(Knob("drive_db", "dB", 0.0, 40.0, 6.0),),
        latency={"44100": 12, "48000": 13}, latency_basis="as it reports", cpu_us={"256": 9.0},
    )  # fmt: skip
    write_records(Records({str(plugin): Record(str(plugin), digest(plugin), "accepted", "", (described,))}))
    return plugin


def test_a_plugin_is_described_from_its_record(here: Here, tmp_path: Path) -> None:
    plugin = known(tmp_path)
    code, out, err = here("effects", "describe", "Comp")
    lines = out.replace("\n", " ")
    assert code == 0 and not err
    assert lines.startswith("Comp 1.0   Somebody, Fx, ")
    assert "channels: 1; it runs twice on a stereo strip" in lines
    assert "latency: 12 frames at 44100 Hz, 13 frames at 48000 Hz, as it reports" in lines
    assert "drive_db   0 to 40 dB, 6 at first" in lines
    plugin.write_bytes(b"another")
    check_complaint("is not what was scanned", *here("effects", "describe", "Comp"))


def test_a_window_needs_a_display(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    known(tmp_path)
    check_complaint("there is no display for its window (DISPLAY is not set)", *here("effects", "edit", "Comp"))
    check_complaint("Komp is no plugin that was scanned", *here("effects", "edit", "Komp"))


def test_a_real_plugin_is_scanned_and_plays(here: Here, tmp_path: Path, song: Path) -> None:
    path = real_plugin("ZamCompX2")
    assert "1 accepted, 0 refused" in here("effects", "scan", path, "--limit", "200")[1]
    chains = written(tmp_path, '[stems.vocals]\neffects = [{ name = "ZamCompX2", isolate = true }]\n')
    report = tmp_path / "run.json"
    done = run(*PLAYS, "-i", song, "--effects", chains, "--report", report)
    assert done.returncode == 0 and not done.stderr
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["effect_faults"] == [] and found["effects"][0]["dry_hops"] <= 1
