"""Small runs of training: settings files for tiny networks and data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rtsep.dataset.layouts import LayoutOptions
from rtsep.training.trainer import OnProgress, Progress
from tests.support import songs as data_sets

CAUSAL = {"family": "causal", "window": 512, "hop": 128, "bands": [8] * 16, "features": 4, "hidden": 8}
UNET = {"family": "unet", "window": 512, "hop": 128, "bins": 256, "context": 16, "filters": [4, 8]}
UNMIX = {"family": "openunmix", "window": 512, "hop": 128, "bins": 200, "hidden": 8, "layers": 1, "context": 16}
NETWORKS = {"causal": CAUSAL, "unet": UNET, "openunmix": UNMIX}
STEMS = {  # what each layout's songs can teach
    "stems": ["vocals", "accompaniment"],
    "musdb": ["vocals", "drums", "bass", "other"],
    "spleeter-csv": ["vocals", "accompaniment"],
    "trackfolder-var": ["guitar", "rest"],
}


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value)


def options_of(options: LayoutOptions) -> dict[str, Any]:
    plain = LayoutOptions()
    fields = LayoutOptions.__dataclass_fields__
    return {name: getattr(options, name) for name in fields if getattr(options, name) != getattr(plain, name)}


def write(folder: Path, layout: str = "stems", network: dict[str, Any] = CAUSAL, steps: int = 4, **more: Any) -> Path:
    """A settings file with a data set of two songs beside it; `more` are further entries of the top."""
    train = data_sets.write(layout, folder / "songs")
    songs = {"layout": layout, "folder": "songs", "options": options_of(train.options)}
    entries: dict[str, Any] = {
        "name": "tiny",
        "stems": STEMS[layout],
        "network": network,
        "train": [songs],
        "valid": [songs],
        "examples": {"seconds": 0.3},
        "optimisation": {"steps": steps, "batch": 2, "warmup_steps": 1},
        "intervals": {"log_steps": 1, "valid_steps": 4, "checkpoint_steps": 2},
        "validation": {"seconds": 1.0},
    }
    for name, value in more.items():
        entries[name] = {**entries.get(name, {}), **value} if isinstance(value, dict) and name != "network" else value
    path = folder / "run.toml"
    path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in entries.items()), encoding="utf-8")
    return path


class StoppedError(Exception):
    """A run was ended from outside."""


def stop_at(step: int) -> OnProgress:
    """What a run calls to tell of itself, that ends it at a step."""

    def on_progress(progress: Progress) -> None:
        if progress.step == step:
            raise StoppedError

    return on_progress
