"""One axis of the settings at a time, all others fixed: SDR against latency and what else costs or buys it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rtsep.evaluate.settings import Setting
from rtsep.evaluate.summary import Figures
from rtsep.spec import ModelSpec, WindowSpec

Values = Mapping[str, Sequence[Any]]  # by the name of an axis


@dataclass(frozen=True)
class Axis:
    """What can be swept: a field of `Setting`, what is drawn along it, and where a setting stands there."""

    field: str
    words: str
    place: Callable[[ModelSpec, Setting, WindowSpec], float]


def _latency_ms(model: ModelSpec, setting: Setting, window: WindowSpec) -> float:
    return window.latency.ms(window.sample_rate)


def _refresh_ms(window: WindowSpec) -> float:
    return 1000.0 * window.refresh * window.hop / window.sample_rate


AXES = {
    axis.field: axis
    for axis in (
        Axis("latency", "latency of the separator in ms (preset)", _latency_ms),
        Axis("lookahead", "latency of the separator in ms (hops ahead)", _latency_ms),
        Axis("context", "context in spectra", lambda model, setting, window: model.context),
        Axis("hop", "hop in frames", lambda model, setting, window: window.hop),
        Axis("refresh", "time between masks in ms (hops)", lambda model, setting, window: _refresh_ms(window)),
        Axis(
            "late",
            "lateness of masks in ms (refreshes)",
            lambda model, setting, window: setting.late * _refresh_ms(window),
        ),
    )
}


@dataclass(frozen=True)
class Point:
    """One point of a curve: where it is, its value, and the mean SDR of each stem and of the mixture."""

    place: float
    value: str
    sdr_db: Mapping[str, float]
    mix_sdr_db: Mapping[str, float]


@dataclass(frozen=True)
class Curve:
    """An axis that was swept, in words what all others were, and its points."""

    field: str
    fixed: str
    points: tuple[Point, ...]


def swept(values: Values) -> dict[str, list[Setting]]:
    """The settings along each axis, by its name; all others are at the first of their values.

    An axis with one value is not swept; where none is, the one setting stands on the axis of latency.
    0 is the preset's own hop and refresh, and the model's own context.
    """
    first = Setting(**{field: _value(field, several[0]) for field, several in values.items() if several})
    found = {
        field: [replace(first, **{field: _value(field, value)}) for value in dict.fromkeys(several)]
        for field, several in values.items()
        if len(set(several)) > 1
    }
    return found or {"latency": [first]}


def curves(
    sweeps: Mapping[str, Sequence[Setting]], summary: Sequence[Figures], model: ModelSpec, sample_rate: int
) -> list[Curve]:
    """Draw the figures over all songs along the axes that were swept; `sample_rate` in Hz is that of the songs."""
    found = []
    for field, settings in sweeps.items():
        points = []
        for setting in settings:
            rows = [row for row in summary if row["setting"] == setting.to_dict()]
            fitted = model.with_context(setting.context) if setting.context else model
            place = AXES[field].place(fitted, setting, setting.window(model, sample_rate))
            sdr, mix = ({row["stem"]: row[name] for row in rows} for name in ("sdr_db", "mix_sdr_db"))
            if rows:
                points.append(Point(place, str(getattr(setting, field) or 0), sdr, mix))
        found.append(Curve(field, _fixed(settings[0], field), tuple(points)))
    return found


def _value(field: str, value: Any) -> Any:
    return None if field in ("hop", "refresh") and not value else value


def _fixed(setting: Setting, field: str) -> str:
    others = {name: getattr(setting, name) for name in AXES if name != field}
    return ", ".join(f"{name} {value}" for name, value in others.items() if value)
