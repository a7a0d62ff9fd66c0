from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.corpus import build as building
from rtsep.corpus.build import BuildOptions, build
from rtsep.corpus.credits import NAME as CREDITS
from rtsep.corpus.jobs import Amounts, SongJob
from rtsep.corpus.manifest import NAME, Manifest, check, read_manifest, sha256_of
from rtsep.corpus.package_table import KIT, SPEECH, Package
from rtsep.dataset.layouts import find_songs
from rtsep.errors import FileError
from tests.corpus.debs import DEP5, FREE, music_deb, music_package, needs_dpkg, packed, sound_file, tree
from tests.corpus.kits import kit
from tests.support.signals import noise

pytestmark = [needs_dpkg, pytest.mark.usefixtures("apt")]

NONE = Amounts(0.0, 0.0, 0.0)
TINY = (music_package(),)


def no_progress(what: str, done: int, total: int) -> None:
    assert what and 0 <= done <= total


def options(debs: Path, *packages: Package, **more: object) -> BuildOptions:
    return BuildOptions(NONE, packages or TINY, given=debs, **more)  # type: ignore[arg-type]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in (folder / "corpus").rglob("*") if path.is_file())


def test_a_package_becomes_songs_with_manifest_and_credits(tmp_path: Path) -> None:
    out = tmp_path / "out"
    manifest = build(out, options(music_deb(tmp_path)), no_progress)
    assert files(out) == [f"corpus/train/tiny-music/song{number}/accompaniment.flac" for number in (0, 1)]
    assert manifest == read_manifest(out) and check(out) == []
    (archive,) = manifest.packages
    assert (archive.package, archive.version) == ("tiny-music", "1.0-1")
    entry = manifest.entries[0]
    assert (entry.generator, entry.seconds) == ("instrumental 1", 21.0)
    (source,) = entry.sources
    assert (source.package, source.version, source.file) == ("tiny-music", "1.0-1", "usr/share/tiny-music/song0.ogg")
    assert (source.licence, source.author) == ("CC-BY-SA-4.0", "2020, Ada Author")
    assert source.sha256 == sha256_of(tmp_path / "tiny-music-tree" / source.file)
    info = soundfile.info(out / entry.file)
    assert (info.samplerate, info.channels, info.subtype, info.format) == (44100, 2, "PCM_16", "FLAC")
    credits = (out / CREDITS).read_text(encoding="utf-8")
    assert "## tiny-music 1.0-1\n\n<https://snapshot.debian.org/binary/tiny-music/>\n" in credits
    assert "- CC-BY-SA-4.0: 2020, Ada Author (2 files: tiny-music/song0, tiny-music/song1)\n" in credits
    original = soundfile.read(tmp_path / "tiny-music-tree" / source.file)[0]
    heard = soundfile.read(out / entry.file)[0]
    assert np.std(heard) == pytest.approx(np.std(original), rel=0.05)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    debs = music_deb(tmp_path)
    for name in ("one", "two"):
        build(tmp_path / name, options(debs), no_progress)
    for name in (NAME, CREDITS, *files(tmp_path / "one")):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_what_is_there_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debs, out, made = music_deb(tmp_path, songs=3), tmp_path / "out", list[str]()
    work = building._work

    def noted(folder: Path, job: SongJob) -> Manifest:
        made.append(job.song)
        return work(folder, job)

    monkeypatch.setattr(building, "_work", noted)
    build(out, options(debs), no_progress)
    before = (out / NAME).read_bytes()
    paths = [out / file for file in files(out)]
    paths[0].write_bytes(b"changed")
    paths[1].unlink()
    made.clear()
    build(out, options(debs), no_progress)
    assert made == ["train/tiny-music/song0", "train/tiny-music/song1"]
    assert (out / NAME).read_bytes() == before and check(out) == []
    build(out, replace(options(debs), seed=1), no_progress)
    assert len(made) == 5


