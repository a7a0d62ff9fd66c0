"""The far side of a deck: two JACK clients that play and record, and a loop that does what `Deck` asks.

    python -m tests.support.deck_process FOLDER RECORD FRAMES LOOP

FOLDER holds signal.npy and takes tracks.npy and clocks.npy. Requests are lines of JSON on standard input, each answered
by one line on standard output.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.deck import CardError, Frames, Samples, bounded


class DeckProcess:
    """The far side of `Deck`: the JACK clients, and the loop that takes requests from standard input."""

    def __init__(self, folder: Path, record: int, frames: int, loop: bool) -> None:
        import jack

        jack.set_error_function(lambda message: None)  # expected: retried connections are reported as errors
        jack.set_info_function(lambda message: None)
        self.signal: Samples = np.load(folder / "signal.npy")
        self.loop = loop
        self.player = jack.Client(f"player{os.getpid()}", no_start_server=True)
        self.recorder = jack.Client(f"recorder{os.getpid()}", no_start_server=True)
        self.block: int = self.player.blocksize
        cycles = -(-frames // self.block)
        tracks = np.lib.format.open_memmap(
            folder / "tracks.npy", mode="w+", dtype=np.float32, shape=(record, cycles * self.block)
        )
        clocks = np.lib.format.open_memmap(folder / "clocks.npy", mode="w+", dtype=np.int64, shape=(2, cycles))
        tracks[:] = 0  # touches each page now, so that no callback has to
        clocks[:] = 0
        self.tracks: Samples = tracks
        self.clocks: Frames = clocks
        self.rolling = False
        self.start: int | None = None
        self.played = 0
        self.recorded = 0
        self.xruns = 0
        self.down = False
        self.sources = [self.player.outports.register(f"out_{i}") for i in range(self.signal.shape[0])]
        self.sinks = [self.recorder.inports.register(f"in_{i}") for i in range(record)]
        self.player.set_process_callback(self._play)
        self.recorder.set_process_callback(self._record)
        self.recorder.set_xrun_callback(self._xrun)
        self.recorder.set_shutdown_callback(self._shutdown)
        self.player.activate()
        self.recorder.activate()

    def _play(self, frames: int) -> None:
        now: int = self.player.last_frame_time
        if self.rolling and self.start is None:
            self.start = now + 1  # the next cycle: in this one the recorder may have run already
        active = self.start is not None and now >= self.start and self.played < self.clocks.shape[1]
        for source, channel in zip(self.sources, self.signal, strict=True):
            out = source.get_array()
            if not active:
                out[:] = 0
                continue
            done = 0
            while done < frames:
                at = self.played * frames + done
                if self.loop:
                    at %= channel.shape[0]
                piece = channel[at : at + frames - done]
                if not piece.shape[0]:
                    out[done:] = 0
                    break
                out[done : done + piece.shape[0]] = piece
                done += piece.shape[0]
        if active:
            self.clocks[0, self.played] = now
            self.played += 1

    def _record(self, frames: int) -> None:
        now: int = self.recorder.last_frame_time
        if self.start is None or now < self.start or self.recorded >= self.clocks.shape[1]:
            return
        at = self.recorded * frames
        for sink, track in zip(self.sinks, self.tracks, strict=True):
            track[at : at + frames] = sink.get_array()
        self.clocks[1, self.recorded] = now
        self.recorded += 1

    def _xrun(self, delay_us: float) -> None:
        self.xruns += 1

    def _shutdown(self, status: object, reason: str) -> None:
        self.down = True

    def _connect(self, client: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            # Ports come when a stream opens, but a client that is not active yet refuses connections.
            mine = f"^{client}:"
            inputs = self.player.get_ports(mine, is_audio=True, is_input=True)
            outputs = self.player.get_ports(mine, is_audio=True, is_output=True)
            try:
                for source, port in zip(self.sources, inputs, strict=False):
                    for other in self.player.get_all_connections(port):
                        if other.name != source.name:
                            self.player.disconnect(other, port)  # a host may have connected it to the dummy's silence
                    if not source.is_connected_to(port):
                        self.player.connect(source, port)
                for port, sink in zip(outputs, self.sinks, strict=False):
                    if not sink.is_connected_to(port):
                        self.recorder.connect(port, sink)
                if inputs or outputs:
                    return
            except Exception as error:  # jack.JackError: not active yet
                trouble = str(error)
            else:
                trouble = "it has no audio ports"
            if self.down or time.monotonic() > deadline:
                raise CardError(f"could not connect to {client}: {'the server is gone' if self.down else trouble}")
            time.sleep(0.02)

    def _wait(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while self.recorded < self.clocks.shape[1]:
            if self.down:
                raise CardError("the JACK server went down")
            if time.monotonic() > deadline:
                raise CardError(f"recorded {self.recorded} of {self.clocks.shape[1]} blocks in {timeout_s:g} s")
            time.sleep(0.01)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what one request asks; see `Deck`."""
        match request["do"]:
            case "connect":
                self._connect(request["client"], request["timeout_s"])
            case "roll":
                self.rolling = True
            case "wait":
                self._wait(request["timeout_s"])
            case "freewheel":
                self.player.set_freewheel(request["on"])
            case "state":
                return {
                    "recorded": self.recorded * self.block,
                    "played_cycles": self.played,
                    "recorded_cycles": self.recorded,
                    "xruns": self.xruns,
                }
        return {"ok": True}

    def serve(self, requests: Iterator[bytes]) -> None:
        """Answer until the requests end, then leave the graph in order."""
        for line in requests:
            try:
                reply = self.answer(json.loads(line))
            except Exception as error:
                reply = {"error": str(error)}
            say(reply)
        if not self.down:
            bounded(lambda: (self.recorder.close(), self.player.close()), 3)


def say(reply: dict[str, Any]) -> None:
    """One answer to the other side of the pipe."""
    with contextlib.suppress(OSError):  # the other side may be gone
        os.write(1, json.dumps(reply).encode() + b"\n")


def main(arguments: list[str]) -> None:
    if len(arguments) != 4:
        raise SystemExit("usage: python -m tests.support.deck_process FOLDER RECORD FRAMES LOOP (used by Deck)")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner, who then closes us
    try:
        process = DeckProcess(Path(arguments[0]), int(arguments[1]), int(arguments[2]), arguments[3] == "1")
    except Exception as error:
        say({"error": f"the deck did not start: {error}"})
        os._exit(1)
    gc.collect()
    gc.freeze()
    gc.disable()
    say({"ok": True})
    process.serve(iter(sys.stdin.buffer.readline, b""))
    os._exit(0)  # no destructors: libjack's may wait for a server that is gone


if __name__ == "__main__":
    main(sys.argv[1:])
