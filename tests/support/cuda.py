"""A card that is none: libcuda and pycuda, as far as the runtime uses them; tests/support/tensorrt.py goes on.

What the real ones refuse is refused here: calls without a context or on another thread, copies of memory that is not
pinned, a graph that is launched after its memory was freed, waiting inside a capture. libcuda's functions are real C
functions (ctypes callbacks), so that arguments are passed as they are to the driver.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rtsep.engine.tensorrt.driver import Gpu

GPU = Gpu(0, "NVIDIA Card of Tests", (8, 9), 8 << 30, "0000:01:00.0")
MEMORY_BYTES = 1 << 28
TEXT, INT, POINTER = ctypes.c_char_p, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_void_p)
NAMES = {100: b"CUDA_ERROR_NO_DEVICE", 2: b"CUDA_ERROR_OUT_OF_MEMORY", 700: b"CUDA_ERROR_ILLEGAL_ADDRESS"}


class CudaError(Exception):
    """As pycuda raises them."""


@dataclass
class Recorded:
    """What is enqueued into a stream: done at once, or kept while it is captured."""

    work: Callable[[], None]
    name: str


@dataclass
class FakeCard:
    """All that the three libraries share: one card, one stream of work in order."""

    lost: bool = False  # every call fails from now on
    fail_after: int | None = None  # launches until it is lost
    capturable: bool = True
    hangs: bool = False  # what was enqueued never ends, and whoever waits or frees waits for ever
    pop_fails: bool = False  # of pycuda's context
    room: int = MEMORY_BYTES
    calls: list[str] = field(default_factory=list)  # in order, of what is to be seen
    memory: dict[int, np.ndarray[Any, Any]] = field(default_factory=dict)  # by address
    pinned: dict[int, int] = field(default_factory=dict)  # sizes by address
    capture: list[Recorded] | None = None
    graphs: dict[int, list[Recorded]] = field(default_factory=dict)
    thread: int | None = None  # whose stack has the context
    contexts: int = 0  # on the driver's stack
    retained: int = 0
    next: int = 0x1000

    def new(self) -> int:
        """Give a handle, or an address that is aligned as the driver aligns."""
        self.next += 0x1000
        return self.next

    def check(self, name: str) -> None:
        """See that a call may be made now."""
        if self.lost:
            raise CudaError(f"{name} failed: device lost")
        if not self.contexts or threading.get_ident() != self.thread:
            raise CudaError(f"{name} failed: invalid device context")

    def enqueue(self, name: str, work: Callable[[], None]) -> None:
        """Do something in the stream, or keep it for the graph."""
        self.check(name)
        if self.capture is not None:
            self.capture.append(Recorded(work, name))
        else:
            work()

    def launched(self) -> None:
        """Count a launch, which may be the last."""
        if self.fail_after is not None:
            self.fail_after -= 1
            self.lost = self.fail_after < 0


# libcuda -------------------------------------------------------------------------------------------


class FakeLibrary:
    """libcuda, as ctypes gives it."""

    def __init__(self, card: FakeCard | None = None, start: int = 0, gpus: tuple[Gpu, ...] = (GPU,)) -> None:
        self._card, self._start, self._gpus = card or FakeCard(), start, gpus
        for name, kinds in SIGNATURES.items():
            setattr(self, name, ctypes.CFUNCTYPE(ctypes.c_int, *kinds)(getattr(self, f"_{name}")))

    def _cuInit(self, flags: int) -> int:  # noqa: N802
        return self._start

    def _cuGetErrorName(self, code: int, text: Any) -> int:  # noqa: N802
        text[0] = NAMES.get(code)
        return 0 if code in NAMES else 1

    def _cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version[0] = 13000
        return 0

    def _cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count[0] = len(self._gpus)
        return 0

    def _cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        device[0] = number
        return 0

    def _cuDeviceGetName(self, name: Any, size: int, device: int) -> int:  # noqa: N802
        ctypes.memmove(name, self._gpus[device].name.encode() + b"\0", min(size, len(self._gpus[device].name) + 1))
        return 0

    def _cuDeviceGetAttribute(self, value: Any, attribute: int, device: int) -> int:  # noqa: N802
        value[0] = dict(zip((75, 76), self._gpus[device].capability, strict=True))[attribute]
        return 0

    def _cuDeviceTotalMem_v2(self, size: Any, device: int) -> int:  # noqa: N802
        size[0] = self._gpus[device].memory_bytes
        return 0

    def _cuDeviceGetPCIBusId(self, place: Any, size: int, device: int) -> int:  # noqa: N802
        ctypes.memmove(place, self._gpus[device].pci.encode() + b"\0", len(self._gpus[device].pci) + 1)
        return 0 if self._gpus[device].pci else 801

    def _cuStreamQuery(self, stream: int) -> int:  # noqa: N802
        if self._card.lost or self._card.capture is not None:
            return 700
        self._card.check("cuStreamQuery")
        return 600 if self._card.hangs else 0

    def _cuCtxPopCurrent_v2(self, context: Any) -> int:  # noqa: N802
        self._card.contexts -= 1
        return 0

    def _cuStreamBeginCapture_v2(self, stream: int, mode: int) -> int:  # noqa: N802
        assert mode == 1, "thread-local"
        if not self._card.capturable:
            return 900
        self._card.capture = []
        return 0

    def _cuStreamEndCapture(self, stream: int, graph: Any) -> int:  # noqa: N802
        graph[0] = self._card.new()
        self._card.graphs[graph[0]] = self._card.capture or []
        self._card.capture = None
        return 0

    def _cuGraphInstantiateWithFlags(self, executable: Any, graph: int, flags: int) -> int:  # noqa: N802
        executable[0] = self._card.new()
        self._card.graphs[executable[0]] = self._card.graphs[graph]
        return 0

    def _cuGraphUpload(self, executable: int, stream: int) -> int:  # noqa: N802
        return 0

    def _cuGraphLaunch(self, executable: int, stream: int) -> int:  # noqa: N802
        self._card.launched()
        if self._card.lost:
            return 700
        self._card.calls.append("launch")
        for recorded in self._card.graphs[executable]:
            recorded.work()
        return 0

    def _cuGraphDestroy(self, graph: int) -> int:  # noqa: N802
        del self._card.graphs[graph]
        return 0

    def _cuGraphExecDestroy(self, executable: int) -> int:  # noqa: N802
        self._card.calls.append("destroy graph")
        return self._cuGraphDestroy(executable)

    def _cuEventCreate(self, event: Any, flags: int) -> int:  # noqa: N802
        event[0] = self._card.new()
        return 0

    def _cuEventRecordWithFlags(self, event: int, stream: int, flags: int) -> int:  # noqa: N802
        assert flags == (self._card.capture is not None), "external inside a graph, and there alone"
        self._card.enqueue("cuEventRecordWithFlags", lambda: None)
        return 0

    def _cuEventElapsedTime(self, elapsed: Any, before: int, after: int) -> int:  # noqa: N802
        elapsed[0] = (after - before) / 0x1000 * 0.25
        return 0

    def _cuEventDestroy_v2(self, event: int) -> int:  # noqa: N802
        self._card.calls.append("destroy event")
        return 0


HANDLE, SIZE = ctypes.c_void_p, ctypes.c_int
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (ctypes.c_uint,),
    "cuGetErrorName": (SIZE, ctypes.POINTER(TEXT)),
    "cuDriverGetVersion": (INT,),
    "cuDeviceGetCount": (INT,),
    "cuDeviceGet": (INT, SIZE),
    "cuDeviceGetName": (HANDLE, SIZE, SIZE),
    "cuDeviceGetAttribute": (INT, SIZE, SIZE),
    "cuDeviceTotalMem_v2": (ctypes.POINTER(ctypes.c_size_t), SIZE),
    "cuDeviceGetPCIBusId": (HANDLE, SIZE, SIZE),
    "cuStreamQuery": (HANDLE,),
    "cuCtxPopCurrent_v2": (POINTER,),
    "cuStreamBeginCapture_v2": (HANDLE, SIZE),
    "cuStreamEndCapture": (HANDLE, POINTER),
    "cuGraphInstantiateWithFlags": (POINTER, HANDLE, ctypes.c_ulonglong),
    "cuGraphUpload": (HANDLE, HANDLE),
    "cuGraphLaunch": (HANDLE, HANDLE),
    "cuGraphDestroy": (HANDLE,),
    "cuGraphExecDestroy": (HANDLE,),
    "cuEventCreate": (POINTER, ctypes.c_uint),
    "cuEventRecordWithFlags": (HANDLE, HANDLE, ctypes.c_uint),
    "cuEventElapsedTime": (ctypes.POINTER(ctypes.c_float), HANDLE, HANDLE),
    "cuEventDestroy_v2": (HANDLE,),
}


# pycuda --------------------------------------------------------------------------------------------


class FakeAllocation:
    """Memory on the card."""

    def __init__(self, card: FakeCard, size: int) -> None:
        self._card, self._address = card, card.new()
        card.next += size
        card.memory[self._address] = np.full(size, 0xAA, np.uint8)  # whatever was there before

    def __int__(self) -> int:
        return self._address

    def free(self) -> None:
        self._card.calls.append("free")  # which waits for the card: one that hangs must not be asked
        self._card.check("cuMemFree")
        del self._card.memory[self._address]


class FakeStream:
    """The one stream; the engine waits for it by the driver's own call."""

    handle = 0x77


