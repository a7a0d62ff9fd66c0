"""A sound card in user space: jackd's dummy driver, the device ``system`` of JACK.

A deck (tests/support/deck.py) is the other end of the cable:

    with VirtualCard(sample_rate=48000, block=256) as card:
        with card_host(...), card.deck(signal, record=8) as deck:
            deck.connect()
            recording = deck.run()
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from rtsep.host.jack_library import CLIENT
from tests.support.deck import RAM, ROOT, CardError, Deck, Recording, Samples, bounded

__all__ = ["ROOT", "CardError", "Deck", "Recording", "Samples", "VirtualCard", "bounded", "missing"]

NAMES = itertools.count(1)
SERVER_KEYS = ("JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER", "JACK_NO_AUDIO_RESERVATION")


def missing() -> str | None:
    """Why no virtual card can run here, or None when all its parts are installed."""
    lacking = [tool for tool in ("jackd", "jack_wait") if shutil.which(tool) is None]
    if lacking:
        return f"{' and '.join(lacking)} not found: apt-get install jackd2"
    for module, cure in (("jack", "pip install JACK-Client"),):
        try:
            __import__(module)
        except (ImportError, OSError) as error:
            return f"{module} does not load ({error}): {cure}"
    return None


def _running(name: str) -> bool:
    """Whether the server answers."""
    try:
        check = subprocess.run(["jack_wait", "-s", name, "-c"], capture_output=True, timeout=5, check=False)
    except subprocess.TimeoutExpired:
        return False
    return check.stdout.startswith(b"running")


def _reclaim(name: str) -> None:
    """Free what a killed server leaves: 100 MB of shared memory and one of the eight places for servers.

    JACK gives both back when a server of the same name starts and ends in order, once its files are out of the way.
    """
    for pattern in (f"jack_{name}_*", f"jack_sem.*_{name}_*"):
        for left in RAM.glob(pattern):
            left.unlink(missing_ok=True)
    command = ["jackd", "-r", "-n", name, "-d", "dummy"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        deadline = time.monotonic() + 5
        while not _running(name) and server.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        server.terminate()
        try:
            server.wait(3)
        except subprocess.TimeoutExpired:
            server.kill()


def _forget_dead_servers() -> None:
    """Free the places of servers that a killed process of ours has left.

    Never by deleting JACK's registry: a process that was a client goes on using the one that it has mapped.
    """
    registry = RAM / "jack-shm-registry"
    if not registry.exists():
        return
    for match in re.finditer(rb"jack-\d+:(rt(\d+)_\d+):", registry.read_bytes()):
        if not Path("/proc", match[2].decode()).exists():
            _reclaim(match[1].decode())


class VirtualCard:
    """A JACK server on the dummy driver, for as long as the context lasts; what runs meanwhile finds it.

    Arguments:
        sample_rate: in Hz.
        block: frames per cycle of the server.
        inputs: channels that a program can record from the card.
        outputs: channels that a program can play to the card.
        synchronous: ``jackd -S``: the server waits for every client, so that a late one costs time and no sample.
        realtime: server and clients with real-time priority, as on a musician's machine, where the system grants it.
    """

    def __init__(
        self,
        sample_rate: int = 48000,
        block: int = 256,
        inputs: int = 2,
        outputs: int = 8,
        synchronous: bool = True,
        realtime: bool = False,
    ) -> None:
        self.sample_rate = sample_rate
        self.block = block
        self.inputs = inputs
        self.outputs = outputs
        self.synchronous = synchronous
        self.realtime = realtime
        # Each server its own name: a killed server's name cannot be used again.
        self.name = f"rt{os.getpid()}_{next(NAMES)}"
        self.client = CLIENT  # never the server's own name: a client named like its server hangs it
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

    def log_tail(self, lines: int = 8) -> str:
        """The end of the server's log."""
        if self._log is None:
            return "(no log)"
        self._log.flush()
        return " | ".join(Path(self._log.name).read_text(errors="replace").strip().splitlines()[-lines:])

    def deck(self, signal: Samples, record: int | None = None, frames: int | None = None, loop: bool = False) -> Deck:
        """A deck that plays `signal` into this card; see `Deck`."""
        deck = Deck(self, signal, self.outputs if record is None else record, frames, loop)
        self._decks.append(deck)
        return deck

    def kill(self) -> None:
        """Kill the server on the spot, as an unplugged interface goes."""
        if self._server is not None:
            self._server.kill()
            self._server.wait(5)

    def freeze(self, frozen: bool = True) -> None:
        """Stop the server in its tracks, or let it go on, as after a stall of the whole machine."""
        if self._server is not None:
            self._server.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

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
        _forget_dead_servers()
        self._log = tempfile.NamedTemporaryFile(prefix=f"{self.name}-", suffix=".log")  # noqa: SIM115 (closed in _stop)
        self._saved = {key: os.environ.get(key) for key in SERVER_KEYS}
        os.environ.update(self.environment)
        # A test process that dies must not leave its server: JACK has room for eight on a machine.
        leash = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        modes = [*(["-R", "-P70"] if self.realtime else ["-r"]), *(["-S"] if self.synchronous else [])]
        command = [*leash, "jackd", *modes, "-n", self.name, "-d", "dummy"]
        command += ["-r", str(self.sample_rate), "-p", str(self.block), "-C", str(self.inputs), "-P", str(self.outputs)]
        self._server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
        )
        deadline = time.monotonic() + 10
        while not _running(self.name):
            if not self.alive:
                raise CardError(f"jackd ended with {self._server.returncode}: {self.log_tail()}")
            if time.monotonic() > deadline:
                raise CardError(f"jackd did not start within 10 s: {self.log_tail()}")
            time.sleep(0.02)

    def _stop(self) -> None:
        for deck in self._decks:
            deck.close()
        for key, value in self._saved.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
        self._saved = {}
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
                _reclaim(self.name)
            for left in RAM.glob(f"jack_sem.*_{self.name}_*"):  # of clients that did not leave in order
                left.unlink(missing_ok=True)
            self._server = None
        if self._log is not None:
            self._log.close()
            self._log = None
