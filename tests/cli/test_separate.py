"""`rtsep separate` as a user meets it: its options, what it says, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.separation.folder_record import NAME
from tests.support.commands import PATIENCE_S, Here, check_complaint, program, run, run_here
from tests.support.models import TINY, tiny_spleeter
from tests.support.recordings import RATE, floats, heard, made, music
from tests.support.signals import Float32, error_db, noise

STEMS = ("vocals", "accompaniment")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_spleeter(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def only_ours(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTSEP_MODELS", str(models))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    yield from run_here(monkeypatch, capsys)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return floats(tmp_path / "song.wav", noise(20_000))


def stems_in(folder: Path, ending: str = "wav") -> Float32:
    return np.stack([heard(folder / f"{stem}.{ending}") for stem in STEMS])


def there(folder: Path) -> list[str]:
    """Every file below a folder but the records of stems, from there on."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != NAME)
    return sorted(str(path.relative_to(folder)) for path in files)


def said(folder: Path, *names: str, ending: str = "wav") -> str:
    """What is printed for songs that are separated."""
    return "".join(f"{folder}/{name}/{stem}.{ending}\n" for name in names for stem in STEMS)


# What goes wrong -------------------------------------------------------------------------------


BAD_INPUT = {
    "SONG -o FOLDER/in-the-way": "stems cannot be written there",
    "SONG -o FOLDER/out --stems drums": "there is no stem 'drums'; choose from vocals, accompaniment",
    "SONG -o FOLDER/out --stems residual -p tiny": "there is no stem 'residual'",
    "SONG -o FOLDER/out -m FOLDER/text.wav": "model.json is missing",
    "SONG -o FOLDER/out -p nosuch": "known are spleeter-2stems-ahead, spleeter-2stems-live, spleeter-2stems-small",
    "SONG -o FOLDER/out -p spleeter:4stems": "get it with: rtsep models pull spleeter:4stems",
    "SONG -o FOLDER/out -p openunmix:umxhq": "get it with: rtsep models pull openunmix:umxhq",
    "SONG -o FOLDER/out -c mp4": "rtsep: unknown codec 'mp4'; allowed are wav, mp3, ogg, m4a, wma, flac",
    "SONG -o FOLDER/out -c mp3 -b 320": "rtsep: bitrate '320' is 320 bits per second; write 320k",
    "SONG -o FOLDER/out -b 320k": "rtsep: wav has no bitrate, '320k' means nothing to it; leave it out",
    "SONG -o FOLDER/out -c flac -b 320k": "rtsep: flac has no bitrate",
    "SONG -o FOLDER/out -p tiny -c mp3 -b 24k": "rtsep: mp3 cannot have a bitrate of 24k at 44100 Hz, only 32",
    "SONG -o FOLDER/out -f {instrument}.mp3": "names mp3 files, and the codec is wav; choose -c mp3, or write {codec}",
    "SONG -o FOLDER/out -c mp3 -b plenty": "rtsep: bitrate 'plenty' is not bits per second; write it as 128k",
    "SONG -o FOLDER/out -l 24": "rtsep: unknown latency preset '24'; choose one of exact, 46, 23, 12, 6, 3",
    "SONG -o FOLDER/out -s 60": "offset 60 s is not inside its 0.5 s",
    "SONG -o FOLDER/out -s inf": "offset inf s is out of range",
    "SONG -o FOLDER/out -d inf": "duration inf s is out of range",
    "SONG -o FOLDER/out -f {artist}/{instrument}": "{artist} is unknown; allowed are filename, instrument, ",
    "SONG -o FOLDER/out -f {filename.__class__}/{instrument}": "{filename.__class__} is unknown",
    "SONG -o FOLDER/out -f ../{instrument}.wav": "not to a file inside",
    "SONG -o FOLDER/out -f {filename}.{codec}": "add {instrument}",
    "SONG -o FOLDER/out -p streaming-2stems --mwf": "rtsep: --mwf is Spleeter's, with latency exact; streaming-2",
    "SONG -o FOLDER/out -p tiny --mwf -l 23": "rtsep: --mwf is Spleeter's, with latency exact; tiny at 23 has none",
    "SONG -o FOLDER/out -p streaming-2stems --niter 2": "are Open-Unmix's, with latency exact; streaming-2",
    "SONG -o FOLDER/out -p tiny --niter 0": "are Open-Unmix's, with latency exact; tiny at exact has none",
    "SONG -o FOLDER/out -p tiny --residual": "are Open-Unmix's",
    "SONG -o FOLDER/out -p tiny --softmask": "are Open-Unmix's",
    "SONG -o FOLDER/out -p tiny --wiener-window 200": "are Open-Unmix's",
    "SONG -o FOLDER/out --niter 101": "rtsep: niter 101 is out of range; allowed are 0 to 100",
    "SONG -o FOLDER/out --wiener-window 0": "rtsep: Wiener window 0 is out of range",
    "SONG -o FOLDER/out --engine abacus": "rtsep: unknown engine 'abacus'",
    "FOLDER/missing.wav -o FOLDER/out": "missing.wav: no such file",
    "FOLDER/empty.wav -o FOLDER/out": "empty.wav is empty",
    "FOLDER/empty-folder -o FOLDER/out": "empty-folder holds no sound files; known endings are aac, ",
    "FOLDER/text.wav -o FOLDER/out": "text.wav is not a sound file",
    "FOLDER/truncated.wav -o FOLDER/out": "truncated.wav is truncated",
    "TOO-LONG -o FOLDER/out": "cannot be read: File name too long",
}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("This is no sound at all, whatever its name says.\n" * 20)
    song = made(folder / "long.wav", noise(20_000))
    (folder / "truncated.wav").write_bytes(song.read_bytes()[:30_000])
    (folder / "in-the-way").write_text("a file")
    (folder / "empty-folder").mkdir()
    return {"SONG": str(song), "FOLDER": str(folder), "TOO-LONG": "x" * 300}


