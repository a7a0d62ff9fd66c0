"""Blocks that are made while the last one is used: where a card separates, what is around it takes the time."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


def ahead(blocks: Generator[Float32, None, None]) -> Generator[Float32, None, None]:
    """Have the next block made on a thread of its own while the last is used.

    Args:
        blocks: each is only good until the next; closed when this ends.

    Yields:
        Copies of them; what making one raises is raised here.
    """

    def make() -> Float32 | None:
        block = next(blocks, None)
        return None if block is None else block.copy()

    try:
        with ThreadPoolExecutor(1, "rtsep-ahead") as pool:  # its end waits for the block that is being made
            coming = pool.submit(make)
            while (block := coming.result()) is not None:
                coming = pool.submit(make)
                yield block
    finally:
        blocks.close()
