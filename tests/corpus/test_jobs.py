from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from rtsep.corpus.inventory import Inventory, SourceFile
from rtsep.corpus.jobs import Amounts, SongJob, plan_jobs, slug
from rtsep.corpus.multitrack import MULTITRACK
from rtsep.corpus.package_table import BANK, DRUM_BANK, GUITAR, KIT, MUSIC, SPEECH, VOICE
from rtsep.errors import SpecError
from tests.corpus.debs import sound_file
from tests.corpus.source_files import source_file

NONE = Amounts(0.0, 0.0, 0.0)
MINUTE = 1.0 / 60.0


def plan(files: list[SourceFile], amounts: Amounts = NONE, seed: int = 0) -> list[SongJob]:
    return plan_jobs(Inventory(files=tuple(files)), amounts, seed)[0]


def made(folder: Path, *names: str, kind: str = MUSIC, group: str = "", held_out: bool = False) -> list[SourceFile]:
    return [source_file(sound_file(folder / name, seed=len(name)), kind, group, held_out) for name in names]


def test_music_goes_where_its_package_belongs(tmp_path: Path) -> None:
    files = [
        *made(tmp_path, "My Song!.ogg"),
        *made(tmp_path, "held.ogg", held_out=True),
        *made(tmp_path, "solo.ogg", kind=GUITAR),
    ]
    assert [(job.song, job.generator) for job in plan(files)] == [
        ("train/tiny/my-song", "instrumental"),
        ("train/tiny/solo", "guitar"),
        ("valid/tiny/held", "instrumental"),
    ]


def test_names_stay_apart(tmp_path: Path) -> None:
    assert [job.song for job in plan(made(tmp_path, "one/guitar.ogg", "two/guitar.ogg"))] == [
        "train/tiny/one-guitar",
        "train/tiny/two-guitar",
    ]


def test_long_music_is_cut_into_equal_parts(tmp_path: Path) -> None:
    jobs = plan([source_file(sound_file(tmp_path / "long.ogg", 601.0), MUSIC)])
    assert [job.song.rpartition("-")[2] for job in jobs] == ["1", "2", "3"]
    assert [round(job.start_s, 2) for job in jobs] == [0.0, 200.33, 400.67]
    assert len({job.seed for job in jobs}) == 3


def test_what_is_short_or_broken_is_refused(tmp_path: Path) -> None:
    files = made(tmp_path, "good.ogg", "broken.ogg")
    files.append(source_file(sound_file(tmp_path / "short.ogg", 2.0), MUSIC))
    files[1].path.write_bytes(b"OggS and no more")
    jobs, refused = plan_jobs(Inventory(files=tuple(files)), NONE, 0)
    assert [job.song for job in jobs] == ["train/tiny/good"]
    assert [(row.file, row.reason) for row in refused if row.file == "short.ogg"] == [
        ("short.ogg", "shorter than 20 s")
    ]
    assert [row.file for row in refused] == ["broken.ogg", "short.ogg"]
    assert str(tmp_path) not in refused[0].reason and refused[0].reason.startswith("it ")


def test_a_limit_of_music_is_kept(tmp_path: Path) -> None:
    files = made(tmp_path, *(f"{number}.ogg" for number in range(10)))
    chosen = [plan(files, Amounts(0.0, 0.0, 0.0, MINUTE), seed) for seed in (0, 0, 1)]
    assert [len(jobs) for jobs in chosen] == [2, 2, 2]  # of 21 s each
    assert chosen[0] == chosen[1] != chosen[2]


def test_amounts_are_shared_among_the_singers(tmp_path: Path) -> None:
    files = [
        file for who in "abc" for file in made(tmp_path, *(f"{who}{n}.ogg" for n in range(3)), kind=SPEECH, group=who)
    ]
    files += made(tmp_path, "f.ogg", kind=SPEECH, group="f", held_out=True)
    files += made(tmp_path, "espeak-ng.ogg", kind=VOICE)
    jobs = plan(files, Amounts(10 * MINUTE, 0.0, 0.0))
    assert Counter(job.song.rpartition("-")[0] for job in jobs) == {
        "train/singing/a": 3,
        "train/singing/b": 3,
        "train/singing/c": 2,
        "train/singing/robot": 2,
        "valid/singing/f": 1,
    }
    assert all(len({file.group for file in job.files}) == 1 for job in jobs)
    first, second = (job for job in jobs if job.song.startswith("train/singing/a-000") and job.song[-1] in "12")
    assert first.seed != second.seed


def test_kits_banks_and_multitracks(tmp_path: Path) -> None:
    files = [
        *made(tmp_path, "kick.ogg", "drumkit.ogg", kind=KIT, group="My Kit"),
        *made(tmp_path, "gm.ogg", kind=BANK),
        *made(tmp_path, "dr.ogg", kind=DRUM_BANK),
        *made(tmp_path, "lithium/vocals.ogg", "lithium/bass.ogg", kind=MULTITRACK, group="lithium", held_out=True),
    ]
    jobs = plan(files, Amounts(0.0, 2 * MINUTE, 2 * MINUTE))
    assert [job.song for job in jobs] == [
        "train/songs/0001",
        "train/songs/0002",
        "train/drumkits/my-kit-0001",
        "train/drumkits/my-kit-0002",
        "valid/multitrack/lithium",
    ]
    assert [len(job.files) for job in jobs] == [2, 2, 2, 2, 2]


def test_the_seed_says_all_that_a_song_depends_on(tmp_path: Path) -> None:
    (file,) = made(tmp_path, "a.ogg")
    seeds = {plan([file])[0].seed, plan([file], seed=1)[0].seed}
    sound_file(file.path, seed=9)
    seeds.add(plan([source_file(file.path, MUSIC)])[0].seed)
    assert len(seeds) == 3


@pytest.mark.parametrize(
    "amounts", [{"singing_h": -1.0}, {"music_h": 2000.0}, {"valid_share": 2.0}, {"songs_h": float("nan")}]
)
def test_amounts_that_cannot_be(amounts: dict[str, float]) -> None:
    with pytest.raises(SpecError, match="allowed are 0 to"):
        Amounts(**amounts)


def test_slugs_are_plain() -> None:
    assert [slug(text) for text in ("A New Journey", "../x", "Élysée", "...")] == [
        "a-new-journey",
        "x",
        "lys-e",
        "song",
    ]
