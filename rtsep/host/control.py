"""The way in and out for everybody else: commands go in, snapshots come out."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from rtsep.control.paths import resolve
from rtsep.core.spec import Latency
from rtsep.errors import ParameterError
from rtsep.host.mixer import Mixer, one_deck, set_parameters


@dataclass(frozen=True)
class Command:
    """One turn of one knob: `Command("stems/vocals/gain_db", -6.0)`."""

    path: str
    value: float


@dataclass(frozen=True)
class Snapshot:
    """What is to be seen of a host at one moment."""

    running_s: float
    position_s: float | None  # in the file; None for a device
    length_s: float | None
    latency: Latency
    parameters: dict[str, float]
    peaks: dict[str, float]  # linear, behind the faders, by stem and "mix"
    late_masks: int
    stale_masks: int
    hops: int
    underflows: int
    overflows: int
    load: float  # share of one core that the process uses
    device_lost: bool
    finished: bool
    warning: str  # empty, or one line


class Controls:
    """The parameters of one mixer.

    Args:
        mixer: nobody else sets its parameters.
        stems: the names of its stems.
    """

    def __init__(self, mixer: Mixer, stems: tuple[str, ...]) -> None:
        self.stems = stems
        self.table = one_deck(stems)
        self._mixer = mixer
        self._lock = threading.Lock()
        self._values = {path: row.default for path, row in self.table.items()}
        set_parameters(mixer, stems, self._values)

    def send(self, command: Command) -> None:
        """Check a command and hand the whole new set to the mixer.

        Raises:
            ParameterError: for an unknown path, or a value out of its range.

        Thread: any; not real-time safe (locks).
        """
        row = self.table[resolve(self.table, command.path, "", "parameter")]
        value = row.check(command.value)
        with self._lock:
            self._values[command.path] = value
            set_parameters(self._mixer, self.stems, self._values)

    def toggle(self, path: str) -> None:
        """Turn a switch to its other side.

        Raises:
            ParameterError: for an unknown path, or one that is no switch.

        Thread: any; not real-time safe (locks).
        """
        row = self.table[resolve(self.table, path, "", "parameter")]
        if row.unit != "switch":
            raise ParameterError(f"{path} is no switch; send it a value in {row.unit}")
        with self._lock:
            self._values[path] = 1.0 - self._values[path]
            set_parameters(self._mixer, self.stems, self._values)

    def values(self) -> dict[str, float]:
        """Copy all values, by path.

        Thread: any; not real-time safe (locks).
        """
        with self._lock:
            return dict(self._values)
