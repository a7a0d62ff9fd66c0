"""Pedalboard's effects and their knobs; tests/effects/test_catalogue.py holds this table against the library.

The table stands here, and is not asked of Pedalboard, because the host's own process never loads that library.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from rtsep.control.parameters import Parameter
from rtsep.errors import EffectError

# How a knob is turned while it plays; docs/effects.md, "Turning knobs", has what was measured.
# ramp: it would click, so it goes there in small steps; jump: at once, as the effect smooths it itself;
# duck: the effect is faded out and in around it; anew: another one is made with it and faded in.
Change = Literal["ramp", "jump", "duck", "anew"]

PLAIN = re.compile(r"[A-Za-z0-9_]{1,64}")  # what a path of the store may hold


@dataclass(frozen=True)
class Knob:
    """One parameter of an effect, by the effect's own name.

    Raises:
        EffectError: for what cannot be one.
    """

    name: str
    unit: str
    low: float
    high: float
    default: float
    taper: str = "linear"  # of `control.parameters.TAPERS`
    step: float = 0.01
    change: Change = "ramp"
    words: tuple[str, ...] = ()  # what the values 0, 1, 2 mean, where they are a choice
    label: str = ""

    def __post_init__(self) -> None:
        """Check it: a plugin's process may say anything."""
        what, log = f"parameter {self.name[:60]!r}", self.taper == "log"
        if not PLAIN.fullmatch(self.name):
            raise EffectError(f"{what}: its name is none that a path may hold (letters, digits and _)")
        if not all(map(math.isfinite, (self.low, self.high, self.default, self.step))):
            raise EffectError(f"{what}: its range, default or step is no number")
        if not self.low <= self.default <= self.high or self.low == self.high or (log and self.low <= 0.0):
            raise EffectError(f"{what}: {self.low:g} to {self.high:g}, {self.default:g} at first, is no range")
        if self.taper not in ("linear", "switch", "log") or self.step <= 0.0:
            raise EffectError(f"{what}: taper {self.taper[:40]!r} or step {self.step:g} is unknown")
        if self.words and (self.low, self.high) != (0.0, len(self.words) - 1.0):
            raise EffectError(f"{what}: {len(self.words)} words do not go from {self.low:g} to {self.high:g}")

    def parameter(self, prefix: str) -> Parameter:
        """Give its row of the store's table.

        Args:
            prefix: of its path, with a slash at the end.
        """
        label = self.label or self.name.replace("_", " ").capitalize()
        return Parameter(prefix + self.name, self.unit, self.low, self.high, self.default, label, self.taper, self.step)


def _db(name: str, low: float, high: float, default: float, change: Change = "ramp") -> Knob:
    return Knob(name, "dB", low, high, default, step=0.5, change=change)


def _share(name: str, default: float, change: Change = "jump", high: float = 1.0) -> Knob:
    return Knob(name, "", 0.0, high, default, step=0.02, change=change)


def _ms(name: str, low: float, high: float, default: float, change: Change = "jump") -> Knob:
    return Knob(name, "ms", low, high, default, "log" if low else "linear", 1.0, change)


def _hz(name: str, low: float, high: float, default: float, change: Change = "ramp") -> Knob:
    return Knob(name, "Hz", low, high, default, "log", 10.0 if high > 1000 else 0.1, change)


