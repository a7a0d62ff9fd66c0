from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtsep.dsp.ring import write
from rtsep.host.callback import RUNNING, DeviceIO, open_device_io
from rtsep.host.transport import end_file, go_on_from, set_phase
from tests.support.compiled import llvm


def device_io() -> DeviceIO:
    return open_device_io(2, 2, 64, 64)


def test_what_python_tells() -> None:
    io = device_io()
    set_phase(io.state, RUNNING)
    write(io.file, np.zeros((10, 2), np.float32))
    end_file(io.state, io.file)
    assert io.state[0]["phase"] == RUNNING and io.state[0]["file_end"] == 10
    go_on_from(io.state, 7)
    assert io.state[0]["file_skip"] == 7 and io.state[0]["file_end"] == -1


@pytest.mark.parametrize(
    ("function", "stores"), [(set_phase, ["phase"]), (end_file, ["file_end"]), (go_on_from, ["file_skip", "file_end"])]
)
def test_every_store_is_a_release(function: Any, stores: list[str]) -> None:
    io = device_io()
    arguments = {set_phase: (RUNNING,), end_file: (io.file,), go_on_from: (7,)}[function]
    text = llvm(function, io.state, *arguments)
    assert text.count("store atomic") == len(stores) and text.count("release, align 8") == len(stores)
