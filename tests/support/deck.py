"""The other end of a virtual card's cable: a process that plays a signal into a program and records what comes out.

It is a process of its own, so that no lock of ours can delay it, with two JACK clients: a player that feeds a
program's input ports and a recorder that takes its output ports. Both start in the same cycle of the server, so an
index into the recording minus the index into the signal is the delay in frames. The player comes before the recorder in
JACK's graph, hence this "cable" itself adds no frame. (One client that did both would close a loop, and JACK breaks a
loop by one block of delay.)
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Frames = NDArray[np.int64]

ROOT = Path(__file__).resolve().parents[2]
RAM = Path("/dev/shm")  # signals lie in memory: a page fault that waits for a disk would hold up the server


class CardError(RuntimeError):
    """The virtual card could not start, died, or did not answer in time."""


def bounded(work: Callable[[], object], seconds: float) -> bool:
    """Run `work` in a daemon thread and say whether it ended in time; a client may hang on a dead server."""
    failure: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    thread.join(seconds)
    if failure:
        raise failure[0]
    return not thread.is_alive()


class Server(Protocol):
    """What a deck must know of the card that it plays into."""

    sample_rate: int
    block: int
    client: str  # a host's name there

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead another process to the server."""

    def log_tail(self, lines: int = 8) -> str:
        """The end of the server's log."""


@dataclass(frozen=True)
class Recording:
    """What a deck took down.

    Shape:
        samples: (channels, frames); frame i was recorded in the cycle that played frame i of the signal.
        played, recorded: JACK's frame time at the start of each cycle that the player, the recorder saw.
    """

    samples: Samples
    played: Frames
    recorded: Frames
    block: int
    xruns: int

    @property
    def skipped(self) -> int:
        """Cycles that the player or the recorder saw and the other one did not (0 under -S)."""
        return int(np.setxor1d(self.played, self.recorded).size)

    @property
    def jumps(self) -> int:
        """Times that the server's clock did not advance by one block: it was late, or a cycle went missing."""
        return int(np.count_nonzero(np.diff(self.recorded) != self.block))


class Deck:
    """Player and recorder in a process of their own, with one clock.

    Arguments:
        card: the running card.
        signal: what to play, float32 (channels, frames).
        record: output channels to record.
        frames: length of the recording; the signal's length if None.
        loop: begin the signal again at its end, rather than playing zeros.
    """

    def __init__(self, card: Server, signal: Samples, record: int, frames: int | None, loop: bool) -> None:
        self.card = card
        self.signal = np.atleast_2d(signal)
        self.record = record
        self.frames = self.signal.shape[1] if frames is None else frames
        self.loop = loop
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        if self.signal.dtype != np.float32:
            raise CardError(f"a signal is float32, this one is {self.signal.dtype}")
        self._folder = Path(tempfile.mkdtemp(prefix="rtsep-deck-", dir=RAM if RAM.is_dir() else None))
        try:
            np.save(self._folder / "signal.npy", self.signal)
            command = [sys.executable, "-m", "tests.support.deck_process", str(self._folder), str(self.record)]
            command += [str(self.frames), str(int(self.loop))]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=ROOT,
                env={**os.environ, **self.card.environment},
                start_new_session=True,
            )
            self._answer(30)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self, client: str | None = None, timeout_s: float = 10.0) -> None:
        """Connect to the input and output ports of `client` (a host's), trying until they are there.

        Only ports that exist are connected: signal channel i to the client's i-th input, its i-th output to track i.
        """
        self._ask({"do": "connect", "client": client or self.card.client, "timeout_s": timeout_s}, timeout_s + 5)

    def roll(self) -> None:
        """Start playing and recording, both in the same cycle."""
        self._ask({"do": "roll"}, 5)

    def wait(self, timeout_s: float) -> None:
        """Wait for the end of the recording."""
        self._ask({"do": "wait", "timeout_s": timeout_s}, timeout_s + 5)

    def freewheel(self, on: bool) -> None:
        """Let the server run as fast as its clients can, or in real time again."""
        self._ask({"do": "freewheel", "on": on}, 10)

    def run(self, timeout_s: float | None = None, freewheel: bool = False) -> Recording:
        """Roll, wait and give the recording; by default the time is the recording's own and 30 s of grace."""
        if freewheel:
            self.freewheel(True)
        self.roll()
        self.wait(self.frames / self.card.sample_rate + 30 if timeout_s is None else timeout_s)
        if freewheel:
            self.freewheel(False)
        return self.recording()

    def position(self) -> int:
        """Frames recorded so far."""
        frames: int = self._ask({"do": "state"}, 5)["recorded"]
        return frames

    def recording(self) -> Recording:
        """What was recorded so far, in whole cycles. Not a copy: the memory that the deck wrote to."""
        state = self._ask({"do": "state"}, 5)
        assert self._folder is not None
        tracks = np.load(self._folder / "tracks.npy", mmap_mode="r")
        clocks = np.load(self._folder / "clocks.npy", mmap_mode="r")
        return Recording(
            np.asarray(tracks[:, : state["recorded"]]),
            np.array(clocks[0, : state["played_cycles"]]),
            np.array(clocks[1, : state["recorded_cycles"]]),
            self.card.block,
            state["xruns"],
        )

    def close(self) -> None:
        """End the process; SIGKILL if it does not go by itself (which stalls a synchronous server for 5 s)."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                with contextlib.suppress(OSError):
                    pipe.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        if self._process is None or self._process.stdin is None:
            raise CardError("the deck is closed")
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise CardError(f"the deck is gone ({error}); jackd's log: {self.card.log_tail()}") from error
        return self._answer(timeout_s)

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], timeout_s)
        # One answer for each request, so readline cannot wait for a second half.
        line = self._process.stdout.readline() if ready else b""
        if not line:
            what = f"did not answer within {timeout_s:g} s" if not ready else "has ended"
            raise CardError(f"the deck {what}; jackd's log: {self.card.log_tail()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise CardError(answer["error"])
        return answer
