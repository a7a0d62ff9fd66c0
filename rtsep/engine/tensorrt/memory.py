"""A GPU as one thread has it: its primary context, one stream, pinned memory here and memory there, by pycuda.

The primary context is the one that TensorRT, PyTorch and CuPy use too; a context of our own beside it gives "invalid
resource handle". It is retained, used and released on the thread that infers, which is checked.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from rtsep.engine.base import Float32
from rtsep.engine.tensorrt.driver import Cuda
from rtsep.errors import EngineError, one_line

NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: the default stream of others does not wait for it, nor it for that

SPIN_S = 0.002  # the usual pass is over by then: asked without a nap, as the driver itself waits
NAP_S = 50e-6  # from one question to the next after that
FIRST_S = 30.0  # for what runs for the first time
HANG_S = 1.0  # after which what has run before will not end any more


@dataclass
class Held:
    """A primary context on a thread's stack, and how many have it: pycuda pops the newest, whoever asks."""

    context: Any
    cards: int = 0


class Stack(threading.local):
    """What the calling thread holds, by the module and the GPU's number."""

    def __init__(self) -> None:
        self.held: WeakKeyDictionary[Any, dict[int, Held]] = WeakKeyDictionary()


_stack = Stack()


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
        self._number = number
        self.patience_s = FIRST_S  # that a pass may take
        self.hung = False  # a pass did not end: nothing may wait for the card any more
        held = _stack.held.setdefault(pycuda, {})
        if number not in held:
            context = _told(_told(pycuda.Device, number).retain_primary_context)
            held[number] = Held(context)
            try:
                _told(context.push)
            except EngineError:
                self._release()
                raise
        held[number].cards += 1
        try:
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
        """Wait until all that was enqueued is done, and no longer than `patience_s`.

        Raises:
            EngineError: where it is not done by then, or failed.
        """
        began, stream = time.monotonic(), self.handle
        while not self.hung and not self.cuda.done(stream):
            waited_s = time.monotonic() - began
            self.hung = waited_s > self.patience_s
            if waited_s > SPIN_S:
                time.sleep(NAP_S)
        if self.hung:
            raise EngineError(f"the GPU hangs: a pass did not end in {self.patience_s:.1f} s; start rtsep again")

    def close(self, *ends: Callable[[], None]) -> None:
        """Wait for the card, take each step, then give back stream and context. Nothing is raised.

        A card that hangs is left as it is, with all that lies on it: to free anything would wait for it.

        Args:
            ends: what must happen while the context is there, in order.
        """
        if self.hung:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object((self, ends)))  # none of it is ever freed
            self._release(detach=False)
            return
        for end in (self.synchronise, *ends):
            with suppress(Exception):  # a card that is lost fails everything, and the rest is to be done
                end()
        self.stream = None
        self._release()

    def _release(self, detach: bool = True) -> None:
        """Pop and release the context, if nobody else on the thread has it.

        pycuda pushes it once more to release it, and the driver leaves it there; a step that fails keeps none from
        being taken, since a context that stays on pycuda's stack ends the process with its thread.
        """
        held = _stack.held.get(self._pycuda, {})
        if self._number not in held:  # another thread has it, where alone it can be given back
            return
        held[self._number].cards -= 1
        if held[self._number].cards > 0:
            return
        context = held.pop(self._number).context
        steps = [context.pop]
        if detach:
            steps += [context.detach, lambda: self.cuda.number("cuCtxPopCurrent_v2", kind=ctypes.c_void_p)]
        for step in steps:
            with suppress(Exception):
                step()
