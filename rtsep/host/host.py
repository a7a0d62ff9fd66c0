"""The host: a rig that plays, and the threads that keep it going."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Protocol

from rtsep.control.actions import Actions, Argument
from rtsep.control.paths import deck_prefix
from rtsep.control.publisher import Publisher
from rtsep.control.snapshot import ChainSnapshot, Snapshot
from rtsep.control.store import Change, Store
from rtsep.core.system import Policy, policy_of, set_thread_policy, thread_policy
from rtsep.errors import DeviceError, RtsepError
from rtsep.host.callback import prepare
from rtsep.host.clock import Clock
from rtsep.host.device_io import LARGEST_BLOCK, RUNNING, STOPPED
from rtsep.host.engine_thread import EngineThread
from rtsep.host.late_masks import LateMasks
from rtsep.host.mix_settings import mix_parameters, set_parameters
from rtsep.host.pipeline import Pipeline, run_pipeline, warm_up
from rtsep.host.realtime import lock_memory, priorities, quiet_python, unlock_memory
from rtsep.host.rig import HostSettings, Rig
from rtsep.host.seek_index import SeekIndex
from rtsep.host.status import snapshot, warning
from rtsep.host.supervisor import Supervisor, Worker
from rtsep.host.transport import set_phase
from rtsep.host.watch import Watch

CLOSE_S = 10.0  # for a clock to close: longer than its own bounds, with a library that is replaced
MEASURED_CALLBACKS = 4  # blocks in the priming phase
PRIMING_S = 5.0


class SignalPath(Worker):
    """The thread that the pipeline runs on."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__("signal path", essential=True)
        self.policy = Policy()  # set before it starts
        self._pipeline = pipeline

    def work(self) -> None:
        """Run until the callback is stopped.

        Thread: the pipeline's; see `run_pipeline`.
        """
        if self.policy != Policy():  # else as the user started it
            set_thread_policy(self.policy)
        run_pipeline(self._pipeline)


