"""Make the embedded starter model from its training weights: `python -m rtsep.model.embed STARTER.pt`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from rtsep.errors import ModelError
from rtsep.model import architecture
from rtsep.model.causal import CausalNet
from rtsep.model.export import export
from rtsep.model.families import CausalArchitecture
from rtsep.model.store import EMBEDDED
from rtsep.model.weights import Weights
from rtsep.spec import ModelSpec

NAME = "starter-2stems"
LICENCE_LINE = "mixed training sources under GPL-2, GPL-3 and CC-BY-SA, see LICENCE.md"

# Trained on four stems (vocals, drums, bass, other), of which the last three are not usable apart.
# The level's target was the best on one real song (lithium), and is the mean level of the training
# mixtures too; its time constant made no difference between 1 and 10 s.
STARTER = CausalArchitecture(stems=("vocals", "accompaniment"), masks_per_stem=(1, 3))


def starter_spec() -> ModelSpec:
    """Give the spec of the starter."""
    return architecture.spec(STARTER, NAME, LICENCE_LINE)


def starter_network(weights: Mapping[str, Tensor]) -> CausalNet:
    """Build the starter network and load the prototype's weights into it.

    weights: the state dict of `starter.pt`. Raises `ModelError` if a tensor is missing, left
    over or of another shape.
    """
    network = architecture.network(STARTER)
    assert isinstance(network, CausalNet)
    try:
        network.load_state_dict(_renamed(weights, network))
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"these are not the starter's weights: {' '.join(str(error).split())}") from error
    return network.eval()


def _renamed(weights: Mapping[str, Tensor], network: CausalNet) -> dict[str, Tensor]:
    """Give the prototype's tensors under the names and in the orders of `CausalNet`."""
    count, features = len(network.bands), network.features
    renamed = {"mean": weights["mu"], "inverse_deviation": 1.0 / weights["sd"]}
    for old, new in (("c1", "conv1"), ("c2", "conv2"), ("c3", "conv3"), ("n1", "norm"), ("inp", "project")):
        renamed |= {f"{new}.{kind}": weights[f"{old}.{kind}"] for kind in ("weight", "bias")}
    for layer in (1, 2):
        for kind in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            renamed[f"gru{layer}.{kind}"] = weights[f"g{layer}.{kind}"]
    # the prototype flattens band first, then feature; we flatten feature first
    project = weights["inp.weight"].reshape(-1, count, features)
    renamed["project.weight"] = project.transpose(1, 2).flatten(1)
    for kind in ("weight", "bias"):
        spread = weights[f"out.{kind}"]
        by_band = spread.reshape(count, features, *spread.shape[1:])
        renamed[f"spread.{kind}"] = by_band.transpose(0, 1).reshape(spread.shape)
    for ours, theirs in (("encoder", "enc"), ("decoder", "dec")):
        for group, (first, bands) in enumerate(zip(network.encoder.first, network.encoder.counts, strict=True)):
            maps = [weights[f"{theirs}.{band}.weight"] for band in range(first, first + bands)]
            if ours == "encoder":
                # the prototype's inputs are channel first, then bin; ours bin first
                maps = [m.reshape(features, network.channels, -1).transpose(1, 2).flatten(1) for m in maps]
            biases = [weights[f"{theirs}.{band}.bias"] for band in range(first, first + bands)]
            renamed[f"{ours}.weights.{group}"] = torch.stack(maps).transpose(1, 2)
            renamed[f"{ours}.biases.{group}"] = torch.stack(biases)[:, None]
    return renamed


def embed(weights: Path, folder: Path) -> Path:
    """Export the starter from its weights into `folder`, with its licence text; give the folder."""
    network = starter_network(torch.load(weights, map_location="cpu", weights_only=True))
    trainable = Weights(STARTER, network.state_dict())
    export(architecture.deployed(network, STARTER), starter_spec(), folder, half_weights=True, weights=trainable)
    (folder / "LICENCE.md").write_text(LICENCE, encoding="utf-8")
    return folder


LICENCE = f"""# Licence and credits of {NAME}

The weights in this folder are not under the MIT licence of rtsep's code. They were trained on
sounds under several free licences. Whether weights are a derived work of the sounds that they
were trained on is not settled law; if that matters to you, take the strict reading, under which
the conditions of all of them hold together: the GNU GPL (of version 2 for some, of version 3 for
others) and CC-BY-SA (credit the authors, share alike). The strict reading may not be satisfiable
for redistribution, as some of these licences do not combine. Using the weights is free under all of
them. The licences below are those of the packages as a whole; their files were not audited one by
one.

No recording of real singing was used knowingly (a choir may hide in the game music), and no sound
is contained in this folder: the voice was synthesised from speech, the accompaniment taken from
free game music and rendered from General MIDI banks. All sources are Debian (bookworm, main)
packages, where each file's author and licence is in the package's copyright file:

| package | used for | licence |
|-|-|-|
| asterisk-core-sounds-en, -es, -fr, -it, -ru (g722) | speech, five speakers | CC-BY-SA |
| fillets-ng-data-cs, -nl | acted speech | GPL-2 |
| festvox-ru | speech, one speaker | BSD-like |
| espeak-ng | synthetic speech | GPL-3 (the program) |
| wesnoth-1.16-music | music | GPL-2+ |
| warzone2100-music | music | GPL-2+, CC0, CC-BY-SA |
| naev-data | music | per file, free |
| supertux-data | music | GPL |
| planetblupi-music-ogg | music | GPL-3+ |
| colobot-common-sounds | music | GPL-3+ |
| singularity-music | music | CC |
| marsshooter-data | music | CC-BY-SA |
| freedroidrpg-data | music | GPL |
| fluid-soundfont-gm | General MIDI bank | MIT |
| musescore-general-soundfont-small | General MIDI bank | MIT-style, CC0 parts |
| avldrums.lv2-soundfont | drum kits | mixed, with CC-BY-SA |
| hydrogen-drumkits | drum one-shots | GPL, CC-BY |

Graph and conversion: `python -m rtsep.model.embed`, of the same repository.
"""


def main() -> None:
    """Read the weights named on the command line and write the embedded model."""
    parser = argparse.ArgumentParser(prog="python -m rtsep.model.embed", description=__doc__)
    parser.add_argument("weights", type=Path, help="the training weights, starter.pt")
    parser.add_argument("--folder", type=Path, default=EMBEDDED / NAME, help="where the model goes")
    options = parser.parse_args()
    print(embed(options.weights, options.folder))


if __name__ == "__main__":
    main()
