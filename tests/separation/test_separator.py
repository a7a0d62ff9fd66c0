"""Spleeter's `Separator` as programs written for it call it, over models that rtsep has."""

from __future__ import annotations

import enum
import inspect
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

import rtsep
from rtsep.audio.sources import Signal
from rtsep.engine.registry import open_engine
from rtsep.errors import EngineError, FileError, ModelError, SpecError
from rtsep.model import store
from rtsep.separation import separator as module
from rtsep.separation.options import Refinement, SeparationOptions
from rtsep.separation.separate import separate
from rtsep.separation.separator import Separator, separate_waveform
from tests.support.models import TINY, narrow_unet, tiny_spleeter
from tests.support.recordings import RATE, floats, heard, music
from tests.support.signals import Float32, error_db, noise
from tests.support.spleeters import small

STEMS = ("vocals", "accompaniment")
EXACT = SeparationOptions()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one model like an imported one of Spleeter."""
    return tiny_spleeter(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def here(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTSEP_MODELS", str(models))


@pytest.fixture
def tiny(here: None) -> Iterator[Separator]:
    separator = Separator(TINY, threads=1)
    yield separator
    separator.close()


def plainly(sound: Float32, method: SeparationOptions = EXACT, model: str = TINY) -> Float32:
    """What the method makes of a sound (channels, frames): (stems, channels, frames)."""
    engine = open_engine(store.find(model))
    return np.concatenate([b.copy() for b in separate([engine], Signal(sound, RATE), method)], axis=2)


def stacked(found: dict[str, Float32]) -> Float32:
    """(stems, channels, frames) of what `separate` gives."""
    assert tuple(found) == STEMS
    for stem in found.values():
        assert stem.dtype == np.float32 and stem.flags.c_contiguous
    return np.stack([stem.T for stem in found.values()])


# Waveforms -------------------------------------------------------------------------------------


def test_a_waveform(tiny: Separator) -> None:
    sound = noise(30_011)
    found = tiny.separate(sound.T)
    assert [stem.shape for stem in found.values()] == [(30_011, 2)] * 2
    stems = stacked(found)
    np.testing.assert_array_equal(stems, plainly(sound))
    assert error_db(sound, stems.sum(axis=0)) < -100.0
    assert error_db(stems[0], stems[1]) > -20.0, "the network has a say"


def test_the_second_waveform_does_not_know_the_first(tiny: Separator) -> None:
    first = stacked(tiny.separate(noise(9000).T, "a name"))
    tiny.separate(noise(20_000, seed=1).T)
    np.testing.assert_array_equal(stacked(tiny.separate(noise(9000).T)), first)


def test_mono_is_doubled_and_more_than_two_are_cut(tiny: Separator) -> None:
    sound = noise(5000, channels=6)
    mono = stacked(tiny.separate(sound[0]))
    np.testing.assert_array_equal(mono, plainly(sound[[0, 0]]))
    np.testing.assert_array_equal(stacked(tiny.separate(sound[:1].T)), mono)
    np.testing.assert_array_equal(stacked(tiny.separate(sound.T)), plainly(sound[:2]))


@pytest.mark.parametrize("frames", [0, 1, 255, 4096, 4097])
def test_any_length(tiny: Separator, frames: int) -> None:
    sound = noise(frames, seed=frames)
    stems = stacked(tiny.separate(sound.T))
    assert stems.shape == (2, 2, frames)
    if frames:
        assert error_db(sound, stems.sum(axis=0)) < -100.0
    assert stacked(tiny.separate_at(sound.T, 48000)).shape == (2, 2, frames)


def test_other_numbers(tiny: Separator) -> None:
    wanted = plainly(noise(5000))
    for waveform in (
        noise(5000).T.astype(np.float64),
        np.ascontiguousarray(noise(5000).T),
        np.flipud(noise(5000).T)[::-1],
    ):
        np.testing.assert_array_equal(stacked(tiny.separate(waveform)), wanted)
    fixed = np.full((5000, 2), 0.25, np.float16)
    fixed.flags.writeable = False
    np.testing.assert_array_equal(stacked(tiny.separate(fixed)), plainly(np.full((2, 5000), 0.25, np.float32)))


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_silence(tiny: Separator, broken: float) -> None:
    sound = music(20_000, 48000)
    clean = sound.copy()
    clean[:, 9000] = 0.0
    sound[:, 9000] = broken
    np.testing.assert_array_equal(stacked(tiny.separate(sound.T)), plainly(clean))
    resampled = stacked(tiny.separate_at(sound.T, 48000))
    assert np.isfinite(resampled).all()
    assert error_db(clean[:, 500:8000], resampled.sum(axis=0)[:, 500:8000]) < -60.0


@pytest.mark.parametrize("shape", [(), (2, 3, 4), (100, 0)])
def test_what_is_no_waveform(tiny: Separator, shape: tuple[int, ...]) -> None:
    with pytest.raises(FileError, match=r"a waveform is \(frames, channels\) or \(frames,\), not "):
        tiny.separate(np.zeros(shape, np.float32))


def test_a_models_own_way_is_its_own_separator() -> None:
    """The streaming is not of Spleeter's family, and goes the same way with its own rate."""
    separator = Separator("streaming-2stems", threads=1)
    try:
        assert separator.stems == STEMS and separator.model.family == "rtsep"
        sound = music(20_000)
        stems = stacked(separator.separate(sound.T))
        np.testing.assert_array_equal(stems, plainly(sound, model="streaming-2stems"))
        assert error_db(sound, stems.sum(axis=0)) < -100.0
    finally:
        separator.close()


