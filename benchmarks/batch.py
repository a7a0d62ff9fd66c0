"""Two hundred good, bad and odd files through `rtsep separate`, disturbed and resumed: the same stems to the bit."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.batch_songs import Songs, make
from benchmarks.results import Figures, program, run
from rtsep.cli.names import shown
from rtsep.separation.folder_record import NAME

FILES, QUICK_FILES = 200, 24
ROUNDS, QUICK_ROUNDS = 3, 1
STOPS = 3  # of a round; then it goes on to the end
LIMIT_S = 600.0
PIECE = 1 << 20
# root may read everything: without these rights it is like anybody else
LIKE_A_USER = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


@dataclass(frozen=True)
class Run:
    """How the command ended."""

    status: int
    seconds: float
    said: str  # standard output
    complaints: tuple[str, ...]  # lines of the error output


@dataclass
class Batch:
    """The command on one folder, as often as it is wanted."""

    songs: Songs
    engine: str
    chance: np.random.Generator
    undisturbed: dict[str, str] = field(default_factory=dict)  # sums of all stems, by path
    bytes: int = 0  # of them
    seconds: float = 0.0  # that it took

    def separate(self, out: Path, *more: str, stop: int = 0, after_s: float = 0.0) -> Run:
        """Run it to its end, or send a signal after some time."""
        words = [*program(), "separate", str(self.songs.folder), "-o", str(out), "--engine", self.engine, *more]
        prefix = LIKE_A_USER if os.geteuid() == 0 else ()
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complaints:
            started = time.monotonic()
            process = subprocess.Popen([*prefix, *words], stdout=said, stderr=complaints, start_new_session=True)
            try:
                process.wait(after_s if stop else LIMIT_S)
            except subprocess.TimeoutExpired:
                process.send_signal(stop or signal.SIGKILL)
                process.wait(LIMIT_S)
            seconds = time.monotonic() - started
            said.seek(0)
            complaints.seek(0)
            lines = complaints.read().decode().splitlines()
            return Run(process.returncode, seconds, said.read().decode(), tuple(lines))

    def faults(self, ended: Run, out: Path) -> dict[str, int]:
        """Count what a run that went to its end should not have left."""
        found = sums(out)
        bad = [sum(shown(path) in line for line in ended.complaints) for path in self.songs.bad]
        return {
            "wrong_status": int(ended.status != 1),
            "tracebacks": sum("Traceback" in line for line in ended.complaints),
            "bad_not_named_once": sum(count != 1 for count in bad),
            "missing_stems": len(self.undisturbed.keys() - found.keys()),
            "other_stems": len(found.keys() - self.undisturbed.keys()),
            "differing_stems": self.differing(found),
            "parts_left": len(list(out.rglob("*.part"))),
        }

    def differing(self, found: dict[str, str]) -> int:
        """Count the files that look like stems and hold something else."""
        return sum(self.undisturbed.get(path) != found[path] for path in found)

    def stopped(self, out: Path, number: int) -> Figures:
        """Stop it by a signal at random moments, and resume it to the end."""
        whole, statuses, half = [], [], 0
        for _ in range(STOPS):
            moment = self.chance.uniform(0.1, 0.8) * self.seconds
            ended = self.separate(out, "--resume", stop=number, after_s=moment)
            found = sums(out)
            whole.append(len(found))
            half += self.differing(found)
            statuses.append(ended.status)
        ended = self.separate(out, "--resume")
        return {"whole": whole, "statuses": statuses, "half_stems": half, **self.faults(ended, out)}

    def on_a_full_disk(self, out: Path) -> Figures:
        """Have a disk that is too small, make it larger, and resume it to the end."""
        whole, statuses, half, full = [], [], 0, 0
        with disk(out) as resize:
            for share in sorted(self.chance.uniform(0.05, 0.9, STOPS)):
                resize(int(share * self.bytes))
                ended = self.separate(out, "--resume")
                found = sums(out)
                whole.append(len(found))
                half += self.differing(found)
                statuses.append(ended.status)
                full += sum("the disk is full" in line or "No space left" in line for line in ended.complaints)
            resize(4 * self.bytes + (1 << 26))
            ended = self.separate(out, "--resume")
            return {"whole": whole, "statuses": statuses, "half_stems": half, "full": full, **self.faults(ended, out)}


def sums(folder: Path) -> dict[str, str]:
    """Sums of all files that have a stem's name, by their paths in hexadecimal."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.name != NAME and path.suffix != ".part":
            found[os.fsencode(path.relative_to(folder)).hex()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def can_mount() -> bool:
    """Whether this user may mount a disk."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "tmpfs", folder]
        able = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        if able:
            subprocess.run(["umount", folder], check=True)
    return able


@contextmanager
def disk(folder: Path) -> Iterator[Callable[[int], object]]:
    """Mount a disk of memory; give what sets its size in bytes."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={PIECE}", "tmpfs", folder], check=True)
    try:
        yield lambda size: subprocess.run(["mount", "-o", f"remount,size={max(PIECE, size)}", folder], check=True)
    finally:
        subprocess.run(["umount", folder], check=True)


def measure(quick: bool = False, seed: int = 0, engine: str = "onnx", rounds: int = ROUNDS) -> Figures:
    """Undisturbed once, then stopped by Ctrl-C, by SIGKILL and by a full disk, and resumed."""
    count, rounds = (QUICK_FILES, QUICK_ROUNDS) if quick else (FILES, rounds)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's `&`; the command would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rtsep-batch-")))
        songs = make(folder / "songs", count, seed)
        batch, out = Batch(songs, engine, np.random.default_rng(seed)), folder / "undisturbed"
        ended = batch.separate(out)
        batch.undisturbed, batch.seconds = sums(out), ended.seconds
        batch.bytes = sum(path.stat().st_size for path in out.rglob("*.wav"))
        first = batch.faults(ended, out)
        rows: dict[str, list[Figures]] = {"Ctrl-C": [], "SIGKILL": [], "a full disk": []}
        for number in range(rounds):
            for name, stop in (("Ctrl-C", signal.SIGINT), ("SIGKILL", signal.SIGKILL)):
                out = folder / f"{stop.name}-{number}"
                rows[name].append(batch.stopped(out, stop))
                shutil.rmtree(out)
            if can_mount():
                rows["a full disk"].append(batch.on_a_full_disk(folder / f"disk-{number}"))
    return {
        "files": count,
        "good": len(songs.good),
        "bad": len(songs.bad),
        "stems": len(batch.undisturbed),
        "engine": engine,
        "seconds": ended.seconds,
        "said": [line for line in ended.said.splitlines() if not line.startswith("/")],
        "complaints": list(ended.complaints),
        "undisturbed": first,
        "disturbed": rows,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=measure.__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", default="onnx")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    run("batch", measure, parser)
