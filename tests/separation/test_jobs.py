"""Every song has its own files, whatever songs are called; what cannot be is named and stops no other."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from rtsep.errors import FileError, RouteError
from rtsep.separation.inputs import Source, find_sources
from rtsep.separation.job import Job
from rtsep.separation.jobs import Plan, plan_job, plan_jobs
from rtsep.separation.output import Output
from tests.support.engines import STEMS


def sources(*paths: str) -> list[Source]:
    """Songs, each with the folder that it lies in below where all lie."""
    return [Source(Path("/music") / path, Path(path).parent) for path in paths]


def planned(tmp_path: Path, songs: list[Source], template: str = "{filename}/{instrument}.{codec}") -> Plan:
    """What has been checked of any plan: no file twice, none outside, none that is read."""
    plan = plan_jobs(songs, STEMS[2], Output(tmp_path, template=template))
    paths = [path for job in plan.jobs for path in job.paths]
    assert len({str(path).casefold() for path in paths}) == len(paths)
    assert not {source.path for source in songs} & set(paths)
    assert all(path.is_relative_to(tmp_path) for path in paths)
    return plan


def names(tmp_path: Path, plan: Plan) -> list[str]:
    """Of the first stem of each job."""
    return [str(job.paths[0].relative_to(tmp_path)) for job in plan.jobs]


def test_a_job_for_every_source(tmp_path: Path) -> None:
    output = Output(tmp_path, "mp3", stems=("other", "drums"))
    plan = plan_jobs([Source(Path("a.wav")), Source(Path("b.wav"))], STEMS[4], output)
    one, two = plan.jobs
    assert one == Job(Path("a.wav"), (tmp_path / "a" / "drums.mp3", tmp_path / "a" / "other.mp3"))
    assert two.source == Path("b.wav") and not plan.failed and not plan.remarks
    assert plan_job(Path("a.wav"), STEMS[4], output) == one
    assert plan_jobs([], STEMS[4], output) == Plan((), (), ())


@pytest.mark.parametrize(
    ("songs", "template", "wanted"),
    [
        # the folder tells them apart, or the ending, or only both
        (("CD1/01.wav", "CD2/01.wav", "CD1/02.wav"), "", ("CD1/01/vocals.wav", "CD2/01/vocals.wav", "02/vocals.wav")),
        (("x.mp3", "x.wav", "y.wav"), "", ("x.mp3/vocals.wav", "x.wav/vocals.wav", "y/vocals.wav")),
        (("a/x.mp3", "a/x.wav"), "", ("x.mp3/vocals.wav", "x.wav/vocals.wav")),
        (("top.wav", "cd/top.wav"), "", ("top/vocals.wav", "cd/top/vocals.wav")),
        (
            ("a/x.mp3", "a/x.wav", "b/x.mp3"),
            "",
            ("x.mp3/vocals.wav", "x.wav/vocals.wav", "b/x/vocals.wav"),
        ),
        # one with a name that another one's way leads to
        (("x.mp3", "x.wav", "x.wav.flac"), "", None),
        # where small and large letters are one, these are too
        (("Song.wav", "song.wav"), "", ("Song.wav 1/vocals.wav", "song.wav 2/vocals.wav")),
        # a format that says nothing of the song's name
        (("a/x.wav", "b/y.wav"), "{instrument}.{codec}", ("a/x/vocals.wav", "b/y/vocals.wav")),
        (("x.wav", "x.mp3"), "{instrument}.{codec}", ("x.wav/vocals.wav", "x.mp3/vocals.wav")),
        (("a/x.wav", "b/x.wav"), "{filename}_{instrument}.wav", ("a/x_vocals.wav", "b/x_vocals.wav")),
        (("a/x.wav",), "{instrument}.{codec}", ("vocals.wav",)),
    ],
)
def test_songs_that_would_have_one_file(
    tmp_path: Path, songs: tuple[str, ...], template: str, wanted: tuple[str, ...] | None
) -> None:
    plan = planned(tmp_path, sources(*songs), template or "{filename}/{instrument}.{codec}")
    assert len(plan.jobs) == len(songs) and not plan.failed
    if wanted:
        assert tuple(names(tmp_path, plan)) == wanted
    taken = [job.paths[0] for job, song in zip(plan.jobs, songs, strict=True)]
    usual = names(tmp_path, planned(tmp_path, sources(songs[0])))
    assert bool(plan.remarks) == (len(songs) > 1), (taken, usual)


def test_it_is_said_once_in_one_line(tmp_path: Path) -> None:
    (remark,) = planned(tmp_path, sources("CD1/01.wav", "CD2/01.wav", "z.wav")).remarks
    assert remark == (
        f"the usual names of stems were taken for 2 of the songs; theirs tell them apart by folder, ending or number, "
        f"as {tmp_path}/CD1/01/vocals.wav"
    )


def test_the_same_songs_have_the_same_names_each_time(tmp_path: Path) -> None:
    """And those that nobody else's name was, keep theirs when others come."""
    songs = sources("a/x.wav", "a/x.mp3", "b/x.wav", "b/x.wav.flac", "c/y.wav")
    for some in itertools.permutations(songs):
        plan = planned(tmp_path, list(some))
        assert {job.source.name: job.paths for job in plan.jobs}["y.wav"][0] == tmp_path / "y" / "vocals.wav"
    assert planned(tmp_path, songs) == planned(tmp_path, songs)


