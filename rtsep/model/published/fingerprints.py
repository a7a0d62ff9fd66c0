"""Tell released models by what is in them: their data and their configuration, whatever the folder is called."""

from __future__ import annotations

from pathlib import Path

from rtsep.model.architectures import UNetArchitecture
from rtsep.model.importers.spleeter_config import PREFIX, RELEASED
from rtsep.model.published import registry
from rtsep.model.store import digest


def identify_release(index: Path, data: Path, architecture: UNetArchitecture) -> dict[str, str] | None:
    """Tell which released model a Spleeter checkpoint is.

    Args:
        index: the checkpoint's index file.
        data: the checkpoint's data file.
        architecture: of the network that its configuration makes; the variants for 16 kHz have the same data, and see
            up to a higher bin.

    Returns:
        The `origin` for model.json; None if it is none.
    """
    known = digest(index)
    for name, weights in registry.SPLEETER.items():
        archive = registry.ARCHIVES[weights]
        if archive.index_sha256 != known or RELEASED[name.removeprefix(PREFIX)].architecture() != architecture:
            continue
        if digest(data) == archive.data_sha256:
            return {"released": name, "data_sha256": archive.data_sha256}
    return None
