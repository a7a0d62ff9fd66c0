"""Examples to batches, made ahead by worker processes; batch n is the same however many there are."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from rtsep.data.examples import Examples

Sounds = tuple[Tensor, Tensor]  # stems (batch, stems, channels, frames), known (batch, stems)


class _Rows(Dataset[Sounds]):
    def __init__(self, examples: Examples) -> None:
        self._examples = examples

    def __getitem__(self, number: int) -> Sounds:
        example = self._examples[number]
        return torch.from_numpy(np.ascontiguousarray(example.stems)), torch.from_numpy(example.known)


class _From(Sampler[int]):
    """Numbers from one on, without end."""

    def __init__(self, first: int) -> None:
        self._first = first

    def __iter__(self) -> Iterator[int]:
        number = self._first
        while True:
            yield number
            number += 1


def batches(examples: Examples, size: int, first: int, workers: int, pinned: bool = False) -> Generator[Sounds]:
    """Batches of `size` examples without end, beginning with batch number `first`.

    workers: processes that make them ahead; 0: made when asked for. pinned: in memory that a GPU
    copies fast.
    """
    loader = DataLoader(
        _Rows(examples),
        batch_size=size,
        sampler=_From(first * size),
        num_workers=workers,
        pin_memory=pinned,
        prefetch_factor=4 if workers else None,
        generator=torch.Generator(),  # else it would draw from the one that dropout draws from
    )
    yield from loader