CUTOFF = "cutoff_frequency_hz"
FEEDBACK = 0.95  # more never dies away
SHELF = (_hz(CUTOFF, 20.0, 20_000.0, 440.0), _db("gain_db", -24.0, 24.0, 0.0), Knob("q", "", 0.1, 10.0, 2**-0.5, "log"))
DYNAMICS = (_ms("attack_ms", 0.1, 500.0, 1.0), _ms("release_ms", 1.0, 5000.0, 100.0))
MODES = ("LPF12", "HPF12", "BPF12", "LPF24", "HPF24", "BPF24")
BUILTINS: Mapping[str, tuple[Knob, ...]] = MappingProxyType(
    {
        "Bitcrush": (Knob("bit_depth", "bits", 1.0, 32.0, 8.0, step=1.0, change="duck"),),
        "BrickwallLimiter": (
            _db("ceiling_db", -30.0, 0.0, -1.0),
            _ms("release_ms", 1.0, 5000.0, 100.0),
            _ms("lookahead_ms", 0.1, 100.0, 5.0, "anew"),  # its latency
            Knob("true_peak", "switch", 0.0, 1.0, 0.0, "switch", 1.0, "anew"),
        ),
        "Chorus": (
            _hz("rate_hz", 0.01, 20.0, 1.0, "jump"),
            _share("depth", 0.25),
            _ms("centre_delay_ms", 1.0, 50.0, 7.0, "duck"),
            _share("feedback", 0.0, high=FEEDBACK),
            _share("mix", 0.5),
        ),
        "Clipping": (_db("threshold_db", -60.0, 0.0, -6.0),),
        "Compressor": (_db("threshold_db", -60.0, 0.0, 0.0), Knob("ratio", "", 1.0, 50.0, 1.0, "log", 0.5), *DYNAMICS),
        "Delay": (
            Knob("delay_seconds", "s", 0.0, 5.0, 0.5, change="anew"),
            _share("feedback", 0.0, "ramp", FEEDBACK),
            _share("mix", 0.5, "ramp"),
        ),
        "Distortion": (_db("drive_db", 0.0, 60.0, 25.0),),
        "GSMFullRateCompressor": (),
        "Gain": (_db("gain_db", -60.0, 24.0, 1.0),),
        "HighShelfFilter": SHELF,
        "HighpassFilter": (_hz(CUTOFF, 10.0, 20_000.0, 50.0),),
        "Invert": (),
        "LadderFilter": (
            Knob("mode", "", 0.0, 5.0, 0.0, step=1.0, change="duck", words=MODES),
            _hz("cutoff_hz", 20.0, 20_000.0, 200.0, "jump"),
            _share("resonance", 0.0, high=0.99),
            Knob("drive", "", 1.0, 20.0, 1.0, "log", 0.1, "jump"),
        ),
        "Limiter": (_db("threshold_db", -60.0, 0.0, -10.0), _ms("release_ms", 1.0, 5000.0, 100.0)),
        "LowShelfFilter": SHELF,
        "LowpassFilter": (_hz(CUTOFF, 10.0, 20_000.0, 50.0),),
        "MP3Compressor": (Knob("vbr_quality", "", 0.0, 9.5, 2.0, step=0.5, change="anew"),),
        "NoiseGate": (
            _db("threshold_db", -100.0, 0.0, -100.0),
            Knob("ratio", "", 1.0, 50.0, 10.0, "log", 0.5),
            *DYNAMICS,
        ),
        "PeakFilter": SHELF,
        "Phaser": (
            _hz("rate_hz", 0.01, 20.0, 1.0, "jump"),
            _share("depth", 0.5),
            _hz("centre_frequency_hz", 50.0, 10_000.0, 1300.0, "duck"),
            _share("feedback", 0.0, high=FEEDBACK),
            _share("mix", 0.5, "ramp"),
        ),
        "PitchShift": (Knob("semitones", "semitones", -24.0, 24.0, 0.0, step=1.0, change="duck"),),
        "Resample": (_hz("target_sample_rate", 1000.0, 48_000.0, 8000.0, "anew"),),
        "Reverb": (
            _share("room_size", 0.5),
            _share("damping", 0.5),
            _share("wet_level", 0.33),
            _share("dry_level", 0.4),
            _share("width", 1.0),
            Knob("freeze_mode", "switch", 0.0, 1.0, 0.0, "switch", 1.0, "duck"),
        ),
    }
)


def rows(knobs: Iterable[Knob], prefix: str) -> tuple[Parameter, ...]:
    """Give the rows of the store for an effect, with the switch that bypasses it.

    Args:
        knobs: of the effect: `BUILTINS[name]`, or as the scan describes a plugin.
        prefix: the path of the effect with a slash at its end, as `decks/a/stems/vocals/effects/2/`.
    """
    bypass = Parameter(f"{prefix}bypass", "switch", 0.0, 1.0, 0.0, "Bypass", "switch")
    return (*(knob.parameter(prefix) for knob in knobs if knob.name != "bypass"), bypass)


def checked(effect: str, knobs: Mapping[str, Knob], values: Mapping[str, float]) -> dict[str, float]:
    """Check values against knobs.

    Args:
        effect: its name, for messages.
        knobs: by name.
        values: by name.

    Raises:
        EffectError: for a name that no knob has, or a value out of its range.
    """
    for name, value in values.items():
        if name not in knobs:
            known = ", ".join(knobs) or "none"
            raise EffectError(f"{effect} has no parameter {name[:60]!r}; it has {known:.600}")
        knob = knobs[name]
        if not knob.low <= value <= knob.high:
            allowed = f"{knob.low:g} to {knob.high:g} {knob.unit}".rstrip()
            raise EffectError(f"{effect}: {name} = {value:g} is out of range; allowed are {allowed}")
    return dict(values)