# Other rates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [22050, 48000, 96000])
def test_a_waveform_at_any_rate(tiny: Separator, rate: int) -> None:
    sound = music(rate, rate)
    stems = stacked(tiny.separate_at(sound.T, rate))
    assert stems.shape == (2, 2, rate)
    inside = slice(rate // 20, -rate // 20)
    assert error_db(sound[:, inside], stems.sum(axis=0)[:, inside]) < -60.0, "in time and at its level"


def test_at_the_models_own_rate_nothing_is_resampled(tiny: Separator) -> None:
    np.testing.assert_array_equal(stacked(tiny.separate_at(noise(5000).T, RATE)), plainly(noise(5000)))


@pytest.mark.parametrize("rate", [0, -44100, 10_000_000])
def test_a_rate_that_cannot_be(tiny: Separator, rate: int) -> None:
    with pytest.raises(SpecError, match=f"sample rate {rate} Hz is out of range"):
        tiny.separate_at(noise(5000).T, rate)


def test_separate_waveform() -> None:
    sound = music(24_000, 48000)
    found = separate_waveform(sound.T, 48000, TINY)
    separator = rtsep.Separator(TINY)
    np.testing.assert_allclose(stacked(found), stacked(separator.separate_at(sound.T, 48000)), atol=1e-6)
    separator.close()
    assert rtsep.separate_waveform is separate_waveform
    assert not any(thread.name.startswith("rtsep-") for thread in threading.enumerate())


# The Wiener filter, and other choices ----------------------------------------------------------


def test_the_wiener_filter_by_any_spelling() -> None:
    sound = noise(12_000)
    wanted = plainly(sound, SeparationOptions(mwf=True))
    assert error_db(plainly(sound), wanted) > -40.0
    for separator in (Separator(TINY, True), Separator(TINY, MWF=True), Separator(TINY, None, True)):
        np.testing.assert_allclose(stacked(separator.separate(sound.T)), wanted, atol=1e-5)
        separator.close()
    plain = Separator(TINY, False)
    np.testing.assert_allclose(stacked(plain.separate(sound.T)), plainly(sound), atol=1e-6)
    plain.close()


@pytest.mark.parametrize(
    ("arguments", "mwf", "background"),
    [
        ((TINY,), False, True),
        ((TINY, False, True), False, True),  # Spleeter's order: MWF, multiprocess
        ((TINY, True, False), True, False),
        ((TINY, True), True, True),
        ((TINY, None, True, False), True, False),
    ],
)
def test_arguments_in_spleeters_order(arguments: tuple[str, bool], mwf: bool, background: bool, tmp_path: Path) -> None:
    separator = Separator(*arguments)
    assert separator.method.mwf == mwf
    missing = (tmp_path / "none.wav", tmp_path / "out")
    if background:
        separator.separate_to_file(*missing, synchronous=False)
        with pytest.raises(FileError, match="no such file"):
            separator.join()
    else:
        with pytest.raises(FileError, match="no such file"):
            separator.separate_to_file(*missing, synchronous=False)
    separator.close()


def test_spleeters_signatures() -> None:
    """Names and places of arguments, so that calls by either go on working."""

    def names(function: object) -> list[str]:
        assert callable(function)
        return list(inspect.signature(function).parameters)[1:]

    assert names(Separator.separate) == ["waveform", "audio_descriptor"]
    assert names(Separator.separate_to_file) == [
        *("audio_descriptor", "destination", "audio_adapter", "offset", "duration"),
        *("codec", "bitrate", "filename_format", "synchronous"),
    ]
    assert names(Separator.save_to_file) == [
        *("sources", "audio_descriptor", "destination", "filename_format"),
        *("codec", "audio_adapter", "bitrate", "synchronous"),
    ]
    assert inspect.signature(Separator.separate_to_file).parameters["duration"].default == 600.0


def test_what_does_not_go_together() -> None:
    with pytest.raises(SpecError, match="are Open-Unmix's"):
        Separator(TINY, refinement=Refinement())
    with pytest.raises(SpecError, match="--mwf is Spleeter's"):
        Separator("streaming-2stems", MWF=True)
    with pytest.raises(EngineError, match="unknown engine 'abacus'"):
        Separator(TINY, engine="abacus")


# Models ----------------------------------------------------------------------------------------


def test_unknown_models(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"no model 'nosuch'; known are .*{TINY}"):
        Separator("nosuch")
    with pytest.raises(ModelError, match="get it with: rtsep models pull spleeter:4stems"):
        Separator("spleeter:4stems")
    with pytest.raises(ModelError, match=f"a checkpoint needs the Spleeter JSON that describes it; {TINY} is none"):
        Separator(TINY, tmp_path)


def test_the_default_is_spleeters(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="rtsep models pull spleeter:2stems"):
        Separator()
    narrow_unet(tmp_path / "spleeter-2stems", context=16, bins=128, window=1024, hop=256, filters=(2, 3),
                name="spleeter-2stems", family="spleeter")  # fmt: skip
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path))
    separator = Separator()
    assert separator.model.name == "spleeter-2stems"
    separator.close()
    with pytest.raises(ModelError, match=f"no model '{TINY}'"):
        Separator(TINY)


