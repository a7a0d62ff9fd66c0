"""What an engine is made of: any part of it other, and it is another engine; and the folders named after it."""

from __future__ import annotations

import hashlib
import json
import platform
import shlex
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

from rtsep.core import folders
from rtsep.core.spec import ModelSpec
from rtsep.engine.tensorrt.family import FAMILIES, Family
from rtsep.model import graphs
from rtsep.model.store import StoredModel

CHECKOUT = Path(__file__).parents[3]
COMPILING = ("compiler.py", "family.py")  # beside this file: what is asked of a library, and how


@dataclass(frozen=True)
class EngineKey:
    """All that decides what is in an engine's file."""

    model: str
    model_sha256: str  # of its spec and of what it plays from
    precision: str
    context: int  # spectra that it sees in one call
    newest: int  # how many of them get masks, the last; 0: all
    rows: int  # of one call, at most
    gpu: str  # compute capability, as sm89
    family: str  # the library, by its module's name
    version: str  # of the library
    platform: str  # as linux-x86_64
    graphs_sha256: str  # of our own code that writes graphs and has them compiled

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that differ where any part does."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def folder_name(self) -> str:
        """What the folder of the engine is called."""
        family = FAMILIES.get(self.family)
        library = f"{family.short if family else self.family}{self.version}"
        return f"{self.model}-{self.precision}-{self.context}-{self.gpu}-{library}-{self.hash}"

    def command(self, model: StoredModel | None = None) -> str:
        """Give the command that builds it.

        Args:
            model: the model itself, where it may have been found by a path.
        """
        named = str(model.path.parent) if model and model.origin == "path" else self.model
        words = ["rtsep", "build", shlex.quote(named), "--precision", self.precision, "--context", str(self.context)]
        words += ["--batch", str(self.rows)] if self.rows > 1 else []
        words += ["--newest", str(self.newest)] if self.newest != 1 else []
        return " ".join([*words, "--for", self.gpu])


def as_used(model: StoredModel, context: int = 0, newest: int = 1) -> StoredModel:
    """Give a model as it runs on a GPU: as live use plays it, or for whole files.

    Args:
        model: as the store gives it.
        context: spectra that a windowed model sees; 0 for its usual number.
        newest: how many of them get masks live; 0 for whole files, where all do.

    Raises:
        SpecError: for a context that it cannot have.
    """
    return model.live(newest - 1, context) if newest else model.with_context(context)


def key_of(
    model: StoredModel, precision: str, context: int, newest: int, rows: int, gpu: str, family: Family
) -> EngineKey:
    """Give the key of an engine as it would be built here and now.

    Args:
        model: as it is used, see `as_used`.
        precision: of the graph.
        context: spectra that it sees in one call.
        newest: how many of them get masks; 0: all.
        rows: of one call, at most.
        gpu: compute capability, as `sm89`.
        family: the library that builds it and runs it.
    """
    if model.spec.kind == "stateful":  # frame by frame, row by row
        newest = rows = 1
    return EngineKey(
        model=model.name,
        model_sha256=model_digest(model.spec, model.sha256),
        precision=precision,
        context=context,
        newest=newest,
        rows=rows,
        gpu=gpu,
        family=family.name,
        version=family.version,
        platform=f"{platform.system()}-{platform.machine()}".lower(),
        graphs_sha256=graphs_digest(),
    )


def model_digest(spec: ModelSpec, sha256: str) -> str:
    """Give the sha256 of a model: of its spec, however much of a context it is used with, and of its file.

    Args:
        spec: of the model.
        sha256: of the file that it plays from.
    """
    plain = replace(spec, context=max(1, spec.context_step), newest=0) if spec.context_step else replace(spec, newest=0)
    return hashlib.sha256(f"{json.dumps(plain.to_dict(), sort_keys=True)}{sha256}".encode()).hexdigest()


@cache
def graphs_digest() -> str:
    """Give the sha256 of the sources that write graphs and have them compiled: a version that nobody can forget."""
    found = hashlib.sha256()
    beside = [Path(__file__).with_name(name) for name in COMPILING]
    for path in (*sorted(Path(graphs.__file__).parent.glob("*.py")), *beside):
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def engines_folder() -> Path:
    """Give the folder of engines: RTSEP_ENGINES, `engines/` of a checkout, or the platform's place for data."""
    if chosen := folders.chosen("RTSEP_ENGINES"):
        return chosen
    if (CHECKOUT / "pyproject.toml").is_file() and (CHECKOUT / "engines").is_dir():
        return CHECKOUT / "engines"
    return folders.data() / "engines"
