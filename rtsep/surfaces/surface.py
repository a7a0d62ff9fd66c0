"""A surface: whatever turns knobs and shows meters, a terminal, a controller, a page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from rtsep.control.actions import Actions
from rtsep.control.publisher import Publisher
from rtsep.control.store import Change, Store


class Surface(ABC):
    """Knows a rig by its values, its actions and its snapshots alone.

    Args:
        store: the values, to turn and to hear of.
        actions: what can be done.
        publisher: the snapshots.
        name: the origin of its changes.
    """

    def __init__(self, store: Store, actions: Actions, publisher: Publisher, name: str) -> None:
        self.store, self.actions, self.publisher, self.name = store, actions, publisher, name
        self.error: Exception | None = None  # why it ended by itself

    @abstractmethod
    def start(self) -> None:
        """Begin, without waiting for an end.

        Raises:
            RtsepError: for what cannot be opened.
        """

    @abstractmethod
    def stop(self) -> None:
        """End, and leave everything as it was found; nothing, where it has ended or never began."""

    def hear(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Be told of changes that others make; see `Store.subscribe`.

        Args:
            listener: is called with each.

        Returns:
            What ends that.
        """
        return self.store.subscribe(lambda change: None if change.origin == self.name else listener(change))
