"""One engine built for the card at hand, without what a session has no time for: comparing with fp32, and timing.

`python -m benchmarks.gpu_build MODEL PRECISION CONTEXT ROWS NEWEST`; the session measures both itself.
"""

from __future__ import annotations

import sys

from rtsep.engine.tensorrt.builder import BuildOptions, build
from rtsep.engine.tensorrt.driver import probe
from rtsep.errors import RtsepError
from rtsep.model.store import find


def main(words: list[str]) -> None:
    """Build it; errors are a line, and a status of 1."""
    model, precision, *numbers = words
    context, rows, newest = map(int, numbers)
    found = probe()
    try:
        if found.missing:
            raise RtsepError(found.missing)
        card = found.gpus[0].sm
        build(find(model), [card], BuildOptions(precision, context, rows, newest), card, say=print)
    except RtsepError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
