from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtsep.dsp.ring import write
from rtsep.host.device_io import RUNNING, DeviceIO, InputSettings, open_device_io
from rtsep.host.transport import end_file, go_on_from, set_phase
from tests.support.compiled import llvm


def device_io() -> DeviceIO:
    return open_device_io(2, 2, 64, [InputSettings(file_frames=64)])


def test_what_python_tells() -> None:
    io = device_io()
    set_phase(io.state, RUNNING)
    deck = io.inputs[0]
    write(deck.file, np.zeros((10, 2), np.float32))
    end_file(deck.state, deck.file)
    assert io.state[0]["phase"] == RUNNING and deck.state[0]["file_end"] == 10
    go_on_from(deck.state, 7)
    assert deck.state[0]["file_skip"] == 7 and deck.state[0]["file_end"] == -1


@pytest.mark.parametrize(
    ("function", "stores"), [(set_phase, ["phase"]), (end_file, ["file_end"]), (go_on_from, ["file_skip", "file_end"])]
)
def test_every_store_is_a_release(function: Any, stores: list[str]) -> None:
    io = device_io()
    deck = io.inputs[0]
    arguments = {set_phase: (io.state, RUNNING), end_file: (deck.state, deck.file), go_on_from: (deck.state, 7)}
    text = llvm(function, *arguments[function])
    assert text.count("store atomic") == len(stores) and text.count("release, align 8") == len(stores)
