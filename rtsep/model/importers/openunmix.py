"""Import Open-Unmix models: a folder of weights, or one file, to one of the user's models.

A trained folder has `separator.json`, and `<target>.json` and `<target>.pth` for each target; the
published files are called `<target>-<hash>.pth`, by the first digits of their own sha256.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rtsep.core.spec import PLAIN_STEM, RESIDUAL, ModelSpec
from rtsep.errors import ModelError
from rtsep.model.architectures import OpenUnmixArchitecture
from rtsep.model.folder import ONNX_NAME, WEIGHTS_NAME, file_record, write_json
from rtsep.model.importers.installation import check_name, install
from rtsep.model.importers.openunmix_weights import read_settings, read_weights
from rtsep.model.openunmix_tensors import Sizes, Target, check_alike, read_target, state_specs
from rtsep.model.store import StoredModel

WEIGHTS, SEPARATOR = ".pth", "separator.json"
HASHED = re.compile(r"(?P<target>.+)[-_](?P<digits>[0-9a-f]{8})")
ORDER = ("vocals", "drums", "bass", "other", "speech", "noise")  # the original's
KEYS = ("nfft", "nhop", "sample_rate", "nb_channels")
DEFAULTS = {"nfft": 4096, "nhop": 1024, "sample_rate": 44100, "nb_channels": 2}
MAX_BYTES = 2_000_000_000  # of a graph, one file of at most 2 GiB
UNKNOWN_LICENCE = "as its author says"


@dataclass(frozen=True)
class PublishedTarget:
    """A published set of weights."""

    hashes: dict[str, str]  # by target, the digits in its file's name
    licence: str
    settings: dict[str, int]


PUBLISHED = {
    "umxhq": PublishedTarget(
        {"vocals": "b62c91ce", "drums": "9619578f", "bass": "8d85a5bd", "other": "b52fbbf7"},
        "MIT as the project; trained on MUSDB18-HQ; doi.org/10.5281/zenodo.3370489",
        DEFAULTS,
    ),
    "umx": PublishedTarget(
        {"vocals": "c8df74a5", "drums": "5a48008b", "bass": "646024d3", "other": "f8e132cc"},
        "MIT as the project; trained on MUSDB18; doi.org/10.5281/zenodo.3370486",
        DEFAULTS,
    ),
    "umxl": PublishedTarget(
        {"vocals": "bccbd9aa", "drums": "69e0ebd4", "bass": "2ca1ce51", "other": "c8c5b3e6"},
        "CC BY-NC-SA 4.0, not for commercial use; doi.org/10.5281/zenodo.5069601",
        DEFAULTS,
    ),
    "umxse": PublishedTarget(
        {"speech": "f5e0d9f9", "noise": "04a6fc2d"},
        "as Sony says, who trained them on Voicebank+DEMAND; doi.org/10.5281/zenodo.3786908",
        {"nfft": 1024, "nhop": 512, "sample_rate": 16000, "nb_channels": 1},
    ),
}


@dataclass(frozen=True)
class TargetFile:
    """The weights of one target, and what their file's name says of them."""

    target: str
    path: Path
    digits: str | None  # the first of the file's sha256

    @property
    def published(self) -> str | None:
        """The published set that a file of this name belongs to."""
        return next((name for name, s in PUBLISHED.items() if s.hashes.get(self.target, "") == self.digits), None)


