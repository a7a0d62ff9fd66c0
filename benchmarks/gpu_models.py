"""Spleeter's networks for a session on a card: the official ones where they are, else of random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from rtsep.errors import ModelError
from rtsep.model.architectures import STANDARD_FILTERS, UNetArchitecture
from rtsep.model.networks import factory as networks
from rtsep.model.store import find
from rtsep.model.weights import write_model

STEMS = {
    2: ("vocals", "accompaniment"),
    4: ("vocals", "drums", "bass", "other"),
    5: ("vocals", "drums", "bass", "piano", "other"),
}
NARROW = (2, 4, 4, 8, 8, 16)  # for a dry run
OFFICIAL = "spleeter:{}stems"


def model(stems: int, folder: Path, narrow: bool = False) -> tuple[str, str]:
    """Find or make a model of so many stems.

    Args:
        stems: 2, 4 or 5.
        folder: where one of random weights is written.
        narrow: of few filters, and never an official one.

    Returns:
        Its name or path, and what its weights are, in words.
    """
    if not narrow:
        try:
            return find(OFFICIAL.format(stems)).name, "official"
        except ModelError:
            pass  # not on this machine
    path = folder / f"random-{stems}stems"
    if not path.exists():
        torch.manual_seed(stems)
        two = UNetArchitecture(STEMS[2], filters=NARROW if narrow else STANDARD_FILTERS)
        others = {"conv": "elu", "deconv": "elu", "output": "softmax"} if stems > 2 else {}
        architecture = replace(two, stems=STEMS[stems], **others)  # type: ignore[arg-type]
        network = networks.build(architecture)
        write_model(networks.weights(network, architecture), architecture.spec(path.name, "CC0-1.0"), path)
    return str(path), "random"
