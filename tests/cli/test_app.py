"""The command line as a user meets it: real processes, what they print and how they end."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import rtsep
from rtsep.demo import SONG
from rtsep.model.store import EMBEDDED
from tests.host.test_report import validate
from tests.support.commands import PATIENCE_S, Here, check_complaint, program, run, run_here
from tests.support.signals import Float32, error_db, noise

RATE = 44100
STARTER = EMBEDDED / "streaming-2stems"
COMMANDS = (
    (),
    ("live",),
    ("demo",),
    ("separate",),
    ("build",),
    ("devices",),
    ("models",),
    ("models", "pull"),
    ("import", "spleeter"),
    ("import", "openunmix"),
    ("doctor",),
    ("bench",),
    ("bench", "latency"),
    ("bench", "jitter"),
    ("bench", "throughput"),
    ("bench", "gpu"),
    ("bench", "compare"),
)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    yield from run_here(monkeypatch, capsys)


@pytest.fixture(autouse=True)
def no_models_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path_factory.getbasetemp() / "no-models"))


def stems_in(folder: Path) -> Float32:
    return np.stack([soundfile.read(folder / f"{s}.wav", dtype="float32")[0].T for s in ("vocals", "accompaniment")])


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    soundfile.write(path, noise(20_000).T, RATE, subtype="FLOAT")
    return path


# Help and imports ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_an_example_and_fits_80_columns(here: Here, command: tuple[str, ...]) -> None:
    code, out, err = here(*command, "--help")
    assert code == 0 and not err
    assert max(map(len, out.splitlines())) <= 80
    if command and command != ("bench",):
        assert re.search(rf"Examples?:\s+rtsep {' '.join(command)}", out)


def test_version() -> None:
    assert run("--version").stdout == f"rtsep {rtsep.__version__}\n"


@pytest.mark.parametrize("module", ["rtsep", "rtsep.cli.app"])
def test_nothing_heavy_is_imported_before_it_is_needed(module: str) -> None:
    heavy = "{'torch', 'numba', 'onnxruntime', 'openvino', 'sounddevice', 'soundfile', 'numpy', 'soxr'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_live_use_imports_no_torch(song: Path) -> None:
    code = f"""
import sys, rtsep.cli.app
sys.argv = ["rtsep", "live", "-i", {str(song)!r}, "-o", "null", "--freewheel"]
try:
    rtsep.cli.app.main()
except SystemExit:
    pass
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


# What goes wrong -------------------------------------------------------------------------------


def copied(folder: Path, change: Callable[[Path], None]) -> Path:
    """The streaming with something amiss."""
    model = folder / "model"
    shutil.copytree(STARTER, model)
    change(model)
    return model


def other_bins(model: Path) -> None:
    path = model / "model.json"
    entries = json.loads(path.read_text(encoding="utf-8"))
    entries["spec"]["bins"] = 512
    path.write_text(json.dumps(entries), encoding="utf-8")


def flip_a_bit(model: Path) -> None:
    path = model / "model.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def prepare(folder: Path) -> dict[str, Path]:
    """Bad files by name."""
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("This is no sound at all, whatever its name says.\n" * 20)
    soundfile.write(folder / "long.wav", noise(20_000).T, RATE)
    (folder / "truncated.wav").write_bytes((folder / "long.wav").read_bytes()[:30_000])
    (folder / "in-the-way").write_text("a file")
    (folder / "empty-folder").mkdir()
    return {
        "WRONG-SPEC": copied(folder / "a", other_bins),
        "ALTERED": copied(folder / "b", flip_a_bit),
        "FOLDER": folder,
    }


