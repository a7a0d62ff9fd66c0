"""The network that a run begins with: made or taken, and given what it must have heard of its music."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from rtsep.core.spec import ModelSpec
from rtsep.dataset.examples import CHANNELS, Examples
from rtsep.errors import ConfigError, ModelError, SpecError
from rtsep.model.architectures import UNetArchitecture
from rtsep.model.low_rank import factorised
from rtsep.model.networks import factory as networks
from rtsep.model.networks.factory import Architecture
from rtsep.model.networks.unet import UNet
from rtsep.model.store import PLAIN_NAME, find
from rtsep.model.weights import Weights
from rtsep.training.moments import moments
from rtsep.training.settings import TrainSettings
from rtsep.training.spectra import analysis_windows, spectra
from rtsep.training.validation import validation_setting

SCALED = 24  # examples whose statistics a new network is given


def resolve_architecture(settings: TrainSettings, init: str) -> tuple[Architecture, Weights | None]:
    """Find the architecture that is trained, and the weights that it starts from.

    Args:
        settings: of the run; a network table that says nothing is that of `init`, with the run's stems.
        init: a model's name or path; empty for a new network.

    Returns:
        The architecture, and the weights; None for new ones.

    Raises:
        ConfigError: for a table that is not allowed.
        ModelError: for a model that cannot be had, or has no weights.
        SpecError: for a model of other stems or another family than the settings say.
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
    """Build the network to train, with its first weights.

    Args:
        settings: of the run.
        init: a model's name or path; empty for a new network.

    Returns:
        The architecture, the spec of the model that comes out, and the network.

    Raises:
        ConfigError: for a name that is not plain, or a preset that is unknown.
        ModelError: for weights that do not fit.
        SpecError: for settings that the network cannot have.
    """
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


def initialise(
    network: nn.Module,
    architecture: Architecture,
    spec: ModelSpec,
    examples: Examples,
    settings: TrainSettings,
    init: str,
) -> None:
    """Give a network what it must have heard of its music: a new one its scalers, one of low rank its weights.

    Args:
        network: to fill, in place.
        architecture: of the network.
        spec: of the model that comes out.
        examples: the music.
        settings: of the run.
        init: a model's name or path; empty for a new network.
    """

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
