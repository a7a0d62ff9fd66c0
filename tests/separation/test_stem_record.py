"""What is known of stems is true, whoever was killed, and whatever lies in place of the record."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rtsep.errors import FileError
from rtsep.model import store
from rtsep.separation import folder_record
from rtsep.separation.folder_record import NAME, names, read_record, this_process
from rtsep.separation.job import Job
from rtsep.separation.options import Refinement, SeparationOptions
from rtsep.separation.output import Output
from rtsep.separation.span import Span
from rtsep.separation.stem_record import CHANGED_SONG, CHANGED_STEMS, DONE, MISSING, UNKNOWN, StemRecord, settings_of

SETTINGS = {"model": "one", "codec": "wav", "bitrate": "0"}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "song.wav").write_bytes(b"song")
    return Job(tmp_path / "song.wav", (tmp_path / "out" / "song" / "a.wav", tmp_path / "out" / "song" / "b.wav"))


def make(job: Job, settings: dict[str, str] = SETTINGS, content: bytes = b"stem") -> None:
    with StemRecord(settings).making(job):
        for path in job.paths:
            part = path.with_name(f"{path.name}.part")
            part.write_bytes(content)
            part.replace(path)


def state(job: Job, **changes: str) -> str:
    return StemRecord(SETTINGS | changes).state(job)


def test_stems_that_are_there_as_they_are_wanted(job: Job) -> None:
    assert state(job) == MISSING
    make(job)
    assert state(job) == DONE
    assert names(job.paths[0].parent) == {"a.wav", "b.wav"}
    job.paths[1].unlink()
    assert state(job) == MISSING


def test_what_was_made_in_another_way_is_said(job: Job) -> None:
    make(job)
    assert state(job, model="two") == "were made with other settings (model)"
    assert state(job, codec="mp3", bitrate="128000") == "were made with other settings (codec, bitrate)"
    assert state(job, later="yes") == "were made with other settings (later)"
    make(job, SETTINGS | {"model": "two"})
    assert state(job, model="two") == DONE and state(job) == "were made with other settings (model)"
    assert len(read_record(job.paths[0].parent).settings) == 1, "what no stem was made with is forgotten"


def test_a_song_or_stems_that_changed(job: Job) -> None:
    make(job)
    job.paths[0].write_bytes(b"ste")
    assert state(job) == CHANGED_STEMS
    make(job)
    past = job.source.stat().st_mtime_ns - 10**9
    os.utime(job.source, ns=(past, past))
    assert state(job) == CHANGED_SONG
    make(job)
    assert state(job) == DONE
    with job.source.open("ab") as file:
        file.write(b"!")
    os.utime(job.source, ns=(past, past))
    assert state(job) == CHANGED_SONG


def test_some_stems_made_in_another_way(job: Job) -> None:
    """As 2 stems and 4 share the voice."""
    make(job)
    make(Job(job.source, job.paths[:1]), SETTINGS | {"model": "two"})
    assert state(job) == "were made with other settings (model)"
    assert StemRecord(SETTINGS).state(Job(job.source, job.paths[1:])) == DONE


def test_stems_in_several_folders(tmp_path: Path, job: Job) -> None:
    """A record speaks of its own folder alone, and moves with it."""
    spread = Job(job.source, (tmp_path / "a" / "song.wav", tmp_path / "b" / "song.wav"))
    make(spread)
    assert [sorted(names(tmp_path / one)) for one in "ab"] == [["song.wav"]] * 2
    (tmp_path / "a").rename(tmp_path / "c")
    assert names(tmp_path / "c") == {"song.wav"} and state(spread) == MISSING
    assert state(Job(job.source, (tmp_path / "c" / "song.wav", tmp_path / "b" / "song.wav"))) == DONE


# Whoever is killed -----------------------------------------------------------------------------


def test_what_is_in_the_making_is_ours_and_not_done(job: Job) -> None:
    """From before the first stem has its name: whoever is killed then leaves no songs."""
    with StemRecord(SETTINGS).making(job):
        assert names(job.paths[0].parent) == {"a.wav", "b.wav"}
        for path in job.paths:
            path.write_bytes(b"stem")
            assert state(job) in (MISSING, UNKNOWN)


def test_remade_stems_are_not_done_until_all_are(job: Job) -> None:
    """Two models, the same sizes: a mixture is never taken for either."""
    make(job, content=b"one!")
    with StemRecord(SETTINGS | {"model": "two"}).making(job):
        job.paths[0].write_bytes(b"two!")
        assert state(job) == UNKNOWN and state(job, model="two") == UNKNOWN


def test_what_fails_leaves_all_as_it_was(tmp_path: Path, job: Job) -> None:
    with pytest.raises(ValueError, match="no"), StemRecord(SETTINGS).making(job):
        raise ValueError("no")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["song.wav"], "no folder is left"
    make(job)
    before = (job.paths[0].parent / NAME).read_bytes()
    with pytest.raises(KeyboardInterrupt), StemRecord(SETTINGS | {"model": "two"}).making(job):
        raise KeyboardInterrupt
    assert state(job) == DONE and (job.paths[0].parent / NAME).read_bytes() == before
    with pytest.raises(OSError, match="full"), StemRecord(SETTINGS | {"model": "two"}).making(job):
        job.paths[0].unlink()
        job.paths[0].write_bytes(b"two!")
        raise OSError("full")
    assert state(job) == UNKNOWN and names(job.paths[0].parent) == {"a.wav", "b.wav"}


def test_a_song_of_ones_own_in_their_place_stays_one(job: Job) -> None:
    job.paths[0].parent.mkdir(parents=True)
    job.paths[0].write_bytes(b"mine")
    with pytest.raises(ValueError, match="no"), StemRecord(SETTINGS).making(job):
        raise ValueError("no")
    assert not names(job.paths[0].parent) and [path.name for path in job.paths[0].parent.iterdir()] == ["a.wav"]


# Whatever lies there ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"stems": ["a.wav"]}',
        b'{"rtsep_stems": 2, "settings": {}, "stems": {"a.wav": null}}',
        b'{"rtsep_stems": 1, "settings": {}, "stems": {"a.wav": {"bytes": "4"}}}',
        b'{"rtsep_stems": 1, "stems": {"a.wav": null}, "more": 1}',
        b"[" * 100_000,
        b'{"a": ' * 10_000,
    ],
)
def test_what_is_damaged_or_foreign_counts_as_none(job: Job, content: bytes) -> None:
    make(job)
    path = job.paths[0].parent / NAME
    path.write_bytes(content)
    assert not names(path.parent) and state(job) == UNKNOWN
    make(job)
    assert state(job) == DONE


def test_what_is_no_file_or_too_large(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    make(job)
    path = job.paths[0].parent / NAME
    monkeypatch.setattr(folder_record, "LARGEST", path.stat().st_size - 1)
    assert state(job) == UNKNOWN
    path.unlink()
    os.mkfifo(path)  # nobody writes into it
    assert state(job) == UNKNOWN
    path.unlink()
    path.mkdir()
    make(job)
    assert state(job) == UNKNOWN, "the stems are there all the same"


def test_a_record_names_nothing_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"rtsep_stems": 1, "settings": {}, "stems": {"../song.wav": null}}')
    assert "song.wav" not in names(tmp_path) and not names(tmp_path.parent)


def test_a_record_that_cannot_be_written_costs_nothing_else(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_record, "write_whole", full)
    make(job)
    assert state(job) == UNKNOWN and all(path.read_bytes() == b"stem" for path in job.paths)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    source = tmp_path / os.fsdecode(b"Stra\xdfe.wav")
    source.write_bytes(b"song")
    job = Job(source, (tmp_path / os.fsdecode(b"\xdf-vocals.wav"), tmp_path / "🎤\n.wav"))
    make(job)
    assert state(job) == DONE and names(tmp_path) == {path.name for path in job.paths}


def test_a_pipe_is_never_done(tmp_path: Path, job: Job) -> None:
    os.mkfifo(tmp_path / "pipe")
    piped = replace(job, source=tmp_path / "pipe")
    make(piped)
    assert state(piped) == UNKNOWN and names(job.paths[0].parent) == {"a.wav", "b.wav"}


# Several at once -------------------------------------------------------------------------------


def _many(folder: Path, worker: int, count: int) -> None:
    for i in range(count):
        make(Job(folder / "song.wav", (folder / f"{worker}-{i}-a.wav", folder / f"{worker}-{i}-b.wav")))


def test_runs_side_by_side_lose_nothing_of_each_other(tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(b"song")
    context = multiprocessing.get_context("spawn")
    workers: list[Any] = [context.Process(target=_many, args=(tmp_path, worker, 15)) for worker in range(2)]
    workers += [threading.Thread(target=_many, args=(tmp_path, worker, 15)) for worker in range(2, 4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    found = read_record(tmp_path).stems
    assert len(found) == 4 * 15 * 2 and all(found.values())
    assert not list(tmp_path.glob(".*.part"))


def test_a_run_that_hangs_is_not_waited_for(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_record, "WAIT_S", 0.1)
    job.paths[0].parent.mkdir(parents=True)
    with folder_record.alone(job.paths[0].parent):
        started = time.monotonic()
        make(job)
        assert 0.1 < time.monotonic() - started < 30.0
    assert state(job) == DONE


def test_a_song_that_another_run_is_at(tmp_path: Path, job: Job) -> None:
    """Two that write one file would spoil it; whoever comes second says so, and after a kill nobody waits."""
    program = """
        import sys, time
        from pathlib import Path
        from rtsep.separation.job import Job
        from rtsep.separation.stem_record import StemRecord

        folder = Path(sys.argv[1])
        with StemRecord({}).making(Job(folder / "song.wav", (folder / "out" / "song" / "a.wav",))):
            print("at it", flush=True)
            time.sleep(60.0)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout and other.stdout.readline() == "at it\n"
        with pytest.raises(FileError, match=f"another run, process {other.pid}, is making it; let it end"):
            make(job)
        make(Job(job.source, job.paths[1:]))
        assert list(read_record(job.paths[0].parent).making) == ["a.wav"]
        other.kill()
    make(job)
    assert state(job) == DONE and not read_record(job.paths[0].parent).making


