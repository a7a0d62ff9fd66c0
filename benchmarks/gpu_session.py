"""Everything that a card is asked, in four minutes: `python -m benchmarks.gpu_session --out FOLDER`.

Needs PyTorch; wheels of what else is missing may lie in a folder (`--wheels`). Every figure is on disk as soon as it is
there, so that a session that is killed keeps what it has measured. `--dry-run` does all of it on the CPU, with few hops
and narrow networks, and PyTorch in the place of the card. Nothing of rtsep is imported before the wheels are there.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

NEEDED = (
    "numpy",
    "numba",
    "torch",
    "onnx",
    "onnxruntime",
    "msgspec",
    "platformdirs",
    "safetensors",
    "soundfile",
    "soxr",
)
SECONDS = 225.0  # of the four minutes; the rest is for starting
GRACE_S = 5.0  # after which what still runs is ended from outside


def main() -> None:
    """Read the command line, get what is missing, measure; 1 where something needed is missing or an aim is not met."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_session", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the figures")
    parser.add_argument("--wheels", type=Path, help="folder of wheels that are missing on this machine")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all parts together")
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, with few hops: does it run at all?")
    parser.add_argument("--watched", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.watched:
        measure(options)
    ends = time.monotonic() + options.seconds
    options.out.mkdir(parents=True, exist_ok=True)
    if options.wheels:
        install(options.wheels, Path(tempfile.mkdtemp(prefix="rtsep-wheels-")))
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        words = f"missing on this machine: {', '.join(missing)}; carry their wheels and name the folder with --wheels"
        (options.out / "session.json").write_text(json.dumps({"missing": missing}) + "\n", encoding="utf-8")
        sys.exit(words)
    left_s = max(0.0, ends - time.monotonic())
    sys.exit(watch(["--out", str(options.out), *["--dry-run"] * options.dry_run], left_s))


def watch(words: list[str], seconds: float) -> int:
    """Measure in a process of its own, which with all its children is ended where it does not end by itself.

    A call into a driver that hangs can be ended in no other way; what was measured until then is on disk.

    Args:
        words: of its command line.
        seconds: that it has.

    Returns:
        Its exit status; 1 where it was ended.
    """
    command = [sys.executable, "-m", "benchmarks.gpu_session", "--watched", "--seconds", f"{seconds:.3f}", *words]
    child = subprocess.Popen(command, start_new_session=True)
    try:
        return child.wait(seconds + GRACE_S)
    except subprocess.TimeoutExpired:
        print(f"ended after {seconds + GRACE_S:.0f} s; what was measured until then is kept", flush=True)
        return 1
    finally:
        with suppress(ProcessLookupError):  # its children too, which may outlive it
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def measure(options: argparse.Namespace) -> NoReturn:
    """Measure all; ends the process."""
    from benchmarks.gpu_parts import Session

    session = Session(options.out, options.seconds, options.dry_run)
    session.run()
    print(session.table())
    sys.exit(0 if session.all_met() else 1)


def install(wheels: Path, target: Path) -> None:
    """Unpack wheels into a folder of this session, for it and its children; one that does not fit is said, no more."""
    for wheel in sorted(wheels.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile"]
        done = subprocess.run(
            [*command, "--target", str(target), str(wheel)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(f"{wheel.name}: {' '.join(done.stderr.split())[:200]}", flush=True)
    sys.path.insert(0, str(target))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(target), os.environ.get("PYTHONPATH", ""))))


if __name__ == "__main__":
    main()
