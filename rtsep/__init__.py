"""rtsep, the open live stem host: sound in, stems out while it plays."""

from __future__ import annotations

import os
import sys
from typing import Any

# Without this ONNX Runtime tells its maker of every session, and keeps a number of the machine in the user's cache. It
# looks when it is loaded, and the programs that we start inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# OpenVINO does the like by a package of its own, and does without where that cannot be imported
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

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


class _Moved:
    """The last that Python asks for a module: says where one of ours has gone."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.startswith("rtsep."):
            from rtsep.core.moved import moved

            if new := moved(name):
                raise ModuleNotFoundError(f"{name} is called {new} now", name=name)


sys.meta_path.append(_Moved())