def test_a_spleeter_json_and_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTSEP_MODELS", str(tmp_path / "store"))
    folder = small(tmp_path / "trained")
    separator = Separator(folder / "config.json", folder)
    assert separator.model.family == "spleeter" and separator.stems == STEMS
    sound = noise(5000)
    found = stacked(separator.separate(sound.T))
    separator.close()
    np.testing.assert_allclose(
        stacked(separate_waveform(sound.T, RATE, str(folder / "config.json"), str(folder))), found, atol=1e-6
    )
    assert len(list((tmp_path / "store").iterdir())) == 1, "it is imported once"


# Files -----------------------------------------------------------------------------------------


class Codec(str, enum.Enum):  # noqa: UP042 - as Spleeter has it
    WAV = "wav"
    FLAC = "flac"


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return floats(tmp_path / "song.wav", noise(30_000))


def written(folder: Path, ending: str = "wav") -> Float32:
    return np.stack([heard(folder / f"{stem}.{ending}") for stem in STEMS])


def test_a_file_to_files(tiny: Separator, song: Path, tmp_path: Path) -> None:
    tiny.separate_to_file(str(song), str(tmp_path / "out"))
    np.testing.assert_array_equal(written(tmp_path / "out" / "song"), plainly(noise(30_000)))
    assert soundfile.info(tmp_path / "out" / "song" / "vocals.wav").samplerate == RATE


