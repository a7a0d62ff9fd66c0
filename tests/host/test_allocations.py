"""Nothing allocates or locks on the path of a block: counted in the C library, while a real host plays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.allocation_counter import KINDS, Calls, build, run_counted

if TYPE_CHECKING:
    from tests.support.virtual_card import CardFactory

pytest_plugins = ("tests.support.virtual_card",)
pytestmark = pytest.mark.realtime

OTHERS = ("MainThread", "inference worker", "watch")  # which may, and whose calls show that the counter works


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("allocation_counter"))


def played(library: Path, output: str, model: str, folder: Path, **variables: str) -> dict[str, Calls]:
    found: dict[str, Calls] = json.loads(
        run_counted(library, "tests.support.counted_host", output, model, str(folder), **variables)
    )
    assert all(sum(found[name].values()) > 100 for name in OTHERS), found
    return found


@pytest.mark.parametrize("model", ["streaming-2stems", "spleeter-2stems-live"])
def test_the_null_clock_and_the_signal_path_ask_nothing_of_the_c_library(
    model: str, library: Path, tmp_path: Path
) -> None:
    found = played(library, "null", model, tmp_path)
    assert found["rtsep-null"] == {}
    assert found["signal path"] == {}


def test_an_insert_asks_nothing_of_the_c_library(library: Path, tmp_path: Path) -> None:
    """While what it sends comes back, and while its process is dead."""
    assert played(library, "insert", "streaming-2stems", tmp_path)["signal path"] == {}


@pytest.mark.jack
def test_the_callback_of_a_device_asks_nothing_of_the_c_library(
    library: Path, tmp_path: Path, card: CardFactory
) -> None:
    """JACK's own calls on that thread are its, and not counted."""
    running = card(sample_rate=48000, block=256)
    found = played(library, "card", "streaming-2stems", tmp_path, **running.environment)
    print(f"on the callback's thread the driver called {found['driver']}")
    assert found["callback"] == {}
    assert found["signal path"] == {}


def test_every_kind_of_call_is_counted_on_its_own_thread_alone(library: Path) -> None:
    found = json.loads(run_counted(library, "tests.support.counted_thread"))
    assert found["asking"] == dict.fromkeys(KINDS, 1) | {"free": 3}
    assert found["idle"] == {}
    assert found["array"].pop("mutex") > 0  # the GIL, behind the kernel
    assert found["array"] == {"malloc": 1, "free": 1}
