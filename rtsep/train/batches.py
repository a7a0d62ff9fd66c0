"""Examples to batches, made ahead by worker processes; batch n is the same however many there are."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from rtsep.data.examples import Examples
from rtsep.errors import RtsepError

Sounds = tuple[Tensor, Tensor]  # stems (batch, stems, channels, frames), known (batch, stems)


class _Rows(Dataset[Sounds | RtsepError]):
    def __init__(self, examples: Examples) -> None:
        self._examples = examples

    def __getitem__(self, number: int) -> Sounds | RtsepError:
        try:
            example = self._examples[number]
        except RtsepError as error:  # as a value: what a process raises comes with its traceback among the words
            return error
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
    copies fast. Raises the `RtsepError` of an example that cannot be made.
    """
    loader = DataLoader(
        _Rows(examples),
        batch_size=size,
        sampler=_From(first * size),
        num_workers=workers,
        collate_fn=_together,
        pin_memory=pinned,
        worker_init_fn=_undisturbed,
        prefetch_factor=4 if workers else None,
        generator=torch.Generator(),  # else it would draw from the one that dropout draws from
    )
    for batch in loader:
        if isinstance(batch, RtsepError):
            raise batch
        yield batch


def _undisturbed(worker: int) -> None:
    """Let the run alone hear Ctrl-C: it ends its workers, when nothing waits for what they make."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _together(rows: list[Sounds | RtsepError]) -> Sounds | RtsepError:
    """A batch, or the first fault among its examples."""
    for row in rows:
        if isinstance(row, RtsepError):
            return row
    stems, known = default_collate(rows)
    return stems, known
