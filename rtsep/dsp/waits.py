"""The native half of the operating system: the clock, sleeps, semaphores, and how a thread is scheduled.

`core/system.py` says what there is. Where there are no semaphores with a deadline, they are counters in
memory, looked at every `STEP_NS`: no rights, no kernel objects, and a wake that comes up to a step later.
These are the parts that `rtsep.dsp.native` makes kernels of.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable
from numpy.typing import NDArray

from rtsep.core.system import FIFO, HERE

STEP_NS = 250_000  # what a wake may cost in the fallback; a look costs some microseconds of a core
SEMAPHORE = np.int64, 8  # dtype and length of an array that holds one sem_t, or the counter in its first
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_BILLION = 1_000_000_000
_TIMESPEC = ir.LiteralStructType([_I64, _I64])


def _call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """Call a C function of the process."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _timespec(builder: Any, ns: Any) -> Any:
    spec = cgutils.alloca_once(builder, _TIMESPEC)
    builder.store(builder.sdiv(ns, _I64(_BILLION)), cgutils.gep_inbounds(builder, spec, 0, 0))
    builder.store(builder.srem(ns, _I64(_BILLION)), cgutils.gep_inbounds(builder, spec, 0, 1))
    return spec


def _posix_clock(builder: Any) -> Any:
    spec = cgutils.alloca_once(builder, _TIMESPEC)
    _call(builder, "clock_gettime", _I32, _I32(HERE.clock), spec)
    seconds = builder.load(cgutils.gep_inbounds(builder, spec, 0, 0))
    return builder.add(builder.mul(seconds, _I64(_BILLION)), builder.load(cgutils.gep_inbounds(builder, spec, 0, 1)))


def _windows_clock(builder: Any) -> Any:
    count, frequency = cgutils.alloca_once(builder, _I64), cgutils.alloca_once(builder, _I64)
    _call(builder, "QueryPerformanceCounter", _I32, count)
    _call(builder, "QueryPerformanceFrequency", _I32, frequency)
    ticks, rate = builder.load(count), builder.load(frequency)
    rest = builder.sdiv(builder.mul(builder.srem(ticks, rate), _I64(_BILLION)), rate)
    return builder.add(builder.mul(builder.sdiv(ticks, rate), _I64(_BILLION)), rest)


def _posix_sleep(builder: Any, ns: Any) -> None:
    _call(builder, "nanosleep", _I32, _timespec(builder, ns), _TIMESPEC.as_pointer()(None))


def _windows_sleep(builder: Any, ns: Any) -> None:
    milliseconds = builder.sdiv(builder.add(ns, _I64(999_999)), _I64(1_000_000))
    _call(builder, "Sleep", ir.VoidType(), builder.trunc(milliseconds, _I32))


WINDOWS = HERE.clock is None
_read_clock, _sleep = (_windows_clock, _windows_sleep) if WINDOWS else (_posix_clock, _posix_sleep)


@intrinsic
def clock_ns(typingctx: Any) -> Any:
    """Read the monotonic clock, in nanoseconds.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _read_clock(builder)

    return types.int64(), codegen


@intrinsic
def nap(typingctx: Any, ns: Any) -> Any:
    """Sleep for so many nanoseconds, or less if a signal comes.

    Thread: any, within kernels; not real-time safe (waits).
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _sleep(builder, arguments[0])
        return context.get_dummy_value()

    return types.none(types.int64), codegen


@intrinsic
def _add(typingctx: Any, address: Any, value: Any) -> Any:
    """Add to an int64 in memory, in one step ordered both ways; give what it held."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], _I64.as_pointer())
        return builder.atomic_rmw("add", pointer, arguments[1], "acq_rel")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def _swap_if(typingctx: Any, address: Any, expected: Any, value: Any) -> Any:
    """Write an int64 in memory if it still holds what is expected; say whether it did."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], _I64.as_pointer())
        found = builder.cmpxchg(pointer, arguments[1], arguments[2], "acq_rel", "acquire")
        return builder.extract_value(found, 1)

    return types.boolean(types.int64, types.int64, types.int64), codegen


@register_jitable
def _poll_init(semaphore: int) -> None:
    _add(semaphore, -_add(semaphore, 0))


@register_jitable
def _poll_post(semaphore: int) -> None:
    _add(semaphore, 1)


@register_jitable
def _poll_wait(semaphore: int, deadline_ns: int) -> bool:
    while True:
        posts = _add(semaphore, 0)
        if posts > 0:
            if _swap_if(semaphore, posts, posts - 1):
                return True
            continue  # another waiter or a post came between
        left = deadline_ns - clock_ns()
        if left <= 0:
            return False
        nap(min(left, STEP_NS))


