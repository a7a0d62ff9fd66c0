"""How a mix is separated to be scored, and what that means for a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from rtsep.core.presets import plan
from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.errors import SpecError

Way = Literal["stream", "offline", "centre"]
SEEN = ("", "own", "preset")
MOST_LATE = 100  # mask intervals: the masks that wait, each a context long, must fit into memory


@dataclass(frozen=True)
class Setting:
    """One way through the separator; see `plan` for what live use has.

    Raises:
        SpecError: for a value that is out of range.
    """

    way: Way = "stream"  # as it plays; offline: as the model's family treats a whole file; centre: without a model
    latency: str = "exact"  # the preset
    hop: int | None = None  # frames; None for the preset's
    mask_interval: int | None = None  # hops; None for the preset's
    lookahead: int = 0  # the model's hops
    context: int = 0  # spectra; 0 for what live use has
    seen: str = ""  # the window that the network sees, own (the model's) or preset; empty for the model's choice
    late: int = 0  # mask intervals by which each mask comes late
    level_db: float | None = None  # RMS of the mix against full scale; None for as it is

    def __post_init__(self) -> None:
        if not 0 <= self.late <= MOST_LATE:
            raise SpecError(f"masks late by {self.late} mask intervals are out of range; allowed are 0 to {MOST_LATE}")
        if self.seen not in SEEN:
            raise SpecError(f"the network sees the window {self.seen!r}; allowed are own and preset")
        if self.level_db is not None and not -120.0 <= self.level_db <= 20.0:
            raise SpecError(f"level {self.level_db:g} dB is out of range; allowed are -120 to 20")

    @property
    def label(self) -> str:
        """What tells this setting from others, in a few letters."""
        parts: list[str] = [] if self.way == "stream" else [self.way]
        if self.way != "offline":
            parts.append(self.latency)
        named = {
            "hop": self.hop,
            "mask interval": self.mask_interval,
            "lookahead": self.lookahead,
            "context": self.context,
            "sees": self.seen,
            "late": self.late,
        }
        parts += [f"{word} {value}" for word, value in named.items() if value]
        return ", ".join([*parts, *([] if self.level_db is None else [f"{self.level_db:g} dB"])])

    def to_dict(self) -> dict[str, Any]:
        """Give the setting as JSON has it."""
        return {"label": self.label, **asdict(self)}

    def window(self, model: ModelSpec, sample_rate: int) -> WindowSpec:
        """Tell how a model is run by this setting.

        Args:
            model: its spec.
            sample_rate: of the device, in Hz.

        Raises:
            SpecError: for what cannot be.
        """
        model = model.with_context(self.context) if self.context else model
        own_window = None if not self.seen else self.seen == "own"
        return plan(model, sample_rate, self.latency, self.hop, self.mask_interval, self.lookahead, own_window)


def setting_grid(
    base: Setting, latencies: tuple[str, ...], levels_db: tuple[float, ...], offline: bool, baseline: bool
) -> list[Setting]:
    """Combine every preset with every level, and with what else is asked for.

    Args:
        base: what all settings have.
        latencies: presets.
        levels_db: RMS of the mix against full scale; empty for as it is.
        offline: the model family's way with whole files too.
        baseline: centre extraction at every preset too.
    """
    found = []
    for level in levels_db or (None,):
        here = replace(base, level_db=level)
        found += [replace(here, latency=latency) for latency in latencies]
        if offline:
            found.append(Setting("offline", level_db=level))
        if baseline:
            found += [Setting("centre", latency, here.hop, level_db=level) for latency in latencies]
    return list(dict.fromkeys(found))
