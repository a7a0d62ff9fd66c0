from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rtsep.corpus.jobs import SongJob
from rtsep.corpus.manifest import Manifest, read_manifest
from tests.corpus.debs import music_deb, needs_dpkg, packed, sound_file, tree
from tests.support.commands import Here, check_complaint, run_here

pytestmark = needs_dpkg

PACKAGE = "planetblupi-music-ogg"  # a row of our table that needs no more than its own files


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    yield from run_here(monkeypatch, capsys)


@pytest.fixture
def debs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The .deb of a package by a real name; apt is kept out of it, as it knows another one by that name."""
    monkeypatch.setattr("rtsep.corpus.packages._expected", lambda name, version: "")
    folder = tree(tmp_path / "tree", PACKAGE)
    for number in range(2):
        sound_file(folder / f"usr/share/planetblupi/music/music{number}.ogg", seed=number)
    return packed(folder, tmp_path / "debs", PACKAGE).parent


def test_build_and_check(tmp_path: Path, debs: Path, here: Here) -> None:
    out = tmp_path / "out"
    code, said, complained = here("corpus", "build", out, "--packages", debs, "--package", PACKAGE, "--jobs", 1)
    assert (code, complained) == (0, "")
    assert said.splitlines() == [
        f"train/{PACKAGE}: 2 stems, 0.7 min",
        f"{out}: 2 stems, with manifest.json and DATA-CREDITS.md",
    ]
    assert here("corpus", "check", out) == (0, f"{out}: every file is as the manifest says\n", "")
    path = next(out.rglob("*.flac"))
    path.unlink()
    code, said, _ = here("corpus", "check", out)
    assert code == 1
    assert said.splitlines() == [
        f"{path.relative_to(out).as_posix()} is missing",
        f"`rtsep corpus build {out}` makes missing and changed files again",
    ]


def test_amounts_and_refusals_are_told(tmp_path: Path, debs: Path, here: Here) -> None:
    sound_file(tmp_path / "tree/usr/share/planetblupi/music/short.ogg", 1.0)
    packed(tmp_path / "tree", debs, PACKAGE)
    options = ("--packages", debs, "--package", PACKAGE, "--hours-music", 0.006, "--seed", 3)
    code, said, _ = here("corpus", "build", tmp_path / "out", *options)
    assert code == 0
    assert f"train/{PACKAGE}: 1 stem, 0.3 min" in said or f"train/{PACKAGE}: 1 stem, 0.4 min" in said
    assert "left out: 1 file; manifest.json says why" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--package", "unknown"), "package 'unknown' is not in our table; known are wesnoth"),
        (("--hours-singing", "-1"), "-1.0 hours of singing; allowed are 0 to 1000"),
        (("--package", PACKAGE, "--multitrack", "nowhere"), "nowhere is no folder"),
    ],
)
def test_complaints(tmp_path: Path, debs: Path, here: Here, options: tuple[str, ...], words: str) -> None:
    check_complaint(words, *here("corpus", "build", tmp_path / "out", "--packages", debs, *options))


def test_a_folder_that_is_no_corpus(tmp_path: Path, here: Here) -> None:
    check_complaint("manifest.json is missing; `rtsep corpus build", *here("corpus", "check", tmp_path))


def test_a_deb_that_is_none(tmp_path: Path, here: Here) -> None:
    (tmp_path / f"{PACKAGE}_1_all.deb").write_text("none")
    said = here("corpus", "build", tmp_path / "out", "--packages", tmp_path, "--package", PACKAGE)
    check_complaint("is not a Debian package; get it again", *said)


def test_another_package_in_its_place(tmp_path: Path, here: Here) -> None:
    (deb,) = music_deb(tmp_path).iterdir()
    deb.rename(deb.with_name(f"{PACKAGE}_1_all.deb"))
    said = here("corpus", "build", tmp_path / "out", "--packages", deb.parent, "--package", PACKAGE)
    check_complaint("holds the package 'tiny-music'", *said)


def test_what_is_not_installed_is_said_first(tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtsep.cli.corpus.LIBRARIES", ("debian", "no_such_library"))
    said = here("corpus", "build", tmp_path / "out")
    check_complaint("building a corpus needs no_such_library; pip install 'rtsep[corpus]'", *said)


def test_what_was_made_before_a_stop_is_kept(
    tmp_path: Path, debs: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtsep.corpus import build as building

    work = building._work

    def interrupted(folder: Path, job: SongJob) -> Manifest:
        if job.song.endswith("music1"):
            raise KeyboardInterrupt
        return work(folder, job)

    monkeypatch.setattr(building, "_work", interrupted)
    out = tmp_path / "out"
    code, _, said = here("corpus", "build", out, "--packages", debs, "--package", PACKAGE, "--jobs", 1)
    assert code == 130 and "stopped; what was made is kept in" in said
    assert len(read_manifest(out).entries) == 1
