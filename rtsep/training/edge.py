"""Training for live use: the newest spectrum of a context, on what is heard of it through a preset's window.

A U-Net that was trained on whole segments has seen the future of nearly every spectrum, and only its
own window. Live it has no future and its sound is cut short. Here it sees contexts as live use shows
them, under a live preset's analysis window, and is held against the stems in the last part of the
window alone: the ratio-masked spectrum, transformed back, cut to the synthesis window. A teacher, most
often the network that training began with, may say what it hears with the future at hand, under its own
window; so what it knows of real voices is kept although few of them are trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rtsep.core.presets import plan
from rtsep.core.spec import ModelSpec
from rtsep.dsp.limits import EPSILON
from rtsep.dsp.windows import magnitude_scale, model_window, window_pair
from rtsep.errors import ConfigError, SpecError
from rtsep.model.networks.unet import UNet
from rtsep.training.losses import Resynthesis, resynthesis_loss
from rtsep.training.settings import Edge
from rtsep.training.spectra import analysis_windows


class PresetWindows(NamedTuple):
    """A preset's windows at the model's rate, and its hop in frames."""

    shown: Tensor  # (window,) to the network, scaled as live use scales
    analysis: Tensor  # (window,) of the sound
    synthesis: Tensor  # (M,)
    hop: int


@dataclass(frozen=True)
class EdgeObjective:
    """The loss of a batch at the edge."""

    spec: ModelSpec
    edge: Edge
    windows: tuple[PresetWindows, ...]  # drawn by batch
    own: Tensor  # the model's own window, for the teacher, (window,)
    teacher: UNet | None

    def loss(self, network: UNet, stems: Tensor, known: Tensor, rng: np.random.Generator, half: bool) -> Tensor:
        """Give the loss of a batch of examples.

        Args:
            network: that is trained.
            stems: (batch, stems, channels, frames).
            known: which can be learnt from, (batch, stems).
            rng: draws the preset, where the contexts end, and how much later their masks are used.
            half: the networks run in bfloat16.

        Returns:
            A scalar.

        Raises:
            SpecError: for examples that are too short for a context.
        """
        preset = self.windows[rng.integers(len(self.windows))]
        first, last = self.edge.after
        later = int(rng.integers(first // preset.hop, last // preset.hop + 1)) * preset.hop
        whole, frames = self._reach(), stems.shape[-1]
        room = frames - self._future() - later
        if room < whole:
            raise SpecError(
                f"edge: examples of {frames} frames are too short for a context of {whole} frames, {later} frames "
                f"after it and {self._future()} of future for the teacher; make examples.seconds longer"
            )
        ends = [int(rng.integers(whole, room + 1)) for _ in range(self.edge.contexts)]
        mix = stems.sum(1)
        contexts = torch.cat([self._context(mix, end, preset) for end in ends])
        with torch.autocast(stems.device.type, torch.bfloat16, enabled=half):
            estimates = network(contexts.abs(), self.edge.frames).float()
        masks = ratio_masks(estimates, self.spec.exponent, self.spec.window // 2 + 1)
        moments = [end + later for end in ends]
        newest = self._newest(mix[:, None], moments, preset)
        heard, background = self._heard(masks * newest, preset), self._heard(newest, preset)

        def held_against(sounds: Tensor) -> Tensor:
            target = self._heard(self._newest(sounds, moments, preset), preset)
            return resynthesis_loss(self._by_example(Resynthesis(heard, target, background)), known)

        truth = held_against(stems)
        if self.teacher is None or not self.edge.teacher_weight:
            return truth
        taught = held_against(self._taught(mix, half))
        return (1.0 - self.edge.teacher_weight) * truth + self.edge.teacher_weight * taught

    def _reach(self) -> int:
        """Frames from the first one that a context sees to its end."""
        return self.spec.window + (self.edge.context - 1) * self.spec.hop

    def _future(self) -> int:
        """Frames that the teacher needs after the newest."""
        return self.edge.future * self.spec.hop if self.teacher is not None else 0

    def _context(self, mix: Tensor, end: int, preset: PresetWindows) -> Tensor:
        """The spectra of a context that ends at a frame, (batch, channels, context, bins), as live use shows them."""
        pieces = mix[..., end - self._reach() : end].unfold(-1, self.spec.window, self.spec.hop)
        spectra: Tensor = torch.fft.rfft(pieces * preset.shown)
        return spectra[..., : self.spec.bins]

    def _newest(self, sounds: Tensor, ends: list[int], preset: PresetWindows) -> Tensor:
        """The newest spectra of the contexts, all bins: (contexts x batch, stems, channels, newest, bins)."""
        length, hop = self.spec.window, self.spec.hop
        reach = length + (self.edge.frames - 1) * hop
        cut = torch.cat([sounds[..., end - reach : end] for end in ends])
        spectra: Tensor = torch.fft.rfft(cut.unfold(-1, length, hop) * preset.analysis)
        return spectra

    def _heard(self, spectra: Tensor, preset: PresetWindows) -> Tensor:
        """The spectra, (..., M / 2 + 1), of what is heard of spectra: the last part of each, as it is synthesised."""
        sound = torch.fft.irfft(spectra, self.spec.window)[..., -len(preset.synthesis) :]
        heard: Tensor = torch.fft.rfft(sound * preset.synthesis)
        return heard

    def _by_example(self, heard: Resynthesis) -> Resynthesis:
        """Contexts of one example side by side with its spectra: (batch, stems, channels, contexts x newest, bins)."""
        count = self.edge.contexts
        return Resynthesis(*(torch.cat(part.chunk(count), dim=3) for part in heard))

    @torch.no_grad()
    def _taught(self, mix: Tensor, half: bool) -> Tensor:
        """The stems (batch, stems, channels, frames) of the mix as the teacher hears it whole."""
        assert self.teacher is not None
        window, hop, frames = self.spec.window, self.spec.hop, mix.shape[-1]
        rows = mix.flatten(0, 1)
        found = torch.stft(rows, window, hop, window=self.own, center=True, pad_mode="constant", return_complex=True)
        spectra = found.transpose(-1, -2).reshape(*mix.shape[:2], -1, window // 2 + 1)
        count = spectra.shape[2]
        padded = F.pad(spectra.abs()[..., : self.spec.bins], (0, 0, 0, -count % self.teacher.step))
        with torch.autocast(mix.device.type, torch.bfloat16, enabled=half):
            estimates = self.teacher(padded)[:, :, :, :count].float()
        masked = ratio_masks(estimates, self.spec.exponent, window // 2 + 1) * spectra[:, None]
        back = masked.flatten(0, 2).transpose(-1, -2)
        sound = torch.istft(back, window, hop, window=self.own, center=True, length=frames)
        return sound.reshape(*masked.shape[:3], frames)


def edge_objective(
    spec: ModelSpec, edge: Edge, presets: tuple[str, ...], teacher: nn.Module | None, device: str = "cpu"
) -> EdgeObjective:
    """Make the objective for a U-Net's spec.

    Args:
        spec: of the network that is trained.
        edge: the settings.
        presets: whose windows are drawn.
        teacher: a U-Net with the same stems, or None.
        device: where batches come from.

    Raises:
        ConfigError: for a network that has no edge.
        SpecError: for presets that the network cannot have.
    """
    if spec.kind != "windowed" or not spec.context_step or spec.output != "magnitude" or spec.basis != "lr":
        raise ConfigError("edge: only a network of family unet is trained at its edge; leave the table out")
    if edge.context % spec.context_step:
        raise ConfigError(f"edge.context = {edge.context} must be a multiple of {spec.context_step}")
    if teacher is not None and not isinstance(teacher, UNet):
        raise ConfigError("edge.teacher must be a network of family unet")
    windows = []
    for preset in presets:
        window = plan(spec, spec.sample_rate, preset)
        pair = window_pair(spec, window)
        shown = model_window(spec.analysis, spec.window).astype(np.float32) if window.own_window else pair.analysis
        scaled, analysis, synthesis = (
            torch.from_numpy(part).to(device)
            for part in (shown * np.float32(magnitude_scale(spec, shown)), pair.analysis, pair.synthesis)
        )
        windows.append(PresetWindows(scaled, analysis, synthesis, window.hop))
    own = analysis_windows(spec, ("exact",))[0].to(device)
    still = teacher.eval().requires_grad_(False).to(device) if teacher else None
    return EdgeObjective(spec, edge, tuple(windows), own, still)


def ratio_masks(estimates: Tensor, exponent: float, bins: int) -> Tensor:
    """Make masks from magnitudes, as live use makes them; see `dsp.masks.ratio_masks`.

    Args:
        estimates: magnitudes (batch, stems, channels, spectra, seen bins).
        exponent: of the ratio.
        bins: of the masks; those above the network's get the mean of its masks.

    Returns:
        Masks (batch, stems, channels, spectra, bins).
    """
    powers = estimates.clamp_min(0.0).pow(exponent)
    masks = (powers + EPSILON / estimates.shape[1]) / (powers.sum(1, keepdim=True) + EPSILON)
    above = masks.mean(-1, keepdim=True).expand(*masks.shape[:-1], bins - masks.shape[-1])
    return torch.cat([masks, above], -1)
