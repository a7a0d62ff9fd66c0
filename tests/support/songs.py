"""Small data sets in every layout, and what was written into them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsep.dataset.layouts import LayoutOptions
from tests.support.recordings import RATE, coded, floats
from tests.support.signals import Float32, noise, sine

STEMS = ("vocals", "drums", "bass", "other")
TONES_HZ = {"vocals": 440.0, "drums": 2000.0, "bass": 80.0, "other": 900.0}
NAMES = ("First Song", "Second, Song")

Sounds = Mapping[str, Float32]  # stem to (2, frames)


@dataclass(frozen=True)
class Written:
    """A data set: its folder, what `find_songs` must be told, and the stems of each song as they should be read."""

    folder: Path
    options: LayoutOptions
    songs: Mapping[str, Sounds]
    mixes: Mapping[str, Float32]  # of the songs that have a mix file
    exact: bool = True  # else a lossy codec was between


def stems(seed: int = 0, seconds: float = 2.0, rate: int = RATE) -> dict[str, Float32]:
    """Four stems, each a tone in noise, different for each seed: stem to (2, frames)."""
    frames = round(seconds * rate)
    return {
        stem: sine(frames, hz * (1.0 + 0.1 * seed), rate, 0.15) + noise(frames, seed=10 * seed + place, level=0.01)
        for place, (stem, hz) in enumerate(TONES_HZ.items())
    }


def mixed(sounds: Sounds) -> Float32:
    """The sum of all stems."""
    total: Float32 = np.sum(list(sounds.values()), axis=0, dtype=np.float32)
    return total


def write(layout: str, folder: Path, subset: str = "train", seconds: float = 2.0) -> Written:
    """A data set of two songs in a layout; `subset` where the layout has subsets."""
    songs: dict[str, Sounds] = {
        name: stems(seed, seconds) for seed, name in enumerate(NAMES, 20 if subset == "valid" else 0)
    }
    return WRITERS[layout](folder, subset, songs)


def stem_file(path: Path, sounds: Sounds, mix: Float32) -> None:
    """A .stem.mp4 of MUSDB: mix, drums, bass, other and vocals as five streams of AAC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coded(path, mix, *(sounds[stem] for stem in ("drums", "bass", "other", "vocals")))


def _stems(folder: Path, subset: str, songs: dict[str, Sounds]) -> Written:
    """The first song with a mix, the second without, and one that has only vocals."""
    first, second = NAMES
    _files(folder / first, {**songs[first], "mixture": mixed(songs[first])})
    _files(folder / second, songs[second])
    alone: Sounds = {"vocals": songs[first]["vocals"]}
    _files(folder / "A Voice", alone)
    return Written(folder, LayoutOptions(), {**songs, "A Voice": alone}, {first: mixed(songs[first])})


def _musdb(folder: Path, subset: str, songs: dict[str, Sounds]) -> Written:
    for name, sounds in songs.items():
        stem_file(folder / subset / f"{name}.stem.mp4", sounds, mixed(sounds))
    return Written(folder, LayoutOptions(subset=subset), songs, _mixes(songs), exact=False)


def _musdb_hq(folder: Path, subset: str, songs: dict[str, Sounds]) -> Written:
    for name, sounds in songs.items():
        _files(folder / subset / name, {**sounds, "mixture": mixed(sounds)})
    return Written(folder, LayoutOptions(subset=subset), songs, _mixes(songs))


def _aligned(folder: Path, subset: str, songs: dict[str, Sounds]) -> Written:
    for name, sounds in songs.items():
        _files(folder / subset / name, {"noisy": mixed(sounds), "vocals": sounds["vocals"]})
    options = LayoutOptions(subset=subset, input_file="noisy.wav", output_file="vocals.wav")
    heard = {
        name: {"vocals": sounds["vocals"], "rest": mixed(sounds) - sounds["vocals"]} for name, sounds in songs.items()
    }
    return Written(folder, options, heard, _mixes(songs))


def _sourcefolder(folder: Path, subset: str, songs: dict[str, Sounds]) -> Written:
    found: dict[str, Sounds] = {}
    for name, sounds in songs.items():
        for stem in ("vocals", "drums", "bass"):
            floats(folder / subset / stem / f"{name}.wav", sounds[stem])
            found[f"{stem}/{name}.wav"] = {stem: sounds[stem]}
    options = LayoutOptions(subset=subset, target_dir="vocals", interferer_dirs=("drums", "bass"))
    return Written(folder, options, found, {})


def _trackfolder_fix(folder: Path, subset: str, songs: dict[str, Sounds]) -> Written:
    for name, sounds in songs.items():
        _files(folder / subset / name, sounds)
    options = LayoutOptions(
        subset=subset, target_file="vocals.wav", interferer_files=("drums.wav", "bass.wav", "other.wav")
    )
    return Written(folder, options, songs, {})


def _trackfolder_var(folder: Path, subset: str, songs: dict[str, Sounds]) -> Written:
    """The second song lacks the target."""
    found: dict[str, Sounds] = {}
    for name, sounds in songs.items():
        others = {stem: sound for stem, sound in sounds.items() if stem != "other"}
        has = name == NAMES[0]
        _files(folder / subset / name, {**others, **({"guitar": sounds["other"]} if has else {})})
        guitar = sounds["other"] if has else np.zeros_like(sounds["other"])
        found[name] = {"guitar": guitar, "rest": mixed(others)}
    return Written(folder, LayoutOptions(subset=subset, target_file="guitar.wav", silence_missing=True), found, {})


def _spleeter_csv(folder: Path, subset: str, songs: dict[str, Sounds]) -> Written:
    found: dict[str, Sounds] = {}
    rows: list[list[str]] = [["mix_path", "vocals_path", "accompaniment_path", "duration"]]
    for name, sounds in songs.items():
        accompaniment = mixed({stem: sound for stem, sound in sounds.items() if stem != "vocals"})
        _files(folder / subset / name, parts := {"vocals": sounds["vocals"], "accompaniment": accompaniment})
        floats(folder / subset / name / "mixture.wav", mixed(sounds))
        paths = [f"{subset}/{name}/{stem}.wav" for stem in ("mixture", "vocals", "accompaniment")]
        rows.append([*paths, str(sounds["vocals"].shape[1] / RATE)])
        found[f"{subset}/{name}/mixture"] = parts
    table = folder / f"{subset}.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    mixes = {f"{subset}/{name}/mixture": mix for name, mix in _mixes(songs).items()}
    return Written(folder, LayoutOptions(csv=table), found, mixes)


def _files(folder: Path, sounds: Sounds) -> None:
    for stem, sound in sounds.items():
        floats(folder / f"{stem}.wav", sound)


def _mixes(songs: dict[str, Sounds]) -> dict[str, Float32]:
    return {name: mixed(sounds) for name, sounds in songs.items()}


WRITERS: dict[str, Callable[[Path, str, dict[str, Sounds]], Written]] = {
    "stems": _stems,
    "musdb": _musdb,
    "musdb-hq": _musdb_hq,
    "aligned": _aligned,
    "sourcefolder": _sourcefolder,
    "trackfolder-fix": _trackfolder_fix,
    "trackfolder-var": _trackfolder_var,
    "spleeter-csv": _spleeter_csv,
}