class FakeContext:
    """The primary context, with pycuda's stack and the driver's."""

    def __init__(self, card: FakeCard) -> None:
        self._card = card
        card.retained += 1

    def push(self) -> None:
        self._card.thread = threading.get_ident()
        self._card.contexts += 1

    def pop(self) -> None:
        if threading.get_ident() != self._card.thread:
            raise CudaError("context::pop failed: invalid device context - cannot pop non-current context")
        if self._card.pop_fails:
            raise CudaError("context::pop failed: device lost")
        self._card.contexts -= 1

    def detach(self) -> None:
        """Pushes it, to release it, and leaves it on the driver's stack."""
        self._card.contexts += 1
        self._card.retained -= 1
        self._card.calls.append("release context")


class FakeDevice:
    """A GPU by its number."""

    def __init__(self, card: FakeCard, number: int) -> None:
        self._card = card

    def retain_primary_context(self) -> FakeContext:
        if self._card.lost:
            raise CudaError("cuDevicePrimaryCtxRetain failed: device lost")
        return FakeContext(self._card)


class FakePycuda:
    """The module pycuda.driver."""

    def __init__(self, card: FakeCard) -> None:
        self._card = card

    def init(self) -> None:
        pass

    def Device(self, number: int) -> FakeDevice:  # noqa: N802
        return FakeDevice(self._card, number)

    def Stream(self, flags: int) -> FakeStream:  # noqa: N802
        assert flags == 1, "the default stream of others must not wait for it"
        self._card.check("cuStreamCreate")
        return FakeStream()

    def pagelocked_empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
        self._card.check("cuMemHostAlloc")
        array = np.full(shape, np.nan, dtype)
        self._card.pinned[array.ctypes.data] = array.nbytes
        return array

    def mem_alloc(self, size: int) -> FakeAllocation:
        self._card.check("cuMemAlloc")
        if size + sum(memory.nbytes for memory in self._card.memory.values()) > self._card.room:
            raise CudaError("cuMemAlloc failed: out of memory")
        return FakeAllocation(self._card, size)

    def memset_d8_async(self, address: int, value: int, size: int, stream: FakeStream) -> None:
        self._card.enqueue("cuMemsetD8Async", lambda: self._card.memory[address][:size].fill(value))

    def memcpy_htod_async(self, address: int, array: np.ndarray[Any, Any], stream: FakeStream) -> None:
        assert self._card.pinned[array.ctypes.data] == array.nbytes
        self._card.enqueue("upload", lambda: np.copyto(self._card.memory[address], array.view(np.uint8).ravel()))

    def memcpy_dtoh_async(self, array: np.ndarray[Any, Any], address: int, stream: FakeStream) -> None:
        assert self._card.pinned[array.ctypes.data] == array.nbytes
        there = self._card.memory
        self._card.enqueue("download", lambda: np.copyto(array.reshape(-1).view(np.uint8), there[address]))
