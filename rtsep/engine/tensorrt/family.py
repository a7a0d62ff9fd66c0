"""The libraries of the TensorRT family: the one place that knows what their modules, flags and versions differ in.

TensorRT-RTX is for the cards of workstations and laptops; it needs no card to build, and finishes an engine on the
card (its runtime cache keeps that). TensorRT is for data-centre cards; it tries kernels out on the card at
hand, and a timing cache keeps what it found. Both are strongly typed: the precision stands in the graph.

No `Runtime` is made here: without a driver that ends the process.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
from dataclasses import dataclass
from typing import Any

from rtsep.errors import EngineError, one_line

CAPABILITY = re.compile(r"sm[1-9][0-9]{1,2}")  # of a card, as compilers write it: 8.9 is sm89
CURE = "pip install 'rtsep[gpu]'"


@dataclass(frozen=True)
class Family:
    """A library that compiles graphs for GPUs."""

    name: str  # of its module
    title: str  # as people know it
    short: str  # before its version, in names of folders
    distributions: tuple[str, ...]  # what pip may call it
    cure: str
    cards: str  # that it is for, in words
    ahead: bool  # builds without a card, for capabilities that are chosen
    timing_cache: bool  # keeps between builds what it measured on the card
    runtime_cache: bool  # keeps between runs what it compiled on the card

    @property
    def installed(self) -> bool:
        """Whether its module can be found; nothing is imported."""
        return importlib.util.find_spec(self.name) is not None

    @property
    def version(self) -> str:
        """The version that is installed here; "" for none. Nothing is imported where pip knows it."""
        for distribution in self.distributions:
            try:
                return importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                continue
        return str(self.load().__version__) if self.installed else ""

    def load(self) -> Any:
        """Import the library.

        Raises:
            EngineError: where it is missing or does not work.
        """
        if not self.installed:
            raise EngineError(f"{self.title} is not installed; {self.cure}")
        try:
            return importlib.import_module(self.name)
        except Exception as error:  # a library that is installed may fail in any way
            raise EngineError(f"{self.title} does not work here ({one_line(error)}); {self.cure}") from error

    def capabilities(self) -> tuple[str, ...]:
        """Give what it can build for without a card, as `sm89`; empty where it needs one.

        Raises:
            EngineError: see `load`.
        """
        if not self.ahead:
            return ()
        names = (name.lower() for name in self.load().ComputeCapability.__members__)
        return tuple(sorted((name for name in names if CAPABILITY.fullmatch(name)), key=lambda name: int(name[2:])))

    def new_network(self, builder: Any) -> Any:
        """Make an empty network whose precision is that of the graph."""
        flag = self.load().NetworkDefinitionCreationFlag.STRONGLY_TYPED  # all that TensorRT 11 has, which ignores it
        return builder.create_network(1 << int(flag))

    def allow_capture(self, config: Any) -> None:
        """Have a build keep to memory that is there before a pass, without which TensorRT-RTX is no part of a graph."""
        if flag := getattr(self.load().BuilderFlag, "REQUIRE_USER_ALLOCATION", None):  # which TensorRT does not need
            config.set_flag(flag)

    def aim(self, config: Any, gpu: str) -> None:
        """Set a build's target; a family that needs a card builds for the one that it has."""
        if self.ahead:
            config.num_compute_capabilities = 1
            config.set_compute_capability(self.load().ComputeCapability.__members__[gpu.upper()], 0)


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "tensorrt_rtx",
            "TensorRT-RTX",
            "rtx",
            ("tensorrt-rtx", "tensorrt_rtx_cu13", "tensorrt_rtx_cu12"),
            CURE,
            "GeForce, RTX and A100 cards",
            ahead=True,
            timing_cache=False,
            runtime_cache=True,
        ),
        Family(
            "tensorrt",
            "TensorRT",
            "trt",
            ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"),
            "pip install 'tensorrt>=11'",
            "all cards, on the machine that has one",
            ahead=False,
            timing_cache=True,
            runtime_cache=False,
        ),
    )
}


def named(name: str) -> Family:
    """Give a family by its module's name.

    Raises:
        EngineError: for a name that none has.
    """
    if name not in FAMILIES:
        raise EngineError(f"library {name!r:.100}; allowed are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def installed() -> list[Family]:
    """Give those that are installed here, the one that needs no card first.

    Raises:
        EngineError: where there is none.
    """
    if found := [family for family in FAMILIES.values() if family.installed]:
        return found
    title, other = (family.title for family in FAMILIES.values())
    raise EngineError(f"neither {title} nor {other} is installed; {CURE}")


def families_for(gpu: str, card: str = "", name: str = "") -> list[Family]:
    """Give the families that build for a capability and run there, the first of them the one to take.

    Args:
        gpu: the capability, as `sm89`.
        card: that of the card at hand; "" for none.
        name: of the family that it must be; "" for all that are installed.

    Raises:
        EngineError: where none that is installed can.
    """
    if not CAPABILITY.fullmatch(gpu):
        raise EngineError(f"GPU {gpu!r:.100}; it must be a compute capability, as sm89 (`nvidia-smi` tells it as 8.9)")
    choice = [named(name)] if name else installed()
    if found := [one for one in choice if gpu in (one.capabilities() if one.ahead else (card,))]:
        return found
    raise EngineError(f"no engine can be built for {gpu} here: {'; '.join(_reason(family, card) for family in choice)}")


def _reason(family: Family, card: str) -> str:
    if family.ahead:
        other = FAMILIES["tensorrt"]
        cure = "" if other.installed else f", other cards need {other.title} ({other.cure})"
        return f"{family.title} {family.version} builds for {', '.join(family.capabilities())}{cure}"
    return f"{family.title} builds for the card at hand, {f'which is {card}' if card else 'and there is none'}"
