"""What JACK calls: C functions that pass blocks on, and note what the server tells.

The process callback runs on JACK's real-time thread, the others on its thread for notifications; none takes the GIL.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from rtsep.dsp.native import callback_kernel, kernel, load_acquire, pointer_at, store_release
from rtsep.host.callback import pass_block
from rtsep.host.device_io import LARGEST_BLOCK, PRIMING, STATE, DeviceIO
from rtsep.host.jack_library import CAPTURE, address, jack_library

NEVER = np.int64(2**32)  # more than any latency
CLIENT_STATE = np.dtype(
    [
        ("device_io", np.int64),  # address of a STATE record
        ("retired", np.int64),  # 1: given up; should its server come back, it must not play
        ("shutdown", np.int64),  # 1: thrown out by the server, or the server has ended
        ("unregistered", np.int64),  # ports of anybody that have gone
        ("latency", np.int64),  # frames from our inputs to our outputs
        ("inputs", np.int64),  # ports
        ("outputs", np.int64),
        ("in_ports", np.int64),  # addresses of the ports' own addresses
        ("out_ports", np.int64),
        ("taken", np.int64),  # addresses of the interleaved blocks
        ("played", np.int64),
        ("get_buffer", np.int64),  # addresses of JACK's functions: no name is linked, so that no other libjack is met
        ("get_range", np.int64),
        ("set_range", np.int64),
        ("range", np.int64),  # address of a jack_latency_range_t
    ],
    align=True,
)


class JackMemory(NamedTuple):
    """All that the callbacks of one client touch; it must live as long as the client."""

    state: NDArray[np.void]  # (1,) of CLIENT_STATE
    in_ports: NDArray[np.int64]
    out_ports: NDArray[np.int64]
    taken: NDArray[np.float32]  # (LARGEST_BLOCK, inputs)
    played: NDArray[np.float32]  # (LARGEST_BLOCK, outputs)
    range: NDArray[np.uint32]  # least and most
    device_io: DeviceIO


def jack_memory(device_io: DeviceIO, in_ports: list[int], out_ports: list[int]) -> JackMemory:
    """Make what a client's callbacks touch.

    Args:
        device_io: the host's.
        in_ports: addresses of the client's ports.
        out_ports: the same.

    Thread: any, before the sound starts; not real-time safe (allocates).
    """
    memory = JackMemory(
        state=np.zeros(1, CLIENT_STATE),
        in_ports=np.array(in_ports, np.int64),
        out_ports=np.array(out_ports, np.int64),
        taken=np.full((LARGEST_BLOCK, len(in_ports)), 0, np.float32),  # written, so that its pages are there
        played=np.full((LARGEST_BLOCK, len(out_ports)), 0, np.float32),
        range=np.zeros(2, np.uint32),
        device_io=device_io,
    )
    state, library = memory.state[0], jack_library()
    state["device_io"] = device_io.state.ctypes.data
    state["inputs"], state["outputs"] = len(in_ports), len(out_ports)
    for name in ("in_ports", "out_ports", "taken", "played", "range"):
        array = getattr(memory, name)
        state[name] = array.ctypes.data
    state["get_buffer"] = address(library.jack_port_get_buffer)
    state["get_range"] = address(library.jack_port_get_latency_range)
    state["set_range"] = address(library.jack_port_set_latency_range)
    return memory


@intrinsic
def _port_buffer(typingctx: Any, function: Any, port: Any, frames: Any) -> Any:
    """Call jack_port_get_buffer at an address."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(cgutils.voidptr_t, [cgutils.voidptr_t, ir.IntType(32)])
        target = builder.inttoptr(arguments[0], kind.as_pointer())
        frames = builder.trunc(arguments[2], ir.IntType(32))
        return builder.call(target, [builder.inttoptr(arguments[1], cgutils.voidptr_t), frames])

    return types.voidptr(types.int64, types.int64, types.int64), codegen