class Closing(Worker):
    """Closes the clock: a driver may never come back from that."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("clock")
        self._clock = clock

    def work(self) -> None:
        """Close it; see `Clock.close`.

        Thread: its own; not real-time safe (waits).
        """
        self._clock.close()


class Effects(Protocol):
    """What a host knows of those who keep chains in its inserts.

    Thread: any; not real-time safe (Python).
    """

    @property
    def notice(self) -> str:
        """What went wrong lately, in one line, or nothing."""

    @property
    def faults(self) -> list[str]:
        """What went wrong, the newest last, each in a line."""

    def seen(self) -> tuple[ChainSnapshot, ...]:
        """Give what is to be seen of all chains.

        Thread: any; not real-time safe (locks).
        """

    def follow(self) -> None:
        """Take on the device's block and our priorities, where they are others than before.

        Thread: one at a time; not real-time safe (Python).
        """


class Host:
    """`with Host(engine_thread, clock, settings) as host:` plays until the block is left.

    Args:
        engine_thread: with the engine of the model that is played; it ends with the host.
        clock: drives the sound; not yet open.
        settings: how it runs, and what is played.

    Raises:
        RtsepError: for what cannot be opened; and when the block is left, what any worker failed with,
            which has stopped the sound.

    Thread: any reads its properties; not real-time safe (Python).
    """

    def __init__(self, engine_thread: EngineThread, clock: Clock, settings: HostSettings) -> None:
        self.rig = rig = Rig(engine_thread.engine, clock, settings)
        prefix = deck_prefix(rig.stems)
        self._mixed = mix_parameters(rig.layout)
        self.store, self.actions = Store(self._mixed, prefix), Actions(prefix)
        self.publisher = Publisher()
        self.ended = threading.Event()  # set by the action `quit`
        self.actions.register("quit", self.ended.set)
        self.supervisor = Supervisor()
        self.effects: Effects | None = None
        self.before_sound: list[Callable[[], None]] = []  # done once block and priorities are known
        self.late_masks = LateMasks(rig.pipeline, rig.scheduler.times, lambda: rig.budget)
        self.watch = Watch(clock, rig.device_io, self._publish, self._judge)
        self._engine_thread, self._signal_path = engine_thread, SignalPath(rig.pipeline)
        self._announced = 0  # frames
        self._followed = Policy()  # the callback's, as the last one that ours were derived from
        self._usual = thread_policy()  # as the user started it
        self._cleanup = ExitStack()
        self._cpu_started = 0.0
        self.store.subscribe(self._turn)
        self.supervisor.start(engine_thread)
        for deck in rig.decks:
            if deck.player:
                transport = f"decks/{deck.name}/transport"
                self.actions.register(f"{transport}/seek", deck.player.seek, (Argument("position", unit="s"),))
                self.actions.register(f"{transport}/skip", deck.player.skip, (Argument("distance", unit="s"),))

    @property
    def finished(self) -> bool:
        """Whether all files have been played to their end, or something failed."""
        return self.supervisor.failure is not None or self.rig.played_out

    @property
    def cpu_s(self) -> float:
        """Processor time used since the sound started, in seconds."""
        return time.process_time() - self._cpu_started

    @property
    def warning(self) -> str:
        """What should be known first, in one line, or nothing."""
        left = " and ".join(self.supervisor.left_behind)
        behind = f"the {left} did not end and was left behind" if left else ""
        notices = self.rig.scheduler.notice, self.effects.notice if self.effects else ""
        lines = warning(self.rig, self.watch, self.supervisor), behind, self.store.failure, *notices
        return next((line for line in lines if line), self.late_masks.advice)

    def snapshot(self) -> Snapshot:
        """Give what was to be seen when the watch looked last, or before the sound what there is.

        Thread: any, and one at a time before the sound starts; not real-time safe (Python).
        """
        return self.publisher.latest or self._snapshot()

    def _snapshot(self) -> Snapshot:
        return snapshot(self.rig, self.watch, self.store.values(), self.finished, self.warning, self.chains)

    @property
    def chains(self) -> tuple[ChainSnapshot, ...]:
        """The chains that have effects."""
        return self.effects.seen() if self.effects else ()

    # Running -----------------------------------------------------------------------------------

    def __enter__(self) -> Host:
        """Compile, fill the rings, start the threads, then let the sound through."""
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def _start(self) -> None:
        rig = self.rig
        players = [deck.player for deck in rig.decks if deck.player]
        recorders = [deck.recorder for deck in rig.decks if deck.recorder]
        for worker in (*players, *recorders):  # they are stopped in the reverse order, recorders first
            self.supervisor.start(worker)
        warm_up(rig.pipeline)
        self._engine_thread.call(rig.scheduler.warm_up)
        for player in players:
            player.fill()
        for deck in rig.decks:
            if deck.settings.file:
                self.supervisor.start(SeekIndex(f"index of deck {deck.name}", deck.settings.file))
        rig.clock.open(rig.device_io)
        self._measure_block()
        prepare(rig.device_io.state, rig.device_io.outputs, rig.audio.block, True)
        if not self.rig.settings.freewheel:
            self._cleanup.enter_context(quiet_python())
            if lock_memory():
                self._cleanup.callback(unlock_memory)
            self._follow_callback()
        if self.effects:
            self.effects.follow()
        for work in self.before_sound:
            work()
        self._engine_thread.begin(rig.scheduler.run)
        self.supervisor.start(self._signal_path)
        # It needs the GIL once more, which others may hold.
        while self._signal_path.is_alive() and not int(rig.pipeline.state[0]["entered"]):
            time.sleep(0.0005)
        self._cpu_started = time.process_time()
        set_phase(rig.device_io.state, RUNNING)
        self._announce()
        self._publish()
        self.supervisor.start(self.watch)

    def _measure_block(self) -> None:
        deadline = time.monotonic() + PRIMING_S
        while int(self.rig.device_io.state[0]["callbacks"]) < MEASURED_CALLBACKS:
            if time.monotonic() > deadline:
                raise DeviceError(f"{self.rig.clock.name} was opened but sends no blocks; is it in use or suspended?")
            time.sleep(0.002)
        if self.rig.audio.block > LARGEST_BLOCK:
            raise DeviceError(
                f"{self.rig.clock.name} sends blocks of {self.rig.audio.block} frames; allowed are 1 to {LARGEST_BLOCK}"
            )

    def _turn(self, change: Change) -> None:
        if change.path in self._mixed:
            set_parameters(self.rig.mixer.settings, self.rig.layout, self.store.values())

    def _judge(self) -> None:
        if not self.rig.settings.freewheel:
            self.late_masks.look()
            self._follow_callback()
            if self.effects:
                self.effects.follow()
        self._announce()

    def _follow_callback(self) -> None:
        """Derive our threads' policies, at first and whenever a device came back with another priority."""
        callback = self.rig.device_io.state[0]
        followed = policy_of(int(callback["scheduler"]), int(callback["priority"]))
        if callback["read_policy"] or followed == self._followed:
            return
        self._followed, ours = followed, priorities(followed)
        self._signal_path.policy, self.rig.scheduler.policy = ours.pipeline, ours.inference
        for thread, policy in ((self._signal_path, ours.pipeline), (self._engine_thread, ours.inference)):
            if thread.native_id:  # else it takes its policy as it starts
                set_thread_policy(policy if policy != Policy() else self._usual, thread.native_id)

    def _publish(self) -> None:
        self.publisher.publish(self._snapshot())

    def _announce(self) -> None:
        """Tell the clock's system how late we are ourselves, whenever that changes."""
        latency = self.rig.latency
        own = latency.total - (latency.device or 0)
        if own != self._announced:
            self._announced = own
            self.rig.clock.announce(own)

    def _stop(self) -> None:
        """End everything in order, each within a bound and whatever became of the others: recordings first."""
        with suppress(Exception):  # of a device that is just being lost
            _ = self.rig.latency  # it is kept, as the device will not tell it any more
        set_phase(self.rig.device_io.state, STOPPED)
        with self._cleanup as ends:  # the last that is pushed goes first
            for deck in self.rig.decks:
                if deck.player:
                    ends.callback(deck.player.release)
            ends.callback(self._publish)
            ends.callback(self._close_clock)
            ends.callback(self.supervisor.stop_all)

    def _close_clock(self) -> None:
        closing = Closing(self.rig.clock)
        self.supervisor.start(closing)
        self.supervisor.stop_all(CLOSE_S)
        if closing.error:
            raise closing.error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything; raise what a worker failed with, unless another error is under way."""
        self._stop()
        if kind is None or issubclass(kind, KeyboardInterrupt):
            for death in sorted(self.supervisor.deaths, key=lambda death: not death.essential):
                raise death.error if isinstance(death.error, RtsepError) else RtsepError(str(death)) from death.error
