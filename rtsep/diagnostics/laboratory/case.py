"""What is measured once: a model on an engine at a setting; and sweeps over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from rtsep.core.presets import plan
from rtsep.core.spec import DEFAULT_MODEL, WindowSpec
from rtsep.engine.base import Engine
from rtsep.engine.registry import DEFAULTS, ENGINES, EngineOptions, open_engine
from rtsep.errors import EngineError, SpecError
from rtsep.model.store import StoredModel, find

SAMPLE_RATE = 44100  # Hz


@dataclass(frozen=True)
class Case:
    """A model, what runs it, and how.

    Raises:
        SpecError: for a number of decks that cannot be.
    """

    model: str = DEFAULT_MODEL
    engine: str = DEFAULTS.engine  # of the registry, or a peer
    precision: str = DEFAULTS.precision
    context: int = 0  # spectra that a windowed model sees; 0: those of live use
    decks: int = 1  # whose spectra are inferred together
    preset: str = "23"
    hop: int = 0  # frames; 0: the preset's
    mask_interval: int = 0  # hops from one mask to the next; 0: the preset's
    sample_rate: int = SAMPLE_RATE
    threads: int = DEFAULTS.threads

    def __post_init__(self) -> None:
        if not 1 <= self.decks <= 64:
            raise SpecError(f"decks is {self.decks}; allowed are 1 to 64")

    def stored(self) -> StoredModel:
        """Find the model as it plays live.

        Raises:
            ModelError, SpecError: for a model that is not there, or a context that it has not.
        """
        return find(self.model).live(context=self.context)

    def window(self, stored: StoredModel) -> WindowSpec:
        """Plan how the model is run.

        Args:
            stored: as `stored` gives it.

        Raises:
            SpecError: for what cannot be.
        """
        return plan(stored.spec, self.sample_rate, self.preset, self.hop or None, self.mask_interval or None)

    def open(self, stored: StoredModel) -> Engine:
        """Open the engine, or the peer.

        Args:
            stored: as `stored` gives it.

        Raises:
            EngineError: for an engine that there is not, or that cannot be had here.
            ModelError: for a graph that does not match its spec.
        """
        from rtsep.diagnostics.laboratory.peers.registry import PEERS, open_peer

        if self.engine in ENGINES:
            return open_engine(stored, EngineOptions(self.engine, self.precision, self.threads, rows=self.decks))
        if self.engine in PEERS:
            return open_peer(stored, self.engine, self.precision, self.threads)
        raise EngineError(f"unknown engine {self.engine!r}; allowed are {', '.join([*ENGINES, *PEERS])}")

    @property
    def reference(self) -> Case:
        """The same in ONNX Runtime at full precision, which masks are compared with."""
        return replace(self, engine=DEFAULTS.engine, precision=DEFAULTS.precision)

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON says of it; of a model that is named by its path, the name alone."""
        return {**asdict(self), "model": Path(self.model).name}

    def words(self) -> str:
        """Say it in a line."""
        told = [Path(self.model).name, self.engine, self.precision, f"preset {self.preset}"]
        told += [f"context {self.context}"] * bool(self.context) + [f"{self.decks} decks"] * (self.decks > 1)
        told += [f"hop {self.hop}"] * bool(self.hop)
        return ", ".join(told)


AXES = tuple(field.name for field in fields(Case))


def cases(values: Mapping[str, tuple[Any, ...]]) -> Iterator[Case]:
    """Give every combination of values, the last axis fastest.

    Args:
        values: by names out of `AXES`.

    Yields:
        Each case once.

    Raises:
        SpecError: for a value that cannot be.
    """
    for chosen in dict.fromkeys(product(*values.values())):
        yield Case(**dict(zip(values, chosen, strict=True)))
