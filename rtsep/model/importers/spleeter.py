"""Import Spleeter's models: a TensorFlow checkpoint to one of the user's models, without TensorFlow or torch.

The names follow the order in which Keras made the layers: the towers in the order of the
instruments, and within a tower its encoder, its decoder, then its output.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsep.errors import ModelError
from rtsep.model import archive
from rtsep.model.importers.installation import check_name, install
from rtsep.model.importers.spleeter_config import (
    RELEASED,
    SHIPPED,
    SpleeterConfig,
    read_config,
    read_json,
    shipped_name,
)
from rtsep.model.importers.tf_checkpoint import INDEX, Bundle, find_prefix, open_bundle
from rtsep.model.published.fingerprints import identify_release
from rtsep.model.published.registry import ARCHIVES, store_name
from rtsep.model.published.registry import SPLEETER_MIT as DEEZER
from rtsep.model.shapes import tensor_shapes
from rtsep.model.store import StoredModel, digest

UNKNOWN = "as its author says"
# by their sha256, whose weights the index files are that Deezer released; they hold the CRC32C of every tensor
KNOWN_INDEXES = {archive.index_sha256: weights for weights, archive in ARCHIVES.items()}

# What training leaves beside the weights, with each optimiser that Spleeter knows.
LEFT_BEHIND = re.compile(r"global_step|beta[12]_power|.+/(Adam|Adadelta)(_1)?")
CONV_KERNEL = re.compile(r"conv2d(_[0-9]+)?/kernel")
CONV = {"weight": "kernel", "bias": "bias"}
NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def import_spleeter(
    path: Path,
    name: str | None = None,
    config: str | Path | None = None,
    context: int | None = None,
    licence: str | None = None,
) -> StoredModel:
    """Make a Spleeter model one of the user's models.

    Args:
        path: a folder with a checkpoint, a `.tar.gz` of one, or a checkpoint's prefix.
        name: of the new model; None for `spleeter-2stems` and so on of the shipped and the released ones, else the
            folder's own.
        config: Spleeter's JSON, or the name of a shipped configuration; None for a JSON beside the checkpoint, else
            what the folder is called, else what the released files are known by.
        context: spectra that the network sees at once, a multiple of its step; None for the configuration's T.
        licence: what the model says of its terms; None for what is known of the files.

    Raises:
        ModelError: for files that are broken or hostile, and for weights that do not fit the configuration.
    """
    from rtsep.model.weights import Weights, write_model

    with _prefix(path) as prefix:
        folder_name = _folder_name(path)
        bundle = open_bundle(prefix)
        index = prefix.with_name(prefix.name + INDEX)
        known = KNOWN_INDEXES.get(digest(index))
        configuration, shipped = _configuration(prefix, config, folder_name, known)
        architecture = configuration.architecture(context)
        origin = identify_release(index, bundle.data, architecture)
        if name is None:
            name = f"spleeter-{shipped or folder_name}" if folder_name in SHIPPED else folder_name
            name = store_name(origin["released"]) if origin else name
        check_name(name)  # before the long work
        deezers = known is not None or (shipped in RELEASED and folder_name in RELEASED)
        spec = architecture.spec(name, licence or (DEEZER if deezers else UNKNOWN))
        weights = Weights(architecture, read_tensors(bundle, configuration))
        return install(name, lambda folder: write_model(weights, spec, folder), origin)


@contextmanager
def _prefix(path: Path) -> Iterator[Path]:
    """Give the prefix of the checkpoint in a folder, in an archive, or of that name."""
    if not path.is_file() or path.suffix == INDEX:
        yield find_prefix(path)
        return
    with archive.opened(path) as folder:
        # archives hold the files themselves, or one folder with them
        inner = [item for item in sorted(folder.iterdir()) if not item.name.startswith(".")]
        try:
            yield find_prefix(inner[0] if len(inner) == 1 and inner[0].is_dir() else folder)
        except ModelError as error:
            # the temporary folder is gone by the time that this is read
            raise ModelError(str(error).replace(str(folder), str(path))) from error


def _folder_name(path: Path) -> str:
    """Give the plain name of a folder, of an archive, or of the folder that a prefix lies in."""
    if path.is_dir():
        return path.resolve().name
    for suffix in archive.SUFFIXES:
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    return path.resolve().parent.name


def _configuration(
    prefix: Path, config: str | Path | None, folder_name: str, known: str | None
) -> tuple[SpleeterConfig, str | None]:
    """Find the configuration, and its name if it is a shipped one."""
    if config is not None:
        shipped = shipped_name(config)
        return (SHIPPED[shipped], shipped) if shipped else (read_config(Path(config)), None)
    files = [file for file in sorted(prefix.parent.glob("*.json")) if not file.name.startswith(".")]
    files = [file for file in files if "instrument_list" in read_json(file)]
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise ModelError(f"{prefix.parent} has several configurations: {names}; choose one with --config")
    if files:
        return read_config(files[0]), None
    shipped = folder_name if folder_name in SHIPPED else known
    if shipped:
        return SHIPPED[shipped], shipped
    # The number of towers does not say which activations they were trained with, and a wrong
    # choice would load and sound wrong.
    raise ModelError(
        f"nothing says how {folder_name!r} was configured; give Spleeter's JSON with --config FILE.json, "
        f"or the name of a shipped one: {', '.join(SHIPPED)}"
    )


def variables(towers: int, depth: int) -> dict[str, str]:
    """Give Spleeter's variable for each tensor of a U-Net.

    Args:
        towers: how many it has, one a stem.
        depth: steps down of each.

    Returns:
        The variables' names by those of `tensor_shapes`.
    """
    names: dict[str, str] = {}
    for tower in range(towers):
        layers = [("output", "conv2d", (depth + 1) * tower + depth, CONV)]
        for step in range(depth):
            layers += [
                (f"encoders.{step}.conv", "conv2d", (depth + 1) * tower + step, CONV),
                (f"encoders.{step}.norm", "batch_normalization", 2 * depth * tower + step, NORM),
                (f"decoders.{step}.conv", "conv2d_transpose", depth * tower + step, CONV),
                (f"decoders.{step}.norm", "batch_normalization", 2 * depth * tower + depth + step, NORM),
            ]
        for module, layer, number, parts in layers:
            numbered = f"{layer}_{number}" if number else layer
            names |= {f"towers.{tower}.{module}.{ours}": f"{numbered}/{theirs}" for ours, theirs in parts.items()}
    return names


def read_tensors(bundle: Bundle, config: SpleeterConfig) -> dict[str, NDArray[np.float32]]:
    """Read the weights of a checkpoint by our names.

    Args:
        bundle: the checkpoint.
        config: the configuration that it must fit.

    Returns:
        The tensors as `tensor_shapes` has them.

    Raises:
        ModelError: with the tensor's name for one that is missing, left over, damaged, not finite, or of another type
            or shape than the configuration wants.
    """
    shapes = tensor_shapes(config.architecture())
    names = variables(len(config.instrument_list), len(config.filters))
    _check(bundle, config, {names[key]: _theirs(shape) for key, shape in shapes.items()})
    return {key: _read(bundle, names[key]) for key in shapes}


def _theirs(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Turn torch's (out, in, height, width) into (height, width, in, out); transposed, in and out swap in both."""
    return (*shape[2:], shape[1], shape[0]) if len(shape) == 4 else tuple(shape)


