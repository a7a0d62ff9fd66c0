"""Examples to batches, made ahead by worker processes; batch n is the same however many there are."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Generator, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from rtsep.core.system import keep_freed_memory
from rtsep.dataset.examples import CHANNELS, Examples
from rtsep.errors import EngineError, RtsepError
from rtsep.training.signals import without_interrupts

AudioBatch = tuple[Tensor, Tensor]  # stems (batch, stems, channels, frames), known (batch, stems)

AHEAD = 4  # batches that each worker makes ahead
SHARED_CURE = "lower optimisation.batch, go on with --workers 0, or give /dev/shm more room (docker run --shm-size)"


class _Batches(Dataset[AudioBatch | RtsepError]):
    """Batch by number, or the first fault among its examples.

    A worker writes its batches to the same few places in turn, as shared memory is slow when it is
    new. There is one for each that is made ahead, and one for that which is in use.
    """

    def __init__(self, examples: Examples, size: int) -> None:
        self._examples, self._size = examples, size
        self._places: deque[AudioBatch] = deque()

    def __getitem__(self, number: int) -> AudioBatch | RtsepError:
        try:
            stems, known = self._place()
            for row in range(self._size):
                example = self._examples[number * self._size + row]
                stems[row] = torch.from_numpy(example.stems)
                known[row] = torch.from_numpy(example.known)
        except RtsepError as error:  # as a value: what a process raises comes with its traceback among the words
            return error
        return stems, known

    def _place(self) -> AudioBatch:
        if len(self._places) == AHEAD + 1:
            self._places.rotate()  # the oldest
            return self._places[0]
        count = len(self._examples.stems)
        stems = torch.empty(self._size, count, CHANNELS, self._examples.frames)
        known = torch.empty(self._size, count, dtype=torch.bool)
        if get_worker_info() is not None:
            try:
                stems.share_memory_()  # type: ignore[no-untyped-call]
                known.share_memory_()  # type: ignore[no-untyped-call]
            except RuntimeError as error:
                raise EngineError(f"no shared memory for a batch ({error}); {SHARED_CURE}") from error
            self._places.appendleft((stems, known))
        return stems, known


class _From(Sampler[int]):
    """Numbers from one on, without end."""

    def __init__(self, first: int) -> None:
        self._first = first

    def __iter__(self) -> Iterator[int]:
        number = self._first
        while True:
            yield number
            number += 1


def batches(examples: Examples, size: int, first: int, workers: int, pinned: bool = False) -> Generator[AudioBatch]:
    """Give batches of examples without end; each holds until the next.

    Args:
        examples: that they are made of.
        size: examples of each.
        first: number of the first batch.
        workers: processes that make them ahead; 0 for made when asked for.
        pinned: in memory that a GPU copies fast.

    Yields:
        Stems (batch, stems, channels, frames), and which of them can be learnt from, (batch, stems).

    Raises:
        RtsepError: the one of an example that cannot be made.
    """
    loader = DataLoader(
        _Batches(examples, size),
        batch_size=None,
        sampler=_From(first),
        num_workers=workers,
        pin_memory=pinned,
        worker_init_fn=_prepare,
        prefetch_factor=AHEAD if workers else None,
        generator=torch.Generator(),  # else it would draw from the one that dropout draws from
    )
    for batch in _started(loader):  # no name for it: a traceback would keep the workers alive
        if isinstance(batch, RtsepError):
            raise batch
        yield batch


def _started(loader: DataLoader[AudioBatch | RtsepError]) -> Iterator[AudioBatch | RtsepError]:
    with without_interrupts():  # the workers start with it
        return iter(loader)


def _prepare(worker: int) -> None:
    """Let the run alone hear Ctrl-C: it ends its workers, when nothing waits for what they make.

    And let the heap keep what is freed: every sound in it is megabytes long, and to get pages from
    the system anew for each takes a fifth of an example's time.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # one that has come since the worker started is forgotten
    keep_freed_memory()