def _semaphore_function(name: str, *numbers: int) -> Any:
    """An intrinsic that calls a function of semaphores, by address, with constant numbers behind it."""

    @intrinsic
    def function(typingctx: Any, semaphore: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], cgutils.voidptr_t)
            _call(builder, name, _I32, pointer, *(_I32(number) for number in numbers))
            return context.get_dummy_value()

        return types.none(types.int64), codegen

    return function


_sem_init, _sem_post = _semaphore_function("sem_init", 0, 0), _semaphore_function("sem_post")


@intrinsic
def _sem_wait(typingctx: Any, semaphore: Any, deadline_ns: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], cgutils.voidptr_t)
        spec = _timespec(builder, arguments[1])
        result = _call(builder, "sem_clockwait", _I32, pointer, _I32(HERE.clock), spec)
        return builder.icmp_signed("==", result, _I32(0))

    return types.boolean(types.int64, types.int64), codegen


init, post, wait = (_sem_init, _sem_post, _sem_wait) if HERE.semaphores else (_poll_init, _poll_post, _poll_wait)


# Semaphores between processes. A sem_t has fields that glibc trusts, and it ends the process where they are strange; a
# counter that is a futex has none: the kernel looks at its value alone, whatever the other side has written over it.
_FUTEX_WAKE, _FUTEX_WAIT_BITSET, _ANYONE = 1, 9, 0xFFFFFFFF


def _futex(builder: Any, address: Any, operation: int, value: int, deadline: Any) -> None:
    kind = ir.FunctionType(_I64, [_I64], var_arg=True)
    syscall = cgutils.get_or_insert_function(builder.module, kind, "syscall")
    words = (_I64(HERE.futex), address, _I64(operation), _I64(value), deadline, _I64(0), _I64(_ANYONE))
    builder.call(syscall, words)


@intrinsic
def _futex_wake(typingctx: Any, semaphore: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _futex(builder, arguments[0], _FUTEX_WAKE, 1, _I64(0))
        return context.get_dummy_value()

    return types.none(types.int64), codegen


@intrinsic
def _futex_wait(typingctx: Any, semaphore: Any, deadline_ns: Any) -> Any:
    """Sleep while the low half of the counter is 0, until a deadline at the latest."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        deadline = builder.ptrtoint(_timespec(builder, arguments[1]), _I64)
        _futex(builder, arguments[0], _FUTEX_WAIT_BITSET, 0, deadline)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64), codegen


@register_jitable
def _futex_post(semaphore: int) -> None:
    _add(semaphore, 1)
    _futex_wake(semaphore)


@register_jitable
def _wait_futex(semaphore: int, deadline_ns: int) -> bool:
    while True:
        posts = _add(semaphore, 0)
        if posts > 0:
            return _swap_if(semaphore, posts, 0)  # all of them: who wakes looks for all that there is to do
        if clock_ns() >= deadline_ns:
            return False
        _futex_wait(semaphore, deadline_ns)
        if posts < 0:  # written over
            _swap_if(semaphore, posts, 0)


shared_post, shared_wait = (_futex_post, _wait_futex) if HERE.futex else (_poll_post, _poll_wait)


@intrinsic
def scheduler(typingctx: Any) -> Any:
    """Read the calling thread's scheduler, by the system's number; 0 where threads have none of their own.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if not HERE.thread_policy:
            return _I64(0)
        return builder.sext(_call(builder, "sched_getscheduler", _I32, _I32(0)), _I64)

    return types.int64(), codegen


@intrinsic
def priority(typingctx: Any) -> Any:
    """Read the calling thread's real-time priority; 0 without one.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if not HERE.thread_policy:
            return _I64(0)
        parameter = cgutils.alloca_once_value(builder, _I32(0))  # sched_param is this one number
        _call(builder, "sched_getparam", _I32, _I32(0), parameter)
        return builder.sext(builder.load(parameter), _I64)

    return types.int64(), codegen


@intrinsic
def become_fifo(typingctx: Any, priority: Any) -> Any:
    """Give the calling thread a priority of SCHED_FIFO, where the system has that and grants it.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if HERE.thread_policy:
            parameter = cgutils.alloca_once(builder, _I32)
            builder.store(builder.trunc(arguments[0], _I32), parameter)
            _call(builder, "sched_setscheduler", _I32, _I32(0), _I32(FIFO), parameter)
        return context.get_dummy_value()

    return types.none(types.int64), codegen


def semaphore_memory() -> NDArray[np.int64]:
    """Make room for one semaphore, not yet initialised.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    return np.zeros(SEMAPHORE[1], SEMAPHORE[0])
