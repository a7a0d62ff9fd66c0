"""Spleeter live: real models on the virtual card, at the setting that `rtsep doctor` holds for right on this machine.

Each plays two minutes of a song in stems (`--songs FOLDER`, the plain layout; the first song there, or that of
`--song`; without any it is the demo song, which says little of music). What was recorded is scored as it
was heard, beside what `rtsep evaluate` gives for the same span and setting with all masks in time.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.quality import demo_songs
from benchmarks.results import Figures, run
from benchmarks.stage import Advice, advised, options, plain_sdr_db, play
from rtsep.dataset.layouts import LayoutOptions
from rtsep.dataset.songs import Song
from rtsep.diagnostics.capacity import BLOCK, SAMPLE_RATE, timings
from rtsep.errors import ConfigError, ModelError
from rtsep.evaluation.estimation import EvaluatedModel
from rtsep.evaluation.metrics import sdr_db
from rtsep.evaluation.runner import Evaluation, score_songs
from rtsep.evaluation.score_cache import ScoreCache
from rtsep.evaluation.scores import TrackScore
from rtsep.evaluation.settings import Setting
from rtsep.evaluation.tracks import Clip, read_track, songs_to_score, stems_to_score
from rtsep.model.store import StoredModel, find

MODELS = "spleeter-2stems,spleeter-2stems-live,streaming-2stems"
PRESETS = "46,23"
SECONDS, QUICK_S = 120.0, 2.0


def live(stored: StoredModel, advice: Advice, song: Song, clip: Clip) -> dict[str, Any]:
    """One run: how it was set, how it went, and the scores of what was heard."""
    stems = stems_to_score(stored.spec.stems, ())
    track = read_track(song, stems, clip, SAMPLE_RATE, stored.spec.channels)
    found, heard = play(options(str(stored.path.parent), stems, advice), track)
    window = advice.budget.window
    return {
        "model": stored.name,
        "preset": window.preset,
        "threads": advice.threads,
        "pass_ms": 1000.0 * advice.pass_s,
        "allowed_ms": 1000.0 * advice.budget.allowed_s,
        "hop": window.hop,
        "mask_interval": window.mask_interval,
        "interval_ms": 1000.0 * advice.budget.interval_s,
        **found,
        "mix_sdr_db": {stem: sdr_db(sound, track.mix) for stem, sound in track.references.items()},
        "heard_sdr_db": plain_sdr_db(heard, track.references),
    }


def in_time(stored: StoredModel, song: Song, clip: Clip, settings: Sequence[Setting]) -> list[dict[str, float]]:
    """Plain SDR by stem as `rtsep evaluate` gives it, of each setting."""
    evaluation = Evaluation(EvaluatedModel(stored), (), clip, SAMPLE_RATE, False)
    scores = [one for one in score_songs(evaluation, [song], settings, ScoreCache()) if isinstance(one, TrackScore)]
    by_setting = {score.setting: {one.stem: one.sdr_db for one in score.stems} for score in scores}
    return [by_setting[setting] for setting in settings]


def chosen(songs: Sequence[Song], name: str) -> Song:
    """The song of that name, the first if none is named."""
    for song in songs:
        if not name or song.name == name:
            return song
    raise ConfigError(f"there is no song {name!r}; choose from {', '.join(song.name for song in songs)}")


def measure(
    quick: bool = False,
    songs: Path | None = None,
    song: str = "",
    models: str = MODELS,
    presets: str = PRESETS,
    seconds: float = SECONDS,
) -> Figures:
    """Each model at each preset, as the machine holds it: two minutes, late masks, dropouts, and what was heard."""
    rows: list[dict[str, Any]] = []
    absent: dict[str, str] = {}
    clip = Clip(seconds=QUICK_S if quick else seconds)
    with tempfile.TemporaryDirectory() as folder:
        found = songs_to_score("stems", songs or demo_songs(Path(folder)), LayoutOptions())
        played = chosen(found, song)
        for name in models.split(","):
            try:
                stored = find(name)
            except ModelError as error:
                absent[name] = str(error)
                continue
            timed = list(timings(stored, os.cpu_count() or 1))
            advice = [advised(timed, preset) for preset in (presets.split(",")[-1:] if quick else presets.split(","))]
            mine = [live(stored, one, played, clip) for one in advice]
            settings = [Setting(latency=row["preset"], mask_interval=row["mask_interval"]) for row in mine]
            for row, scores in zip(mine, in_time(stored, played, clip, settings), strict=True):
                rows.append({**row, "in_time_sdr_db": scores})
    return {
        "sample_rate": SAMPLE_RATE,
        "block": BLOCK,
        "song": played.name,
        "ours": songs is None,
        "rows": rows,
        "absent": absent,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--songs", type=Path, help="a folder of songs in stems")
    parser.add_argument("--song", default="", help="which one of them")
    parser.add_argument("--models", default=MODELS, help="names or paths, with commas; those not here are left out")
    parser.add_argument("--presets", default=PRESETS, help="with commas")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each run, from the middle of the song")
    run("live", measure, parser)
