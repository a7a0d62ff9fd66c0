"""From settings to a model: the songs looked over, the network made or taken, trained, exported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from rtsep.core.spec import ModelSpec
from rtsep.dataset.examples import CHANNELS, Collection, Examples, too_short
from rtsep.dataset.inspection import Issue, inspect
from rtsep.dataset.layouts import find_songs
from rtsep.dataset.songs import Song
from rtsep.dataset.unpacking import OnProgress as OnUnpacked
from rtsep.dataset.unpacking import unpacked
from rtsep.errors import ConfigError, EngineError, FileError, ModelError, SpecError
from rtsep.model.architectures import UNetArchitecture
from rtsep.model.low_rank import factorised
from rtsep.model.networks import factory as networks
from rtsep.model.networks.export import export_model
from rtsep.model.networks.factory import Architecture
from rtsep.model.networks.unet import UNet
from rtsep.model.store import PLAIN_NAME, StoredModel, find
from rtsep.model.weights import Weights
from rtsep.training.device import TrainingDevice
from rtsep.training.edge import EdgeObjective, edge_objective
from rtsep.training.moments import moments
from rtsep.training.settings import Songs, TrainSettings
from rtsep.training.spectra import analysis_windows, spectra
from rtsep.training.trainer import OnProgress, Trainer
from rtsep.training.validation import ValidationClip, read_clips, validation_setting

SCALED = 24  # examples whose statistics a new network is given


@dataclass(frozen=True)
class TrainingData:
    """The songs of a run, and what is to be said of them."""

    collections: tuple[Collection, ...]
    valid: tuple[Song, ...]
    issues: tuple[Issue, ...]


def find_training_data(settings: TrainSettings, sample_rate: int, thorough: bool = False) -> TrainingData:
    """Find all songs and look them over, before anything starts. Raises `FileError`, naming all that is fatal.

    thorough: all their sound is read, not only their headers; see `inspect`.
    """
    issues: list[Issue] = []

    def songs(group: Sequence[Songs]) -> list[list[Song]]:
        found = [
            [song for folder in one.folders for song in find_songs(one.layout, folder, one.options)] for one in group
        ]
        for one in found:
            issues.extend(inspect(one, (), sample_rate, thorough))  # what no stem claims is the last one's
        return found

    train, valid = songs(settings.train), songs(settings.valid)
    issues.extend(too_short((song for one in train for song in one), settings.examples))
    if fatal := [issue for issue in issues if issue.fatal]:
        first = "; ".join(map(str, fatal[:5]))
        more = f"; and {len(fatal) - 5} more" if len(fatal) > 5 else ""
        raise FileError(f"{len(fatal)} faults in the songs: {first}{more}; mend them or take them out")
    collections = [Collection(tuple(one), group.weight) for one, group in zip(train, settings.train, strict=True)]
    return TrainingData(tuple(collections), tuple(song for one in valid for song in one), tuple(issues))


def resolve_architecture(settings: TrainSettings, init: str) -> tuple[Architecture, Weights | None]:
    """The network that the settings and `init` ask for, and the weights that it starts from (None: new ones).

    init: a model's name or path. A network table that says nothing is that of `init`, with the
    run's stems. Raises `ConfigError`, `ModelError`.
    """
    if not init:
        return networks.from_dict({**settings.network, "stems": list(settings.stems)}), None
    model = find(init)
    if model.weights is None:
        raise ModelError(
            f"{model.name} is only a graph, without weights to train on; start from streaming-2stems or a model of "
            "your own, or import it again with this rtsep"
        )
    weights = model.read_weights()
    found = weights.architecture
    if len(found.stems) != len(settings.stems):
        raise SpecError(
            f"{model.name} has {len(found.stems)} stems ({', '.join(found.stems)}), the settings name "
            f"{len(settings.stems)}; name as many"
        )
    if settings.network.get("family", found.family) != found.family:
        raise SpecError(f"{model.name} is of family {found.family}, the settings say {settings.network['family']!r}")
    architecture = networks.from_dict({**found.to_dict(), **settings.network, "stems": list(settings.stems)})
    return architecture, weights


def build_network(settings: TrainSettings, init: str) -> tuple[Architecture, ModelSpec, nn.Module]:
    """The network to train, with its first weights."""
    torch.manual_seed(settings.seed)
    architecture, weights = resolve_architecture(settings, init)
    network = networks.build(architecture)
    if weights and not _is_factorised(architecture, weights):
        try:
            networks.load(network, weights.tensors)
        except ModelError as error:
            raise ModelError(f"{init}: {error}") from error
    if settings.optimisation.carry and architecture.family != "causal":
        raise SpecError(
            f"optimisation.carry = {settings.optimisation.carry}: a network of family {architecture.family} remembers "
            "nothing; leave it out, or train a causal one"
        )
    spec = networks.spec(architecture, settings.name, settings.licence)
    if not PLAIN_NAME.fullmatch(settings.name):
        raise ConfigError(f"name = {settings.name!r} is not plain; letters, digits, '.', '_' and '-' are allowed")
    if spec.channels != CHANNELS:
        raise SpecError(f"network: channels is {spec.channels}; training needs {CHANNELS}")
    analysis_windows(spec, settings.optimisation.presets)  # raises for presets that it has not
    validation_setting(spec, settings.validation.preset)  # likewise
    return architecture, spec, network


def build_datasets(
    settings: TrainSettings, spec: ModelSpec, data: TrainingData
) -> tuple[Examples, list[ValidationClip]]:
    """What a run learns from and what it is judged by; raises `SpecError` where songs lack what the model has."""
    examples = _examples(settings, spec, data)
    return examples, read_clips(data.valid, spec, settings.validation.seconds, settings.validation.songs)


def _examples(settings: TrainSettings, spec: ModelSpec, data: TrainingData) -> Examples:
    return Examples(data.collections, settings.stems, spec.sample_rate, settings.examples, settings.seed)


def check_run(settings: TrainSettings, init: str) -> tuple[Issue, ...]:
    """All that can be told without training: raises what `train` would, and reads every song to its end."""
    _, spec, _ = build_network(settings, init)
    data = find_training_data(settings, spec.sample_rate, thorough=True)
    build_datasets(settings, spec, data)
    return data.issues


def train(
    settings: TrainSettings,
    folder: Path,
    machine: TrainingDevice,
    init: str = "",
    resume: bool = False,
    on_progress: OnProgress = lambda course: None,
    warn: Callable[[Sequence[Issue]], None] = lambda issues: None,
    unpack: Path | None = None,
    on_unpacked: OnUnpacked = lambda done, total: None,
) -> StoredModel:
    """Make one run in `folder`, and give the model that it exports to `folder`/model.

    warn: is called with the issues of the songs before the run starts. unpack: a folder for what
    is decoded once, see `unpacked`, and `on_unpacked` is told how far that is. Raises `RtsepError`s.
    """
    architecture, spec, network = build_network(settings, init)
    if unpack is not None:
        _check_apart(unpack, settings)
    data = find_training_data(settings, spec.sample_rate)
    warn(data.issues)
    examples, clips = build_datasets(settings, spec, data)
    fingerprint = _open_run_folder(folder, settings, init, resume)
    if unpack is not None:
        data = replace(data, collections=unpacked(data.collections, unpack, on_unpacked))
        examples = _examples(settings, spec, data)
    if not resume:
        _initialise(network, architecture, spec, examples, settings, init)
    with _explained(settings):
        trainer = Trainer(
            settings,
            architecture,
            spec,
            network,
            folder,
            machine,
            fingerprint,
            build_edge_objective(settings, spec, machine.device),
        )
        if resume:
            trainer.resume(folder / "checkpoint.pt")
        try:
            trainer.run(examples, clips, on_progress)
        except KeyboardInterrupt:
            trainer.save_checkpoint()
            raise
    best = trainer.best_network()
    try:
        path = export_model(best, architecture, spec, folder / "model")
    except OSError as error:
        raise FileError(
            f"{folder / 'model'} cannot be written: {error.strerror}; make room and export it with --resume"
        ) from error
    return find(path)


def build_edge_objective(settings: TrainSettings, spec: ModelSpec, device: str) -> EdgeObjective | None:
    """The objective of a run at the edge with its teacher; None for any other run. Raises `RtsepError`s."""
    edge = settings.edge
    if edge is None:
        return None
    teacher = None
    if edge.teacher:
        model = find(edge.teacher)
        architecture, weights = model.read_weights()
        if len(architecture.stems) != len(settings.stems) or model.spec.family != "spleeter":
            raise SpecError(f"edge.teacher = {edge.teacher!r} is no U-Net with {len(settings.stems)} stems; name one")
        teacher = networks.build(architecture)
        networks.load(teacher, weights)
    return edge_objective(spec, edge, settings.optimisation.presets, teacher, device)


def _check_apart(unpack: Path, settings: TrainSettings) -> None:
    """What is unpacked must not be found as a song by the next run."""
    place = unpack.resolve()
    for folder in (folder for group in (*settings.train, *settings.valid) for folder in group.folders):
        if folder.resolve() in (place, *place.parents):
            raise FileError(f"{unpack} lies in {folder}, whose songs are trained on; name a folder beside it")


@contextmanager
def _explained(settings: TrainSettings) -> Iterator[None]:
    """Say what torch's errors of too little memory mean; all others pass."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        batch, seconds = settings.optimisation.batch, settings.examples.seconds
        raise EngineError(
            f"the GPU's memory is full; lower optimisation.batch ({batch}) or examples.seconds ({seconds:g})"
        ) from error
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):  # killed, or out of shared memory
            raise
        raise EngineError(
            f"a process that makes examples ended ({str(error).splitlines()[0]}); go on with fewer --workers, or 0"
        ) from error


