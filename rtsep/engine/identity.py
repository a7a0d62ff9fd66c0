"""An engine without a network: constant masks that sum to one, for tests and for measuring."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Float32, Real
from rtsep.engine.graph import check_call, magnitudes_shape, masks_shape
from rtsep.errors import EngineError


class IdentityEngine:
    """Gives each stem a constant share of the mix; see `Engine` for the protocol.

    For a spec whose output is magnitudes, the output is the share times the input, as a network's would be.

    Args:
        spec: of the model that it stands for.
        weights: the share of each stem, adding up to 1; equal shares by default.

    Raises:
        EngineError: for weights that do not fit.
    """

    def __init__(self, spec: ModelSpec, weights: Sequence[float] | None = None) -> None:
        shares = [1.0 / len(spec.stems)] * len(spec.stems) if weights is None else list(weights)
        if len(shares) != len(spec.stems) or abs(sum(shares) - 1.0) > 1e-6:
            raise EngineError(f"weights are {shares}; there must be {len(spec.stems)}, adding up to 1")
        self.spec = spec
        self.provider = "identity, no network"
        self._shares: Float32 = np.array(shares, np.float32).reshape(-1, 1, 1, 1)

    def warmup(self, frames: int = 1, rows: int = 1) -> None:
        """Run once, so that the first real call is like every other."""
        magnitudes = np.zeros(magnitudes_shape(self.spec, frames, rows), np.float32)
        self.infer(magnitudes, np.empty(masks_shape(self.spec, frames, rows), np.float32))

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        """Write the shares; see `Engine.infer`."""
        for row in check_call(self.spec, magnitudes, masks, real):
            if self.spec.output == "magnitude":
                np.multiply(self._shares, magnitudes[row, :, -masks.shape[3] :], out=masks[row])
            else:
                masks[row] = self._shares

    def reset(self, row: int | None = None) -> None:
        """Do nothing: there are no states."""

    def close(self) -> None:
        """Do nothing: there is nothing to release."""