def test_a_process_of_the_same_number_is_another_one(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    host, _, started = this_process().split(" ")
    parent = os.getppid()
    for maker in (f"{host} {parent} {int(started) + 1}", f"elsewhere {parent} 1", "nonsense", f"{host} -1 0", ""):
        assert not folder_record.other_run({"a.wav": maker}, "a.wav")
    assert folder_record.other_run({"a.wav": folder_record._process(parent)}, "a.wav") == parent
    assert not folder_record.other_run({"a.wav": this_process()}, "a.wav"), "it does not wait for itself"


# What decides ----------------------------------------------------------------------------------


def test_settings_are_all_that_decides(tmp_path: Path) -> None:
    model = store.find("streaming-2stems")
    output, method, span = Output(tmp_path), SeparationOptions(), Span()
    usual = settings_of(model, method, output, span, "onnx", "fp32")
    json.dumps(usual)
    assert usual == settings_of(model, method, Output(tmp_path / "b", template="{instrument}"), span, "onnx", "fp32")
    mp3 = settings_of(model, method, Output(tmp_path, "mp3"), span, "onnx", "fp32")
    assert mp3 == settings_of(model, method, Output(tmp_path, "mp3", "128k"), span, "onnx", "fp32")
    others = {
        "model": settings_of(replace(model, sha256="0" * 64), method, output, span, "onnx", "fp32"),
        "latency": settings_of(model, SeparationOptions("23"), output, span, "onnx", "fp32"),
        "mwf": settings_of(model, SeparationOptions(mwf=True), output, span, "onnx", "fp32"),
        "stems": settings_of(model, method, Output(tmp_path, stems=("vocals",)), span, "onnx", "fp32"),
        "codec": settings_of(model, method, Output(tmp_path, "flac"), span, "onnx", "fp32"),
        "offset": settings_of(model, method, output, Span(1.0), "onnx", "fp32"),
        "duration": settings_of(model, method, output, Span(0.0, 1.0), "onnx", "fp32"),
        "engine": settings_of(model, method, output, span, "openvino", "fp32"),
        "precision": settings_of(model, method, output, span, "onnx", "bf16"),
    }
    for key, other in others.items():
        assert [name for name in usual if usual[name] != other[name]] == [key]
    refined = settings_of(model, SeparationOptions(refinement=Refinement(2)), output, span, "onnx", "fp32")
    assert refined["niter"] == "2" and refined["wiener-window"] == "300"
    spec = replace(model.spec, hop=model.spec.hop // 2)
    other = settings_of(replace(model, spec=spec), method, output, span, "onnx", "fp32")
    assert other["model"] != usual["model"]