def _read(bundle: Bundle, name: str) -> NDArray[np.float32]:
    array = bundle.read(name)
    if not np.isfinite(array).all():
        raise ModelError(f"{bundle.data}: tensor {name!r} holds values that are not finite; train or get it again")
    return np.array(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array, np.float32, order="C")


def _check(bundle: Bundle, config: SpleeterConfig, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Hold the names, types and shapes of a checkpoint against those that the configuration wants."""
    found = {name: entry for name, entry in bundle.entries.items() if not LEFT_BEHIND.fullmatch(name)}
    instruments, per_tower = config.instrument_list, len(config.filters) + 1
    convolutions, wanted = sum(1 for name in found if CONV_KERNEL.fullmatch(name)), len(instruments) * per_tower
    if convolutions != wanted:
        raise ModelError(
            f"{bundle.data} has {convolutions} convolutions, its configuration {wanted}, {per_tower} for each of "
            f"{', '.join(instruments)}; give the right one with --config"
        )
    if missing := sorted(set(shapes) - set(found)):
        raise ModelError(f"{bundle.data}: tensor {missing[0]!r} is missing; get the checkpoint again")
    if extra := sorted(set(found) - set(shapes)):
        raise ModelError(f"{bundle.data}: tensor {extra[0]!r} belongs to no U-Net of Spleeter's; is it another model?")
    for name, shape in shapes.items():
        entry = found[name]
        if entry.dtype != np.float32:
            raise ModelError(f"{bundle.data}: tensor {name!r} is {entry.dtype.name}; Spleeter's are float32")
        if entry.shape != shape:
            raise ModelError(
                f"{bundle.data}: tensor {name!r} has shape {entry.shape}, its configuration wants {shape}; "
                "give the right one with --config"
            )
