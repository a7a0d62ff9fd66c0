"""Put a trained model into the package: `python -m rtsep.model.embed MODEL LICENCE.md`.

The weights go in as half floats, in the graph and, unless that would be too much, beside it to train
on: half the bytes, and the masks differ by less than can be heard.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from rtsep.errors import ModelError
from rtsep.model import architecture
from rtsep.model.export import export
from rtsep.model.store import EMBEDDED, StoredModel, find
from rtsep.model.weights import Weights, read_weights


def embed(model: StoredModel, licence: Path, folder: Path, trainable: bool = True) -> Path:
    """Write a model and its licence and credits into `folder`; give the path of its model.json.

    trainable: with weights beside the graph, so that `rtsep train --init` can start from them.

    Raises `ModelError` for a model without weights to export from.
    """
    if model.weights is None:
        raise ModelError(f"{model.name} has no weights beside its graph; train or import it with this rtsep")
    described, tensors = read_weights(model.weights)
    network = architecture.network(described)
    network.load_state_dict(tensors)
    deployed = architecture.deployed(network, described)
    kept = Weights(described, tensors) if trainable else None
    path = export(deployed, model.spec, folder, half_weights=True, weights=kept)
    shutil.copyfile(licence, folder / "LICENCE.md")
    return path


def main() -> None:
    """Embed the model that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m rtsep.model.embed", description=__doc__)
    parser.add_argument("model", help="a folder of a model with its weights, as `rtsep train` leaves it")
    parser.add_argument("licence", type=Path, help="licence and credits of the weights")
    parser.add_argument("--graph-only", action="store_true", help="no weights to train on: half the size")
    options = parser.parse_args()
    model = find(options.model)
    print(embed(model, options.licence, EMBEDDED / model.name, not options.graph_only))


if __name__ == "__main__":
    main()
