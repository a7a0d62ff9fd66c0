"""Power, clocks and memory of the card while something is measured, where its driver tells."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rtsep.engine.tensorrt import driver

EVERY_S = 1.0  # from one reading to the next; seldom, since reading disturbs what is measured
SMI = {  # what nvidia-smi calls them
    "power_w": "power.draw",
    "sm_mhz": "clocks.sm",
    "memory_mhz": "clocks.mem",
    "temperature_c": "temperature.gpu",
    "memory_mib": "memory.used",
}
Reading = dict[str, float]


def bus() -> str:
    """Say where the first card that CUDA shows is on the bus; CUDA_VISIBLE_DEVICES chooses it, NVML knows all.

    "" where no driver tells.
    """
    gpus = driver.probe().gpus
    return gpus[0].pci if gpus else ""


def card() -> dict[str, str]:
    """Name the first card and its driver; empty where there is none."""
    told = _smi("name", "driver_version")
    return dict(zip(("GPU", "driver"), told, strict=True)) if told else {}


def reader() -> Callable[[], Reading] | None:
    """Give what reads the first card now; None where there is no card, or no driver that tells."""
    with suppress(Exception):  # a library that is installed may fail in any way where there is no driver
        return _nvml()
    return read_smi if read_smi() else None


def read_smi() -> Reading:
    """Read the card by nvidia-smi; what it does not tell is absent."""
    found = {}
    for name, value in zip(SMI, _smi(*SMI.values()), strict=False):
        with suppress(ValueError):  # [N/A]
            found[name] = float(value)
    return found


def _smi(*fields: str) -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits", f"--id={bus() or 0}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return []
    return [value.strip() for value in done.stdout.split("\n")[0].split(",")]


def _nvml() -> Callable[[], Reading]:
    import pynvml

    pynvml.nvmlInit()
    place = bus()
    handle = pynvml.nvmlDeviceGetHandleByPciBusId(place) if place else pynvml.nvmlDeviceGetHandleByIndex(0)
    calls: dict[str, Callable[[], float]] = {
        "power_w": lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
        "sm_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
        "memory_mhz": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM),
        "temperature_c": lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
        "memory_mib": lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).used / 2**20,
    }

    def read() -> Reading:
        found = {}
        for name, call in calls.items():
            with suppress(pynvml.NVMLError):
                found[name] = float(call())
        return found

    return read


@contextmanager
def watched() -> Iterator[dict[str, Any]]:
    """Read the card again and again while something is measured; by nvidia-smi only before and after.

    A program that is started each second would be in the way of what is measured.

    Yields:
        What is filled at the end: of each that the driver tells its least, mean and most, and its `source`; empty
        without a card.
    """
    found: dict[str, Any] = {}
    read = reader()
    if read is None:
        yield found
        return
    readings, stopped = [read()], threading.Event()

    seldom = read is read_smi

    def work() -> None:
        while not stopped.wait(None if seldom else EVERY_S):
            readings.append(read())

    thread = threading.Thread(target=work, name="rtsep-card", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stopped.set()
        thread.join()
        readings.append(read())
        found["source"] = "nvidia-smi, before and after" if seldom else "NVML"
        for name in SMI:
            if values := [one[name] for one in readings if name in one]:
                mean = sum(values) / len(values)
                found[name] = {"min": min(values), "mean": round(mean, 2), "max": max(values)}
