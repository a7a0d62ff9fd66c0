"""One axis of the settings at a time, all others fixed: SDR against latency and what else costs or buys it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.evaluation.settings import Setting
from rtsep.evaluation.summary import Figures
from rtsep.model.store import StoredModel

Values = Mapping[str, Sequence[Any]]  # by the name of an axis


@dataclass(frozen=True)
class Axis:
    """What can be swept."""

    field: str  # of `Setting`
    label: str  # of the plot
    position: Callable[[ModelSpec, Setting, WindowSpec], float]  # where a setting stands on it
    named: bool = False  # values are names, and places stand for nothing


def _latency_ms(model: ModelSpec, setting: Setting, window: WindowSpec) -> float:
    return window.latency.ms(window.sample_rate)


def _mask_interval_ms(window: WindowSpec) -> float:
    return 1000.0 * window.mask_interval * window.hop / window.sample_rate


AXES = {
    axis.field: axis
    for axis in (
        Axis("latency", "latency of the separator in ms (preset)", _latency_ms),
        Axis("lookahead", "latency of the separator in ms (hops ahead)", _latency_ms),
        Axis("context", "context in spectra", lambda model, setting, window: model.context),
        Axis("seen", "window that the network sees", lambda model, setting, window: float(window.own_window), True),
        Axis("hop", "hop in frames", lambda model, setting, window: window.hop),
        Axis(
            "mask_interval", "time between masks in ms (hops)", lambda model, setting, window: _mask_interval_ms(window)
        ),
        Axis(
            "late",
            "lateness of masks in ms (mask intervals)",
            lambda model, setting, window: setting.late * _mask_interval_ms(window),
        ),
    )
}
FIGURES = ("sdr_db", "mix_sdr_db", "bsseval_sdr_db", "false_median_db", "false_p95_db")


@dataclass(frozen=True)
class Point:
    """One point of a curve, with figures over all songs by stem."""

    place: float  # on the axis
    value: str  # of the field
    latency_ms: float
    sdr_db: Mapping[str, float]
    mix_sdr_db: Mapping[str, float]  # of the untouched mixture
    bsseval_sdr_db: Mapping[str, float]  # museval's
    false_median_db: Mapping[str, float]  # levels where a stem is silent
    false_p95_db: Mapping[str, float]


@dataclass(frozen=True)
class Sweep:
    """The settings along one axis; all but that field are the same in all."""

    field: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Curve:
    """An axis that was swept, and its points."""

    field: str
    around: str  # the preset, empty where that is what was swept
    fixed: str  # all else, in words
    points: tuple[Point, ...]


def plan_sweeps(values: Values, around: Sequence[str] = ()) -> list[Sweep]:
    """Plan the settings along each axis; all others are at the first of their values.

    An axis with one value is not swept; where none is, the one setting stands on the axis of latency. 0 is the preset's
    own hop and mask interval, and the context of live use. Which window the network sees is, along all other axes, the
    model's choice, unless one value alone is given.

    Args:
        values: of each field that can be swept.
        around: presets that the other axes are swept around, each by itself; none for the first.
    """
    first = Setting(**{field: _value(field, _first(field, several)) for field, several in values.items() if several})
    found = []
    for field, several in values.items():
        if len(set(several)) < 2:
            continue
        for preset in [first.latency] if field == "latency" or not around else around:
            base = replace(first, latency=preset)
            settings = [replace(base, **{field: _value(field, value)}) for value in dict.fromkeys(several)]
            found.append(Sweep(field, tuple(settings)))
    return found or [Sweep("latency", tuple(replace(first, latency=preset) for preset in around or [first.latency]))]


def sweep_curves(
    sweeps: Sequence[Sweep], summary: Sequence[Figures], model: StoredModel, sample_rate: int
) -> list[Curve]:
    """Make curves of the figures over all songs along the axes that were swept.

    Values that come to the same place, as 0 and the number that it stands for, are one point.

    Args:
        sweeps: what was swept.
        summary: of all settings, see `summarise`.
        model: the model that was scored.
        sample_rate: of the songs, in Hz.
    """
    found = []
    for sweep in sweeps:
        points: dict[float | str, Point] = {}
        for setting in sweep.settings:
            rows = [row for row in summary if row["setting"] == setting.to_dict()]
            spec = model.live(setting.lookahead, setting.context).spec
            window = setting.window(spec, sample_rate)
            place = AXES[sweep.field].position(spec, setting, window)
            figures = {name: {row["stem"]: row[name] for row in rows} for name in FIGURES}
            value = str(getattr(setting, sweep.field) or 0)
            key = value if sweep.field == "latency" else place  # two presets may have one latency
            if rows and key not in points:
                points[key] = Point(place, value, window.latency.ms(sample_rate), **figures)
        around = "" if sweep.field == "latency" else sweep.settings[0].latency
        found.append(Curve(sweep.field, around, _fixed(sweep.settings[0], sweep.field), tuple(points.values())))
    return found


def _first(field: str, several: Sequence[Any]) -> Any:
    return "" if field == "seen" and len(set(several)) > 1 else several[0]


def _value(field: str, value: Any) -> Any:
    return None if field in ("hop", "mask_interval") and not value else value


def _fixed(setting: Setting, field: str) -> str:
    others = {name: getattr(setting, name) for name in AXES if name != field}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in others.items() if value)
