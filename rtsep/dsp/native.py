"""The floor under the native code: kernels, ordered memory access, the clock, semaphores.

Everything here runs without the GIL. What the operating system has to do with it is in `dsp/waits.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from rtsep.dsp import waits
from rtsep.dsp.kernel_cache import keeping
from rtsep.dsp.waits import clock_ns as clock_ns

kernel = keeping(numba.njit, nogil=True, fastmath=False)
inlined = numba.njit(inline="always")  # a part of the one kernel that calls it, compiled with it and not twice


@kernel
def start() -> None:
    """Do nothing: with the first kernel numba's own machinery is loaded, which takes a while.

    Thread: any, before the sound starts; not real-time safe (loads numba's compiler).
    """


def callback_kernel(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make a C function with the given numba signature, as a decorator.

    Thread: any, before the sound starts; not real-time safe (compiles).
    """
    return keeping(numba.cfunc, signature, nopython=True)


def _field_pointer(context: Any, builder: Any, records_type: Any, records: Any, field: str) -> Any:
    """The address of a field of the first record of an array."""
    array = context.make_array(records_type)(context, builder, records)
    offset = records_type.dtype.offset(field)
    base = builder.bitcast(array.data, cgutils.voidptr_t)
    return builder.bitcast(cgutils.pointer_add(builder, base, offset), ir.IntType(64).as_pointer())


@intrinsic(prefer_literal=True)
def load_acquire(typingctx: Any, records: Any, field: Any) -> Any:
    """Read an int64 field, by its literal name, of the first of some records.

    What its writer stored before it is then visible.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _field_pointer(context, builder, records, arguments[0], field.literal_value)
        return builder.load_atomic(pointer, ordering="acquire", align=8)

    return types.int64(records, field), codegen


@intrinsic(prefer_literal=True)
def store_release(typingctx: Any, records: Any, field: Any, value: Any) -> Any:
    """Write an int64 field, by its literal name, of the first of some records.

    It is written after everything that was written before it.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _field_pointer(context, builder, records, arguments[0], field.literal_value)
        number = context.cast(builder, arguments[2], value, types.int64)
        builder.store_atomic(number, pointer, ordering="release", align=8)
        return context.get_dummy_value()

    return types.none(records, field, value), codegen


@intrinsic(prefer_literal=True)
def exchange(typingctx: Any, records: Any, field: Any, value: Any) -> Any:
    """Write an int64 field, by its literal name, of the first of some records, and give what it held.

    It is one step, ordered both ways.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _field_pointer(context, builder, records, arguments[0], field.literal_value)
        number = context.cast(builder, arguments[2], value, types.int64)
        return builder.atomic_rmw("xchg", pointer, number, "acq_rel")

    return types.int64(records, field, value), codegen


@intrinsic
def fence_release(typingctx: Any) -> Any:
    """Keep what is written after from being seen before what was written until here; it costs nothing on x86.

    A release store does not do this: what follows it may pass it.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("release")
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic
def fence(typingctx: Any) -> Any:
    """Keep what was read before from being read again later; for processors that reorder loads.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("acquire")
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic
def pointer_at(typingctx: Any, address: Any) -> Any:
    """Turn an address (an int64) into a pointer that `numba.carray` takes.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


@intrinsic
def call(typingctx: Any, address: Any, one: Any, two: Any, three: Any, four: Any, five: Any) -> Any:
    """Call a C function of five words by its address, so that it is not compiled into its caller.

    The function must be real-time safe itself.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * 5)
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.none(*[types.int64] * 6), codegen


@kernel
def post(semaphore: int) -> None:
    """Wake whoever waits on a semaphore.

    Args:
        semaphore: its address.

    Thread: any; real-time safe.
    """
    waits.post(semaphore)


@kernel
def wait_until(semaphore: int, deadline_ns: int) -> bool:
    """Wait for a post.

    Args:
        semaphore: its address.
        deadline_ns: of the monotonic clock, in nanoseconds.

    Returns:
        False if the deadline passed.

    Thread: any; not real-time safe (waits).
    """
    return waits.wait(semaphore, deadline_ns)


@kernel
def post_shared(semaphore: int) -> None:
    """Wake the other process that waits on a semaphore in shared memory.

    Args:
        semaphore: address of an int64; whatever stands in it does no harm.

    Thread: any; real-time safe.
    """
    waits.shared_post(semaphore)


@kernel
def wait_shared_until(semaphore: int, deadline_ns: int) -> bool:
    """Wait for posts of another process, and take all there are; it may wake without one.

    Args:
        semaphore: address of an int64 in shared memory, 0 at first.
        deadline_ns: of the monotonic clock, in nanoseconds.

    Returns:
        False if the deadline passed.

    Thread: any; not real-time safe (waits).
    """
    return waits.shared_wait(semaphore, deadline_ns)


@kernel
def sleep_until(semaphore: int, deadline_ns: int) -> None:
    """Sleep on a semaphore of one's own that nobody posts.

    Args:
        semaphore: its address.
        deadline_ns: of the monotonic clock, in nanoseconds.

    Thread: any; not real-time safe (waits).
    """
    while clock_ns() < deadline_ns:
        waits.wait(semaphore, deadline_ns)


@kernel
def _init(semaphore: int) -> None:
    waits.init(semaphore)


def semaphore() -> NDArray[np.int64]:
    """Make a native semaphore at zero; keep the array alive and pass `array.ctypes.data` on.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    memory = waits.semaphore_memory()
    _init(memory.ctypes.data)
    return memory
