"""Edits of a chain: effects come, go and move; they are counted from 1, as people count them."""

from __future__ import annotations

from rtsep.effects.chain import EffectSettings
from rtsep.effects.tables import knobs_of
from rtsep.errors import EffectError

Effects = tuple[EffectSettings, ...]


def known(name: str) -> EffectSettings:
    """Give an effect at its defaults.

    Args:
        name: of one of ours, or of a plugin that was scanned.

    Raises:
        EffectError: for one that is not known.
    """
    effect = EffectSettings(name)
    knobs_of(effect)
    return effect


def at(effects: Effects, number: int) -> EffectSettings:
    """Give an effect by its number.

    Raises:
        EffectError: for a number that there is not.
    """
    if not 1 <= number <= len(effects):
        raise EffectError(f"there is no effect {number}; the chain has {len(effects)}, counted from 1")
    return effects[number - 1]


def removed(effects: Effects, number: int) -> Effects:
    """Take an effect away.

    Raises:
        EffectError: for a number that there is not.
    """
    at(effects, number)
    return (*effects[: number - 1], *effects[number:])


def moved(effects: Effects, number: int, to: int) -> Effects:
    """Bring an effect to another place.

    Raises:
        EffectError: for a number that there is not.
    """
    at(effects, to)
    others = removed(effects, number)
    return (*others[: to - 1], at(effects, number), *others[to - 1 :])


def inserted(effects: Effects, number: int, effect: EffectSettings) -> Effects:
    """Put an effect before one, or behind the last.

    Raises:
        EffectError: for a number that there is not.
    """
    if not 1 <= number <= len(effects) + 1:
        raise EffectError(f"there is no place {number}; the chain has {len(effects)} effects, counted from 1")
    return (*effects[: number - 1], effect, *effects[number - 1 :])


def replaced(effects: Effects, number: int, effect: EffectSettings) -> Effects:
    """Put another effect in the place of one.

    Raises:
        EffectError: for a number that there is not.
    """
    at(effects, number)
    return (*effects[: number - 1], effect, *effects[number:])


def moves(before: Effects, after: Effects, prefix: str) -> dict[str, str]:
    """Say where effects have gone: one is itself, or one of its kind in its place.

    Args:
        before: the chain as it was.
        after: as it is.
        prefix: the strip's path and `/effects`.

    Returns:
        Paths of effects, from those of before to those of now.
    """
    found = {old: new for old, one in enumerate(before) for new, other in enumerate(after) if one is other}
    taken = set(found.values())
    for number, (one, other) in enumerate(zip(before, after, strict=False)):
        if number not in found and number not in taken and one.source == other.source:
            found[number] = number
    return {f"{prefix}/{old + 1}": f"{prefix}/{new + 1}" for old, new in found.items()}