def test_no_song_is_written_over(tmp_path: Path) -> None:
    """Songs of one's own that are called as stems would be, in the very folder of the output."""
    for name in ("song.wav", "song/vocals.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    plan = planned(tmp_path, list(find_sources([tmp_path], tmp_path).sources))
    assert names(tmp_path, plan) == ["song.wav/vocals.wav", "vocals/vocals.wav"] or not plan.failed
    crossed = [Source(tmp_path / "song.wav"), Source(tmp_path / "x" / ".." / "song" / "vocals.wav")]
    assert len(plan_jobs(crossed, STEMS[2], Output(tmp_path)).jobs) == 2
    own = planned(tmp_path, [Source(tmp_path / "vocals.wav")], "{instrument}.{codec}")
    assert names(tmp_path, own) == ["vocals/vocals.wav"]


def test_one_that_cannot_be_named_stops_no_other(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "b").symlink_to(tmp_path)
    plan = plan_jobs(sources("a.wav", "b.wav", "c.wav"), STEMS[2], Output(out))
    assert [job.source.name for job in plan.jobs] == ["a.wav", "c.wav"]
    (refused,) = map(str, plan.failed)
    assert refused.startswith("/music/b.wav: filename format") and "not to a file inside" in refused


@pytest.mark.parametrize("template", ["../{instrument}.{codec}", "{artist}/{instrument}", "{filename}.{codec}"])
def test_a_format_that_no_song_can_have_is_refused_at_once(tmp_path: Path, template: str) -> None:
    for songs in ([], sources("a.wav", "b.wav")):
        with pytest.raises(FileError, match=r"^filename format"):
            plan_jobs(songs, STEMS[2], Output(tmp_path, template=template))


def test_unknown_stems(tmp_path: Path) -> None:
    for plan in (
        lambda output: plan_job(Path("a.wav"), STEMS[2], output),
        lambda output: plan_jobs(sources("a.wav"), STEMS[2], output),
    ):
        with pytest.raises(RouteError, match=r"there is no stem 'drums'; choose from vocals, accompaniment"):
            plan(Output(tmp_path, stems=("drums",)))


def test_many_songs_of_one_name(tmp_path: Path) -> None:
    """Also where nothing but a number is left."""
    songs = [Source(Path(f"/music/{i}/x.wav")) for i in range(300)]
    plan = planned(tmp_path, songs)
    assert names(tmp_path, plan)[::299] == ["x.wav 1/vocals.wav", "x.wav 300/vocals.wav"]
