"""Makes a file ready for seeks while it plays already."""

from __future__ import annotations

import contextlib

from rtsep.audio.sources import Resampled
from rtsep.errors import FileError
from rtsep.host.supervisor import Worker


class SeekIndex(Worker):
    """Finds out once where the packets of a file lie, which takes seconds for hours of sound.

    Until then the length that is shown is the header's, and a seek looks for itself.

    Args:
        name: see `Worker`.
        file: that a player plays.

    Thread: any; not real-time safe (Python).
    """

    def __init__(self, name: str, file: Resampled) -> None:
        super().__init__(name)
        self._file = file

    def work(self) -> None:
        """Read the file through, beside its player.

        Thread: its own; not real-time safe (reads files).
        """
        with contextlib.suppress(FileError, OSError):  # the player tells of it, where it comes there
            self._file.prepare_seeks(self.stopping.is_set)
