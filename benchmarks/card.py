"""A sound card in user space: jackd's dummy driver, PortAudio on it, and a deck that plays and records.

`VirtualCard` runs a JACK server that PortAudio sees as the device ``system`` on its JACK host API. `Deck` is the
other end of the cable: a process of its own (no lock of ours can delay it) with two JACK clients, a player that feeds
PortAudio's input ports and a recorder that takes its output ports. Player and recorder start in the same cycle of the
server, so an index into the recording minus the index into the tape is the delay in frames:

    with VirtualCard(sample_rate=48000, block=256) as card:
        with sounddevice.Stream(device=card.device, ...), card.deck(tape, record=8) as deck:
            deck.connect()
            recording = deck.run()

The player comes before the recorder in JACK's graph, hence this "cable" itself adds no frame. (One client that did
both would close a loop, and JACK breaks a loop by one block of delay.)
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Frames = NDArray[np.int64]

ROOT = Path(__file__).resolve().parent.parent
NAMES = itertools.count(1)
RAM = Path("/dev/shm")  # tapes lie in memory: a page fault that waits for a disk would hold up the server
SERVER_KEYS = ("JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER", "JACK_NO_AUDIO_RESERVATION")


class CardError(RuntimeError):
    """The virtual card could not start, died, or did not answer in time."""


def missing() -> str | None:
    """Why no virtual card can run here, or None when all its parts are installed."""
    lacking = [tool for tool in ("jackd", "jack_wait") if shutil.which(tool) is None]
    if lacking:
        return f"{' and '.join(lacking)} not found: apt-get install jackd2"
    for module, cure in (("sounddevice", "apt-get install libportaudio2"), ("jack", "pip install JACK-Client")):
        try:
            __import__(module)
        except (ImportError, OSError) as error:
            return f"{module} does not load ({error}): {cure}"
    return None


def bounded(work: Callable[[], object], seconds: float) -> bool:
    """Run `work` in a daemon thread and say whether it ended in time; PortAudio may hang on a dead server."""
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


_client_name = ctypes.create_string_buffer(b"PortAudio", 64)  # PortAudio keeps the pointer, so it lives for ever
_portaudio: list[ctypes.CDLL] = []  # the instance that replaced the first one, if any


def terminate_portaudio() -> None:
    """Close PortAudio's JACK client. Never with a dead server: libportaudio then aborts the whole process."""
    import sounddevice as sd

    while sd._initialized:
        sd._terminate()


def replace_portaudio() -> None:
    """Give sounddevice a fresh instance of libportaudio, and leave the old one and its streams behind.

    The only way on after the JACK server has died: Pa_Terminate fails an assertion (jack_client_close gives an error)
    and aborts the process, closing a stream hangs, and without Pa_Terminate PortAudio never looks for devices again.
    A copy of the file under another name is loaded as a library of its own.
    """
    import sounddevice as sd

    # The first instance's file: that of a former copy is deleted, hence no file any more.
    maps = Path("/proc/self/maps").read_text().splitlines()
    loaded = [line.split()[-1] for line in maps if "portaudio" in line and Path(line.split()[-1]).is_file()]
    if not loaded:
        raise CardError("libportaudio's file is not in /proc/self/maps")
    with tempfile.NamedTemporaryFile(prefix="libportaudio-", suffix=".so") as copy:  # /dev/shm may be noexec
        copy.write(Path(loaded[0]).read_bytes())
        copy.flush()
        sd._lib = sd._ffi.dlopen(copy.name)
        _portaudio.clear()
        _portaudio.append(ctypes.CDLL(copy.name))
    sd._initialized = 0


def restart_portaudio(client_name: str = "PortAudio") -> None:
    """Make PortAudio look for devices again, under `client_name` as a JACK client. No stream may be open."""
    import sounddevice as sd

    terminate_portaudio()
    # Not in sounddevice's list of functions, but in the very library that it has loaded. Debian's has it.
    library = _portaudio[0] if _portaudio else ctypes.CDLL(sd._libname)
    if hasattr(library, "PaJack_SetClientName"):
        _client_name.value = client_name.encode()
        library.PaJack_SetClientName(_client_name)
    sd._initialize()