def test_offset_and_duration(tiny: Separator, song: Path, tmp_path: Path) -> None:
    tiny.separate_to_file(song, tmp_path, None, 0.25, 0.125)
    np.testing.assert_array_equal(written(tmp_path / "song"), plainly(noise(30_000)[:, 11025 : 11025 + 5512]))
    tiny.separate_to_file(song, tmp_path, offset=0, duration=None)
    assert written(tmp_path / "song").shape[2] == 30_000


@pytest.mark.parametrize("codec", ["flac", Codec.FLAC])
def test_codec_and_names(tiny: Separator, song: Path, tmp_path: Path, codec: str) -> None:
    template = "{foldername}/{instrument}/{filename}.{codec}"
    tiny.separate_to_file(song, tmp_path / "out", codec=codec, bitrate="256k", filename_format=template)
    path = tmp_path / "out" / tmp_path.name / "vocals" / "song.flac"
    assert soundfile.info(path).format == "FLAC"
    assert error_db(plainly(noise(30_000))[0], heard(path)) < -60.0


def test_another_rate_of_the_file(tiny: Separator, tmp_path: Path) -> None:
    """As in Spleeter, the stems have the model's rate."""
    tiny.separate_to_file(floats(tmp_path / "song.wav", music(24_000, 48000), 48000), tmp_path)
    stems = written(tmp_path / "song")
    assert soundfile.info(tmp_path / "song" / "vocals.wav").samplerate == RATE and stems.shape == (2, 2, 22_050)
    assert error_db(music(22_050)[:, 1000:-1000], stems.sum(axis=0)[:, 1000:-1000]) < -60.0


def test_in_the_background(tiny: Separator, song: Path, tmp_path: Path) -> None:
    other = floats(tmp_path / "other.wav", noise(20_000, seed=5))
    for path in (song, other):
        tiny.separate_to_file(path, tmp_path / "out", synchronous=False)
    wanted = plainly(noise(9000))
    np.testing.assert_array_equal(stacked(tiny.separate(noise(9000).T)), wanted, "one engine for both, one at a time")
    tiny.join()
    np.testing.assert_array_equal(written(tmp_path / "out" / "song"), plainly(noise(30_000)))
    np.testing.assert_array_equal(written(tmp_path / "out" / "other"), plainly(noise(20_000, seed=5)))
    tiny.join()


