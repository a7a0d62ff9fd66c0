from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from rtsep.dataset.layouts import LAYOUTS, LayoutOptions, find_songs
from rtsep.dataset.scanners import MUSDB_VALIDATION
from rtsep.dataset.songs import Song, read_mix, read_stem
from rtsep.errors import ConfigError, FileError
from tests.support.recordings import RATE, floats
from tests.support.signals import Float32, error_db, noise, rms
from tests.support.songs import WRITERS, Written, write

START, FRAMES = 20_000, 30_000


@pytest.fixture(params=LAYOUTS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Written:
    return write(request.param, tmp_path)


def layout_of(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["written"])


def same(sound: Float32, part: Float32, exact: bool) -> None:
    wanted = sound[:, START : START + FRAMES]
    if not rms(wanted):
        assert not part.any()
    elif exact:
        assert error_db(wanted, part) < -120.0
    else:
        assert np.corrcoef(wanted.ravel(), part.ravel())[0, 1] > 0.99


def complaint(layout: str, folder: Path, options: LayoutOptions | None = None) -> str:
    with pytest.raises(FileError) as error:
        find_songs(layout, folder, options)
    assert "\n" not in str(error.value)
    return str(error.value)


def by_name(found: list[Song]) -> dict[str, Song]:
    return {song.name: song for song in found}


def test_every_layout_has_a_writer() -> None:
    assert set(WRITERS) == set(LAYOUTS)


def test_each_layout_gives_the_songs_as_they_were_written(request: pytest.FixtureRequest, written: Written) -> None:
    ordered = find_songs(layout_of(request), written.folder, written.options)
    assert ordered == find_songs(layout_of(request), written.folder, written.options)
    found = by_name(ordered)
    assert set(found) == set(written.songs)
    for name, sounds in written.songs.items():
        song = found[name]
        assert set(song.stems) == set(sounds)
        assert (song.sample_rate, song.frames) == (RATE, 2 * RATE)
        for stem, sound in sounds.items():
            same(sound, read_stem(song, stem, START, FRAMES, RATE), written.exact)
        assert (song.mix is not None) == (name in written.mixes)
        if song.mix:
            same(written.mixes[name], read_mix(song, START, FRAMES, RATE), written.exact)


def test_an_unknown_layout_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown layout 'musdb18'; allowed are: stems, musdb, musdb-hq, aligned"):
        find_songs("musdb18", tmp_path)


def test_open_unmix_spells_its_layouts_with_underscores(tmp_path: Path) -> None:
    written = write("trackfolder-fix", tmp_path)
    assert len(find_songs("trackfolder_fix", tmp_path, written.options)) == 2


def test_options_that_a_layout_does_not_take_or_needs_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'musdb' takes no target_file; allowed are: subset"):
        find_songs("musdb", tmp_path, LayoutOptions(target_file="vocals.wav"))
    with pytest.raises(ConfigError, match="'trackfolder-var' needs target_file"):
        find_songs("trackfolder-var", tmp_path)
    with pytest.raises(ConfigError, match=r"target_file '\.\./x\.wav' leaves the folder"):
        find_songs("trackfolder-var", tmp_path, LayoutOptions(target_file="../x.wav"))
    with pytest.raises(ConfigError, match="subset 'dev' of MUSDB; allowed are: train, valid, test"):
        find_songs("musdb-hq", tmp_path, LayoutOptions(subset="dev"))


def test_a_folder_that_is_missing_or_holds_no_songs(tmp_path: Path) -> None:
    assert "No such file" in complaint("stems", tmp_path / "gone")
    assert "no songs found; the layout 'stems' looks for <song>/<stem>.wav" in complaint("stems", tmp_path)
    (tmp_path / "test").mkdir()
    words = complaint("musdb", tmp_path, LayoutOptions(subset="test"))
    assert "no songs found for subset 'test'; the layout 'musdb' looks for train/<song>.stem.mp4" in words


def test_all_that_is_missing_is_named_at_once_the_first_few_by_name(tmp_path: Path) -> None:
    for number in range(12):
        for stem in ("mixture", "vocals", "drums", "other"):
            floats(tmp_path / "train" / f"Song {number:02}" / f"{stem}.wav", noise(100))
    (tmp_path / "train" / "Song 03" / "vocals.wav").unlink()
    words = complaint("musdb-hq", tmp_path)
    assert "bass.wav is missing, 12 times, first: Song 00, Song 01, Song 02" in words
    assert "vocals.wav is missing: Song 03" in words


def test_files_that_cannot_be_used_are_named_with_what_is_missing(tmp_path: Path) -> None:
    written = write("trackfolder-fix", tmp_path)
    (tmp_path / "train" / "First Song" / "bass.wav").write_bytes(b"")
    (tmp_path / "train" / "Second, Song" / "drums.wav").unlink()
    words = complaint("trackfolder-fix", tmp_path, written.options)
    assert "a file cannot be used" in words and "bass.wav is empty" in words
    assert "drums.wav is missing: Second, Song" in words


def test_the_fourteen_songs_of_musdb_are_kept_for_validation(tmp_path: Path) -> None:
    assert len(MUSDB_VALIDATION) == 14
    write("musdb-hq", tmp_path)
    shutil.copytree(tmp_path / "train" / "First Song", tmp_path / "train" / "Meaxic - Take A Step")
    assert set(by_name(find_songs("musdb-hq", tmp_path))) == {"First Song", "Second, Song"}
    valid = find_songs("musdb-hq", tmp_path, LayoutOptions(subset="valid"))
    assert [song.name for song in valid] == ["Meaxic - Take A Step"]


def test_a_folder_valid_takes_the_place_of_the_fourteen(tmp_path: Path) -> None:
    write("musdb-hq", tmp_path)
    write("musdb-hq", tmp_path, subset="valid")
    shutil.copytree(tmp_path / "train" / "First Song", tmp_path / "train" / "Meaxic - Take A Step")
    assert len(find_songs("musdb-hq", tmp_path)) == 3
    valid = find_songs("musdb-hq", tmp_path, LayoutOptions(subset="valid"))
    assert {source.path.parent.parent.name for song in valid for source in song.stems["bass"]} == {"valid"}
    assert len(valid) == 2


def test_stems_may_be_chosen_and_lie_in_a_subset(tmp_path: Path) -> None:
    written = write("stems", tmp_path / "mine")
    found = by_name(find_songs("stems", tmp_path, LayoutOptions(subset="mine", stems=("vocals",))))
    assert {tuple(song.stems) for song in found.values()} == {("vocals",)}
    assert set(found) == set(written.songs)
    words = complaint("stems", tmp_path, LayoutOptions(subset="mine", stems=("bass", "drums")))
    assert "no file of bass, drums: A Voice" in words


def test_two_files_for_one_stem_are_a_fault_and_hidden_files_are_not_seen(tmp_path: Path) -> None:
    floats(tmp_path / "Song" / "vocals.wav", noise(100))
    (tmp_path / "Song" / "._vocals.wav").write_bytes(b"what a Mac leaves")
    (tmp_path / ".git").mkdir()
    assert [song.name for song in find_songs("stems", tmp_path)] == ["Song"]
    shutil.copy(tmp_path / "Song" / "vocals.wav", tmp_path / "Song" / "vocals.aiff")
    assert "two files for 'vocals': Song" in complaint("stems", tmp_path)
    floats(tmp_path / "Mix only" / "Mixture.wav", noise(100))
    assert "no file of a stem: Mix only" in complaint("stems", tmp_path)


def test_sources_that_do_not_belong_together_need_each_folder(tmp_path: Path) -> None:
    write("sourcefolder", tmp_path)
    assert len(find_songs("sourcefolder", tmp_path)) == 6
    words = complaint("sourcefolder", tmp_path, LayoutOptions(target_dir="vocals", interferer_dirs=("wind",)))
    assert f"no sounds: {tmp_path / 'train' / 'wind'}" in words
    words = complaint("sourcefolder", tmp_path, LayoutOptions(target_dir="vocals", extension=".flac"))
    assert "no sounds" in words


def test_a_missing_target_is_a_fault_unless_silence_is_allowed(tmp_path: Path) -> None:
    write("trackfolder-var", tmp_path)
    words = complaint("trackfolder-var", tmp_path, LayoutOptions(target_file="guitar.wav"))
    assert "guitar.wav is missing (silence_missing = true takes silence for it): Second, Song" in words


def test_a_mixture_is_never_one_of_its_own_parts(tmp_path: Path) -> None:
    written = write("trackfolder-var", tmp_path)
    mix = noise(2 * RATE, seed=5)
    floats(tmp_path / "train" / "First Song" / "mixture.wav", mix)
    song = by_name(find_songs("trackfolder-var", tmp_path, written.options))["First Song"]
    assert error_db(written.songs["First Song"]["rest"], read_stem(song, "rest", 0, 2 * RATE, RATE)) < -120.0
    np.testing.assert_array_equal(read_mix(song, 0, 2 * RATE, RATE), mix)


def table(tmp_path: Path, text: str) -> LayoutOptions:
    path = tmp_path / "songs.csv"
    path.write_text(text, encoding="utf-8")
    return LayoutOptions(csv=path)


def test_what_is_wrong_with_a_table_is_named(tmp_path: Path) -> None:
    floats(tmp_path / "a.wav", noise(100))
    head = "mix_path,vocals_path,duration\n"
    assert "No such file" in complaint("spleeter-csv", tmp_path, LayoutOptions(csv=tmp_path / "gone.csv"))
    words = complaint("spleeter-csv", tmp_path, table(tmp_path, "mixture,vocals\na.wav,a.wav\n"))
    assert "has no column mix_path, <stem>_path; its columns are: mixture, vocals" in words
    words = complaint("spleeter-csv", tmp_path, table(tmp_path, head + "a.wav,,3\na.wav,b.wav,3\na.wav\n"))
    assert "vocals_path is empty, 2 times, first: row 2 of songs.csv, row 4" in words
    assert "a file is missing: row 3 of songs.csv: b.wav" in words
    for outside in ("../a.wav", str(tmp_path.parent / "a.wav"), f"{tmp_path}/../a.wav", r"C:\songs\a.wav", r"..\a.wav"):
        words = complaint("spleeter-csv", tmp_path, table(tmp_path, head + f"a.wav,{outside},3\n"))
        form = "paths are relative to it, as train/song/mix.wav"
        assert f"a path leaves the folder {tmp_path} ({form}): row 2 of songs.csv: {outside}" in words
    assert "no songs found" in complaint("spleeter-csv", tmp_path, table(tmp_path, head))
    (tmp_path / "songs.csv").write_bytes(b"\xff\xfe\x00mix_path")
    assert "is not a table of songs" in complaint("spleeter-csv", tmp_path, LayoutOptions(csv=tmp_path / "songs.csv"))
    (tmp_path / "songs.csv").write_bytes(f"{head}S\xf6ng.wav,a.wav,3\n".encode("latin-1"))
    words = complaint("spleeter-csv", tmp_path, LayoutOptions(csv=tmp_path / "songs.csv"))
    assert "it is not in UTF-8; save it as CSV UTF-8" in words


TABLES = {
    "as Spleeter has it": b"mix_path,vocals_path,duration\nin/m.wav,in/v.wav,3\n",
    "of a spreadsheet": "\ufeffmix_path;vocals_path;duration\r\nin/m.wav;in/v.wav;3,5\r\n".encode(),
    "of a spreadsheet, by tabs": "mix_path\tvocals_path\r\nin/m.wav\tin/v.wav\r\n".encode("utf-16"),
    "of Windows": b'mix_path,vocals_path,duration\r\n"in\\m.wav","in\\v.wav",3\r\n',
    "with full paths": b"mix_path,vocals_path,duration\n{folder}/in/m.wav,{folder}/in/v.wav,3\n",
    "with a last line that does not end": b"mix_path;vocals_path\nin/m.wav; in/v.wav ",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_as_people_have_them(tmp_path: Path, name: str) -> None:
    mix, voice = noise(RATE, seed=1), noise(RATE, seed=2)
    floats(tmp_path / "in" / "m.wav", mix)
    floats(tmp_path / "in" / "v.wav", voice)
    (tmp_path / "songs.csv").write_bytes(TABLES[name].replace(b"{folder}", str(tmp_path).encode()))
    (song,) = find_songs("spleeter-csv", tmp_path, LayoutOptions(csv=tmp_path / "songs.csv"))
    assert song.name == "in/m" and list(song.stems) == ["vocals"]
    np.testing.assert_array_equal(read_stem(song, "vocals", 0, RATE, RATE), voice)
    np.testing.assert_array_equal(read_mix(song, 0, RATE, RATE), mix)


def test_a_file_whose_name_has_a_backslash(tmp_path: Path) -> None:
    floats(tmp_path / "a\\b.wav", noise(100))
    options = table(tmp_path, "mix_path,vocals_path\na\\b.wav,a\\b.wav\n")
    assert len(find_songs("spleeter-csv", tmp_path, options)) == 1


def test_a_table_may_begin_with_the_mark_that_spreadsheets_write(tmp_path: Path) -> None:
    floats(tmp_path / "a.wav", noise(100))
    options = table(tmp_path, "\ufeffmix_path,vocals_path,duration\na.wav,a.wav,3\n")
    assert [song.name for song in find_songs("spleeter-csv", tmp_path, options)] == ["a"]
    chosen = LayoutOptions(csv=options.csv, stems=("drums",))
    assert "has no column drums_path" in complaint("spleeter-csv", tmp_path, chosen)
