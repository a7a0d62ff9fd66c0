"""The control of the dropout tests: a native echo from ring to ring, with no signal path, mixer or host in it.

JACK's callback (a numba cfunc, no GIL) writes its input to ring A and takes its output from ring B; a native
thread moves frames from A to B. B starts with `slack` + one block of zeros, which is the echo's delay. Where this
underflows, the machine has stalled, and no host with the same slack could have played on.

    python -m benchmarks.echo --seconds 10 --slack 256 [--server NAME]

prints its figures as JSON. Beside a host it runs as a process of its own on the same JACK server.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import threading
import time
from typing import Any, Self

import numpy as np
from numba import carray, types

from rtsep.dsp.native import callback_kernel, clock_ns, kernel, load_acquire, store_release
from rtsep.host.device_io import LARGEST_BLOCK
from rtsep.host.jack_callbacks import port_buffer
from rtsep.host.jack_library import (
    AUDIO,
    CLIENT,
    IS_INPUT,
    IS_OUTPUT,
    address,
    answered,
    audio_ports,
    jack_library,
    open_client,
    sample_rate,
)
from tests.support.card import CardError, VirtualCard

CHANNELS = 2
RING = 1 << 15  # frames of either ring
BINS, BIN_US = 10_000, 10  # histogram of the time between callbacks: up to 100 ms
STATE = np.dtype(
    [
        ("a_written", np.int64),  # from here to "a_read" the callback writes
        ("b_read", np.int64),
        ("overflows", np.int64),
        ("underflows", np.int64),
        ("callbacks", np.int64),
        ("last_ns", np.int64),
        ("pending_drops", np.int64),
        ("longest_ns", np.int64),
        ("histogram", np.int64, (BINS,)),
        ("a_read", np.int64),  # from here on the worker, but for "stop"
        ("b_written", np.int64),
        ("worker_longest_ns", np.int64),
        ("stop", np.int64),
        ("a", np.float32, (RING * CHANNELS,)),
        ("b", np.float32, (RING * CHANNELS,)),
        ("given", np.float32, (LARGEST_BLOCK * CHANNELS,)),
        ("wanted", np.float32, (LARGEST_BLOCK * CHANNELS,)),
        ("in_ports", np.int64, (CHANNELS,)),  # addresses
        ("out_ports", np.int64, (CHANNELS,)),
        ("get_buffer", np.int64),
    ],
    align=True,
)
usleep = types.ExternalFunction("usleep", types.int32(types.uint32))


@kernel
def pass_echo(states: Any, given: Any, wanted: Any) -> None:
    """Pass a block: input to A, B to output, both counted; (frames * CHANNELS,) each, interleaved."""
    state = states[0]
    frames = len(wanted) // CHANNELS
    now = clock_ns()
    if state.last_ns:
        interval = now - state.last_ns
        state.histogram[min(interval // (BIN_US * 1000), BINS - 1)] += 1
        state.longest_ns = max(state.longest_ns, interval)
    state.last_ns = now
    state.callbacks += 1

    written = state.a_written
    if RING - (written - load_acquire(states, "a_read")) < frames:
        state.overflows += 1
    else:
        for i in range(frames * CHANNELS):
            state.a[(written * CHANNELS + i) % (RING * CHANNELS)] = given[i]
        store_release(states, "a_written", written + frames)

    read = state.b_read
    ready = load_acquire(states, "b_written") - read
    late = min(ready, state.pending_drops)  # silence was played in place of these, so that the delay stays
    read += late
    state.pending_drops -= late
    if ready - late < frames:
        state.underflows += 1
        state.pending_drops += frames
        wanted[:] = 0
    else:
        for i in range(frames * CHANNELS):
            wanted[i] = state.b[(read * CHANNELS + i) % (RING * CHANNELS)]
        read += frames
    store_release(states, "b_read", read)


@callback_kernel(types.int32(types.uint32, types.voidptr))
def callback(count: Any, userdata: Any) -> int:
    """JACK's callback."""
    states = carray(userdata, (1,), STATE)
    state = states[0]
    frames = np.int64(count)
    given, wanted = state.given[: frames * CHANNELS], state.wanted[: frames * CHANNELS]
    for channel in range(CHANNELS):
        port = port_buffer(state.get_buffer, state.in_ports[channel], frames)
        for i in range(frames):
            given[i * CHANNELS + channel] = port[i]
    pass_echo(states, given, wanted)
    for channel in range(CHANNELS):
        port = port_buffer(state.get_buffer, state.out_ports[channel], frames)
        for i in range(frames):
            port[i] = wanted[i * CHANNELS + channel]
    return 0


