"""rtsep, the open live stem host: sound in, stems out while it plays."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_PUBLIC = {  # loaded when they are asked for: `import rtsep` stays light
    "Separator": "rtsep.separation.separator",
    "separate_waveform": "rtsep.separation.separator",
    "Refinement": "rtsep.separation.options",
    "StreamSeparator": "rtsep.separation.stream",
}
__all__ = ["Refinement", "Separator", "StreamSeparator", "__version__", "separate_waveform"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'rtsep' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