LIVE = "live -o null --seconds 0.2 "
BAD_INPUT = {
    LIVE + "-i no-such-device": "rtsep: input 'no-such-device' is no file",
    "live -i demo -o no-such-device": "rtsep: no output device 'no-such-device'; there are: ",
    LIVE + "-i demo -l 24": "rtsep: unknown latency preset '24'; choose one of exact, 46, 23, 12, 6, 3",
    LIVE + "-i FOLDER/missing.wav": "missing.wav: no such file",
    LIVE + "-i FOLDER/empty.wav": "empty.wav is empty",
    LIVE + "-i FOLDER/truncated.wav": "truncated.wav is truncated",
    LIVE + "-i FOLDER/text.wav": "text.wav is not a sound file",
    LIVE + "-i demo -m FOLDER/text.wav": "model.json is missing beside",
    LIVE + "-i demo -m FOLDER/empty-folder": "a model is a folder with model.json and model.onnx",
    LIVE + "-i demo -m nosuch": "rtsep: no model 'nosuch'; known are spleeter-2stems-ahead",
    LIVE + "-i demo -m WRONG-SPEC": "its spec wants",
    LIVE + "-i demo -m ALTERED": "get the model again",
    LIVE + "-i demo --route drums=1,2": "there is no stem 'drums'; choose from vocals, accompaniment, mix",
    LIVE + "-i demo --route vocals:1,2": "rtsep: route 'vocals:1,2'",
    LIVE + "-i demo --route vocals=": "write it as vocals=1,2",
    LIVE + "-i demo --channels 1;2": "rtsep: channels '1;2': write two",
    LIVE + "-i demo --hop 400": "rtsep: hop 400 does not",
    LIVE + "-i demo --hop -1": "rtsep: hop -1 does not",
    LIVE + "-i demo -m streaming-2stems --mask-interval 5": "rtsep: mask interval 5 does not fit",
    LIVE + "-i demo -m streaming-2stems --lookahead 3": "causal and cannot look ahead; use 0",
    LIVE + "-i demo --compute -1": "rtsep: compute -1 frames is out of range; allowed are 0 to 44100",
    LIVE + "-i demo --rate 4000": "rtsep: sample rate 4000 Hz is out of range",
    LIVE + "-i demo --block 100000": "rtsep: block 100000 frames is out of range",
    LIVE + "-i demo --engine abacus": "rtsep: unknown engine 'abacus'",
    LIVE + "-i demo --precision f8": "rtsep: precision is 'f8'",
    LIVE + "-i demo --record FOLDER/in-the-way": "stems cannot be written there",
    LIVE + "-i demo --report FOLDER/in-the-way/run.json": "the report cannot be written",
    LIVE + "-i demo -m spleeter:4stems": "get it with: rtsep models pull spleeter:4stems",
    "bench latency --rate 7000": "rtsep: sample rate 7000 Hz is out of range",
    "models pull nosuch": "rtsep: no published model 'nosuch'; known are spleeter:2stems, ",
    "import spleeter FOLDER/nothing": "nothing is no checkpoint",
    "import spleeter FOLDER/empty-folder": "empty-folder holds no checkpoint",
    "import spleeter FOLDER/text.wav": "text.wav",
    "import openunmix FOLDER/nothing": "nothing is no folder and no .pth file",
    "import openunmix FOLDER/empty-folder": "empty-folder",
    "import openunmix FOLDER/text.wav": "text.wav",
}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return prepare(tmp_path_factory.mktemp("bad"))


@pytest.mark.parametrize("line", BAD_INPUT, ids=lambda line: line.removeprefix(LIVE))
def test_bad_input_is_one_clear_line(here: Here, bad: dict[str, Path], line: str) -> None:
    check_complaint(BAD_INPUT[line], *here(*filled(line, bad)))


@pytest.mark.parametrize("line", list(BAD_INPUT)[::8])
def test_bad_input_of_a_real_process(bad: dict[str, Path], line: str) -> None:
    done = run(*filled(line, bad))
    check_complaint(BAD_INPUT[line], done.returncode, done.stdout, done.stderr)


def filled(line: str, bad: dict[str, Path]) -> list[str]:
    words = line.split()
    for name, path in bad.items():
        words = [word.replace(name, str(path)) for word in words]
    return words


@pytest.mark.parametrize(
    "line",
    [
        "live --seconds soon",
        "live --threads -1",
        "live --nosuch",
        "models nosuch",
        "models pull",
        "import nosuch",
        "bench latency --block 1",
    ],
)
def test_wrong_usage(here: Here, line: str) -> None:
    code, out, err = here(*line.split())
    assert code == 2
    assert "Usage" in err and not out


# What goes right -------------------------------------------------------------------------------


