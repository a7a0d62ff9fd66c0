"""Put a trained model into the package: `python -m rtsep.model.embed MODEL LICENCE.md`.

The weights of a U-Net go in packed, as numbers of a few bits, with nothing beside them: its graph is
written from them. Those of others go in as half floats, in the graph and, unless that would be too much,
beside it to train on: half the bytes, and the masks differ by less than can be heard.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from rtsep.errors import ModelError
from rtsep.model.architectures import UNetArchitecture
from rtsep.model.folder import PACKED_NAME, write_json
from rtsep.model.packed import write_packed
from rtsep.model.store import EMBEDDED, StoredModel, find
from rtsep.model.weights import Weights

BITS = 6


def embed(
    model: StoredModel,
    licence: Path,
    folder: Path,
    trainable: bool = True,
    bits: int = BITS,
    base: StoredModel | None = None,
) -> Path:
    """Write a model with its licence and credits into a folder, as the package ships it.

    Args:
        model: with weights to export from.
        licence: the file with licence and credits.
        folder: to write into.
        trainable: with weights beside the graph, so that `rtsep train --init` can start from them.
        bits: of the numbers of a U-Net's kernels, 4 to 8; of a difference from 2.
        base: the model whose kernels they are told by their difference to; None for none.

    Returns:
        The path of its model.json.

    Raises:
        ModelError: for a model without weights, and for weights that cannot be packed.
    """
    weights = model.read_weights()
    if isinstance(weights.architecture, UNetArchitecture):
        path = _pack(model, weights, folder, bits, base)
    else:
        path = _halve(model, weights, folder, trainable)
    shutil.copyfile(licence, folder / "LICENCE.md")
    return path


def _pack(model: StoredModel, weights: Weights, folder: Path, bits: int, base: StoredModel | None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if base is not None and base.packing is not None and base.packing.base is not None:
        raise ModelError(f"{base.name} is told by a difference itself; choose a base that is whole")
    whole = None if base is None else base.read_weights()
    entry = write_packed(weights, folder / PACKED_NAME, bits, whole, "" if base is None else base.name)
    return write_json(folder, model.spec, {"weights": entry})


def _halve(model: StoredModel, weights: Weights, folder: Path, trainable: bool) -> Path:
    from rtsep.model.networks import factory as networks
    from rtsep.model.networks.export import export

    network = networks.build(weights.architecture)
    networks.load(network, weights.tensors)
    deployed = networks.deployed(network, weights.architecture)
    return export(deployed, model.spec, folder, half_weights=True, weights=weights if trainable else None)


def main() -> None:
    """Embed the model that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m rtsep.model.embed", description=__doc__)
    parser.add_argument("model", help="a folder of a model with its weights, as `rtsep train` leaves it")
    parser.add_argument("licence", type=Path, help="licence and credits of the weights")
    parser.add_argument("--graph-only", action="store_true", help="no weights to train on: half the size")
    parser.add_argument("--bits", type=int, default=BITS, help="of a U-Net's kernels, 4 to 8; of a difference from 2")
    parser.add_argument("--base", help="the embedded U-Net that this one is told by its difference to")
    options = parser.parse_args()
    model, base = find(options.model), find(options.base) if options.base else None
    print(embed(model, options.licence, EMBEDDED / model.name, not options.graph_only, options.bits, base))


if __name__ == "__main__":
    main()
