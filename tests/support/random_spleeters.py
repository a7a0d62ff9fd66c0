"""Spleeter's networks in full size with random weights, where the official ones are not at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtsep.model.importers.spleeter_config import SHIPPED
from rtsep.model.shapes import tensor_shapes
from rtsep.model.store import StoredModel, find
from rtsep.model.weights import Weights, write_model

RANGES = {"norm.weight": (0.5, 1.5), "norm.running_mean": (-0.2, 0.2), "norm.running_var": (0.5, 2.0)}


def random_spleeter(shipped: str, folder: Path, seed: int = 0) -> StoredModel:
    """Write a model as `rtsep models pull` would, but for its weights, into a folder.

    Args:
        shipped: the name of a configuration, as 4stems.
        folder: to write into; its name is the model's.
        seed: of the weights.
    """
    architecture = SHIPPED[shipped].architecture()
    generator = np.random.default_rng(seed)
    tensors = {}
    for name, shape in tensor_shapes(architecture).items():
        reach = 2.0 * np.prod(shape[1:], dtype=float) ** -0.5 if len(shape) == 4 else 0.2
        low, high = next((span for ending, span in RANGES.items() if name.endswith(ending)), (-reach, reach))
        tensors[name] = generator.uniform(low, high, shape).astype(np.float32)
    write_model(Weights(architecture, tensors), architecture.spec(folder.name, "CC0-1.0"), folder)
    return find(str(folder))