def import_openunmix(
    path: Path,
    name: str | None = None,
    targets: tuple[str, ...] = (),
    residual: bool = False,
    context: int = 256,
    licence: str | None = None,
) -> StoredModel:
    """Make Open-Unmix networks one of the user's models.

    Args:
        path: a folder of weights, or one `.pth` file.
        name: of the new model; None for `openunmix-umxhq` and so on of published sets, else the folder's or file's own.
        targets: those to take, in this order; empty for all.
        residual: whether one more stem holds what no target claims; one target has it always.
        context: spectra that a bidirectional network sees at once; one that goes one way carries its state instead.
        licence: what the model says of its terms; None for what is known of the files.

    Raises:
        ModelError: for files that are missing, broken or hostile, for settings that contradict the weights, and for
            targets that do not fit together.
    """
    networks: dict[str, Target] = {}
    settings: dict[str, dict[str, int]] = {}
    try:
        files = find_targets(path, targets)
        name = name or default_name(path, files)
        check_name(name)  # before the long work
        for file in files:
            weights = read_weights(file.path, file.digits)
            try:
                networks[file.target] = read_target(weights)
            except ModelError as error:
                raise ModelError(f"{file.path}: {error}") from error
            settings[file.target] = _settings(file, weights, networks[file.target].sizes)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error})") from error
    for key in KEYS:
        if len({found[key] for found in settings.values()}) > 1:
            said = ", ".join(f"{target} {found[key]}" for target, found in settings.items())
            raise ModelError(f"{path}: the targets differ in {key} ({said}); import those that agree, by their names")
    sizes = {target: found.sizes for target, found in networks.items()}
    check_alike(sizes)
    if (size := sum(tensor.nbytes for one in networks.values() for tensor in one.tensors.values())) > MAX_BYTES:
        raise ModelError(
            f"{path}: {size} bytes of weights; a graph holds at most {MAX_BYTES}; import fewer by --targets"
        )
    residual = residual or len(files) == 1
    stems = (*sizes, RESIDUAL) if residual else tuple(sizes)
    architecture = _architecture(stems, sizes[files[0].target], settings[files[0].target], context)
    terms = {PUBLISHED[file.published].licence if file.published else UNKNOWN_LICENCE for file in files}
    spec = architecture.spec(name, licence or "; ".join(sorted(terms)), state_specs(sizes))
    return install(name, lambda folder: _write(networks, architecture, spec, folder))


def _write(targets: Mapping[str, Target], architecture: OpenUnmixArchitecture, spec: ModelSpec, folder: Path) -> None:
    """Write the graph, and beside it the weights to train on."""
    import onnx

    from rtsep.model.graphs.openunmix import openunmix_graph
    from rtsep.model.weights import Weights, write_weights

    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(openunmix_graph(targets, architecture.residual, spec), folder / ONNX_NAME)
    files = {"graph": file_record(folder / ONNX_NAME)}
    # those that differ in size cannot be described as one, so they can be played but not trained
    if len({target.sizes for target in targets.values()}) == 1:
        tensors = {
            f"networks.{number}.{name}": tensor
            for number, target in enumerate(targets.values())
            for name, tensor in target.tensors.items()
        }
        write_weights(Weights(architecture, tensors), folder / WEIGHTS_NAME)
        files["weights"] = file_record(folder / WEIGHTS_NAME)
    write_json(folder, spec, files)


def find_targets(path: Path, targets: tuple[str, ...] = ()) -> list[TargetFile]:
    """Find the weights in a folder, or the one file, in the order of the stems.

    Args:
        path: a folder of weights, or one `.pth` file.
        targets: those to take, in this order; empty for all, in the original's order, then sorted.

    Raises:
        ModelError: for a target that is missing, there twice, or has no plain name.
    """
    if path.is_file() and path.suffix == WEIGHTS:
        files = [_target_file(path)]
    elif path.is_dir():
        files = [_target_file(file) for file in sorted(path.iterdir()) if _is_weights(file)]
    else:
        raise ModelError(f"{path} is no folder and no {WEIGHTS} file; give Open-Unmix's weights, or their folder")
    if not files:
        raise ModelError(f"{path} has no {WEIGHTS} files; give the folder where Open-Unmix's weights are")
    there = sorted({file.target for file in files}, key=lambda t: (ORDER.index(t) if t in ORDER else len(ORDER), t))
    if len(set(targets)) != len(targets):
        raise ModelError(f"targets {', '.join(targets)}: one is there twice; name each once")
    chosen = []
    for target in targets or there:
        found = [file for file in files if file.target == target]
        if not found:
            raise ModelError(f"no target {target!r:.200} in {path}; there are {', '.join(there)}")
        if len(found) > 1:
            names = ", ".join(file.path.name for file in found)
            raise ModelError(f"{path} has several files for {target}: {names}; keep one there")
        if not PLAIN_STEM.fullmatch(target) or target == "residual":
            raise ModelError(
                f"{found[0].path}: target {target!r} cannot be a stem's name; rename the file: letters, digits, '_' "
                f"and '-' are allowed, but not 'mix' or 'residual'"
            )
        chosen += found
    return chosen


def default_name(path: Path, files: list[TargetFile]) -> str:
    """Name a model after the published set that its files belong to, else after its folder or file."""
    published = {file.published for file in files}
    if len(published) == 1 and (found := files[0].published):
        parts = [] if len(files) == len(PUBLISHED[found].hashes) else [file.target for file in files]
        return "-".join(["openunmix", found, *parts])
    return files[0].target if path.is_file() else path.resolve().name