def filled(line: str, bad: dict[str, str]) -> list[str]:
    words = line.split()
    for name, path in bad.items():
        words = [word.replace(name, path) for word in words]
    return ["separate", *words]


@pytest.mark.parametrize("line", BAD_INPUT)
def test_bad_input_is_one_clear_line(here: Here, bad: dict[str, str], line: str) -> None:
    check_complaint(BAD_INPUT[line], *here(*filled(line, bad)))
    assert not there(Path(bad["FOLDER"]) / "out"), "nothing is left of it"


@pytest.mark.parametrize("line", list(BAD_INPUT)[::12])
def test_bad_input_of_a_real_process(bad: dict[str, str], line: str) -> None:
    done = run(*filled(line, bad))
    check_complaint(BAD_INPUT[line], done.returncode, done.stdout, done.stderr)


def test_no_codec_needs_a_program(here: Here, song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert here("separate", song, "-o", tmp_path / "out", "-c", "mp3")[0] == 0
    assert there(tmp_path / "out") == [f"song/{stem}.mp3" for stem in sorted(STEMS)]


@pytest.mark.parametrize(
    "line", ["separate", "separate x.wav", "separate x.wav -o out -s -1", "separate x.wav -o out -d 0",
             "separate x.wav -o out -d soon", "separate x.wav -o out --threads -1", "separate x.wav -o out --nosuch"]
)  # fmt: skip
def test_wrong_usage(here: Here, line: str) -> None:
    code, out, err = here(*line.split())
    assert code == 2
    assert "Usage" in err and not out


def test_names_may_hold_anything(tmp_path: Path) -> None:
    """Brackets are no markup."""
    odd = made(tmp_path / "a [live] [bold] :smile: {codec} song.wav", noise(3000))
    done = run("separate", odd, tmp_path / "[/red] none.wav", "-o", tmp_path / "[out]")
    assert done.stdout == said(tmp_path / "[out]", odd.stem)
    assert done.stderr == f"rtsep: {tmp_path}/[/red] none.wav: no such file\n"
    assert done.returncode == 1


# What goes right -------------------------------------------------------------------------------


def test_help_shows_spleeters_letters(here: Here) -> None:
    code, out, err = here("separate", "--help")
    assert code == 0 and not err
    for letter in "opmcbsdfl":
        assert re.search(rf"[ ,]-{letter}\b", out), letter


def test_one_broken_file_does_not_stop_the_others(song: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_text("no sound")
    done = run("separate", tmp_path / "broken.wav", song, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "broken.wav" in done.stderr
    assert error_db(heard(song), stems_in(tmp_path / "out" / "song").sum(axis=0)) < -100.0
    assert not (tmp_path / "out" / "broken").exists()


def test_separate_some_stems(here: Here, song: Path, tmp_path: Path) -> None:
    code, out, err = here("separate", song, "-o", tmp_path / "out", "--stems", " vocals ", "-l", "23", "--threads", "1")
    assert (code, out, err) == (0, f"{tmp_path}/out/song/vocals.wav\n", "")
    assert there(tmp_path / "out") == ["song/vocals.wav"]


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_threads_change_nothing_else(here: Here, song: Path, tmp_path: Path, threads: int) -> None:
    for model in ("streaming-2stems", TINY):
        assert here("separate", song, "-o", tmp_path / model, "-p", model, "--threads", threads)[0] == 0
        assert error_db(heard(song), stems_in(tmp_path / model / "song").sum(axis=0)) < -100.0


def test_folders_codecs_names_and_spans(here: Here, tmp_path: Path) -> None:
    """As one would call Spleeter, a whole album at once."""
    for name in ("cd1/one.wav", "cd1/two.wav", "cd2/one.wav"):
        floats(tmp_path / "album" / name, music(2 * RATE))
    (tmp_path / "album" / "cover.jpg").touch()
    out = tmp_path / "album" / "stems"
    settings = ["-p", TINY, "-c", "mp3", "-b", "192k", "-s", "0.5", "-d", "1", "--mwf"]
    code, printed, err = here(
        "separate", tmp_path / "album", "-o", out, *settings, "-f", "{foldername}_{filename}/{instrument}.{codec}"
    )
    assert code == 0 and not err
    wanted = [f"{name}/{stem}.mp3" for name in ("cd1_one", "cd1_two", "cd2_one") for stem in sorted(STEMS)]
    assert there(out) == wanted
    first, *paths = printed.splitlines()
    assert first == "left out: 1 that is no sound file (.jpg 1)"
    assert sorted(paths) == [f"{out}/{path}" for path in wanted]
    assert stems_in(out / "cd2_one", "mp3").shape[2] == pytest.approx(RATE, abs=RATE // 10)
    assert (out / "cd1_one" / "vocals.mp3").stat().st_size == pytest.approx(24_000, rel=0.15)


def test_another_rate_is_the_models_with_spleeters_way_and_the_files_own_with_ours(here: Here, tmp_path: Path) -> None:
    song = floats(tmp_path / "song.wav", music(48_000, 48000), 48000)
    for model, rate in ((TINY, RATE), ("streaming-2stems", 48000)):
        assert here("separate", song, "-o", tmp_path / model, "-p", model)[0] == 0
        assert soundfile.info(tmp_path / model / "song" / "vocals.wav").samplerate == rate
        assert stems_in(tmp_path / model / "song").shape[2] == rate


def test_the_wiener_filter_makes_a_difference(here: Here, song: Path, tmp_path: Path) -> None:
    for folder, choice in (("plain", ()), ("mwf", ("--mwf",))):
        assert here("separate", song, "-o", tmp_path / folder, "-p", TINY, *choice)[0] == 0
    plain, filtered = stems_in(tmp_path / "plain" / "song"), stems_in(tmp_path / "mwf" / "song")
    assert plain.shape == filtered.shape == (2, 2, 20_000)
    assert error_db(plain, filtered) > -40.0


def test_resume(here: Here, tmp_path: Path) -> None:
    songs = [floats(tmp_path / "in" / f"{name}.wav", noise(5000)) for name in "abc"]
    out = tmp_path / "out"
    resumed = ("separate", tmp_path / "in", "-o", out, "--resume")
    assert here("separate", songs[1], "-o", out)[0] == 0
    for stem in STEMS:  # of whom nobody knows how they were made
        floats(out / "c" / f"{stem}.wav", noise(10))
    (out / "c" / "accompaniment.wav.part").touch()
    before = (out / "b" / "vocals.wav").stat().st_mtime_ns
    code, printed, err = here(*resumed)
    assert code == 0 and not err
    first, again, *rest = printed.splitlines()
    assert first == "1 of 3 files have their stems already"
    assert again == "1 of 3 files are separated again: their stems have no record of how they were made"
    assert sorted(rest) == sorted(said(out, "a", "c").splitlines())
    assert (out / "b" / "vocals.wav").stat().st_mtime_ns == before
    assert stems_in(out / "c").shape[2] == 5000 and len(there(out)) == 6
    assert here(*resumed) == (0, "3 of 3 files have their stems already\n", "")
    assert here(*resumed[:-1])[1].count("\n") == 6, "without the word all is done again"


def test_resume_with_other_settings(here: Here, tmp_path: Path) -> None:
    """What was made in another way is made again, and why is said; then it is done."""
    songs = [floats(tmp_path / "in" / f"{name}.wav", noise(5000, seed=i)) for i, name in enumerate("ab")]
    resumed = ("separate", tmp_path / "in", "-o", tmp_path / "out", "--resume")
    assert here(*resumed)[0] == 0
    done = "2 of 2 files have their stems already\n"
    for choice, why in (
        (("-p", TINY), "were made with other settings (model)"),
        (("-p", TINY, "-d", "0.1"), "were made with other settings (duration)"),
        (("-p", TINY, "-d", "0.1", "--stems", "vocals"), "were made with other settings (stems)"),
        (("-l", "23"), "were made with other settings (model, latency, stems, duration)"),
    ):
        code, printed, _ = here(*resumed, *choice)
        assert code == 0 and f"2 of 2 files are separated again: their stems {why}\n" in printed
        assert here(*resumed, *choice)[1] == done
    floats(songs[0], noise(6000))
    code, printed, _ = here(*resumed, "-l", "23")
    first, second, *_ = printed.splitlines()
    assert first == "1 of 2 files have their stems already"
    assert second == "1 of 2 files are separated again: their stems were made of the song as it was before"
    assert stems_in(tmp_path / "out" / "a").shape[2] == 6000
    assert here(*resumed, "-l", "23")[1] == done


def test_the_output_folder_is_the_input_folder(here: Here, tmp_path: Path) -> None:
    """Run twice, and once more with --resume: the songs alone are separated."""
    for name in ("a.wav", "b.wav", "cd/c.wav"):
        floats(tmp_path / "album" / name, noise(5000))
    album = tmp_path / "album"
    for template in ("{filename}/{instrument}.{codec}", "{filename}_{instrument}.{codec}"):
        shown = []
        for more in ((), (), ("--resume",)):
            code, printed, err = here("separate", album, "-o", album, "-f", template, *more)
            assert code == 0 and not err
            shown.append(sorted(line for line in printed.splitlines() if not line.startswith("left out")))
        assert [len(lines) for lines in shown] == [6, 6, 1]
        assert sorted(shown[0]) == sorted(shown[1]) and shown[2] == ["3 of 3 files have their stems already"]
    assert len(there(album)) == 3 + 2 * 6


def test_a_batch_of_good_and_bad(here: Here, tmp_path: Path) -> None:
    """Hidden companions are left out, the same file twice is one, two of one name are told apart, the bad are named."""
    album = tmp_path / "album"
    for name in ("x.wav", "cd1/01.wav", "cd2/01.wav", ".Trash-1000/old.wav"):
        floats(album / name, noise(5000))
    made(album / "x.flac", noise(5000))
    (album / "._x.wav").write_bytes(b"\0\5\26\7")
    (album / "bad.wav").write_text("no sound")
    (album / "empty.wav").touch()
    (album / "cover.jpg").touch()
    (album / "again.wav").symlink_to("x.wav")
    out = tmp_path / "out"
    code, printed, err = here("separate", album, album / "x.wav", "-o", out)
    assert code == 1
    first, second, third, *rest = printed.splitlines()
    assert first == "left out: 2 files that came twice; each is separated once"
    assert second == "left out: 2 hidden, 1 that is no sound file (.jpg 1)"
    assert third.startswith("the usual names of stems were taken for 4 of the songs")
    assert sorted(rest) == sorted(said(out, "cd1/01", "cd2/01", "x.flac", "x.wav").splitlines())
    assert err.splitlines() == [
        f"rtsep: {album / 'bad.wav'} is not a sound file",
        f"rtsep: {album / 'empty.wav'} is empty",
        "rtsep: 2 of 6 have no stems; --resume tries these again",
    ]
    code, printed, err = here("separate", album, "-o", out, "--resume")
    assert code == 1 and "4 of 6 files have their stems already" in printed and len(err.splitlines()) == 3


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_odd_names_on_any_terminal(tmp_path: Path, encoding: str) -> None:
    """Every one is done, and shown somehow, in a line of its own."""
    album, out = tmp_path / "album", tmp_path / "out"
    names = [b"Stra\xdfe", "🎤 a\"b'c %d".encode(), b"-x", b"new\nline", b"n" * 247, b"[bold]", b"\x1b[31mred"]
    album.mkdir()
    sound = floats(tmp_path / "song.wav", noise(2000)).read_bytes()
    for name in names:
        Path(os.fsdecode(os.fsencode(album) + b"/" + name + b".wav")).write_bytes(sound)
    (album / os.fsdecode(b"bad\xff.wav")).write_text("no sound")
    done = subprocess.run(
        program("separate", album, "-o", out, "-f", "{filename}_{instrument}.{codec}"),
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 1 and len(list(out.glob("*.wav"))) == 2 * len(names)
    assert len(done.stdout.decode(encoding).splitlines()) == 2 * len(names)
    assert b"Stra\\xdfe_vocals.wav" in done.stdout and b"new\\nline_vocals.wav" in done.stdout
    (line,) = done.stderr.decode(encoding).splitlines()
    assert line == f"rtsep: {album}/bad\\xff.wav is not a sound file"


def test_what_is_to_be_known_of_stems_is_said_once_for_each_song(here: Here, tmp_path: Path) -> None:
    hot, usual = floats(tmp_path / "hot.wav", 100.0 * noise(5000)), floats(tmp_path / "usual.wav", noise(5000))
    code, printed, err = here("separate", hot, usual, "-o", tmp_path / "out", "-c", "flac")
    assert code == 0 and not err
    (lower,) = (line for line in printed.splitlines() if not line.endswith(".flac"))
    assert str(hot) in lower and " dB" in lower


# Interrupted -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "all_of_them"),
    [("SIGINT", "wav", False), ("SIGTERM", "wav", False), ("SIGINT", "flac", True)],  # as Ctrl-C does
)
def test_separate_is_interrupted(tmp_path: Path, name: str, codec: str, all_of_them: bool) -> None:
    """The first file is whole, of the second nothing is there; what is left can be done later."""
    for file, seconds in (("short.wav", 1), ("long.wav", 400)):
        made(tmp_path / file, np.tile(noise(RATE), (1, seconds)))
    out = tmp_path / "out"
    arguments = ("separate", tmp_path / "short.wav", tmp_path / "long.wav", "-o", out, "-c", codec, "--threads", 2)
    with subprocess.Popen(
        program(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in STEMS]
        growing = out / "long" / f"accompaniment.{codec}.part"
        deadline = time.monotonic() + PATIENCE_S
        least = 500_000 if codec == "wav" else 0  # the sound of others waits elsewhere
        while not growing.exists() or growing.stat().st_size < least:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
        (os.killpg if all_of_them else os.kill)(process.pid, getattr(signal, name))
        rest, err = process.communicate(timeout=10.0)
    assert process.returncode == {"SIGINT": 130, "SIGTERM": 143}[name]
    assert err == "rtsep: stopped; 1 of 2 files are whole; --resume goes on from there\n"
    assert "".join(lines) == said(out, "short", ending=codec) and not rest
    assert there(out) == [f"short/{stem}.{codec}" for stem in sorted(STEMS)]
    assert stems_in(out / "short", codec).shape[2] == RATE
    made(tmp_path / "long.wav", noise(RATE))
    done = run(*arguments, "--resume")
    assert done.stdout == "1 of 2 files have their stems already\n" + said(out, "long", ending=codec)
    assert done.returncode == 0 and not done.stderr
