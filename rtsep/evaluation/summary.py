"""Many scores in few figures: by setting and stem, over all songs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rtsep.evaluation.scores import BSSEVAL, StemScore, TrackScore
from rtsep.evaluation.settings import Setting

Figures = dict[str, Any]


def summarise(scores: Sequence[TrackScore], settings: Sequence[Setting]) -> list[Figures]:
    """Summarise scores over all songs.

    Plain figures are means over the songs, and medians beside them; BSSEval's are medians over the windows of a song
    without NaN, then over songs, as MUSDB18's results are published; false levels are of all seconds of all songs in
    which the stem is silent.

    Args:
        scores: of all songs.
        settings: in the order of the rows.

    Returns:
        A row for each setting and stem; NaN for what no song has. `songs` counts all, `sdr_songs`, `bsseval_songs` and
        `bsseval_windows` what the figures are of, and `undefined` says why the others have none.
    """
    rows = []
    for setting in settings:
        mine = [score for score in scores if score.setting == setting]
        for stem in dict.fromkeys(one.stem for score in mine for one in score.stems):
            found = [one for score in mine for one in score.stems if one.stem == stem]
            latency_ms = float(np.mean([score.latency_ms for score in mine]))
            row = {"setting": setting.to_dict(), "latency_ms": latency_ms, "stem": stem, "songs": len(found)}
            rows.append({**row, **_figures(found)})
    return rows


def song_medians(score: StemScore) -> Figures:
    """Give BSSEval of a song: the median of each figure over its windows, NaN where there is none."""
    return {f"bsseval_{name}_db": _median(score.bsseval.get(name, ())) for name in BSSEVAL}


def _figures(found: Sequence[StemScore]) -> Figures:
    plain = {
        "sdr_db": [one.sdr_db for one in found],
        "mix_sdr_db": [one.mix_sdr_db for one in found],
        "gain_db": [one.gain_db for one in found],
        "si_sdr_db": [one.si_sdr_db for one in found],
        "magnitude_error": [one.magnitude_error for one in found],
    }
    figures: Figures = {"sdr_songs": len(_known(plain["sdr_db"]))}
    for name, values in plain.items():
        figures[name] = _mean(values)
        figures[f"{name.removesuffix('_db')}_median{'_db' if name.endswith('_db') else ''}"] = _median(values)
    medians = [song_medians(one) for one in found]
    figures |= {name: _median([one[name] for one in medians]) for name in medians[0]}
    figures["bsseval_songs"] = len(_known(one["bsseval_sdr_db"] for one in medians))
    figures["bsseval_windows"] = sum(len(_known(one.bsseval.get("sdr", ()))) for one in found)
    figures["undefined"] = [
        {"figure": figure, "reason": reason, "songs": count}
        for (figure, reason), count in Counter(pair for one in found for pair in one.undefined.items()).items()
    ]
    levels = [level for one in found for level in one.false_db]
    figures["false_seconds"] = len(levels)
    figures["false_median_db"] = _median(levels)
    figures["false_p95_db"] = float(np.percentile(levels, 95)) if levels else float("nan")
    return figures


def _known(values: Iterable[float]) -> list[float]:
    return [value for value in values if np.isfinite(value)]


def _mean(values: Iterable[float]) -> float:
    known = _known(values)
    return float(np.mean(known)) if known else float("nan")


def _median(values: Iterable[float]) -> float:
    known = _known(values)
    return float(np.median(known)) if known else float("nan")
