"""From settings to a model: the network made or taken, trained, exported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import torch

from rtsep.core.spec import ModelSpec
from rtsep.dataset.inspection import Issue
from rtsep.dataset.unpacking import OnProgress as OnUnpacked
from rtsep.dataset.unpacking import unpacked
from rtsep.errors import EngineError, FileError, SpecError
from rtsep.model.networks import factory as networks
from rtsep.model.networks.export import export_model
from rtsep.model.store import StoredModel, find
from rtsep.training.data import build_datasets, build_examples, find_training_data
from rtsep.training.device import TrainingDevice
from rtsep.training.edge import EdgeObjective, edge_objective
from rtsep.training.initialisation import build_network, initialise
from rtsep.training.settings import TrainSettings
from rtsep.training.trainer import OnProgress, Trainer


def check_run(settings: TrainSettings, init: str) -> tuple[Issue, ...]:
    """Check all that can be checked without training, and read every song to its end.

    Args:
        settings: of the run.
        init: a model's name or path; empty for a new network.

    Returns:
        What is wrong with the songs, although they can be trained on.

    Raises:
        RtsepError: as `train` does.
    """
    _, spec, _ = build_network(settings, init)
    data = find_training_data(settings, spec.sample_rate, thorough=True)
    build_datasets(settings, spec, data)
    return data.issues


def train(
    settings: TrainSettings,
    folder: Path,
    device: TrainingDevice,
    init: str = "",
    resume: bool = False,
    on_progress: OnProgress = lambda progress: None,
    warn: Callable[[Sequence[Issue]], None] = lambda issues: None,
    unpack: Path | None = None,
    on_unpacked: OnUnpacked = lambda done, total: None,
) -> StoredModel:
    """Make one run in a folder, and give the model that it exports to the folder's `model`.

    Args:
        settings: of the run.
        folder: the run's; it is made where there is none.
        device: where it computes.
        init: a model's name or path to start from; empty for a new network.
        resume: go on from the folder's checkpoint.
        on_progress: hears how it goes.
        warn: gets the issues of the songs, before the run starts.
        unpack: a folder for what is decoded once, see `unpacked`; None to decode again and again.
        on_unpacked: hears how far that is.

    Raises:
        FileError: for songs with faults, a folder that holds another run, and what cannot be written.
        RtsepError: for all else that cannot be trained on or with.
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
        examples = build_examples(settings, spec, data)
    if not resume:
        initialise(network, architecture, spec, examples, settings, init)
    with _explained(settings):
        trainer = Trainer(
            settings,
            architecture,
            spec,
            network,
            folder,
            device,
            fingerprint,
            build_edge_objective(settings, spec, device.device),
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
    """Build the objective of a run at the edge, with its teacher; None for any other run.

    Args:
        settings: of the run.
        spec: of the network that is trained.
        device: torch's name of where it computes.

    Raises:
        SpecError: for a teacher that is no U-Net with as many stems.
        RtsepError: as `find` and `edge_objective` do.
    """
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
    lasting = {name: value for name, value in recorded.items() if name not in ("intervals", "validation")}
    path = folder / "settings.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "checkpoint.pt").exists() and not resume:
            raise FileError(f"{folder} holds a run already; go on with --resume, or take another folder")
        if resume and path.exists():
            before = json.loads(path.read_text(encoding="utf-8"))
            changed = [name for name in lasting if before.get(name) != lasting[name]]
            if changed:
                name = changed[0]
                raise SpecError(
                    f"{folder}: the run was started with other settings: {name} was {before.get(name)!r}, "
                    f"now {lasting[name]!r}; give what it was, or take another folder"
                )
        path.write_text(json.dumps(recorded, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise FileError(f"{folder} cannot be written: {error.strerror}") from error
    except ValueError as error:
        raise FileError(f"{path} is broken; take another folder") from error
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()
