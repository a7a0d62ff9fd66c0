"""CUDA graphs by libcuda itself, as pycuda has none: capture of a stream, launches, and events inside a graph.

The mode of capture is thread-local: whatever other threads ask of the card meanwhile neither enters the graph nor
spoils it. An event that is recorded in a captured stream times nothing unless it is recorded as external, as a node of
the graph; pycuda cannot do that either, so events are the driver's own here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress

from rtsep.engine.tensorrt.driver import Cuda
from rtsep.errors import EngineError

THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
EXTERNAL = 1  # CU_EVENT_RECORD_EXTERNAL: a node of the graph
TIMED = 0  # CU_EVENT_DEFAULT


class Events:
    """Marks in a stream, and the times between them; of one thread.

    Args:
        cuda: whose context is current.
        count: how many marks.
    """

    def __init__(self, cuda: Cuda, count: int) -> None:
        self._cuda = cuda
        self._elapsed = ctypes.c_float()
        self._events = [ctypes.c_void_p() for _ in range(count)]
        for event in self._events:
            cuda.call("cuEventCreate", ctypes.byref(event), TIMED)

    def record(self, number: int, stream: int, captured: bool) -> None:
        """Put a mark into a stream.

        Args:
            number: of the mark.
            stream: its handle.
            captured: whether the stream is being captured.
        """
        event, handle = self._events[number], ctypes.c_void_p(stream)
        self._cuda.call("cuEventRecordWithFlags", event, handle, EXTERNAL if captured else TIMED)

    def elapsed_ms(self, number: int) -> float:
        """Give the time from the mark before to a mark, both of which the card has passed, in milliseconds."""
        before, after = self._events[number - 1 : number + 1]
        self._cuda.call("cuEventElapsedTime", ctypes.byref(self._elapsed), before, after)
        return self._elapsed.value

    def close(self) -> None:
        """Give them back; a card that is lost is not asked twice."""
        for event in self._events:
            with suppress(EngineError):
                self._cuda.call("cuEventDestroy_v2", event)
        self._events = []


class CudaGraph:
    """What was captured of a stream, launched as often as one likes with one call.

    Args:
        cuda: whose context is current.
        stream: handle of the stream, which is not the default one.
        work: enqueues what is to be captured; nothing of it runs yet.

    Raises:
        EngineError: where something was enqueued that cannot be captured.
    """

    def __init__(self, cuda: Cuda, stream: int, work: Callable[[], None]) -> None:
        self._cuda = cuda
        self._stream = ctypes.c_void_p(stream)
        self._executable = ctypes.c_void_p()
        graph = ctypes.c_void_p()
        cuda.call("cuStreamBeginCapture_v2", self._stream, THREAD_LOCAL)
        try:
            work()
        except BaseException:
            with suppress(EngineError):  # ended all the same, else the stream is of no use any more
                cuda.call("cuStreamEndCapture", self._stream, ctypes.byref(graph))
            self._destroy_graph(graph)
            raise
        cuda.call("cuStreamEndCapture", self._stream, ctypes.byref(graph))
        try:
            cuda.call("cuGraphInstantiateWithFlags", ctypes.byref(self._executable), graph, ctypes.c_ulonglong(0))
            cuda.call("cuGraphUpload", self._executable, self._stream)
        finally:
            self._destroy_graph(graph)

    def launch(self) -> None:
        """Enqueue all of it in its stream.

        Raises:
            EngineError: where the card is lost.
        """
        self._cuda.call("cuGraphLaunch", self._executable, self._stream)

    def close(self) -> None:
        """Give it back; the card must be through with it."""
        if self._executable:
            with suppress(EngineError):
                self._cuda.call("cuGraphExecDestroy", self._executable)
            self._executable = ctypes.c_void_p()

    def _destroy_graph(self, graph: ctypes.c_void_p) -> None:
        if graph:
            with suppress(EngineError):
                self._cuda.call("cuGraphDestroy", graph)