def test_a_run_that_is_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debs, out = music_deb(tmp_path, songs=3), tmp_path / "out"

    def interrupted(what: str, done: int, total: int) -> None:
        if what.endswith("song1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(out, options(debs), interrupted)
    assert len(read_manifest(out).entries) == 1
    assert not list(out.rglob("*.part"))
    assert len(build(out, options(debs), no_progress).entries) == 3
    assert check(out) == []


def test_a_build_of_less_leaves_the_rest(tmp_path: Path) -> None:
    debs = music_deb(tmp_path)
    music_deb(tmp_path, "more-music", songs=1)
    out = tmp_path / "out"
    build(out, options(debs, *TINY, music_package("more-music")), no_progress)
    manifest = build(out, options(debs, music_package("more-music")), no_progress)
    assert len(manifest.entries) == 3 and len(manifest.packages) == 2


def test_what_is_refused_by_now_goes(tmp_path: Path) -> None:
    debs, out = music_deb(tmp_path), tmp_path / "out"
    build(out, options(debs), no_progress)
    stricter = music_package(refused=(("*/song0.ogg", "it holds a voice"),))
    manifest = build(out, options(debs, stricter), no_progress)
    assert files(out) == ["corpus/train/tiny-music/song1/accompaniment.flac"]
    assert len(manifest.entries) == 1 and reasons(manifest) == {"song0.ogg": "it holds a voice"}
    assert check(out) == []
    assert [song.name for song in find_songs("stems", out / "corpus/train/tiny-music")] == ["song1"]
    with pytest.raises(FileError, match="nothing to build from"):
        build(out, options(debs, music_package(refused=(("*", "it holds a voice"),))), no_progress)
    assert not (out / "corpus/train").exists() and read_manifest(out).entries == ()


def test_several_processes_give_the_same(tmp_path: Path) -> None:
    debs = music_deb(tmp_path)
    build(tmp_path / "one", options(debs), no_progress)
    build(tmp_path / "two", options(debs, jobs=2), no_progress)
    assert (tmp_path / "one" / NAME).read_bytes() == (tmp_path / "two" / NAME).read_bytes()


def reasons(manifest: Manifest) -> dict[str, str]:
    return {Path(refused.file).name: refused.reason for refused in manifest.refused}


def test_what_is_refused_is_noted_with_the_reason(tmp_path: Path) -> None:
    text = FREE + "\nFiles: *nc.ogg\nCopyright: Bob\nLicense: CC-BY-NC-3.0\n"
    folder = tree(tmp_path / "tree", "tiny-music", text)
    music = folder / "usr/share/tiny-music"
    sound_file(music / "good.ogg", artist="Mo Musician")
    sound_file(music / "nc.ogg")
    sound_file(music / "short.ogg", 2.0)
    sound_file(music / "tagged.ogg", license="http://creativecommons.org/licenses/by-nd/3.0/")
    sound_file(music / "known.ogg")
    (music / "broken.ogg").write_bytes(b"no sound at all")
    whole = sound_file(music / "cut.ogg").read_bytes()
    (music / "cut.ogg").write_bytes(whole[: len(whole) // 2])
    soundfile.write(music / "silent.ogg", np.zeros((30 * 8000, 2)), 8000)
    packed(folder, tmp_path / "debs", "tiny-music")
    package = music_package(refused=(("*/known.ogg", "it holds a voice"),), credit="see AUTHORS")
    manifest = build(tmp_path / "out", options(tmp_path / "debs", package), no_progress)
    assert files(tmp_path / "out") == ["corpus/train/tiny-music/good/accompaniment.flac"]
    assert manifest.entries[0].sources[0].author == "2020, Ada Author; see AUTHORS; artist by its tag: Mo Musician"
    found = reasons(manifest)
    assert set(found) == {"nc.ogg", "short.ogg", "tagged.ogg", "known.ogg", "broken.ogg", "cut.ogg", "silent.ogg"}
    assert found["nc.ogg"] == "licence 'CC-BY-NC-3.0' allows no commercial use"
    assert found["tagged.ogg"] == "its tag 'license' says 'by-nd'"
    assert found["known.ogg"] == "it holds a voice"
    assert found["silent.ogg"] == "it is silent"
    assert "truncated" in found["cut.ogg"] and "not a sound file" in found["broken.ogg"]
    assert not any(str(tmp_path) in reason for reason in found.values())


def test_held_out_sources_are_for_validation(tmp_path: Path) -> None:
    build(tmp_path / "out", options(music_deb(tmp_path), music_package(held_out=("*/song1.ogg",))), no_progress)
    assert files(tmp_path / "out") == [
        "corpus/train/tiny-music/song0/accompaniment.flac",
        "corpus/valid/tiny-music/song1/accompaniment.flac",
    ]


def album(folder: Path, *songs: str, late: int = 0) -> Path:
    for song in songs:
        for number, stem in enumerate(("vocals", "drums", "bass", "other")):
            path = folder / song / f"{stem}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            sound = noise(44100 + late * number, seed=number, level=0.0 if stem == "bass" else 0.3)
            soundfile.write(path, sound.T * (3.0 if stem == "drums" else 1.0), 44100)
    return folder


def test_multitracks_keep_their_balance(tmp_path: Path) -> None:
    songs = album(tmp_path / "songs", "lithium", "sodium", "Unknown Song", late=100)
    manifest = build(tmp_path / "out", options(music_deb(tmp_path), multitrack=songs), no_progress)
    stems = [f"multitrack/lithium/{stem}.flac" for stem in ("bass", "drums", "other", "vocals")]
    assert [file.removeprefix("corpus/valid/") for file in files(tmp_path / "out") if "valid" in file] == stems
    entry = next(entry for entry in manifest.entries if entry.file.endswith("sodium/vocals.flac"))
    assert [(s.package, s.file, s.licence, s.author) for s in entry.sources] == [
        ("everythingisfree", "sodium/vocals.flac", "CC0-1.0", "Software-Entwicklungskit")
    ]
    assert reasons(manifest)["Unknown Song"] == "no song of everythingisfree: its licence is not known"
    lengths = {
        soundfile.info(tmp_path / "out/corpus/train/multitrack/sodium" / f"{stem}.flac").frames
        for stem in ("vocals", "other")
    }
    assert lengths == {44100 + 300}


def test_multitracks_that_cannot_be(tmp_path: Path) -> None:
    debs = music_deb(tmp_path)
    with pytest.raises(FileError, match="nowhere is no folder"):
        build(tmp_path / "out", options(debs, multitrack=tmp_path / "nowhere"), no_progress)
    with pytest.raises(FileError, match="holds none of the songs that are known: caesium"):
        build(tmp_path / "out", options(debs, multitrack=tmp_path), no_progress)
    songs = album(tmp_path / "songs", "sodium")
    (songs / "sodium" / "bass.flac").unlink()
    with pytest.raises(FileError, match="has 0 files for bass"):
        build(tmp_path / "out", options(debs, multitrack=songs), no_progress)
    manifest = build(
        tmp_path / "out", options(debs, multitrack=album(tmp_path / "loose", "caesium", late=9000)), no_progress
    )
    assert "its stems last 44100 to 71100 frames" in reasons(manifest)["caesium"]


@pytest.mark.skipif(find_spec("pedalboard") is None, reason="pedalboard is not installed")
def test_kits_give_drums(tmp_path: Path) -> None:
    folder = tree(tmp_path / "tree", "tiny-kits", DEP5 + "\nFiles: kits/One.h2\nCopyright: Kit Maker\nLicense: CC0\n")
    for name in ("One", "Two"):
        kit(folder / "usr/share/kits" / name)
    packed(folder, tmp_path / "debs", "tiny-kits")
    package = Package(
        "tiny-kits", KIT, ("usr/share/kits/*",), (r"usr/share/kits/([^/]+)/.*", r"kits/\1.h2"), r"kits/([^/]+)/"
    )
    wish = replace(options(tmp_path / "debs", package), amounts=Amounts(0.0, 0.0, 2.0 / 60.0))
    manifest = build(tmp_path / "out", wish, no_progress)
    assert files(tmp_path / "out") == [f"corpus/train/drumkits/one-000{number}/drums.flac" for number in (1, 2)]
    assert {source.author for entry in manifest.entries for source in entry.sources} == {"Kit Maker"}
    assert manifest.entries[0].sha256 != manifest.entries[1].sha256
    assert reasons(manifest)["Kick.wav"] == "its copyright file names no licence for it"


def spoken(path: Path, hz: float) -> None:
    """Something with a pitch and a timbre that changes."""
    time_s = np.arange(2 * 16000) / 16000
    tone = sum(np.sin(2 * np.pi * hz * k * time_s) / k for k in range(1, 20)) * (
        0.6 + 0.4 * np.sin(2 * np.pi * 3 * time_s)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * tone, 16000)


@pytest.mark.skipif(
    not (find_spec("pyworld") and find_spec("pedalboard")), reason="pyworld or pedalboard is not installed"
)
def test_speech_gives_singing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsep.corpus.jobs.SONG_S", 10.0)
    folder = tree(tmp_path / "tree", "tiny-speech")
    for number in range(6):
        spoken(folder / f"usr/share/speech/ada/{number}.wav", 120.0 + 10 * number)
    (folder / "usr/share/speech/ada/9.wav").write_bytes(b"RIFF")
    packed(folder, tmp_path / "debs", "tiny-speech")
    package = Package("tiny-speech", SPEECH, ("usr/share/speech/*",), group=r"speech/([^/]+)/")
    wish = replace(options(tmp_path / "debs", package), amounts=Amounts(10.0 / 3600.0, 0.0, 0.0))
    manifest = build(tmp_path / "out", wish, no_progress)
    assert files(tmp_path / "out") == ["corpus/train/singing/ada-0001/vocals.flac"]
    assert manifest.entries[0].sources and manifest.entries[0].seconds > 2.0


Hostile = Callable[[Path], None]


def without_copyright(folder: Path) -> None:
    (folder / "usr/share/doc/tiny-music/copyright").unlink()


def with_a_link_out(folder: Path) -> None:
    (folder / "usr/share/tiny-music/x.ogg").symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    ("spoil", "words"), [(without_copyright, "holds no usr/share/doc"), (with_a_link_out, "leaves the folder")]
)
def test_hostile_packages_get_one_clear_line(tmp_path: Path, spoil: Hostile, words: str) -> None:
    music_deb(tmp_path)
    spoil(tmp_path / "tiny-music-tree")
    packed(tmp_path / "tiny-music-tree", tmp_path / "debs", "tiny-music")
    with pytest.raises(FileError, match=words) as caught:
        build(tmp_path / "out", options(tmp_path / "debs"), no_progress)
    assert len(str(caught.value).splitlines()) == 1


def test_missing_packages_can_be_skipped(tmp_path: Path) -> None:
    debs = music_deb(tmp_path)
    (debs / "bad_1_all.deb").write_bytes(b"")
    packages = (*TINY, music_package("bad"))
    with pytest.raises(FileError, match=r"bad_1_all.deb is not a Debian package"):
        build(tmp_path / "out", options(debs, *packages), no_progress)
    manifest = build(tmp_path / "out", options(debs, *packages, skip_missing=True), no_progress)
    assert len(manifest.entries) == 2
    assert [refused.package for refused in manifest.refused] == ["bad"]
    (debs / "bad_1_all.deb").unlink()
    music_deb(tmp_path, "bad", songs=1)
    manifest = build(tmp_path / "out", options(debs, *packages, skip_missing=True), no_progress)
    assert len(manifest.entries) == 3 and not manifest.refused


def test_nothing_to_build(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nothing to build from"):
        build(tmp_path / "out", options(music_deb(tmp_path, text="prose")), no_progress)


def test_a_full_disk_leaves_no_half_files(tmp_path: Path, small_disk: Path) -> None:
    folder = tree(tmp_path / "tree", "tiny-music")
    path = folder / "usr/share/tiny-music/a.ogg"
    path.parent.mkdir(parents=True)
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, (21 * 1000, 1)), 1000)
    packed(folder, tmp_path / "debs", "tiny-music")
    with pytest.raises(FileError, match="cannot be written"):
        build(small_disk, options(tmp_path / "debs"), no_progress)
    assert not list(small_disk.rglob("*.part")) and not list(small_disk.rglob("*.flac"))


def test_a_manifest_can_be_read_by_others(tmp_path: Path) -> None:
    build(tmp_path / "out", options(music_deb(tmp_path)), no_progress)
    found = json.loads((tmp_path / "out" / NAME).read_text())
    assert list(found) == ["version", "packages", "entries", "refused"]
    assert list(found["entries"][0]) == ["file", "generator", "seed", "seconds", "sha256", "sources"]
