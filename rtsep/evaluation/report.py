"""All that was found, as JSON: settings, figures over all songs, and every song's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rtsep import __version__
from rtsep.core.whole_file import write_whole
from rtsep.errors import FileError
from rtsep.evaluation.runner import Evaluation
from rtsep.evaluation.scores import TrackScore, json_safe
from rtsep.evaluation.settings import Setting
from rtsep.evaluation.summary import Figures, song_medians, summarise
from rtsep.evaluation.sweep import Curve

FORMAT = 2  # 2: the mask interval is called so
LIBRARIES = ("numpy", "scipy", "museval", "onnxruntime", "openvino", "soxr")


def report(
    command: str,
    evaluation: Evaluation,
    settings: Sequence[Setting],
    scores: Sequence[TrackScore],
    curves: Sequence[Curve] = (),
) -> dict[str, Any]:
    """Gather everything that was found; see `summary` for what the figures mean.

    Args:
        command: that was given, as `evaluate`.
        evaluation: what is the same for all songs and settings.
        settings: in their order.
        scores: of all songs by all settings.
        curves: along the axes that were swept.

    Returns:
        A JSON object, in which a number that JSON does not have is null.
    """
    model = evaluation.separator.model
    found = {
        "format": FORMAT,
        "program": f"rtsep {__version__}",
        "command": command,
        "versions": _versions(),
        "model": {
            "name": model.name,
            "sha256": model.sha256,
            "kind": model.spec.kind,
            "context": model.spec.context,
            "stems": list(model.spec.stems),
            "licence": model.spec.licence,
        },
        "engine": {"name": evaluation.separator.options.engine, "precision": evaluation.separator.options.precision},
        "clip": asdict(evaluation.clip),
        "settings": [setting.to_dict() for setting in settings],
        "summary": summarise(scores, settings),
        "curves": [asdict(curve) for curve in curves],
        "songs": [_song(score) for setting in settings for score in scores if score.setting == setting],
    }
    plain: dict[str, Any] = json_safe(found)
    return plain


def prepare_folder(folder: Path) -> None:
    """Make a folder for reports, and see that it can be written to.

    Raises:
        FileError: now, rather than after an hour, if it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise FileError(f"{folder}: nothing can be written there ({error.strerror}); name a folder of yours") from error


def write(found: dict[str, Any], path: Path) -> None:
    """Write a report, whole or not at all.

    Args:
        found: the JSON object.
        path: of the file.

    Raises:
        FileError: if it cannot be written.
    """
    try:
        write_whole(path, json.dumps(found, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise FileError(f"{path}: the report cannot be written ({error.strerror})") from error


def _song(score: TrackScore) -> Figures:
    stems = [{**asdict(one), "gain_db": one.gain_db, **song_medians(one)} for one in score.stems]
    return {**asdict(score), "setting": score.setting.label, "stems": stems}


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