def test_many_callers_at_once(tiny: Separator) -> None:
    """Every one gets its own stems, whoever else is there."""
    found: dict[int, Float32] = {}

    def call(seed: int) -> None:
        found[seed] = stacked(tiny.separate(noise(20_000, seed=seed).T))

    callers = [threading.Thread(target=call, args=(seed,)) for seed in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for seed in range(6):
        np.testing.assert_array_equal(found[seed], plainly(noise(20_000, seed=seed)))


def test_a_separator_that_was_made_before_a_fork(song: Path, tmp_path: Path) -> None:
    """A child has no thread of its parent's, and locks that nobody will ever give back: it has its own of all."""
    program = """
        import os, sys
        from rtsep import Separator

        song, out, model = sys.argv[1:]
        separator = Separator(model, threads=2)
        idle = Separator(model, threads=2)
        separator.separate_to_file(song, f"{out}/parent", synchronous=False)
        child = os.fork()
        if child == 0:
            separator.join()  # for nothing: that is the parent's
            separator.separate_to_file(song, f"{out}/child", synchronous=False)
            separator.join()
            separator.close()
            sys.exit(7)  # as a program ends, with all that it has
        separator.join()
        separator.separate_to_file(song, f"{out}/later")
        separator.close()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    for model in (TINY, "streaming-2stems"):
        out = tmp_path / model
        command = [sys.executable, "-c", textwrap.dedent(program), str(song), str(out), model]
        # ONNX Runtime's own thread, of telemetry, lets no child end
        environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60.0, env=environment)
        assert (done.returncode, done.stdout, done.stderr) == (0, "7\n", "")
        stems = [written(out / whose / "song") for whose in ("parent", "child", "later")]
        np.testing.assert_array_equal(stems[0], stems[1])
        np.testing.assert_array_equal(stems[0], stems[2])


def test_join_says_what_went_wrong_one_after_the_other(tiny: Separator, song: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "none.wav", song, tmp_path / "nothing.wav"):
        tiny.separate_to_file(path, tmp_path / "out", synchronous=False)
    with pytest.raises(FileError, match=r"none.wav: no such file"):
        tiny.join()
    with pytest.raises(FileError, match=r"nothing.wav: no such file"):
        tiny.join()
    tiny.join()
    assert written(tmp_path / "out" / "song").shape[2] == 30_000


def test_join_waits_no_longer_than_it_is_told(
    tiny: Separator, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    monkeypatch.setattr(module, "separate_file", lambda *arguments, **named: () if go.wait(30.0) else ("late",))
    tiny.separate_to_file(song, tmp_path / "out", synchronous=False)
    tiny.join(0.01)
    assert not go.is_set()
    go.set()
    tiny.join(30.0)


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"codec": "mp4"}, FileError, "unknown codec 'mp4'; allowed are wav"),
        ({"filename_format": "{artist}/{instrument}"}, FileError, r"\{artist\} is unknown"),
        ({"filename_format": "../{instrument}"}, FileError, "not to a file inside"),
        ({"offset": 5.0}, FileError, "offset 5 s is not inside its 0.7 s"),
        ({"offset": -1}, SpecError, "offset -1 s is out of range"),
        ({"duration": 0}, SpecError, "duration 0 s is out of range"),
    ],
)
@pytest.mark.parametrize("synchronous", [True, False])
def test_what_is_refused(
    tiny: Separator,
    song: Path,
    tmp_path: Path,
    settings: dict[str, object],
    kind: type[Exception],
    words: str,
    synchronous: bool,
) -> None:
    with pytest.raises(kind, match=words):
        tiny.separate_to_file(song, tmp_path / "out", synchronous=synchronous, **settings)  # type: ignore[arg-type]
        tiny.join()
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


# What `separate` gave, to files ----------------------------------------------------------------


@pytest.mark.parametrize("synchronous", [True, False])
def test_stems_to_files(tiny: Separator, tmp_path: Path, synchronous: bool) -> None:
    found = tiny.separate(noise(300_000).T)
    tiny.save_to_file(found, "some/where/song.mp3", tmp_path / "out", synchronous=synchronous)
    tiny.join()
    np.testing.assert_array_equal(written(tmp_path / "out" / "song"), stacked(found))


def test_stems_of_ones_own(tiny: Separator, tmp_path: Path) -> None:
    """Any names, fewer channels, other lengths."""
    stems = {"choir": noise(5000).T, "solo": noise(3000, channels=1)[0].astype(np.float64)}
    tiny.save_to_file(stems, "song", str(tmp_path), "{filename}-{instrument}.{codec}", Codec.WAV, None, "128k")
    np.testing.assert_array_equal(heard(tmp_path / "song-choir.wav"), noise(5000))
    solo = heard(tmp_path / "song-solo.wav")
    np.testing.assert_array_equal(solo[:, :3000], np.repeat(noise(3000, channels=1), 2, axis=0))
    assert solo.shape == (2, 5000) and not solo[:, 3000:].any()
    tiny.save_to_file({}, "nothing", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_stems_whose_names_lead_elsewhere(tiny: Separator, tmp_path: Path) -> None:
    for name, template in (("../../vocals", "{filename}/{instrument}"), ("/tmp/vocals", "{instrument}")):
        with pytest.raises(FileError, match="not to a file inside"):
            tiny.save_to_file({name: noise(10).T}, "song", tmp_path / "out", template)


def test_a_closed_separator(song: Path, tmp_path: Path) -> None:
    separator = Separator(TINY)
    separator.separate_to_file(song, tmp_path / "out", synchronous=False)
    separator.close()
    assert written(tmp_path / "out" / "song").shape[2] == 30_000, "what was begun is finished"
    with pytest.raises(EngineError, match="is closed"):
        separator.separate(noise(100).T)