def system_device() -> int:
    """PortAudio's index of the JACK server's own ports."""
    import sounddevice as sd

    for index, info in enumerate(sd.query_devices()):
        if info["name"] == "system" and "JACK" in sd.query_hostapis(info["hostapi"])["name"]:
            return index
    raise CardError(f"PortAudio sees no JACK server named {os.environ.get('JACK_DEFAULT_SERVER', 'default')}")


class VirtualCard:
    """A JACK server on the dummy driver, and PortAudio's device on it, for as long as the context lasts.

    Arguments:
        sample_rate: in Hz.
        block: frames per cycle of the server.
        inputs: channels that a program can record from the card.
        outputs: channels that a program can play to the card.
        synchronous: ``jackd -S``: the server waits for every client, so that a late one costs time and no sample.
    """

    def __init__(
        self,
        sample_rate: int = 48000,
        block: int = 256,
        inputs: int = 2,
        outputs: int = 8,
        synchronous: bool = True,
    ) -> None:
        self.sample_rate = sample_rate
        self.block = block
        self.inputs = inputs
        self.outputs = outputs
        self.synchronous = synchronous
        # Each server its own name: a killed server's name cannot be used again.
        self.name = f"rt{os.getpid()}_{next(NAMES)}"
        # Not equal to the server's: a client named like its server hangs it.
        self.client = f"pa{os.getpid()}_{next(NAMES)}"
        self.lost = False  # the server died while PortAudio was on it
        self._attached = False
        self._server: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._saved: dict[str, str | None] = {}
        self._decks: list[Deck] = []

    @property
    def environment(self) -> dict[str, str]:
        """What another process needs in its environment to find this server."""
        return {"JACK_DEFAULT_SERVER": self.name, "JACK_NO_START_SERVER": "1", "JACK_NO_AUDIO_RESERVATION": "1"}

    @property
    def alive(self) -> bool:
        """Whether the server runs."""
        return self._server is not None and self._server.poll() is None

    @property
    def device(self) -> int:
        """PortAudio's index of the card."""
        return system_device()

    def log_tail(self, lines: int = 8) -> str:
        """The end of the server's log."""
        if self._log is None:
            return "(no log)"
        self._log.flush()
        return " | ".join(Path(self._log.name).read_text(errors="replace").strip().splitlines()[-lines:])

    def deck(self, tape: Samples, record: int | None = None, frames: int | None = None, loop: bool = False) -> Deck:
        """A deck that plays `tape` into this card; see `Deck`."""
        deck = Deck(self, tape, self.outputs if record is None else record, frames, loop)
        self._decks.append(deck)
        return deck

    def kill(self) -> None:
        """Kill the server on the spot, as an unplugged interface goes.

        Streams on it then hang in stop, abort and close. Leaving the card replaces PortAudio by a fresh one.
        """
        if self._server is not None:
            self._server.kill()
            self._server.wait(5)

    def __enter__(self) -> Self:
        reason = missing()
        if reason:
            raise CardError(reason)
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        self._log = tempfile.NamedTemporaryFile(prefix=f"{self.name}-", suffix=".log")  # noqa: SIM115 (closed in _stop)
        self._saved = {key: os.environ.get(key) for key in SERVER_KEYS}
        os.environ.update(self.environment)
        # A test process that dies must not leave its server: JACK has room for eight on a machine.
        leash = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        command = [*leash, "jackd", "-r", *(["-S"] if self.synchronous else []), "-n", self.name, "-d", "dummy"]
        command += ["-r", str(self.sample_rate), "-p", str(self.block), "-C", str(self.inputs), "-P", str(self.outputs)]
        self._server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
        )
        deadline = time.monotonic() + 10
        while not self._running():
            if not self.alive:
                raise CardError(f"jackd ended with {self._server.returncode}: {self.log_tail()}")
            if time.monotonic() > deadline:
                raise CardError(f"jackd did not start within 10 s: {self.log_tail()}")
            time.sleep(0.02)
        self._attached = True
        if not bounded(lambda: restart_portaudio(self.client), 10):
            self.lost = True
            raise CardError(f"PortAudio did not come back within 10 s; jackd's log: {self.log_tail()}")
        assert self.device >= 0

    def _running(self) -> bool:
        try:
            check = subprocess.run(["jack_wait", "-s", self.name, "-c"], capture_output=True, timeout=5, check=False)
        except subprocess.TimeoutExpired:
            return False
        return check.stdout.startswith(b"running")

    def _stop(self) -> None:
        for deck in self._decks:
            deck.close()
        # Clients first: one that outlives its server hangs where it waits for the next cycle.
        if self._attached and (self.lost or not self.alive or not bounded(terminate_portaudio, 5)):
            self.lost = True
            replace_portaudio()
        self._attached = False
        if self._server is not None:
            died = not self.alive
            self._server.terminate()
            try:
                self._server.wait(3)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait(5)
                died = True
            if died:
                self._reclaim()
            self._server = None
        for key, value in self._saved.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
        if self._saved:
            self._saved = {}
            if not bounded(restart_portaudio, 10):
                raise CardError("PortAudio did not come back within 10 s after the card was closed")
        if self._log is not None:
            self._log.close()
            self._log = None

    def _reclaim(self) -> None:
        """Free what a killed server leaves: 100 MB of shared memory and one of the eight places for servers.

        JACK gives both back when a server of the same name starts and ends in order, once its files are out of the way.
        """
        for pattern in (f"jack_{self.name}_*", f"jack_sem.*_{self.name}_*"):
            for left in RAM.glob(pattern):
                left.unlink(missing_ok=True)
        command = ["jackd", "-r", "-n", self.name, "-d", "dummy"]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as server:
            deadline = time.monotonic() + 5
            while not self._running() and server.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            server.terminate()
            try:
                server.wait(3)
            except subprocess.TimeoutExpired:
                server.kill()


