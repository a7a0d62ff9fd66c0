"""A GPU as one thread has it: its primary context, one stream, pinned memory here and memory there, by pycuda.

The primary context is the one that TensorRT, PyTorch and CuPy use too; a context of our own beside it gives "invalid
resource handle". It is retained, used and released on the thread that infers, which is checked.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from rtsep.engine.base import Float32
from rtsep.engine.tensorrt.driver import Cuda
from rtsep.errors import EngineError, one_line

NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: the default stream of others does not wait for it, nor it for that


class DeviceMemory:
    """So many bytes on the card."""

    def __init__(self, allocation: Any, nbytes: int) -> None:
        self.allocation = allocation
        self.nbytes = nbytes

    @property
    def address(self) -> int:
        """Where they begin."""
        return int(self.allocation)


def _told(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call pycuda; its errors have no base class that can be named without it."""
    try:
        return function(*arguments)
    except Exception as error:
        cure = "; close what else uses the GPU" if "out of memory" in str(error) else ""
        raise EngineError(f"the GPU failed: {one_line(error)}{cure}") from error


class Card:
    """A GPU in the hands of the thread that made this.

    Args:
        pycuda: the module `pycuda.driver`.
        cuda: the driver's own calls, of the same libcuda.
        number: of the GPU.

    Raises:
        EngineError: where the card gives no context. So does every call that the card fails.
    """

    def __init__(self, pycuda: Any, cuda: Cuda, number: int = 0) -> None:
        self.cuda = cuda
        self._pycuda = pycuda
        self._thread = threading.get_ident()
        _told(pycuda.init)
        self._context = _told(_told(pycuda.Device, number).retain_primary_context)
        try:
            _told(self._context.push)
            self.stream: Any = _told(pycuda.Stream, NON_BLOCKING)
        except EngineError:
            self._release()
            raise

    def check_thread(self) -> None:
        """See that the calling thread is the one that the context belongs to.

        Raises:
            EngineError: where it is another.
        """
        if threading.get_ident() != self._thread:
            raise EngineError("a GPU's engine is opened, used and closed on one thread; this is another")

    @property
    def handle(self) -> int:
        """The stream as TensorRT and the driver take it."""
        return int(self.stream.handle)

    def pinned(self, shape: tuple[int, ...]) -> Float32:
        """Give zeros in memory of the host that the card reads and writes itself; it goes with its last reference."""
        array: Float32 = _told(self._pycuda.pagelocked_empty, shape, np.float32)
        array.fill(0.0)
        return array

    def allocate(self, nbytes: int) -> DeviceMemory:
        """Give zeros on the card."""
        memory = DeviceMemory(_told(self._pycuda.mem_alloc, nbytes), nbytes)
        self.zero(memory)
        return memory

    def free(self, memory: DeviceMemory) -> None:
        """Give memory of the card back; nothing may be using it."""
        with suppress(Exception):  # a card that is lost takes nothing back
            memory.allocation.free()

    def zero(self, memory: DeviceMemory) -> None:
        """Enqueue zeros for all of it."""
        _told(self._pycuda.memset_d8_async, memory.address, 0, memory.nbytes, self.stream)

    def upload(self, there: DeviceMemory, here: Float32) -> None:
        """Enqueue a copy of pinned memory to the card."""
        _told(self._pycuda.memcpy_htod_async, there.address, here, self.stream)

    def download(self, here: Float32, there: DeviceMemory) -> None:
        """Enqueue a copy from the card to pinned memory."""
        _told(self._pycuda.memcpy_dtoh_async, here, there.address, self.stream)

    def synchronise(self) -> None:
        """Wait until all that was enqueued is done; without the GIL."""
        _told(self.stream.synchronize)

    def close(self, *ends: Callable[[], None]) -> None:
        """Wait for the card, take each step, then give back stream and context. Nothing is raised.

        Args:
            ends: what must happen while the context is there, in order.
        """
        for end in (self.synchronise, *ends):
            with suppress(Exception):  # a card that is lost fails everything, and the rest is to be done
                end()
        self.stream = None
        self._release()

    def _release(self) -> None:
        """Pop and release the context; pycuda pushes it once more to release it, and the driver leaves it there."""
        with suppress(Exception):
            self._context.pop()
            self._context.detach()
            self.cuda.number("cuCtxPopCurrent_v2", kind=ctypes.c_void_p)
        self._context = None
