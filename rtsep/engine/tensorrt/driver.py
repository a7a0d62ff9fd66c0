"""The NVIDIA driver, by ctypes alone: what is there, before any library is loaded that would crash without it.

`tensorrt.Runtime()` without a driver ends the process, and `import pycuda.driver` raises whatever its linker says. So
this looks first, and whoever makes an object of theirs has asked here before.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rtsep.errors import EngineError, one_line

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE
NOT_READY = 600  # CUDA_ERROR_NOT_READY
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_...
NAME_BYTES = 256
PCI_BYTES = 32
CURE = "use --engine onnx, or install NVIDIA's driver (`nvidia-smi` shows the GPU when it works)"


@dataclass(frozen=True)
class Gpu:
    """A GPU that the driver shows."""

    number: int
    name: str
    capability: tuple[int, int]
    memory_bytes: int
    pci: str = ""  # where it is on the bus, as every tool of the driver names it; "" where that is not told

    @property
    def sm(self) -> str:
        """Its compute capability as compilers write it: sm89 for 8.9."""
        return "sm{}{}".format(*self.capability)


@dataclass(frozen=True)
class Driver:
    """What the driver says of itself."""

    version: tuple[int, int] = (0, 0)  # of CUDA that it can run
    gpus: tuple[Gpu, ...] = ()
    missing: str = ""  # why nothing runs, and the cure, in one line; empty where something can


class Cuda:
    """Calls of the driver, each checked.

    Args:
        library: libcuda, as ctypes loads it.
    """

    def __init__(self, library: Any) -> None:
        self._library = library

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver.

        Args:
            name: of the function.
            arguments: as ctypes passes them on; whole numbers as 32 bits, so that others must be typed.

        Raises:
            EngineError: for any code but 0, with its name.
        """
        if code := getattr(self._library, name)(*arguments):
            raise EngineError(f"{name} failed with {self.error_name(code)}")

    def error_name(self, code: int) -> str:
        """Give the driver's own name of an error."""
        text = ctypes.c_char_p()
        unknown = self._library.cuGetErrorName(code, ctypes.byref(text))
        return f"error {code}" if unknown or not text.value else text.value.decode(errors="replace")

    def done(self, stream: int) -> bool:
        """Say whether all that was enqueued in a stream is done.

        Args:
            stream: its handle.

        Raises:
            EngineError: where any of it failed.
        """
        code = self._library.cuStreamQuery(ctypes.c_void_p(stream))
        if code not in (0, NOT_READY):
            raise EngineError(f"the GPU failed: cuStreamQuery failed with {self.error_name(code)}")
        return not code

    def number(self, name: str, *arguments: Any, kind: Any = ctypes.c_int) -> int:
        """Call a function that writes a number to its first argument, and give that.

        Raises:
            EngineError: see `call`.
        """
        value = kind()
        self.call(name, ctypes.byref(value), *arguments)
        return int(value.value or 0)


def load() -> Any:
    """Load libcuda.

    Raises:
        OSError: where there is none.
    """
    return ctypes.CDLL(LIBRARY)


def probe(library: Callable[[], Any] = load) -> Driver:
    """Look what the driver has. Nothing is raised, and no context is made.

    Args:
        library: gives libcuda, or raises `OSError`.
    """
    try:
        found = library()
    except OSError:
        return Driver(missing=f"there is no NVIDIA driver here ({LIBRARY}); {CURE}")
    try:
        return _probe(found)
    except Exception as error:  # a broken driver may lack any function
        return Driver(missing=f"the NVIDIA driver does not work ({one_line(error)}); {CURE}")


def _probe(library: Any) -> Driver:
    cuda = Cuda(library)
    if code := library.cuInit(0):
        what = "finds no GPU" if code == NO_DEVICE else f"does not start ({cuda.error_name(code)})"
        return Driver(missing=f"the NVIDIA driver {what}; {CURE}")
    version = cuda.number("cuDriverGetVersion")
    gpus = tuple(_gpu(cuda, number) for number in range(cuda.number("cuDeviceGetCount")))
    missing = "" if gpus else f"the NVIDIA driver finds no GPU; {CURE}"
    return Driver((version // 1000, version % 1000 // 10), gpus, missing)


def _gpu(cuda: Cuda, number: int) -> Gpu:
    device = cuda.number("cuDeviceGet", number)
    name = ctypes.create_string_buffer(NAME_BYTES)
    cuda.call("cuDeviceGetName", name, NAME_BYTES, device)
    return Gpu(
        number=number,
        name=name.value.decode(errors="replace"),
        capability=(
            cuda.number("cuDeviceGetAttribute", MAJOR, device),
            cuda.number("cuDeviceGetAttribute", MINOR, device),
        ),
        memory_bytes=cuda.number("cuDeviceTotalMem_v2", device, kind=ctypes.c_size_t),
        pci=_pci(cuda, device),
    )


def _pci(cuda: Cuda, device: int) -> str:
    place = ctypes.create_string_buffer(PCI_BYTES)
    try:
        cuda.call("cuDeviceGetPCIBusId", place, PCI_BYTES, device)
    except (EngineError, AttributeError):  # nothing runs worse without it
        return ""
    return place.value.decode(errors="replace")