def test_live_as_fast_as_it_goes(tmp_path: Path) -> None:
    """The main job: stems on disk that sum to the song, and a report that fits its schema."""
    stems, report = tmp_path / "stems", tmp_path / "new" / "run.json"
    words = ("--input", "demo", "--output", "null", "--freewheel", "--record", stems, "--report", report)
    done = run("live", *words, "-m", "streaming-2stems")
    assert done.returncode == 0 and not done.stderr
    sound = soundfile.read(SONG, dtype="float32", always_2d=True)[0].T
    heard = stems_in(stems)
    assert heard.shape == (2, *sound.shape)
    assert error_db(sound, heard.sum(axis=0)) < -100.0
    found = json.loads(report.read_text(encoding="utf-8"))
    validate(found)
    assert found["decks"][0]["recorded_frames"] == sound.shape[1]
    assert found["stale_masks"] == found["output_underflows"] == 0 and found["warning"] == ""
    lines = done.stdout.splitlines()
    assert lines[0] == f"streaming-2stems on null, {RATE} Hz, 29.0 ms behind the input"
    assert "latency  29.0 ms = block 5.8 + window 17.4 + compute 5.8" in lines
    assert any(line.startswith("sound    no dropouts in 2") for line in lines)
    assert str(stems) in done.stdout.replace("\n", "")
    assert lines[-1] == f"report   {report}"


def test_live_in_real_time_for_some_seconds(song: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    done = run("live", "-i", song, "-o", "null", "--loop", "--seconds", "1", "--report", tmp_path / "run.json")
    assert done.returncode == 0
    assert time.monotonic() - started >= 1.0
    found = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert 1.0 <= found["seconds"] < 10.0


def test_demo(song: Path, tmp_path: Path) -> None:
    done = run("demo", "--song", song, "--output", "null", "--record", tmp_path / "demo")
    assert done.returncode == 0
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {"vocals.wav", "accompaniment.wav", "report.json"}
    assert stems_in(tmp_path / "demo").shape == (2, 2, 20_000)
    validate(json.loads((tmp_path / "demo" / "report.json").read_text(encoding="utf-8")))


def test_models(here: Here) -> None:
    code, out, err = here("models")
    assert code == 0 and not err
    assert "spleeter-2stems-live   vocals, accompaniment" in out
    assert "streaming-2stems   vocals, accompaniment" in out
    assert max(map(len, out.splitlines())) <= 80


def test_bench_throughput(tmp_path: Path) -> None:
    report = tmp_path / "run.json"
    done = run("bench", "throughput", "--seconds", "3", "--threads", "1", "--report", report)
    assert "times real time" in done.stdout and done.returncode == 0
    validate(json.loads(report.read_text(encoding="utf-8")))


# Interrupted -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_live_is_interrupted(tmp_path: Path, name: str) -> None:
    stems, report = tmp_path / "stems", tmp_path / "run.json"
    words = ("live", "-i", "demo", "-o", "null", "-m", "streaming-2stems", "--record", stems, "--report", report)
    with subprocess.Popen(program(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "streaming-2stems on null" in process.stdout.readline()
        time.sleep(1.5)
        before = time.monotonic()
        process.send_signal(getattr(signal, name))
        out, err = process.communicate(timeout=PATIENCE_S)
        assert time.monotonic() - before < 10.0
    assert not err and process.returncode == 0
    assert "latency  29.0 ms" in out and f"report   {report}" in out
    found = json.loads(report.read_text(encoding="utf-8"))
    validate(found)
    assert 1.0 < found["seconds"] < 24.0
    heard = stems_in(stems)
    assert heard.shape[2] == found["decks"][0]["recorded_frames"] > RATE // 2
    sound = soundfile.read(SONG, dtype="float32", always_2d=True)[0].T[:, : heard.shape[2]]
    if not found["input_overflows"] and not found["file_frames_starved"]:  # on a machine that did not stall
        assert error_db(sound, heard.sum(axis=0)) < -100.0


def test_a_report_is_kept_where_nothing_can_be_printed(tmp_path: Path) -> None:
    report = tmp_path / "run.json"
    words = ("live", "-i", "demo", "-o", "null", "-m", "streaming-2stems", "--seconds", "0.5", "--report", report)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(program(*words), stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "rtsep: the output cannot be written (No space left on device); what was kept is kept"
    ]
    assert json.loads(report.read_text(encoding="utf-8"))["callbacks"] > 0


def test_a_reader_that_leaves_early_takes_no_report_with_it(tmp_path: Path) -> None:
    report = tmp_path / "run.json"
    words = ("live", "-i", "demo", "-o", "null", "-m", "streaming-2stems", "--seconds", "0.5", "--report", report)
    with subprocess.Popen(program(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(60) == 1
    assert "Traceback" not in said and "Exception ignored" not in said
    assert json.loads(report.read_text(encoding="utf-8"))["callbacks"] > 0
