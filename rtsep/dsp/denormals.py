"""Denormal numbers count as zero: below 1.2e-38, where a processor may take a hundred times as long for each sum.

They come when a signal dies away: then a hop takes 2.2 ms instead of 0.07, and a U-Net's pass three times its time. The
setting is the thread's, and what a thread starts begins with it.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rtsep.dsp.native import kernel

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_FLUSH_X86 = 0x8040  # of MXCSR: results (FTZ) and operands (DAZ)
_FLUSH_ARM = 1 << 24  # of FPCR: FZ
MACHINE = {"x86_64": "x86", "AMD64": "x86", "aarch64": "arm", "arm64": "arm"}.get(platform.machine())


def _intrinsic(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """Call one of LLVM's own functions; not inline assembly, for which numba loads no parser on ARM."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}"), arguments)


def _read(builder: Any) -> Any:
    if MACHINE == "arm":
        return _intrinsic(builder, "aarch64.get.fpcr", _I64)
    if MACHINE == "x86":
        memory = cgutils.alloca_once(builder, _I32)
        _intrinsic(builder, "x86.sse.stmxcsr", ir.VoidType(), builder.bitcast(memory, cgutils.voidptr_t))
        return builder.zext(builder.load(memory), _I64)
    return _I64(0)


def _write(builder: Any, value: Any) -> None:
    if MACHINE == "arm":
        _intrinsic(builder, "aarch64.set.fpcr", ir.VoidType(), value)
    elif MACHINE == "x86":
        memory = cgutils.alloca_once(builder, _I32)
        builder.store(builder.trunc(value, _I32), memory)
        _intrinsic(builder, "x86.sse.ldmxcsr", ir.VoidType(), builder.bitcast(memory, cgutils.voidptr_t))


@intrinsic
def flush_denormals(typingctx: Any) -> Any:
    """Take denormals for zero on the calling thread, where the processor can.

    Returns:
        The setting of before, for `restore_denormals`: a kernel may run on Python's own threads, too.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        before = _read(builder)
        _write(builder, builder.or_(before, _I64(_FLUSH_ARM if MACHINE == "arm" else _FLUSH_X86)))
        return before

    return types.int64(), codegen


@intrinsic
def restore_denormals(typingctx: Any, before: Any) -> Any:
    """Go back to a setting that `flush_denormals` gave.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _write(builder, arguments[0])
        return context.get_dummy_value()

    return types.none(types.int64), codegen


@kernel
def _flush() -> int:
    return flush_denormals()


@kernel
def _restore(before: int) -> None:
    restore_denormals(before)


@contextmanager
def without_denormals() -> Iterator[None]:
    """Take denormals for zero in whatever the calling thread runs within the block, libraries too.

    Thread: any, for itself; not real-time safe (Python).
    """
    before = _flush()
    try:
        yield
    finally:
        _restore(before)
