"""A session: surfaces on a rig, from its start until somebody ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from rtsep.control.publisher import Publisher
from rtsep.surfaces.surface import Surface

LOOK_S = 0.1


def watch(surfaces: Sequence[Surface], publisher: Publisher, ended: Callable[[], bool], seconds: float | None) -> None:
    """Start surfaces, wait for the end, and stop them, whatever fails; a keyboard interrupt passes through.

    Where it has ended before, none is started. A surface that fails is an end too: its `error` says of what.

    Args:
        surfaces: are started in this order, and stopped in the other.
        publisher: a snapshot that is finished is the end.
        ended: whether somebody has ended it; asked many times a second.
        seconds: of sound, after which it ends; None: no end.

    Raises:
        RtsepError: what a surface cannot open.
    """

    def over() -> bool:
        now = publisher.latest
        by_itself = now and (now.finished or (seconds is not None and now.running_s >= seconds))
        return ended() or bool(by_itself) or any(surface.error for surface in surfaces)

    with ExitStack() as ends:
        for surface in () if over() else surfaces:
            ends.callback(surface.stop)
            surface.start()
        number = 0
        while not over():
            number = publisher.wait(number, LOOK_S)
