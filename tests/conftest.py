"""Fixtures for many tests: engines that cost something to build, tools that may be missing."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rtsep.engine.base import Engine
from rtsep.engine.registry import open_engine
from rtsep.model import store
from tests.support.process_state import exits_told, kept_process_state

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background of a shell; tests send it
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # by nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


EXIT_S = 30.0  # for a worker that went down to be gone
TESTS = Path(__file__).parent
SLOW = {
    Path(name)
    for name in ("benchmarks", "cli", "corpus", "dataset", "demo", "evaluation", "model/published", "training")
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever plays on the virtual card plays in real time; what trains or starts programs takes its time."""
    for item in items:
        if item.get_closest_marker("jack"):
            item.add_marker("realtime")
        if SLOW & {*item.path.relative_to(TESTS).parents}:
            item.add_marker("slow")


def pytest_configure(config: pytest.Config) -> None:
    """Whoever ends the process that runs tests is named, where it is seen: nothing is captured yet."""
    exits = ExitStack()
    exits.enter_context(exits_told(os.dup(2)))
    config.add_cleanup(exits.close)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node: Any, error: object) -> None:
    """Say how a worker ended that went down: by which signal, or with which status."""
    if error:
        ended = node.gateway._io.popen.wait(EXIT_S)
        print(f"\n{node.gateway.id} ended with {signal.Signals(-ended).name if ended < 0 else ended}", file=sys.stderr)


@pytest.fixture(autouse=True)
def process_state() -> Iterator[None]:
    """What a test changes of the whole process it puts back."""
    with kept_process_state():
        yield


@pytest.fixture(scope="session", autouse=True)
def log_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Programs that tests start keep no logs among the user's, and find none there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def streaming() -> Iterator[Engine]:
    """The embedded model in ONNX Runtime, one thread, as the live program runs it."""
    engine = open_engine(store.find("streaming-2stems"))
    yield engine
    engine.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB; the test is skipped where we may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=256k tmpfs {folder} 2>/dev/null") != 0:
        pytest.skip("only root may mount a small disk")
    yield folder
    os.system(f"umount -l {folder}")
