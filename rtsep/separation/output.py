"""Where stems go, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rtsep.audio.codecs import CODECS, check_codec
from rtsep.errors import FileError, RouteError
from rtsep.separation.file_names import TEMPLATE


@dataclass(frozen=True)
class Output:
    """Where the stems of every file go, and as what.

    Raises:
        FileError: for an unknown codec, a bitrate that it cannot have, and names of files of another codec.
    """

    folder: Path
    codec: str = "wav"
    bitrate: str | None = None  # the usual one
    template: str = TEMPLATE
    stems: tuple[str, ...] = ()  # only these; all if empty

    def __post_init__(self) -> None:
        check_codec(self.codec, self.bitrate)
        ending = Path(self.template).suffix[1:].lower()
        if ending != self.codec and ending in CODECS:
            raise FileError(
                f"filename format {self.template!r} names {ending} files, and the codec is {self.codec}; "
                f"choose -c {ending}, or write {{codec}} in place of {ending}"
            )


def pick_stems(known: tuple[str, ...], wanted: tuple[str, ...]) -> list[int]:
    """Give the places of the wanted stems, or of all.

    Args:
        known: the stems there are.
        wanted: those that are kept; all if empty.

    Raises:
        RouteError: for an unknown one.
    """
    for stem in wanted:
        if stem not in known:
            raise RouteError(f"there is no stem {stem!r}; choose from {', '.join(known)}")
    return [i for i, stem in enumerate(known) if not wanted or stem in wanted]
