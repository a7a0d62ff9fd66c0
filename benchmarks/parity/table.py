"""How far our stems are from the original's, case by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.parity.cases import Case, OpenUnmixCase

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Difference:
    """The worst of a case: the largest error in a stem, against the peak of the original's stem."""

    original: str
    case: str
    stems: int
    worst: float
    where: str
    limit: float
    in_double: bool  # whether the original ran in double precision
    shipped: float  # the worst against the original as it is shipped

    @property
    def good(self) -> bool:
        """Whether it is within the limit; what is not a number is not."""
        return self.worst <= self.limit


def compare(
    case: Case, theirs: Mapping[str, Float32], shipped: Mapping[str, Float32], ours: Mapping[str, Float32]
) -> Difference:
    """Compare stems (frames, channels); other names, another order or length is as wrong as can be.

    theirs: in double precision where the case says so; shipped: as the original is.
    """
    worst, where = _worst(theirs, ours)
    in_double = isinstance(case, OpenUnmixCase) and case.in_double
    return Difference(
        case.original, case.name, len(theirs), worst, where, case.limit, in_double, _worst(shipped, ours)[0]
    )


def _worst(theirs: Mapping[str, Float32], ours: Mapping[str, Float32]) -> tuple[float, str]:
    if list(theirs) != list(ours):
        return float("inf"), f"stems {', '.join(ours)}"
    errors = {stem: _error(theirs[stem], ours[stem]) for stem in theirs}
    where = max(errors, key=lambda stem: np.nan_to_num(errors[stem], nan=np.inf))
    return errors[where], where


def _error(theirs: Float32, ours: Float32) -> float:
    if theirs.shape != ours.shape:
        return float("inf")
    return float(np.max(np.abs(theirs - ours)) / np.max(np.abs(theirs)))


def show(differences: Sequence[Difference]) -> None:
    """Print the table; its last figure is what single precision makes of a case that the original ran in double."""
    table = Table("original", "case", "stems", "worst / peak", "in", "limit", "in single precision", "")
    for found in differences:
        told = "ok" if found.good else "[bold red]FAILED"
        shipped = f"{found.shipped:.1e}" if found.in_double else ""
        row = (found.original, found.case, str(found.stems), f"{found.worst:.1e}", found.where, f"{found.limit:.0e}")
        table.add_row(*row, shipped, told)
    Console(width=130).print(table)
