from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from rtsep.corpus.drumkits import Drum, play_kit, read_kit
from rtsep.errors import FileError
from tests.corpus.kits import LAYERS, kit, write_xml

needs_pedalboard = pytest.mark.skipif(find_spec("pedalboard") is None, reason="pedalboard is not installed")


def test_drums_are_known_by_their_names(tmp_path: Path) -> None:
    drums = read_kit(kit(tmp_path / "kit", {"Kick": 60.0, "Zap 1": 500.0, "Closed HH": 6000.0}))
    assert [drum.role for drum in drums] == ["kick", "closed"]


def test_the_hardest_strokes_come_first(tmp_path: Path) -> None:
    folder = kit(tmp_path / "kit")
    layer = "<layer><filename>{}.wav</filename><min>{}</min><max>{}</max></layer>"
    write_xml(folder, "<name>Kick</name>" + layer.format("Kick", 0, 0.5) + layer.format("Tom Low", 0.5, 1))
    assert read_kit(folder) == (Drum("kick", (folder / "Tom Low.wav", folder / "Kick.wav")),)


def test_old_kits_have_no_layers(tmp_path: Path) -> None:
    folder = kit(tmp_path / "kit")
    write_xml(folder, "<filename>Kick.wav</filename><name>Kick</name>")
    assert read_kit(folder) == (Drum("kick", (folder / "Kick.wav",)),)


def test_recordings_stay_in_their_folder(tmp_path: Path) -> None:
    folder = kit(tmp_path / "kit")
    (tmp_path / "out.wav").touch()
    (folder / "link.wav").symlink_to(tmp_path / "out.wav")
    names = ("../out", str(tmp_path / "out"), "link", "missing")
    write_xml(folder, *("<name>Kick</name>" + LAYERS.format(name) for name in names))
    assert read_kit(folder) == ()


@needs_pedalboard
def test_a_kit_is_played(tmp_path: Path) -> None:
    folder = kit(tmp_path / "kit")
    sound, used = play_kit(folder, 8.0, np.random.default_rng(3))
    assert sound.shape == (2, 8 * 44100) and sound.dtype == np.float32
    assert float(np.sqrt(np.mean(sound**2))) > 0.01
    assert used == {
        folder / name for name in ("drumkit.xml", "Kick.wav", "Snare Rock.wav", "Closed HH.wav", "Tom Low.wav")
    }
    again, _ = play_kit(folder, 8.0, np.random.default_rng(3))
    other, _ = play_kit(folder, 8.0, np.random.default_rng(4))
    assert np.array_equal(sound, again) and not np.array_equal(sound, other)


def test_a_kit_needs_a_drum_that_is_known(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="kit has no drum whose name tells"):
        play_kit(kit(tmp_path / "kit", {"Zap": 100.0}), 2.0, np.random.default_rng(0))


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_entities_are_refused(tmp_path: Path, head: str) -> None:
    write_xml(tmp_path, "<name>Kick</name>", head=head)
    with pytest.raises(FileError, match="defines entities"):
        read_kit(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<drumkit_info><instrument>",
        b"\0",
        b'<?xml version="1.0" encoding="none"?><drumkit_info/>',
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><drumkit_info>&a;</drumkit_info>'.encode("utf-16"),
    ],
)
def test_broken_kits(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "drumkit.xml").write_bytes(text)
    with pytest.raises(FileError, match="is no drum kit"):
        read_kit(tmp_path)


def test_a_layer_without_sense(tmp_path: Path) -> None:
    write_xml(tmp_path, "<name>Kick</name><layer><filename>x.wav</filename><max>loud</max></layer>")
    with pytest.raises(FileError, match="is no drum kit"):
        read_kit(tmp_path)


def test_a_folder_without_a_kit(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file"):
        read_kit(tmp_path)
