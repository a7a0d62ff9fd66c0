"""The choices for a whole signal: as the model's own family treats it, or as live use would."""

from __future__ import annotations

from dataclasses import dataclass

from rtsep.core.presets import find_preset
from rtsep.core.spec import RESIDUAL, ModelSpec
from rtsep.errors import SpecError

EXACT = "exact"
LONGEST_WINDOW = 5400  # frames that are refined together, two minutes at 44.1 kHz


@dataclass(frozen=True)
class Refinement:
    """How magnitudes become stems.

    Raises:
        SpecError: for numbers that are out of range.
    """

    iterations: int = 1  # of expectation-maximisation, 0 for none
    share: bool = False  # the targets share the mix by their magnitudes; else each has its own, and the mix's phase
    residual: bool = False  # one more stem, what the targets leave
    window: int = 300  # frames that are refined together

    def __post_init__(self) -> None:
        if not 0 <= self.iterations <= 100:
            raise SpecError(f"niter {self.iterations} is out of range; allowed are 0 to 100")
        if not 1 <= self.window <= LONGEST_WINDOW:
            raise SpecError(f"Wiener window {self.window} is out of range; allowed are 1 to {LONGEST_WINDOW} frames")


@dataclass(frozen=True)
class SeparationOptions:
    """The choices for a whole signal."""

    preset: str = EXACT  # which follows the model's family to the letter; a live one gives what live use would
    mwf: bool = False  # Spleeter's multichannel Wiener filter
    refinement: Refinement | None = None  # Open-Unmix's; None: its defaults

    def check(self, model: ModelSpec) -> None:
        """Check that a model has what is chosen.

        Raises:
            SpecError: for an unknown preset, or a choice that the model's family does not have.
        """
        find_preset(self.preset)
        family = model.family if self.preset == EXACT else "rtsep"
        if self.mwf and family != "spleeter":
            raise SpecError(f"--mwf is Spleeter's, with latency exact; {model.name} at {self.preset} has none")
        if self.refinement is not None and family != "openunmix":
            raise SpecError(
                f"--niter, --softmask, --residual and --wiener-window are Open-Unmix's, with latency exact; "
                f"{model.name} at {self.preset} has none of them"
            )

    def stems(self, model: ModelSpec) -> tuple[str, ...]:
        """Name the stems that come out, in their order."""
        if model.family == "openunmix" and self.preset == EXACT:
            return targets(model) + ((RESIDUAL,) if (self.refinement or Refinement()).residual else ())
        return model.stems

    def sample_rate(self, model: ModelSpec, source: int) -> int:
        """Give the rate of the stems in Hz: the model's where a family is followed, else the source's own.

        Args:
            model: that separates.
            source: the rate of the sound, in Hz.
        """
        return model.sample_rate if model.family != "rtsep" and self.preset == EXACT else source


def targets(model: ModelSpec) -> tuple[str, ...]:
    """Name what the networks were trained for; a residual among the stems is not one of them."""
    return tuple(stem for stem in model.stems if stem != RESIDUAL)