@intrinsic
def _port_range(typingctx: Any, function: Any, port: Any, mode: Any, found: Any) -> Any:
    """Call jack_port_get_latency_range or jack_port_set_latency_range at an address."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, i32 = cgutils.voidptr_t, ir.IntType(32)
        target = builder.inttoptr(arguments[0], ir.FunctionType(ir.VoidType(), [pointer, i32, pointer]).as_pointer())
        port, found = (builder.inttoptr(arguments[n], pointer) for n in (1, 3))
        builder.call(target, [port, builder.trunc(arguments[2], i32), found])
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64, types.int64), codegen


@kernel
def port_buffer(function: int, port: int, frames: int) -> NDArray[np.float32]:
    """Give the samples of a port in this block.

    Args:
        function: address of jack_port_get_buffer.
        port: its address.
        frames: of the block.

    Thread: JACK's real-time thread; real-time safe.
    """
    return numba.carray(_port_buffer(function, port, frames), (frames,), np.float32)


@callback_kernel(types.int32(types.uint32, types.voidptr))
def jack_process(frames, userdata):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Serve JACK: a JackProcessCallback.

    Args:
        frames: of the block.
        userdata: address of a CLIENT_STATE record.

    Returns:
        0; a client that was given up says 1, and is called no more.

    Thread: JACK's real-time thread; real-time safe.
    """
    client = numba.carray(userdata, (1,), CLIENT_STATE)
    ours, count = client[0], np.int64(frames)
    in_ports = numba.carray(pointer_at(ours.in_ports), (ours.inputs,), np.int64)
    out_ports = numba.carray(pointer_at(ours.out_ports), (ours.outputs,), np.int64)
    retired = load_acquire(client, "retired")
    if retired or count > LARGEST_BLOCK:
        for port in out_ports:
            port_buffer(ours.get_buffer, port, count)[:] = 0.0
        if not retired:  # the host sees such a block, and says that it is too large
            device_io = numba.carray(pointer_at(ours.device_io), (1,), STATE)[0]
            device_io.frames = count
            if device_io.phase == PRIMING:
                device_io.block = max(device_io.block, count)
            device_io.callbacks += 1
        return np.int32(retired)
    taken = numba.carray(pointer_at(ours.taken), (count if ours.inputs else 0, ours.inputs), np.float32)
    played = numba.carray(pointer_at(ours.played), (count, ours.outputs), np.float32)
    for channel in range(ours.inputs):
        given = port_buffer(ours.get_buffer, in_ports[channel], count)
        for frame in range(count):
            taken[frame, channel] = given[frame]
    pass_block(numba.carray(pointer_at(ours.device_io), (1,), STATE), taken, played)
    for channel in range(ours.outputs):
        wanted = port_buffer(ours.get_buffer, out_ports[channel], count)
        for frame in range(count):
            wanted[frame] = played[frame, channel]
    return np.int32(0)


@callback_kernel(types.int32(types.uint32, types.voidptr))
def jack_buffer_size(frames, userdata):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Tell the host the server's new block: a JackBufferSizeCallback; no block is processed meanwhile.

    Args:
        frames: of a block.
        userdata: address of a CLIENT_STATE record.

    Thread: JACK's, while no block is processed; real-time safe.
    """
    client = numba.carray(userdata, (1,), CLIENT_STATE)
    if not load_acquire(client, "retired"):
        store_release(numba.carray(pointer_at(client[0].device_io), (1,), STATE), "told_block", np.int64(frames))
    return np.int32(0)


@callback_kernel(types.int32(types.voidptr))
def jack_xrun(userdata):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Count a gap that the server tells of: a JackXRunCallback.

    Args:
        userdata: address of a CLIENT_STATE record.

    Thread: JACK's, for notifications; real-time safe.
    """
    client = numba.carray(userdata, (1,), CLIENT_STATE)
    if not load_acquire(client, "retired"):
        numba.carray(pointer_at(client[0].device_io), (1,), STATE)[0].device_underflows += 1
    return np.int32(0)


@callback_kernel(types.void(types.voidptr))
def jack_shutdown(userdata):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Note that the server lets us go, or has ended: a JackShutdownCallback.

    Args:
        userdata: address of a CLIENT_STATE record.

    Thread: JACK's, for notifications; real-time safe.
    """
    store_release(numba.carray(userdata, (1,), CLIENT_STATE), "shutdown", 1)


@callback_kernel(types.void(types.uint32, types.int32, types.voidptr))
def jack_port_registration(port, registered, userdata):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Count the ports that go: a JackPortRegistrationCallback.

    Args:
        port: not used.
        registered: 0 if it goes.
        userdata: address of a CLIENT_STATE record.

    Thread: JACK's, for notifications; real-time safe.
    """
    if not registered:
        client = numba.carray(userdata, (1,), CLIENT_STATE)
        store_release(client, "unregistered", client[0].unregistered + 1)


@callback_kernel(types.void(types.int32, types.voidptr))
def jack_latency(mode, userdata):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Say how late our ports are: a JackLatencyCallback.

    What comes out has the latency of what goes in and ours; what goes in will have that of what comes out and ours.

    Args:
        mode: CAPTURE or PLAYBACK.
        userdata: address of a CLIENT_STATE record.

    Thread: JACK's, for notifications; real-time safe.
    """
    client = numba.carray(userdata, (1,), CLIENT_STATE)
    ours, way = client[0], np.int64(mode)
    in_ports = numba.carray(pointer_at(ours.in_ports), (ours.inputs,), np.int64)
    out_ports = numba.carray(pointer_at(ours.out_ports), (ours.outputs,), np.int64)
    near, far = (in_ports, out_ports) if way == CAPTURE else (out_ports, in_ports)
    found = numba.carray(pointer_at(ours.range), (2,), np.uint32)
    own = load_acquire(client, "latency")
    least, most = NEVER, np.int64(0)
    for port in near:
        _port_range(ours.get_range, port, way, ours.range)
        least, most = min(least, np.int64(found[0])), max(most, np.int64(found[1]))
    found[0], found[1] = (least if least < NEVER else 0) + own, most + own
    for port in far:
        _port_range(ours.set_range, port, way, ours.range)


CALLBACKS = {  # JACK's function that takes each
    "jack_set_process_callback": jack_process,
    "jack_set_buffer_size_callback": jack_buffer_size,
    "jack_set_xrun_callback": jack_xrun,
    "jack_set_latency_callback": jack_latency,
    "jack_set_port_registration_callback": jack_port_registration,
    "jack_on_shutdown": jack_shutdown,
}