@dataclass(frozen=True)
class Recording:
    """What a deck took down.

    Shape:
        samples: (channels, frames); frame i was recorded in the cycle that played frame i of the tape.
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
        tape: what to play, float32 (channels, frames).
        record: output channels to record.
        frames: length of the recording; the tape's length if None.
        loop: begin the tape again at its end, rather than playing zeros.
    """

    def __init__(self, card: VirtualCard, tape: Samples, record: int, frames: int | None, loop: bool) -> None:
        self.card = card
        self.tape = np.atleast_2d(tape)
        self.record = record
        self.frames = self.tape.shape[1] if frames is None else frames
        self.loop = loop
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        if self.tape.dtype != np.float32:
            raise CardError(f"a tape is float32, this one is {self.tape.dtype}")
        self._folder = Path(tempfile.mkdtemp(prefix="rtsep-deck-", dir=RAM if RAM.is_dir() else None))
        try:
            np.save(self._folder / "tape.npy", self.tape)
            command = [sys.executable, "-m", "benchmarks.card", "deck", str(self._folder), str(self.record)]
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
        """Connect to the input and output ports of `client` (the card's PortAudio), trying until they are there.

        Only ports that exist are connected: tape channel i to the client's i-th input, its i-th output to track i.
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


class DeckProcess:
    """The far side of `Deck`: the JACK clients, and the loop that takes requests from standard input."""

    def __init__(self, folder: Path, record: int, frames: int, loop: bool) -> None:
        import jack

        jack.set_error_function(lambda message: None)  # expected: retried connections are reported as errors
        jack.set_info_function(lambda message: None)
        self.tape: Samples = np.load(folder / "tape.npy")
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
        self.sources = [self.player.outports.register(f"out_{i}") for i in range(self.tape.shape[0])]
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
        for source, channel in zip(self.sources, self.tape, strict=True):
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
                            self.player.disconnect(other, port)  # PortAudio has connected it to the dummy's silence
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
    if len(arguments) != 5 or arguments[0] != "deck":
        raise SystemExit("usage: python -m benchmarks.card deck FOLDER RECORD FRAMES LOOP (used by Deck)")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the owner, who then closes us
    try:
        process = DeckProcess(Path(arguments[1]), int(arguments[2]), int(arguments[3]), arguments[4] == "1")
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
