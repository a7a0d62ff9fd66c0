"""SDR against latency and all that buys or costs it: `rtsep bench quality` with what to sweep, of several models.

Songs in stems are wanted (`--songs FOLDER`, the plain layout); without any it is the demo song, which
says little of music. Full axes for two of Spleeter's models and a minute of one song take about 25 minutes on
two cores.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from benchmarks.results import Figures, program, run
from rtsep.demo import song
from rtsep.errors import ModelError
from rtsep.model.store import find

MODELS = "spleeter-2stems,spleeter-2stems-live"
PRESETS, AROUND = "exact,46,23,12,6,3", "46,23"
AXES = {  # what is swept around both presets, by the kind of the model; 0 is what live use has
    "stateful": {"hop": "0,128,64", "mask_interval": "0,2", "late": "0,1,2,4,8"},
    "windowed": {
        "lookahead": "0,1,2,4,8",
        "context": "64,128,256",
        "mask_interval": "0,2,4,8,16",
        "late": "0,1,2",
        "seen": "own,preset",
    },
}
QUICK_AXES = {"latency": "23,3", "late": "0,1", "mask_interval": "0,2"}
QUICK_S = "5"


def demo_songs(folder: Path) -> Path:
    """The demo song's stems in the plain layout."""
    home = folder / "songs" / "demo"
    home.mkdir(parents=True)
    for stem, sound in song.render().items():
        song.write(home / f"{stem}.ogg", sound)
    return home.parent


def kept_models(path: Path, names: list[str], seconds: float, measured: set[str]) -> list[Figures]:
    """Curves of other models that an earlier run found on the same songs, each with the time of its run."""
    before = json.loads(path.read_text(encoding="utf-8"))
    if (before["figures"]["songs"], before["figures"]["seconds"]) != (names, seconds):
        raise SystemExit(f"{path} is of other songs or seconds than this run; measure all models anew")
    fields = {curve["field"] for model in before["figures"]["models"] for curve in model["curves"]}
    if "refresh" in fields:
        raise SystemExit(f"{path} is of an rtsep of before, with other names; measure all models anew")
    others = [entry for entry in before["figures"]["models"] if entry["model"]["name"] not in measured]
    return [{"measured": before["conditions"]["started"], **entry} for entry in others]


def swept(model: str, songs: Path, out: Path, seconds: str, quick: bool, museval: bool) -> Figures:
    """The curves of one model, by the command that everybody has."""
    axes = QUICK_AXES if quick else {"latency": PRESETS, "around": AROUND, **AXES[find(model).spec.kind]}
    words = [word for axis, values in axes.items() for word in (f"--{axis.replace('_', '-')}", values)]
    command = [*program(), "bench", "quality", str(songs), "-o", str(out), "-m", model, *words]
    command += [*(["--seconds", seconds] if seconds else []), "--museval" if museval else "--no-museval"]
    subprocess.run(command, check=True)
    kept = json.loads((out / "quality.json").read_text(encoding="utf-8"))
    return {"model": kept["model"], "curves": kept["curves"]}


def measure(
    quick: bool = False,
    songs: Path | None = None,
    models: str = MODELS,
    seconds: float = 0.0,
    keep: Path | None = None,
    museval: bool = True,
    work: Path | None = None,
) -> Figures:
    """Quality by latency, lookahead, context, mask interval, lateness and window seen, of each model."""
    found, absent = [], {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = work or Path(temporary)
        wanted = songs or demo_songs(Path(temporary))
        for name in models.split(","):
            try:
                place = folder / find(name).name
            except ModelError as error:
                absent[name] = str(error)
                continue
            length = QUICK_S if quick else str(seconds) if seconds else ""
            found.append(swept(name, wanted, place, length, quick, museval and not quick))
        names = sorted(path.name for path in wanted.iterdir() if path.is_dir())
    if not found:
        raise SystemExit(f"none of {models} is on this machine; get one with: rtsep models pull spleeter:2stems")
    if keep:
        found += kept_models(keep, names, seconds, {entry["model"]["name"] for entry in found})
    return {"songs": names, "seconds": seconds, "ours": songs is None, "models": found, "absent": absent}


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    options.add_argument("--songs", type=Path, help="a folder of songs in stems")
    options.add_argument("--models", default=MODELS, help="names or paths, with commas; those not here are left out")
    options.add_argument("--seconds", type=float, default=0.0, help="only so much of each song, from its middle")
    options.add_argument("--keep", type=Path, help="quality.json of before, to keep what it has of other models")
    options.add_argument("--work", type=Path, help="a folder to keep scores in: a run that was stopped goes on there")
    options.add_argument(
        "--museval", action=argparse.BooleanOptionalAction, default=True, help="BSSEval v4 too, 20 s a point and minute"
    )
    run("quality", measure, options)
