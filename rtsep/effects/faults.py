"""Whose fault it was: from what a process was doing, and how it ended, to words and to what is left out."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtsep.host.insert_memory import FAILED, NOT_FINITE, WRONG_LENGTH

DEATHS, WITHIN_S = 3, 10.0  # so many within so long, and it is left out
NOBODY = -1
UNSOUND = {
    NOT_FINITE: "gives what is no sound (NaN or infinity)",
    WRONG_LENGTH: "gives blocks of another length",
    FAILED: "fails",
}
LEFT_OUT = "left out until it is switched on again"


@dataclass(frozen=True)
class Blame:
    """An effect of a row's chain, counted from 0; NOBODY where it is not known, or was nobody's fault."""

    row: int = NOBODY
    effect: int = NOBODY


def blame(row: int, effect: int, rows: Collection[int], chains: Mapping[int, Any]) -> Blame:
    """Read what a process was doing, which it may have written over: only what can be is believed.

    Args:
        row: that it worked on, as it says.
        effect: of its chain.
        rows: that are the process's.
        chains: of all rows, by their numbers.
    """
    if row not in rows:
        return Blame()
    return Blame(row, effect if 0 <= effect < len(effects(chains.get(row))) else NOBODY)


def effects(chain: Any) -> Sequence[Mapping[str, Any]]:
    """Give the effects of a chain in plain values."""
    return chain.get("effects", ()) if isinstance(chain, Mapping) else ()


def source(effect: Mapping[str, Any]) -> tuple[str, str]:
    """What tells two kinds of effect apart, in plain values."""
    return str(effect.get("name", "")), str(effect.get("path", ""))


def without(chain: Any, left_out: Collection[int], barred: Collection[tuple[str, str]] = ()) -> Any:
    """Give a chain in which some effects are bypassed, and those of some kinds not even loaded."""
    kept = []
    for place, one in enumerate(effects(chain)):
        changes = {"bypass": True} if place in left_out else {}
        changes |= {"barred": True} if source(one) in barred else {}
        kept.append({**one, **changes} if changes else one)
    changed = any(one is not before for one, before in zip(kept, effects(chain), strict=True))
    return {**chain, "effects": kept} if changed else chain


def ending(code: int) -> str:
    """Say how a process ended, by what it ended with."""
    if code == -signal.SIGKILL:
        return "was killed"
    return "crashed" if code else "ended"


def named(guilty: Blame, names: Sequence[str], chains: Mapping[int, Any]) -> str:
    """Name who it was, as `ZamCompX2 on vocals`."""
    if guilty.row == NOBODY:
        return "the effects process"
    if guilty.effect == NOBODY:
        return f"the chain on {names[guilty.row]}"
    one = effects(chains.get(guilty.row))[guilty.effect]
    name = next((str(one[key]) for key in ("name", "effect", "plugin") if one.get(key)), f"effect {guilty.effect + 1}")
    return f"{name} on {names[guilty.row]}"


class Deaths:
    """Counts how often each was the cause of a death."""

    def __init__(self) -> None:
        self._times: dict[Any, deque[float]] = {}

    def too_many(self, guilty: Any, now_s: float) -> bool:
        """Count one more, and say whether that is too many within too short a time; then it begins anew."""
        times = self._times.setdefault(guilty, deque(maxlen=DEATHS))
        times.append(now_s)
        if len(times) < DEATHS or now_s - times[0] > WITHIN_S:
            return False
        times.clear()
        return True
