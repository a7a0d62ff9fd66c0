from __future__ import annotations

from rtsep.control.store import Change
from rtsep.surfaces.surface import Surface
from tests.support.rigs import Rig


class Knob(Surface):
    def start(self) -> None:
        self.heard: list[Change] = []
        self.end = self.hear(self.heard.append)

    def stop(self) -> None:
        self.end()


def test_a_surface_hears_of_others_and_not_of_itself() -> None:
    rig = Rig()
    one, two = (Knob(rig.store, rig.actions, rig.publisher, name) for name in ("one", "two"))
    for surface in (one, two):
        surface.start()
    one.store.set("acapella", 1.0, one.name)
    two.store.set("acapella", 0.0, two.name)
    one.stop()
    two.store.set("bypass", 1.0, two.name)
    assert one.heard == [Change("decks/main/acapella", 0.0, "two")]
    assert two.heard == [Change("decks/main/acapella", 1.0, "one")]
