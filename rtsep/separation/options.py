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

    iterations: of expectation-maximisation, 0 for none. share: the targets share the mix by their
    magnitudes; else each has its own magnitude and the mix's phase. residual: one more stem, what the
    targets leave. window: frames that are refined together.
    """

    iterations: int = 1
    share: bool = False
    residual: bool = False
    window: int = 300

    def __post_init__(self) -> None:
        if not 0 <= self.iterations <= 100:
            raise SpecError(f"niter {self.iterations} is out of range; allowed are 0 to 100")
        if not 1 <= self.window <= LONGEST_WINDOW:
            raise SpecError(f"Wiener window {self.window} is out of range; allowed are 1 to {LONGEST_WINDOW} frames")


@dataclass(frozen=True)
class SeparationOptions:
    """The choices for a whole signal.

    preset: `exact` follows the model's family to the letter; a live one gives what live use would.
    mwf: Spleeter's multichannel Wiener filter. refinement: Open-Unmix's, None for its defaults.
    """

    preset: str = EXACT
    mwf: bool = False
    refinement: Refinement | None = None

    def check(self, model: ModelSpec) -> None:
        """Raise `SpecError` for an unknown preset, or a choice that the model's family does not have."""
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
        """The stems that come out, in their order."""
        if model.family == "openunmix" and self.preset == EXACT:
            return targets(model) + ((RESIDUAL,) if (self.refinement or Refinement()).residual else ())
        return model.stems

    def sample_rate(self, model: ModelSpec, source: int) -> int:
        """The rate of the stems in Hz: the model's where a family is followed, else the source's own."""
        return model.sample_rate if model.family != "rtsep" and self.preset == EXACT else source


def targets(model: ModelSpec) -> tuple[str, ...]:
    """What the networks were trained for; a residual among the stems is not one of them."""
    return tuple(stem for stem in model.stems if stem != RESIDUAL)
