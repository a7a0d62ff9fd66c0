"""An engine that is called from several threads and lives on one."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from rtsep.engine.base import Float32, Real
from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.own_thread import OwnThreadEngine
from rtsep.errors import EngineError
from tests.support.engines import FrameEngine, is_engine, windowed_spec


class Watched(FrameEngine):
    """Notes which threads it is called on."""

    def __init__(self) -> None:
        super().__init__(windowed_spec())
        self.threads = {threading.get_ident()}
        self.closes = 0

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        self.threads.add(threading.get_ident())
        super().infer(magnitudes, masks, real)

    def reset(self, row: int | None = None) -> None:
        self.threads.add(threading.get_ident())

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closes += 1


def test_all_calls_are_on_one_thread_and_give_what_they_give() -> None:
    opened: list[Watched] = []

    def open_engine() -> Watched:
        opened.append(Watched())
        return opened[0]

    engine = is_engine(OwnThreadEngine(open_engine))
    spec = engine.spec
    engine.warmup(spec.context, 1)
    magnitudes = np.random.default_rng(0).random(magnitudes_shape(spec, spec.context), np.float32)
    wanted = np.zeros(masks_shape(spec, spec.context), np.float32)
    FrameEngine(spec).infer(magnitudes, wanted)

    def call(number: int) -> None:
        masks = np.zeros_like(wanted)
        engine.infer(magnitudes, masks)
        np.testing.assert_array_equal(masks, wanted)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(20)))
    engine.reset()
    engine.close()
    engine.close()
    assert len(opened[0].threads) == 1 and threading.get_ident() not in opened[0].threads
    assert opened[0].calls == 20


def test_what_cannot_be_opened_leaves_no_thread() -> None:
    before = threading.active_count()

    def fail() -> Watched:
        raise EngineError("there is no card")

    with pytest.raises(EngineError, match="there is no card"):
        OwnThreadEngine(fail)
    assert threading.active_count() == before


def test_after_it_is_closed_all_is_refused() -> None:
    engine = OwnThreadEngine(Watched)
    engine.close()
    spec = engine.spec
    arrays = np.zeros(magnitudes_shape(spec, 1), np.float32), np.zeros(masks_shape(spec, 1), np.float32)
    calls: tuple[Callable[[], None], ...] = (engine.warmup, lambda: engine.infer(*arrays), engine.reset)
    for call in calls:
        with pytest.raises(EngineError, match="is closed"):
            call()


def test_one_that_nobody_has_any_more_closes_itself() -> None:
    opened = Watched()
    before = threading.active_count()
    engine = OwnThreadEngine(lambda: opened)
    assert opened.closes == 0
    del engine
    gc.collect()
    assert opened.closes == 1 and threading.active_count() == before


def test_one_that_is_left_at_the_end_of_a_process_is_closed_on_its_thread() -> None:
    code = (
        "import threading\n"
        "from rtsep.engine.own_thread import OwnThreadEngine\n"
        "from tests.support.engines import FrameEngine, windowed_spec\n"
        "FrameEngine.close = lambda self: print(threading.current_thread().name, flush=True)\n"
        "engine = OwnThreadEngine(lambda: FrameEngine(windowed_spec()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "rtsep-card\n"
