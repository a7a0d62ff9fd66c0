from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import pytest

from rtsep.effects.records import Record, Records, digest, merged, read_records, write_records
from rtsep.effects.scan import _read, candidates, scan
from rtsep.errors import EffectError
from tests.support.plugins import bad_plugin, real_plugin

pytest.importorskip("pedalboard")
on_this_machine = pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.system() != "Linux", reason="bundles are made for x86-64 Linux"
)


@pytest.mark.slow
@on_this_machine
def test_a_folder_of_good_and_bad_files(tmp_path: Path) -> None:
    shutil.copytree(real_plugin("ZamComp"), tmp_path / "inner" / "ZamComp.vst3")
    for way in ("crashes", "ends"):
        bad_plugin(tmp_path, way)
    (tmp_path / "fake.vst3").write_text("no plugin")
    (tmp_path / "notes.txt").write_text("no plugin, nor called one")
    paths = candidates([tmp_path])
    assert [path.name for path in paths] == ["crashes.vst3", "ends.vst3", "fake.vst3", "ZamComp.vst3"]
    found = {Path(one.path).name: one for one, known in scan(paths, Records(), limit_s=120.0) if not known}
    reasons = {name: one.reason for name, one in found.items() if one.status == "refused"}
    assert reasons.pop("fake.vst3").startswith("fake.vst3 is no plugin (")
    assert reasons == {
        "crashes.vst3": "crashed (SIGSEGV)",
        "ends.vst3": "ended with 7 before it answered",
    }
    good = found["ZamComp.vst3"]
    assert good.status == "accepted"
    (plugin,) = good.plugins
    assert (plugin.name, plugin.channels, plugin.latency) == ("ZamComp", 1, {"44100": 0, "48000": 0})
    knobs = {knob.name: knob for knob in plugin.knobs}
    assert (knobs["threshold_db"].low, knobs["threshold_db"].high, knobs["threshold_db"].unit) == (-80.0, 0.0, "dB")
    assert "gain_reduction_db" not in knobs  # a meter
    assert set(plugin.cpu_us) == {"64", "256", "1024"}
    known = merged(Records(), {one.path: one for one in found.values()})
    write_records(known, tmp_path / "plugins.json")
    assert read_records(tmp_path / "plugins.json") == known
    assert all(again for _, again in scan(paths, known, limit_s=1.0))  # nothing is opened twice


@pytest.mark.slow
@on_this_machine
def test_a_plugin_that_hangs_is_ended(tmp_path: Path) -> None:
    ((found, known),) = scan(candidates([bad_plugin(tmp_path, "hangs")]), Records(), limit_s=3.0)
    assert (found.status, found.reason, known) == ("refused", "did not answer within 3 s", False)


def record(path: Path, status: str = "accepted", name: str = "Comp") -> Record:
    from rtsep.effects.records import Description

    accepted = status == "accepted"
    plugins = (Description(name),) if accepted else ()
    return Record(
        str(path), digest(path), "accepted" if accepted else "refused", "" if accepted else "crashed", plugins
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "comp.vst3"
    path.write_bytes(b"plugin")
    return path


def test_only_what_was_accepted_is_found(file: Path, tmp_path: Path) -> None:
    records = Records({str(file): record(file)})
    assert records.find("Comp")[0].path == str(file)
    assert records.find("Comp", str(file))[1].name == "Comp"
    with pytest.raises(EffectError, match="Other is no plugin that was scanned"):
        records.find("Other")
    with pytest.raises(EffectError, match=r"has not been scanned; run `rtsep effects scan .*x\.vst3` if you trust it"):
        records.find("Comp", str(tmp_path / "x.vst3"))
    refused = Records({str(file): record(file, "refused")})
    with pytest.raises(EffectError, match=r"the scan refused .*comp\.vst3: crashed"):
        refused.find("Comp", str(file))


def test_a_plugin_that_changed_must_be_scanned_again(file: Path) -> None:
    records = Records({str(file): record(file)})
    file.write_bytes(b"another")
    with pytest.raises(EffectError, match=r"comp\.vst3 is not what was scanned"):
        records.trusted("Comp")
    file.unlink()
    with pytest.raises(EffectError, match="is missing; install the plugin again"):
        records.trusted("Comp")


def test_a_bundle_is_known_by_all_its_files_and_their_names(tmp_path: Path) -> None:
    bundle = tmp_path / "a.vst3"
    (bundle / "Contents").mkdir(parents=True)
    (bundle / "Contents" / "a.so").write_bytes(b"code")
    first = digest(bundle)
    (bundle / "Contents" / "a.so").rename(bundle / "Contents" / "b.so")
    second = digest(bundle)
    (bundle / "more").write_bytes(b"")
    assert len({first, second, digest(bundle)}) == 3


def test_two_of_one_name_need_a_path(file: Path) -> None:
    other = file.with_name("other.vst3")
    other.write_bytes(b"other")
    records = Records({str(one): record(one) for one in (file, other)})
    with pytest.raises(EffectError, match="the name of several plugins"):
        records.find("Comp")
    assert records.find("Comp", str(other))[0].path == str(other)


def test_damaged_records_are_said(tmp_path: Path) -> None:
    path = tmp_path / "plugins.json"
    assert read_records(path) == Records()
    for text in ("{", '{"format": 2, "files": {"x": {"path": 3}}}'):
        path.write_text(text)
        with pytest.raises(EffectError, match="is damaged"):
            read_records(path)
    path.write_text('{"format": 0, "files": 3}')
    assert read_records(path) == Records()  # of another release


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"plugins": [{"name": 3}]}', b'{"plugins": []}', b"\xff"])
def test_what_a_child_says_is_not_believed(text: bytes) -> None:
    assert _read(text).error
    assert not _read(text).plugins