def _open_run_folder(folder: Path, settings: TrainSettings, init: str, resume: bool) -> str:
    """Make the run's folder and write down its settings; give their digest.

    Raises `FileError` for a folder that holds another run, `SpecError` for settings that changed.
    """
    recorded = json.loads(json.dumps({**asdict(settings), "init": init}, default=str))
    course = {name: value for name, value in recorded.items() if name not in ("intervals", "validation")}
    path = folder / "settings.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "checkpoint.pt").exists() and not resume:
            raise FileError(f"{folder} holds a run already; go on with --resume, or take another folder")
        if resume and path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            changed = [name for name in course if before.get(name) != course[name]]
            if changed:
                name = changed[0]
                raise SpecError(
                    f"{folder}: the run was started with other settings: {name} was {before.get(name)!r}, "
                    f"now {course[name]!r}; give what it was, or take another folder"
                )
        path.write_text(json.dumps(recorded, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise FileError(f"{folder} cannot be written: {error.strerror}") from error
    except ValueError as error:
        raise FileError(f"{path} is broken; take another folder") from error
    return hashlib.sha256(json.dumps(course, sort_keys=True).encode()).hexdigest()


def _is_factorised(architecture: Architecture, weights: Weights) -> bool:
    """Whether a run begins by bringing a full U-Net to low ranks. Raises `ModelError` where it cannot be brought."""
    found = weights.architecture
    if not isinstance(architecture, UNetArchitecture) or not isinstance(found, UNetArchitecture):
        return False
    if architecture.filters != found.filters or not any((*architecture.ranks, *found.ranks)):
        return False  # weights of other filters are refused as any that do not fit
    if architecture.ranks == found.ranks:
        return False
    if any(found.ranks):
        raise ModelError(
            f"network: ranks are {list(architecture.ranks)}, those of --init {list(found.ranks)}; leave them out, or "
            "start from a full network"
        )
    return True


def _initialise(
    network: nn.Module,
    architecture: Architecture,
    spec: ModelSpec,
    examples: Examples,
    settings: TrainSettings,
    init: str,
) -> None:
    """Give a network what it must have heard of its music: a new one its statistics, one of low rank its weights."""

    def magnitudes(preset: str, most: int | None) -> Iterator[Tensor]:
        (window,) = analysis_windows(spec, (preset,))
        for number in range(SCALED):
            mix = torch.from_numpy(examples[number].stems.sum(0))
            yield spectra(mix, spec, window).abs()[None, :, :most]

    if not init:
        networks.fit_scalers(network, architecture, magnitudes("exact", None))
        return
    _, weights = resolve_architecture(settings, init)
    if weights and _is_factorised(architecture, weights):
        assert isinstance(architecture, UNetArchitecture)
        full = networks.build(weights.architecture)
        assert isinstance(full, UNet)
        networks.load(full, weights.tensors)
        context, newest = (settings.edge.context, settings.edge.frames) if settings.edge else (spec.context, 0)
        heard = moments(full, magnitudes(settings.optimisation.presets[0], context), newest)
        networks.load(network, factorised(weights, architecture.ranks, heard).tensors)
