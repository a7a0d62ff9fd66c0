"""Which row of an engine a hop of a stream belongs to, and which frame of the output is its mask."""

from __future__ import annotations

from dataclasses import dataclass

from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.errors import SpecError


@dataclass(frozen=True)
class Slots:
    """The slots of streams that are run alike: (deck, phase) to the row of a call.

    The phases of a deck are the interleaved runs that a stateful model carries states for.
    """

    phases: int  # of each deck: so many rows
    frame_stride: int
    mask_interval: int
    frame: int  # of the output's, whose mask is used

    def wants(self, hop: int) -> bool:
        """Say whether a mask is made at this hop, counted from 0."""
        return hop % self.mask_interval == 0

    def row(self, hop: int, deck: int = 0) -> int:
        """Give the row whose states the frame of this hop of a deck continues."""
        return deck * self.phases + hop // self.mask_interval % self.phases

    def rows(self, decks: int = 1) -> int:
        """Give the rows of a call for so many decks."""
        return decks * self.phases


def phases(model: ModelSpec, window: WindowSpec) -> int:
    """Count the interleaved runs of one stream; a windowed model has no past, and one of them."""
    return window.frame_stride // window.mask_interval if model.kind == "stateful" else 1


def slots(model: ModelSpec, window: WindowSpec) -> Slots:
    """Give the slots of streams of a model.

    Args:
        model: its graph.
        window: how it is run.

    Raises:
        SpecError: for a lookahead that the graph's frames do not reach.
    """
    given = model.given(model.context)
    if window.lookahead_hops >= given:
        raise SpecError(
            f"lookahead of {window.lookahead_hops} hops: the graph of {model.name} gives the newest {given} frames "
            f"alone; allowed are 0 to {given - 1}"
        )
    return Slots(phases(model, window), window.frame_stride, window.mask_interval, given - 1 - window.lookahead_hops)