@kernel
def work(states: Any) -> None:
    """Move frames from A to B until told to stop; looks every 200 us."""
    state = states[0]
    before = clock_ns()
    while not load_acquire(states, "stop"):
        read, written = state.a_read, state.b_written
        frames = min(load_acquire(states, "a_written") - read, RING - (written - load_acquire(states, "b_read")))
        for i in range(frames * CHANNELS):
            state.b[(written * CHANNELS + i) % (RING * CHANNELS)] = state.a[(read * CHANNELS + i) % (RING * CHANNELS)]
        store_release(states, "a_read", read + frames)
        store_release(states, "b_written", written + frames)
        usleep(200)
        now = clock_ns()
        state.worker_longest_ns = max(state.worker_longest_ns, now - before)
        before = now


class Echo:
    """The running echo: a context manager; `report` at any time.

    Arguments:
        rate: the JACK server's, in Hz.
        block: the server's, in frames.
        slack: frames that may be late without a gap.
        fifo: real-time priority of the worker, 0 for none.
        name: of the client; it connects itself to the card's own ports.
    """

    def __init__(self, rate: int, block: int, slack: int, fifo: int = 0, name: str = CLIENT) -> None:
        if not 0 <= slack <= RING - 2 * block:
            raise ValueError(f"slack {slack} must lie between 0 and {RING - 2 * block} frames")
        self.rate, self.block, self.slack, self.fifo = rate, block, slack, fifo
        self.state = np.zeros(1, STATE)
        self.state["stop"] = 1
        work(self.state)  # compiles, and returns at once
        self.state["stop"] = 0
        self.state["b_written"] = slack + block
        self.worker = threading.Thread(target=self._work, daemon=True)
        self.name, self.started_s = name, 0.0
        self.jack, self.client = jack_library(), open_client(name)
        if sample_rate(self.client) != rate:
            raise CardError(f"the server runs at {sample_rate(self.client)} Hz, not at {rate}")
        self.state["get_buffer"] = address(self.jack.jack_port_get_buffer)
        for field, flag in (("in_ports", IS_INPUT), ("out_ports", IS_OUTPUT)):
            for channel in range(CHANNELS):
                port = f"{field.removesuffix('_ports')}_{channel + 1}".encode()
                self.state[field][0, channel] = self.jack.jack_port_register(self.client, port, AUDIO, flag, 0)
        self.jack.jack_set_process_callback(self.client, callback.address, self.state.ctypes.data)

    def _work(self) -> None:
        if self.fifo:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(self.fifo))
        work(self.state)

    def __enter__(self) -> Self:
        self.worker.start()
        self.jack.jack_activate(self.client)
        self.started_s = time.monotonic()
        for flag, ours, swapped in ((IS_OUTPUT, "in", False), (IS_INPUT, "out", True)):
            card = [port for port in audio_ports(self.client, flag) if port.startswith("system:")]
            for channel, port in enumerate(card[:CHANNELS], 1):
                ends = (port.encode(), f"{self.name}:{ours}_{channel}".encode())
                self.jack.jack_connect(self.client, *(reversed(ends) if swapped else ends))
        return self

    def __exit__(self, *_: object) -> None:
        closed = answered(lambda: self.jack.jack_client_close(self.client), 5)
        self.state["stop"] = 1
        self.worker.join(5)
        if not closed:
            raise CardError("the echo's client does not close: its JACK server is gone")

    def report(self) -> dict[str, float]:
        """The figures so far: counts, the callback's intervals, and the longest absence of the worker."""
        state = self.state[0].copy()
        bins = np.cumsum(state["histogram"])
        figures: dict[str, float] = {"sample_rate": self.rate, "block": self.block, "slack": self.slack}
        figures |= {"delay": self.slack + self.block, "seconds": round(time.monotonic() - self.started_s, 3)}
        figures |= {name: int(state[name]) for name in ("callbacks", "underflows", "overflows")}
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)):
            figures[f"interval_{name}_ms"] = float(np.searchsorted(bins, share * bins[-1]) + 1) * BIN_US / 1000
        figures["interval_max_ms"] = float(state["longest_ns"]) / 1e6
        figures["worker_max_ms"] = float(state["worker_longest_ns"]) / 1e6
        return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Native ring-to-ring echo, the control of the dropout tests.")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--slack", type=int, default=256, help="frames that may be late without a gap")
    parser.add_argument("--rate", type=int, default=48000, help="the server's sample rate")
    parser.add_argument("--block", type=int, default=256, help="the server's block")
    parser.add_argument("--fifo", type=int, default=0, help="real-time priority of the worker, 0: none")
    parser.add_argument("--server", help="a running JACK server; without it, a virtual card is started")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        if options.server:
            os.environ |= {"JACK_DEFAULT_SERVER": options.server, "JACK_NO_START_SERVER": "1"}
        else:
            stack.enter_context(VirtualCard(options.rate, options.block))
        echo = Echo(options.rate, options.block, options.slack, options.fifo, f"echo{os.getpid()}")
        with echo:
            time.sleep(options.seconds)
            print(json.dumps(echo.report(), indent=2))


if __name__ == "__main__":
    main()