def _is_weights(path: Path) -> bool:
    return path.suffix == WEIGHTS and not path.name.startswith(".") and path.is_file()


def _target_file(path: Path) -> TargetFile:
    """Split the name of a file; one that has its own JSON beside it is a target as it stands."""
    match = None if path.with_suffix(".json").is_file() else HASHED.fullmatch(path.stem)
    return TargetFile(match["target"], path, match["digits"]) if match else TargetFile(path.stem, path, None)


def _settings(file: TargetFile, weights: Mapping[str, NDArray[Any]], sizes: Sizes) -> dict[str, int]:
    """Give the values of `KEYS`; all that is said of a target must agree, with its weights too."""
    separator, trained = file.path.with_name(SEPARATOR), file.path.with_name(f"{file.target}.json")
    args = read_settings(trained, ("args",))["args"] if trained.is_file() else {}
    if not isinstance(args, dict):
        raise ModelError(f"{trained}: 'args' is no JSON object; get the file again")
    rate = weights.get("sample_rate")
    published = PUBLISHED[file.published].settings if file.published else {}
    found: dict[str, int] = {}
    for where, entries in (
        (f"the weights in {file.path}", {"nfft": 2 * (sizes.bins - 1), "nb_channels": sizes.channels}),
        (f"the published {file.published}", published),
        (str(separator), read_settings(separator, KEYS) if separator.is_file() else {}),
        (str(trained), args),
        (
            f"'sample_rate' in {file.path}",
            {"sample_rate": rate.item()} if rate is not None and rate.size == 1 else {},
        ),
    ):
        for key in KEYS:
            if key in entries and found.setdefault(key, value := _whole(where, key, entries[key])) != value:
                raise ModelError(
                    f"{where}: {key} is {value}, but the weights in {file.path}, or what else is known of them, "
                    f"say {found[key]}; correct the wrong one"
                )
    if (missing := [key for key in KEYS if key not in found]) and any(found[key] != DEFAULTS[key] for key in found):
        raise ModelError(
            f"{file.path}: nothing says its {' and '.join(missing)}, and Open-Unmix's usual settings do not fit "
            f"({_words(found)}, not {_words(DEFAULTS)}); put a {SEPARATOR} with {', '.join(KEYS)} beside it"
        )
    settings = {**DEFAULTS, **found}
    _check_args(trained, args, sizes, settings)
    return settings


def _check_args(path: Path, args: Mapping[str, Any], sizes: Sizes, settings: Mapping[str, int]) -> None:
    """Compare what a target was trained with to its weights, which the original's loader does not."""
    real = {"hidden_size": sizes.hidden, "nb_layers": sizes.layers, "unidirectional": not sizes.bidirectional}
    for key, value in real.items():
        if key in args and args[key] != value:
            raise ModelError(
                f"{path}: {key} is {json.dumps(args[key])}, but the weights are of {json.dumps(value)}; "
                f"if these are the right weights, correct it in the file"
            )
    if "bandwidth" in args:
        hz = _whole(str(path), "bandwidth", args["bandwidth"])
        bins = min(sizes.bins, hz * settings["nfft"] // settings["sample_rate"] + 1)
        if abs(bins - sizes.seen) > 1:  # a bandwidth that falls on a bin may be rounded to either side
            raise ModelError(
                f"{path}: a bandwidth of {hz} Hz is {bins} bins at {settings['sample_rate']} Hz, but the weights see "
                f"{sizes.seen}; correct the bandwidth, or sample_rate in {SEPARATOR}"
            )


def _whole(where: str, key: str, value: object) -> int:
    """A whole number of JSON; the original writes some with a decimal point."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1 and 0 < value < 2**31:
        return int(value)
    raise ModelError(f"{where}: {key} is {value!r:.100}; it must be a whole number above 0")


def _words(settings: Mapping[str, int]) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items())


def _architecture(
    stems: tuple[str, ...], sizes: Sizes, settings: Mapping[str, int], context: int
) -> OpenUnmixArchitecture:
    return OpenUnmixArchitecture(
        stems=stems,
        sample_rate=settings["sample_rate"],
        channels=settings["nb_channels"],
        window=settings["nfft"],
        hop=settings["nhop"],
        bins=sizes.seen,
        hidden=sizes.hidden,
        layers=sizes.layers,
        bidirectional=sizes.bidirectional,
        context=context,
    )
