"""Chains as rows and values of the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rtsep.control.parameters import Parameter
from rtsep.effects.catalogue import BUILTINS, Knob, checked, rows
from rtsep.effects.chain import ChainSettings, EffectSettings
from rtsep.effects.records import read_records
from rtsep.errors import EffectError

LOW_LATENCY, MOST_LATENCY = "effects/low_latency", "effects/most_latency"
TABLE = (
    Parameter(LOW_LATENCY, "switch", 0.0, 1.0, 0.0, "Low latency", "switch"),  # leaves out what is later than
    Parameter(MOST_LATENCY, "frames", 0.0, 48_000.0, 64.0, "Most latency of an effect", step=16.0),
)


def knobs_of(effect: EffectSettings) -> tuple[Knob, ...]:
    """Give the knobs of an effect, of ours or of a plugin that was scanned.

    Args:
        effect: which.

    Raises:
        EffectError: for one that is not known.
    """
    if not effect.path and effect.name in BUILTINS:
        return BUILTINS[effect.name]
    return read_records().find(effect.name, effect.path)[1].knobs


def _knobs(effect: EffectSettings) -> tuple[Knob, ...]:
    """Its knobs; a placeholder, for what is missing here, has none."""
    try:
        return knobs_of(effect)
    except EffectError:
        return ()


def sounding(chain: ChainSettings, tempo_bpm: float) -> ChainSettings:
    """Give a chain with numbers in place of times in beats; what is missing keeps its settings as they are.

    Args:
        chain: as it was written.
        tempo_bpm: beats per minute.

    Raises:
        EffectError: for a value that the effect cannot have.
    """
    return ChainSettings(tuple(_sounding(effect, tempo_bpm) for effect in chain.effects))


def _sounding(effect: EffectSettings, tempo_bpm: float) -> EffectSettings:
    if not (knobs := {knob.name: knob for knob in _knobs(effect)}):
        return effect
    numbers = _numbers(effect, knobs.values(), tempo_bpm)
    return replace(effect, values=dict(checked(effect.name, knobs, numbers)))


def _numbers(effect: EffectSettings, knobs: Iterable[Knob], tempo_bpm: float) -> dict[str, float]:
    """Times in beats go no further than their knobs: at a slow tempo a bar may be longer than a delay."""
    ends = {knob.name: knob for knob in knobs}
    numbers = effect.numbers(tempo_bpm, {name: knob.unit for name, knob in ends.items()})
    in_beats = {name for name, value in effect.values.items() if isinstance(value, str) and name in ends}
    return {n: min(max(v, ends[n].low), ends[n].high) if n in in_beats else v for n, v in numbers.items()}


def chain_rows(chain: ChainSettings, prefix: str) -> tuple[Parameter, ...]:
    """List the parameters of a chain; effects are counted from 1.

    Args:
        chain: of a strip.
        prefix: the strip's path and `/effects`.
    """
    return tuple(
        row for number, effect in enumerate(chain.effects, 1) for row in rows(_knobs(effect), f"{prefix}/{number}/")
    )


def chain_values(chain: ChainSettings, prefix: str, table: Iterable[Parameter], tempo_bpm: float) -> dict[str, float]:
    """Give the values of a chain's parameters that it says itself.

    Args:
        chain: of a strip.
        prefix: the strip's path and `/effects`.
        table: as `chain_rows` gives it.
        tempo_bpm: beats per minute.

    Raises:
        EffectError: for a time in beats of what is no time.
    """
    found: dict[str, float] = {}
    for number, effect in enumerate(chain.effects, 1):
        knobs = _knobs(effect)
        numbers = _numbers(effect, knobs, tempo_bpm) if knobs else {}
        found |= {f"{prefix}/{number}/{name}": value for name, value in numbers.items()}
        found[f"{prefix}/{number}/bypass"] = float(effect.bypass)
    paths = {row.path for row in table}
    return {path: value for path, value in found.items() if path in paths}


def values_in_beats(chains: Mapping[str, ChainSettings], tempo_bpm: float) -> dict[str, float]:
    """Give the values of all times that are in beats, by path.

    Args:
        chains: by the path of their strip.
        tempo_bpm: beats per minute.

    Raises:
        EffectError: for a time in beats of what is no time.
    """
    found: dict[str, float] = {}
    for path, chain in chains.items():
        for number, effect in enumerate(chain.effects, 1):
            if in_beats := {name for name, value in effect.values.items() if isinstance(value, str)}:
                knobs = _knobs(effect)
                values = _numbers(effect, knobs, tempo_bpm) if knobs else {}
                found |= {f"{path}/effects/{number}/{name}": values[name] for name in in_beats & values.keys()}
    return found
