"""SDR against latency, and against the age of masks and the hop: `rtsep bench quality` with what to sweep.

Songs in stems are wanted (`--songs FOLDER`, the plain layout); without any it is the demo song, which
says little of music.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from benchmarks.results import Figures, program, run
from rtsep.demo import song
from rtsep.model.store import find
from rtsep.spec import DEFAULT_MODEL

PRESETS = "23,exact,46,12,6,3"
AXES = {  # what is swept, by the kind of the model; the first value is what the other axes are swept with
    "stateful": {"hop": "0,128,64", "refresh": "0,2", "late": "0,1,2,4,8,16"},
    "windowed": {
        "lookahead": "0,1,2,4,8",
        "context": "64,128,256,512",
        "hop": "0,128,64",
        "refresh": "0,2,8,16",
        "late": "0,1,2,4,8",
    },
}


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
    others = [entry for entry in before["figures"]["models"] if entry["model"]["name"] not in measured]
    return [{"measured": before["conditions"]["started"], **entry} for entry in others]


def measure(
    quick: bool = False,
    songs: Path | None = None,
    models: str = DEFAULT_MODEL,
    seconds: float = 0.0,
    keep: Path | None = None,
) -> Figures:
    """SDR by latency, lookahead, context, hop, refresh and lateness, of each model."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        wanted = songs or demo_songs(Path(folder))
        for number, name in enumerate(models.split(",")):
            out = Path(folder) / str(number)
            axes = {"latency": "23,3"} if quick else {"latency": PRESETS, **AXES[find(name).spec.kind]}
            words = [word for axis, values in axes.items() for word in (f"--{axis}", values)]
            clip = ["--seconds", "5"] if quick else ["--seconds", str(seconds)] if seconds else []
            command = [*program(), "bench", "quality", str(wanted), "-o", str(out), "-m", name, *words, *clip]
            subprocess.run(command, check=True)
            kept = json.loads((out / "quality.json").read_text(encoding="utf-8"))
            found.append({"model": kept["model"], "curves": kept["curves"]})
        names = sorted(path.name for path in wanted.iterdir() if path.is_dir())
    if keep:
        found += kept_models(keep, names, seconds, {entry["model"]["name"] for entry in found})
    return {"songs": names, "seconds": seconds, "ours": songs is None, "models": found}


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    options.add_argument("--songs", type=Path, help="a folder of songs in stems")
    options.add_argument("--models", default=DEFAULT_MODEL, help="names or paths, with commas")
    options.add_argument("--seconds", type=float, default=0.0, help="only so much of each song, from its middle")
    options.add_argument("--keep", type=Path, help="quality.json of before, to keep what it has of other models")
    run("quality", measure, options)