KNOB = {"name": "gain_db", "unit": "dB", "low": -60.0, "high": 0.0, "default": 0.0}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"latency": {"44100": -3}}, "C is -3 frames late; allowed are 0 to 999999"),
        ({"reported": {"44100": 10**9}}, "is 1000000000 frames late"),
        ({"cpu_us": {"64": float("nan")}}, "takes times that are none"),
        ({"channels": 7}, "C has 7 channels"),
        ({"name": ""}, "a plugin is called ''"),
        ({"knobs": [{**KNOB, "low": 3.0}]}, "'gain_db': 3 to 0, 0 at first, is no range"),
        ({"knobs": [{**KNOB, "default": float("inf")}]}, "its range, default or step is no number"),
        ({"knobs": [{**KNOB, "name": "../gain"}]}, "its name is none that a path may hold"),
        ({"knobs": [{**KNOB, "taper": "log"}]}, "is no range"),
        ({"knobs": [{**KNOB, "words": ["a"]}]}, "1 words do not go from"),
        ({"knobs": [KNOB, KNOB]}, "two parameters of one name"),
    ],
)
def test_what_no_plugin_can_have_is_refused_with_the_reason(told: dict[str, object], reason: str) -> None:
    good = {"name": "C", "knobs": [KNOB]}
    assert _read(json.dumps({"plugins": [good]}).encode()).plugins[0].knobs[0].low == -60.0
    answer = _read(json.dumps({"plugins": [good | told]}).encode())
    assert not answer.plugins and reason in answer.error


def test_nothing_is_read_or_hashed_twice_until_it_changes(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = tmp_path / "plugins.json"
    hashed: list[object] = []
    reads: list[object] = []
    write_records(Records({str(file): record(file)}), known)
    hash_file, load = hashlib.file_digest, json.loads

    def hashing(content: Any, kind: str) -> Any:
        hashed.append(kind)
        return hash_file(content, kind)

    def reading(text: str) -> Any:
        reads.append(text)
        return load(text)

    monkeypatch.setattr(hashlib, "file_digest", hashing)
    monkeypatch.setattr(json, "loads", reading)
    for _ in range(3):
        assert read_records(known).find("Comp") == read_records(known).trusted("Comp")
    assert (len(hashed), len(reads)) == (0, 1), "record() has just hashed it"
    os.utime(file, ns=(1, 1))
    read_records(known).trusted("Comp")
    write_records(Records(), known)
    assert read_records(known) == Records()
    assert (len(hashed), len(reads)) == (1, 2)


def test_a_link_within_a_folder_is_not_followed(tmp_path: Path, file: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "round").symlink_to(folder, target_is_directory=True)
    assert candidates([folder]) == []
    with pytest.raises(EffectError, match="does not exist"):
        candidates([tmp_path / "nowhere"])
