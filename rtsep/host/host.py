"""The host: a clock, the signal path, the engine, and what is known of them."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rtsep.audio.sources import Resampled
from rtsep.audio.writers import StemWriter
from rtsep.core.budget import Budget, default_compute, reserve_s
from rtsep.core.presets import host_block
from rtsep.core.spec import AudioSpec, Latency, WindowSpec
from rtsep.engine.base import Engine
from rtsep.engine.inference import Inference
from rtsep.errors import DeviceError, RtsepError
from rtsep.host.callback import LARGEST_BLOCK, RUNNING, STOPPED, DeviceIO, open_device_io
from rtsep.host.clock import Clock
from rtsep.host.control import Command, Controls, Snapshot
from rtsep.host.inference_worker import InferenceWorker
from rtsep.host.late_masks import LateMasks
from rtsep.host.mixer import MIX, Route, read_meters
from rtsep.host.pipeline import open_pipeline, run_pipeline, warm_up
from rtsep.host.player import Player, ring_frames
from rtsep.host.realtime import PIPELINE_PRIORITY, become_realtime, lock_memory, quiet_python, unlock_memory
from rtsep.host.recorder import Recorder
from rtsep.host.watch import Watch

MEASURED_CALLBACKS = 4  # blocks in the priming phase
PRIMING_S = 5.0
RING_S = 0.5  # capacity of the rings to and from the signal path


@dataclass(frozen=True)
class HostSettings:
    """How a host runs; `compute` is the slack of the out ring in frames, None for the default."""

    window: WindowSpec
    routes: tuple[Route, ...]
    compute: int | None = None
    input_channels: tuple[int, int] = (1, 2)  # of the device, counted from 1
    record: Path | None = None
    loop: bool = False
    freewheel: bool = False  # files without pacing, JACK freewheel: every mask is fresh
    note: str = ""  # what is to be said before the sound


class Host:
    """`with Host(engine, clock, settings, file) as host:` plays until the block is left.

    Args:
        engine: of the model that is played; it is made warm, and not closed.
        clock: drives the sound; not yet open.
        settings: how it runs.
        file: played instead of the device's input, at the clock's rate.

    Raises:
        RtsepError: for what cannot be opened; and when the block is left, what any worker failed with,
            which has stopped the sound.

    Thread: any reads its properties; not real-time safe (Python).
    """

    def __init__(self, engine: Engine, clock: Clock, settings: HostSettings, file: Resampled | None = None) -> None:
        self.engine, self.clock, self.settings = engine, clock, settings
        self._file = file
        model, window = engine.spec, settings.window
        self.device_io = self._open_device_io()
        recording = settings.record is not None
        self.pipeline = open_pipeline(model, window, self.device_io, settings.routes, recording)
        self.controls = Controls(self.pipeline.mixer, model.stems)
        inference = Inference(engine, window, self.pipeline.spectrogram_ring)
        self.worker = InferenceWorker(inference, self.pipeline, window.mask_interval, self._fail)
        self.player = Player(file, self.device_io, settings.loop) if file else None
        self.recorder: Recorder | None = None
        self._latency = Latency()
        self._late_masks: LateMasks | None = None
        self._watch: Watch | None = None
        self._pipeline_error: Exception | None = None
        self._failed = threading.Event()
        self._signal = threading.Thread(target=self._run_pipeline, name="rtsep-pipeline", daemon=True)
        self._cleanup = ExitStack()
        self._started = self._cpu_started = 0.0

    # What others may ask and tell -----------------------------------------------------------

    def send(self, command: Command) -> None:
        """Turn a knob; see `Controls.send`."""
        self.controls.send(command)

    @property
    def audio(self) -> AudioSpec:
        """The stream as the device runs it."""
        spec = self.clock.spec
        return AudioSpec(spec.sample_rate, int(self.device_io.state[0]["block"]), spec.inputs, spec.outputs)

    @property
    def latency(self) -> Latency:
        """Every part of the way from the device's input to its output, in frames; complete once it runs."""
        return self._latency

    @property
    def finished(self) -> bool:
        """Whether the file has been played to its end, or something failed."""
        if self._failed.is_set():
            return True
        # The tail is counted as it is taken in; one block more and all of it has been played.
        return self._file is not None and int(self.device_io.state[0]["tail"]) >= self._latency.total + self.audio.block

    @property
    def losses(self) -> int:
        """How often the device was lost."""
        return self._watch.losses if self._watch else 0

    @property
    def seconds(self) -> float:
        """Sound that has been played, in seconds."""
        return int(self.device_io.inputs.state[0]["written"]) / self.clock.spec.sample_rate

    @property
    def cpu_s(self) -> float:
        """Processor time used since the sound started, in seconds."""
        return time.process_time() - self._cpu_started

    def snapshot(self) -> Snapshot:
        """Give what is to be seen now.

        Thread: one at a time; not real-time safe (locks).
        """
        peaks = read_meters(self.pipeline.mixer)
        pipeline = self.pipeline.state[0]
        return Snapshot(
            running_s=self.seconds,
            position_s=self.player.position_s if self.player else None,
            length_s=self.player.seconds if self.player else None,
            latency=self._latency,
            parameters=self.controls.values(),
            peaks={name: float(peak) for name, peak in zip((*self.controls.stems, MIX), peaks, strict=True)},
            late_masks=int(pipeline["late_masks"]),
            stale_masks=int(pipeline["stale_masks"]),
            hops=int(pipeline["hops"]),
            underflows=int(self.device_io.outputs.state[0]["underflows"]),
            overflows=int(self.device_io.inputs.state[0]["overflows"]),
            load=self._watch.load if self._watch else 0.0,
            device_lost=self._watch is not None and self._watch.lost,
            finished=self.finished,
            warning=self._warning(),
        )

    # Building ---------------------------------------------------------------------------------

    def _open_device_io(self) -> DeviceIO:
        model, settings = self.engine.spec, self.settings
        spec = self.clock.spec
        capacity = int(RING_S * spec.sample_rate) + (settings.compute or 0) + 2 * settings.window.hop + 2 * spec.block
        device_io = open_device_io(
            model.channels, spec.outputs, capacity, ring_frames(spec.sample_rate) if self._file else 1
        )
        state = device_io.state[0]
        state["freewheel"] = settings.freewheel
        state["from_file"] = self._file is not None
        if self._file is None and spec.inputs:
            wanted = settings.input_channels if spec.inputs > 1 else (1, 1)
            if not all(1 <= channel <= spec.inputs for channel in wanted):
                raise DeviceError(f"input channels {wanted}: {self.clock.name} has 1 to {spec.inputs}")
            state["left"], state["right"] = wanted[0] - 1, wanted[1] - 1
        return device_io

    # Running ----------------------------------------------------------------------------------

    def __enter__(self) -> Host:
        """Compile, fill the rings, start the threads, then let the sound through."""
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def _start(self) -> None:
        warm_up(self.pipeline)
        if self.settings.record:
            writer = StemWriter(
                self.settings.record, self.engine.spec.stems, self.clock.spec.sample_rate, self.engine.spec.channels
            )
            latency = self.settings.window.latency.total
            self.recorder = Recorder(writer, self.pipeline.record_ring, len(self.engine.spec.stems), latency, self._end)
            self.recorder.start()
        if self.player:
            self.player.fill()
        self.clock.open(self.device_io)
        self._measure_block()
        self._prime()
        if not self.settings.freewheel:
            self._cleanup.enter_context(quiet_python())
            if lock_memory():
                self._cleanup.callback(unlock_memory)
        self.worker.start()
        self._signal.start()
        # It needs the GIL once more, which others may hold.
        while self._signal.is_alive() and not int(self.pipeline.state[0]["entered"]):
            time.sleep(0.0005)
        self._started = time.monotonic()
        self._cpu_started = time.process_time()
        self.device_io.state["phase"] = RUNNING
        self._watch = Watch(self.clock, self.device_io, None if self.settings.freewheel else self._late_masks)
        self._watch.start()

    def _measure_block(self) -> None:
        deadline = time.monotonic() + PRIMING_S
        while int(self.device_io.state[0]["callbacks"]) < MEASURED_CALLBACKS:
            if time.monotonic() > deadline:
                raise DeviceError(f"{self.clock.name} was opened but sends no blocks; is it in use or suspended?")
            time.sleep(0.002)
        if self.audio.block > LARGEST_BLOCK:
            raise DeviceError(
                f"{self.clock.name} sends blocks of {self.audio.block} frames; allowed are 1 to {LARGEST_BLOCK}"
            )

    def _prime(self) -> None:
        """Fill the out ring so that neither block nor hop nor a late mask runs it dry."""
        hop, block = self.settings.window.hop, self.audio.block
        rate = self.clock.spec.sample_rate
        compute = self.settings.compute
        if compute is None:
            compute = default_compute(self.engine.spec, self.settings.window, block)
        own = self.settings.window.latency
        self.device_io.outputs.state["written"] = host_block(block, hop) + compute
        self.pipeline.state["reserve_ns"] = int(reserve_s(block, compute, rate) * 1e9)
        self._late_masks = LateMasks(self.pipeline, self.worker, Budget(self.settings.window, block, compute))
        self._latency = Latency(
            device=self.clock.latency,
            block=host_block(block, hop),
            window=own.window,
            lookahead=own.lookahead,
            compute=compute,
        )
        self.clock.announce(self._latency.total - (self._latency.device or 0))

    def _run_pipeline(self) -> None:
        if not self.settings.freewheel:
            become_realtime(PIPELINE_PRIORITY)
        try:
            run_pipeline(self.pipeline)
        except Exception as error:  # told when the block is left; without a pipeline there is no sound
            self._pipeline_error = error
            self._fail()

    def _end(self) -> int | None:
        """Length of what is recorded, once the file has ended."""
        device_io = self.device_io.state[0]
        end, dropped, starved = (int(device_io[name]) for name in ("file_end", "file_dropped", "file_starved"))
        return end - dropped + starved if end >= 0 else None

    def _fail(self) -> None:
        self._failed.set()

    def _warning(self) -> str:
        if self._watch and self._watch.lost:
            return f"{self.clock.name} is gone; waiting for it to come back"
        error = (self.recorder and self.recorder.error) or (self.player and self.player.error)
        if error or (self._watch and self._watch.failure):
            return str(error or (self._watch and self._watch.failure))
        return self._late_masks.advice if self._late_masks else ""

    def _stop(self) -> None:
        """End everything in order, each whatever became of the others: a recording is closed even so."""
        self.device_io.state["phase"] = STOPPED
        with self._cleanup as ends:  # the last that is pushed goes first
            for worker in (self.recorder, self.player):
                if worker:
                    ends.callback(worker.stop)
            ends.callback(self.worker.stop)
            ends.callback(_join, self._signal)
            ends.callback(self.clock.close)
            if self._watch:
                ends.callback(_join, self._watch)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything; raise what a worker failed with, unless another error is under way."""
        self._stop()
        if kind is not None and not issubclass(kind, KeyboardInterrupt):
            return
        failures = {
            "signal path": self._pipeline_error,
            "inference worker": self.worker.error,
            "recorder": self.recorder and self.recorder.error,
            "player": self.player and self.player.error,
        }
        for name, failure in failures.items():
            if isinstance(failure, RtsepError):
                raise failure
            if failure:
                raise RtsepError(f"the {name} failed: {failure}") from failure


def _join(thread: threading.Thread) -> None:
    if thread.is_alive():
        thread.join()
