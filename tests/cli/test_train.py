"""`rtsep train`: from songs in any layout to a model that plays, and one line for what cannot be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.demo import SONG
from rtsep.training import run as training
from rtsep.training.logs import read_log
from tests.support.commands import Here, program, run, run_here
from tests.training import runs

here = pytest.fixture(run_here)


@pytest.mark.parametrize("layout", ["musdb", "spleeter-csv", "trackfolder-var"])
def test_songs_of_every_kind_become_a_model(here: Here, tmp_path: Path, layout: str) -> None:
    settings = runs.write(tmp_path, layout, examples={"retries": 0})
    code, told, complaints = here("train", settings, "-o", tmp_path / "run", "--threads", 1, "--workers", 0)
    assert (code, complaints) == (0, "")
    assert f"model    {tmp_path / 'run' / 'model'}" in told


def test_what_was_trained_plays_live(tmp_path: Path) -> None:
    settings = runs.write(tmp_path)
    trained = run("train", settings, "-o", tmp_path / "run", "--threads", 1, "--workers", 0)
    assert trained.returncode == 0, trained.stderr
    played = run("live", "--input", SONG, "--output", "null", "--seconds", 1, "-l", 3, "-m", tmp_path / "run" / "model")
    assert played.returncode == 0, played.stderr
    assert "tiny on null" in played.stdout


def test_a_run_goes_on_and_is_changed_from_the_command_line(here: Here, tmp_path: Path) -> None:
    settings, folder = runs.write(tmp_path), tmp_path / "run"
    few = ("--threads", 1, "--workers", 0)
    assert here("train", settings, "-o", folder, *few)[0] == 0
    code, _, complaint = here("train", settings, "-o", folder, *few)
    assert (code, "go on with --resume" in complaint) == (1, True)
    code, _, complaint = here("train", settings, "-o", folder, *few, "--resume", "--set", "seed=7")
    assert (code, "seed was 0, now 7" in complaint) == (1, True)
    assert here("train", settings, "-o", folder, *few, "--resume", "--set", "intervals.log_steps=2")[0] == 0


def test_songs_are_decoded_once_where_that_is_asked_for(here: Here, tmp_path: Path) -> None:
    settings = runs.write(tmp_path)
    for path in sorted((tmp_path / "songs").rglob("*.wav")):
        sound, rate = soundfile.read(path)
        soundfile.write(path.with_suffix(".flac"), sound, rate, subtype="PCM_16")
        path.unlink()
    few = ("--threads", 1, "--workers", 0)
    assert here("train", settings, "-o", tmp_path / "plain", *few)[0] == 0
    code, told, complaints = here("train", settings, "-o", tmp_path / "fast", *few, "--unpack", tmp_path / "wavs")
    assert (code, complaints) == (0, "") and "fast/model" in told.replace("\n", "")
    assert len(list((tmp_path / "wavs").glob("*.wav"))) == len(list((tmp_path / "songs").rglob("*.flac"))) - 1, (
        "all but a mix, which no example is made of"
    )
    plain, fast = (tmp_path / name / "log.csv" for name in ("plain", "fast"))
    losses = [[row["loss"] for row in read_log(path)] for path in (plain, fast)]
    assert losses[0] == losses[1]
    code, _, complaint = here("train", settings, "-o", tmp_path / "no", *few, "--unpack", tmp_path / "songs" / "wavs")
    assert code == 1 and "name a folder beside it" in complaint
    assert not (tmp_path / "no").exists()


def test_too_little_shared_memory_is_said_with_its_cure(tmp_path: Path) -> None:
    """As in a container: its own mounts, with a /dev/shm that no batch fits into."""
    mounts = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=256k tmpfs /dev/shm && exec "$@"', "sh"]
    if subprocess.run([*mounts, "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounts of one's own are not allowed here")
    settings = runs.write(tmp_path, optimisation={"batch": 16})
    train = program("train", settings, "-o", tmp_path / "run", "--threads", 1, "--workers", 1)
    done = subprocess.run([*mounts, *train], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    complaint = " ".join(done.stderr.split())
    assert complaint.startswith("rtsep: no shared memory for a batch (") and "--workers 0" in complaint
    assert run("train", settings, "-o", tmp_path / "more", "--threads", 1, "--workers", 0).returncode == 0


def test_songs_are_only_looked_over(here: Here, tmp_path: Path) -> None:
    settings = runs.write(tmp_path)
    code, told, _ = here("train", settings, "-o", tmp_path / "run", "--check")
    assert (code, "the songs can be trained on" in told) == (0, True)
    assert not (tmp_path / "run").exists()


def test_the_check_reads_all_sound_and_names_the_file(here: Here, tmp_path: Path) -> None:
    settings = runs.write(tmp_path)
    first, second = sorted((tmp_path / "songs").rglob("drums.wav"))  # drums are only the rest's
    sound, rate = soundfile.read(first, dtype="float32")
    soundfile.write(second, 0.0 * sound, rate, subtype="FLOAT")
    code, told, _ = here("train", settings, "-o", tmp_path / "run", "--check")
    assert (code, "drums.wav: drums is silent" in told) == (0, True)
    assert "no song has the stem" not in told
    sound[5000] = np.nan
    soundfile.write(first, sound, rate, subtype="FLOAT")
    code, _, complaint = here("train", settings, "-o", tmp_path / "run", "--check")
    assert (
        code,
        "drums.wav: holds a sample that is not a finite number" in complaint,
    ) == (1, True)
    code, _, complaint = here("train", settings, "-o", tmp_path / "run", "--check", "--set", 'stems=["piano","rest"]')
    assert code == 1


def test_a_stop_before_the_first_step_keeps_nothing(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "find_training_data", stopped)
    code, _, complaint = here("train", runs.write(tmp_path), "-o", tmp_path / "run", "--threads", 1)
    assert (code, "nothing is kept" in complaint) == (1, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("network.family=unit", "family is 'unit'"),
        ("network.hiden=8", "unknown key 'hiden'"),
        ("optimisation.steps=0", "optimisation.steps = 0 is out of range"),
        ("optimisation.preset=3", "did you mean 'optimisation.presets'"),
        ("optimisation.loss=l2", "optimisation.loss = 'l2'"),
        ('optimisation.presets=["24"]', "unknown latency preset '24'"),
        ('stems=["vocals","piano","rest"]', "'piano'"),
        ("intervals.log_steps=0", "intervals.log_steps = 0"),
        ("examples.augmentation.gain=2", "gain"),
        ("examples.balance_db=[0.0, -1.0]", "examples.balance_db = [0.0, -1.0] is out of range"),
        ("name=my model", "name = 'my model' is not plain"),
        ("seed=-1", "seed = -1 is out of range"),
        ("validation.preset=24", "validation.preset"),
        ('validation.preset="24"', "unknown latency preset '24'"),
        ("validation.songs=0", "validation.songs = 0"),
        ("valid=[]", "intervals.patience needs songs to validate by"),
    ],
)
def test_settings_that_cannot_be_are_one_line(here: Here, tmp_path: Path, change: str, words: str) -> None:
    settings = runs.write(tmp_path, intervals={"patience": 3})
    code, _, complaint = here("train", settings, "-o", tmp_path / "run", "--threads", 1, "--set", change)
    assert code == 1
    assert words in " ".join(complaint.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("device", ["tpu", "cuda:", "cuda:-1", "cpu:3"])
def test_a_device_that_is_not_there(here: Here, tmp_path: Path, device: str) -> None:
    settings = runs.write(tmp_path)
    code, _, complaint = here("train", settings, "-o", tmp_path / "run", "--device", device)
    assert (code, "allowed are auto, cpu, cuda" in complaint) == (1, True)


def test_the_shipped_settings_fit() -> None:
    from rtsep.model.networks import factory as networks
    from rtsep.training.settings import read_train_settings

    found = sorted((Path(__file__).parents[2] / "configs" / "training").glob("*.toml"))
    assert found
    for path in found:
        settings = read_train_settings(path)
        if "family" in settings.network:  # else it is that of --init
            networks.from_dict({**settings.network, "stems": list(settings.stems)})
