"""What a run of training is told: a TOML file to frozen dataclasses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from rtsep.core.config import read_settings
from rtsep.dataset.examples import Recipe
from rtsep.dataset.layouts import LayoutOptions
from rtsep.errors import ConfigError, FileError
from rtsep.training.losses import LOSSES


@dataclass(frozen=True)
class Songs:
    """A folder of songs, and how often it is drawn from against the others.

    The folder's own name may be a pattern (`*-music`) for several that are drawn from as one.

    Raises:
        ConfigError: for a weight that is out of range.
    """

    layout: str
    folder: Path
    weight: float = 1.0
    options: LayoutOptions = field(default_factory=LayoutOptions)

    def __post_init__(self) -> None:
        if not 0.0 <= self.weight <= 1e6:
            raise ConfigError(f"{self.folder}: weight = {self.weight} is out of range; allowed are 0 to 1000000")

    @property
    def folders(self) -> list[Path]:
        """The folders that are meant, in the order of their names.

        Raises:
            FileError: where a pattern means none.
        """
        if "*" not in self.folder.name:
            return [self.folder]
        found = sorted(path for path in self.folder.parent.glob(self.folder.name) if path.is_dir())
        if not found:
            raise FileError(f"{self.folder}: no folder is called so; mend the pattern, or make the songs first")
        return found


@dataclass(frozen=True)
class Optimisation:
    """The course of the training; steps count batches.

    Raises:
        ConfigError: for a value that is out of range or unknown.
    """

    steps: int = 100_000
    batch: int = 16  # examples
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    schedule: str = "cosine"  # or constant
    weight_decay: float = 1e-3
    clip: float = 1.0  # norm of the gradient; 0: not clipped
    average: float = 0.998  # decay of the moving average of the weights that is judged and exported; 0: none
    loss: str = ""  # empty: the custom of the network's family
    carry: float = 0.0  # probability that an example begins with what a causal network remembers of one before
    presets: tuple[str, ...] = ("exact",)  # whose analysis windows the network hears, drawn by batch
    freeze_norms: bool = False  # batch normalisation keeps its statistics, as Spleeter's checkpoints want
    precision: str = "fp32"  # or bf16: automatic mixed precision

    def __post_init__(self) -> None:
        if self.precision == "f32":  # as settings and checkpoints of before have it
            object.__setattr__(self, "precision", "fp32")
        for name, low, high in (
            ("steps", 1, 100_000_000),
            ("batch", 1, 4096),
            ("learning_rate", 1e-9, 10.0),
            ("warmup_steps", 0, 1_000_000),
            ("weight_decay", 0.0, 1.0),
            ("clip", 0.0, 1e6),
            ("average", 0.0, 0.999999),
            ("carry", 0.0, 1.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"optimisation.{name} = {value} is out of range; allowed are {low:g} to {high:g}")
        for name, allowed in (("schedule", ("cosine", "constant")), ("precision", ("fp32", "bf16"))):
            value = getattr(self, name)
            if value not in allowed:
                raise ConfigError(f"optimisation.{name} = {value!r}; allowed are {', '.join(allowed)}")
        if self.loss and self.loss not in LOSSES:
            raise ConfigError(f"optimisation.loss = {self.loss!r}; allowed are {', '.join(LOSSES)}")
        if not self.presets:
            raise ConfigError("optimisation.presets is empty; name one, as 'exact'")


@dataclass(frozen=True)
class Edge:
    """Training at the edge of a U-Net's context, as live use plays it; see `edge.py`. Counts are of spectra.

    Raises:
        ConfigError: for a value that is out of range.
    """

    context: int = 64  # that the network sees
    frames: int = 2  # the newest of a context, which are learnt from
    contexts: int = 2  # of each example
    after: tuple[int, int] = (0, 0)  # frames by which a mask is used later than its newest spectrum, drawn by batch
    teacher: str = ""  # a model that hears the future too; empty: none
    teacher_weight: float = 0.5  # of what the teacher says, against the truth
    future: int = 20  # that the teacher has at the least

    def __post_init__(self) -> None:
        for name, low, high in (("context", 1, 4096), ("frames", 1, 64), ("contexts", 1, 64), ("future", 0, 4096)):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"edge.{name} = {getattr(self, name)} is out of range; allowed are {low} to {high}")
        if not 0 <= self.after[0] <= self.after[1] <= 1_000_000:
            raise ConfigError(f"edge.after = {list(self.after)}: two counts of frames, the lower one first")
        if not 0.0 <= self.teacher_weight <= 1.0:
            raise ConfigError(f"edge.teacher_weight = {self.teacher_weight} is a share; allowed are 0 to 1")


@dataclass(frozen=True)
class Intervals:
    """How often a run says, judges and keeps something; steps count batches.

    Raises:
        ConfigError: for a value that is out of range.
    """

    log_steps: int = 50
    valid_steps: int = 1000
    checkpoint_steps: int = 500
    patience: int = 0  # validations without a better one before the run ends early; 0: it never does

    def __post_init__(self) -> None:
        for name, lowest in (("log_steps", 1), ("valid_steps", 1), ("checkpoint_steps", 1), ("patience", 0)):
            if getattr(self, name) < lowest:
                raise ConfigError(f"intervals.{name} = {getattr(self, name)}; allowed are {lowest} and more")


@dataclass(frozen=True)
class Validation:
    """The songs that choose the best weights: never trained on.

    Raises:
        ConfigError: for a value that is out of range.
    """

    seconds: float = 60.0  # of each song, from its middle; 0: all of it
    songs: int = 8  # at most
    preset: str = ""  # the latency preset at which they are played, or `offline`; empty: see `validate`

    def __post_init__(self) -> None:
        if not 0.0 <= self.seconds <= 36_000.0:
            raise ConfigError(f"validation.seconds = {self.seconds} is out of range; allowed are 0 to 36000")
        if self.songs < 1:
            raise ConfigError(f"validation.songs = {self.songs}; allowed are 1 and more")


@dataclass(frozen=True)
class TrainSettings:
    """One run: what network, from what sound, by what course.

    Raises:
        ConfigError: for a value that is out of range, and for patience without songs to validate by.
    """

    RENAMED: ClassVar = {"rhythm": "intervals", "judging": "validation"}  # settings of before

    name: str  # of the model that comes out
    stems: tuple[str, ...]
    network: dict[str, Any]  # `family`, and what that family of networks is described by
    train: tuple[Songs, ...]
    valid: tuple[Songs, ...] = ()
    licence: str = "not said; ask whoever trained it"
    seed: int = 0
    examples: Recipe = field(default_factory=Recipe)
    optimisation: Optimisation = field(default_factory=Optimisation)
    intervals: Intervals = field(default_factory=Intervals)
    validation: Validation = field(default_factory=Validation)
    edge: Edge | None = None  # a U-Net is trained at the edge of its context; none: on all that it sees

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 1 << 63:
            raise ConfigError(f"seed = {self.seed} is out of range; allowed are 0 to {(1 << 63) - 1}")
        if self.intervals.patience and not self.valid:
            raise ConfigError("intervals.patience needs songs to validate by: name them in [[valid]], or leave it out")


def read_train_settings(path: Path, changes: Sequence[str] = ()) -> TrainSettings:
    """Read a run's settings; folders are relative to the file.

    Args:
        path: of the TOML file.
        changes: as of `read_settings`.

    Raises:
        ConfigError: for a file that cannot be read, and an entry that is missing, unknown or not allowed.
    """
    entries = read_settings(path, TrainSettings, changes)
    home = path.parent
    for group in ("train", "valid"):
        songs = entries.get(group, ())
        entries[group] = tuple(_placed(one, home) for one in songs)
    return TrainSettings(**entries)


def _placed(songs: Songs, home: Path) -> Songs:
    """The same songs, with paths that are relative to the settings file made so."""
    table = home / songs.options.csv if songs.options.csv else None
    return replace(songs, folder=home / songs.folder, options=replace(songs.options, csv=table))
