"""The loop: batches in, weights out, and all that a run keeps in its folder.

A run's folder holds `settings.json` (what it was told), `log.csv` and `valid.csv` (its progress),
`checkpoint.pt` (to go on from), `best.pt` (the weights that judged best), `curves.svg` and, at the
end, `model/`.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rtsep.core.spec import ModelSpec
from rtsep.dataset.examples import Examples
from rtsep.errors import ModelError, RtsepError, SpecError
from rtsep.model.networks import factory as networks
from rtsep.model.networks.factory import Architecture, Memory
from rtsep.model.networks.unet import UNet
from rtsep.training import checkpoint
from rtsep.training import ema as average
from rtsep.training.batches import AudioBatch, batches
from rtsep.training.checkpoint import Checkpoint
from rtsep.training.curves import plot_curves
from rtsep.training.device import TrainingDevice
from rtsep.training.edge import EdgeObjective
from rtsep.training.logs import Log
from rtsep.training.losses import LOSSES, Batch
from rtsep.training.schedule import learning_rate
from rtsep.training.settings import TrainSettings
from rtsep.training.signals import deferred_signals
from rtsep.training.spectra import analysis_windows, spectra
from rtsep.training.validation import ValidationClip, as_batch, validate

MARGIN_DB = 0.01  # by which a validation must be better to renew the patience
# of `log.csv`; since the row before, skipped: steps that changed nothing, as a loss or gradient was not finite;
# idle: the share of the time in which no batch was ready to learn from
LOGGED = ("step", "loss", "learning_rate", "gradient", "skipped", "examples_per_s", "idle")
FAULTS = 20  # steps in a row whose loss or gradient is not finite, before a run is given up


@dataclass(frozen=True)
class Progress:
    """What a run says of itself as it goes."""

    step: int
    steps: int
    loss: float
    examples_per_s: float
    idle: float  # share of the time in which no batch was ready to learn from, 0 to 1
    sdr_db: dict[str, float]  # by stem, of the last validation


OnProgress = Callable[[Progress], None]


class Trainer:
    """One run between its steps; the checkpoint holds what it needs to go on.

    Args:
        settings: of the run.
        architecture: of the network.
        spec: of the model that comes out.
        network: with its first weights.
        folder: the run's.
        device: where it computes.
        fingerprint: of the settings that the run depends on.
        edge: the objective of training at the edge; None for the loss of the settings.
    """

    def __init__(
        self,
        settings: TrainSettings,
        architecture: Architecture,
        spec: ModelSpec,
        network: nn.Module,
        folder: Path,
        device: TrainingDevice,
        fingerprint: str,
        edge: EdgeObjective | None = None,
    ) -> None:
        self.settings, self.spec, self.folder = settings, spec, folder
        self._edge = edge
        self._architecture, self._device, self._fingerprint = architecture, device, fingerprint
        self._torch_device = torch.device(device.device)
        optimisation = settings.optimisation
        self._loss = LOSSES[
            optimisation.loss or next(name for name in LOSSES if LOSSES[name].default_for == architecture.family)
        ]
        self.average = average.averaged(network).to(self._torch_device)
        self.network = network.to(self._torch_device)
        self._windows = analysis_windows(spec, optimisation.presets).to(self._torch_device)
        decayed: list[nn.Parameter] = []
        free: list[nn.Parameter] = []  # offsets and scales
        for name, parameter in self.network.named_parameters():
            (decayed if parameter.ndim > 1 and "bias" not in name else free).append(parameter)
        groups = [{"params": decayed, "weight_decay": optimisation.weight_decay}, {"params": free, "weight_decay": 0.0}]
        self._optimiser = torch.optim.AdamW(groups, optimisation.learning_rate)
        self.step, self.best, self.waited = 0, -np.inf, 0
        self.sdr_db: dict[str, float] = {}
        self._memory: Memory = ()

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of this run.

        Args:
            path: of the checkpoint.

        Raises:
            FileError: for a file that is missing or cannot be read.
            ModelError: for a file that is no checkpoint, or of another network.
            SpecError: for one that was made with other settings.
        """
        found = checkpoint.load(path)
        if found.fingerprint != self._fingerprint:
            raise SpecError(f"{path} was made with other settings; give the run's own, or take another folder")
        try:
            self.network.load_state_dict(found.network)
            self.average.load_state_dict(found.average)
            self._optimiser.load_state_dict(found.optimiser)
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{path} is of another network than the settings make now; take another folder") from error
        torch.set_rng_state(found.random[0])
        if self._torch_device.type == "cuda" and len(found.random) > 1:
            torch.cuda.set_rng_state(found.random[1], self._torch_device)
        self.step, self.best, self.waited = found.step, found.best, found.waited
        self._memory = tuple(part.to(self._torch_device) for part in found.memory)

    def save_checkpoint(self) -> None:
        """Write the checkpoint.

        Raises:
            FileError: if it cannot be written; the one before is then still there.
        """
        random = [torch.get_rng_state()]
        if self._torch_device.type == "cuda":
            random.append(torch.cuda.get_rng_state(self._torch_device))
        found = Checkpoint(
            step=self.step,
            fingerprint=self._fingerprint,
            network=self.network.state_dict(),
            average=self.average.state_dict(),
            optimiser=self._optimiser.state_dict(),
            random=random,
            best=float(self.best),
            waited=self.waited,
            memory=[part.cpu() for part in self._memory],
        )
        with deferred_signals():
            checkpoint.save(found, self.folder / "checkpoint.pt")

    def run(
        self, examples: Examples, clips: Sequence[ValidationClip], on_progress: OnProgress = lambda progress: None
    ) -> None:
        """Learn to the end of the run, or until its patience is over.

        Args:
            examples: to learn from.
            clips: to be judged by.
            on_progress: hears how it goes.

        Raises:
            RtsepError: for a loss that stays not finite, and as what it reads and writes does.
        """
        optimisation, intervals = self.settings.optimisation, self.settings.intervals
        log = Log(self.folder / "log.csv", LOGGED, self.step)
        stems = tuple(f"sdr_{stem}_db" for stem in self.spec.stems)
        valid = Log(self.folder / "valid.csv", ("step", "loss", "sdr_db", *stems), self.step)
        losses: list[float] = []
        skipped, idle_s = 0, 0.0
        said: Progress | None = None
        began, faults = time.monotonic(), 0
        with closing(self._batches(examples)) as made:
            if clips and self._is_due() and valid.last < self.step:  # a stop came while it was judged
                self._validate(clips, valid)
                self.save_checkpoint()
            while self.step < optimisation.steps and not (intervals.patience and self.waited >= intervals.patience):
                asked = time.monotonic()
                sounds = next(made)
                idle_s += time.monotonic() - asked
                with deferred_signals():
                    loss, gradient = self._learn(sounds)
                faulty = not (np.isfinite(loss) and np.isfinite(gradient))
                faults = faults + 1 if faulty else 0
                skipped += faulty
                if faults == FAULTS:
                    raise RtsepError(
                        f"the loss or its gradient was not finite for {FAULTS} steps up to {self.step}; "
                        f"lower optimisation.learning_rate ({optimisation.learning_rate:g})"
                    )
                losses.append(loss)
                if self.step % intervals.log_steps == 0 or self.step == optimisation.steps:
                    mean = _mean_of_finite(losses)
                    took = max(1e-9, time.monotonic() - began)
                    speed, idle = len(losses) * optimisation.batch / took, idle_s / took
                    log.add(
                        {"step": self.step, "loss": mean, "learning_rate": self._rate(), "gradient": gradient}
                        | {"skipped": skipped, "examples_per_s": speed, "idle": idle}
                    )
                    said = Progress(self.step, optimisation.steps, mean, speed, idle, self.sdr_db)
                    on_progress(said)
                    losses, skipped, idle_s, began = [], 0, 0.0, time.monotonic()
                paused = time.monotonic()
                if clips and self._is_due():
                    self._validate(clips, valid)
                    plot_curves(self.folder)
                    if said:
                        said = replace(said, step=self.step, sdr_db=self.sdr_db)
                        on_progress(said)
                if self.step % intervals.checkpoint_steps == 0:
                    self.save_checkpoint()
                began += time.monotonic() - paused
        self.save_checkpoint()
        plot_curves(self.folder)

    def _is_due(self) -> bool:
        """Whether this step is one after which the run is judged."""
        every, steps = self.settings.intervals.valid_steps, self.settings.optimisation.steps
        return self.step > 0 and (self.step % every == 0 or self.step == steps)

    def best_network(self) -> nn.Module:
        """Give the network to export: the best that was judged, else the moving average as it is."""
        if (self.folder / "best.pt").exists() and np.isfinite(self.best):
            self.average.load_state_dict(checkpoint.load(self.folder / "best.pt").average)
        return self.average.cpu()

    def _batches(self, examples: Examples) -> Generator[AudioBatch]:
        pinned = self._torch_device.type == "cuda"
        return batches(examples, self.settings.optimisation.batch, self.step, self._device.workers, pinned)

    def _learn(self, sounds: AudioBatch) -> tuple[float, float]:
        """One step; the loss, and the norm of the gradient. A loss that is not finite changes nothing."""
        optimisation = self.settings.optimisation
        self.network.train()
        if optimisation.freeze_norms:
            networks.freeze_norms(self.network)
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        # drawn by step, so that a run that goes on draws as one that was never stopped
        rng = np.random.default_rng((self.settings.seed, self.step))
        before = average.statistics(self.network)  # normalisation hears a batch before it is known to be sound
        window = self._windows[rng.integers(len(self._windows))]
        kept = torch.from_numpy(rng.random(optimisation.batch) < optimisation.carry).to(self._torch_device)
        memory = tuple(torch.where(kept[:, None], part, 0.0) for part in self._memory)
        loss, memory = self._loss_of(self.network, sounds, window, rng, memory)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = nn.utils.clip_grad_norm_(self.network.parameters(), optimisation.clip or torch.inf)
        self.step += 1
        if torch.isfinite(loss) and torch.isfinite(gradient):
            self._optimiser.step()
            average.follow(self.average, self.network, self.step, optimisation.average)
            self._memory = tuple(part.detach().float() for part in memory) if optimisation.carry else ()
        else:
            average.restore(self.network, before)
        return float(loss.detach()), float(gradient)

    def _loss_of(
        self, network: nn.Module, sounds: AudioBatch, window: Tensor, rng: np.random.Generator, memory: Memory = ()
    ) -> tuple[Tensor, Memory]:
        stems, known = (part.to(self._torch_device, non_blocking=True) for part in sounds)
        half = self.settings.optimisation.precision == "bf16"
        if self._edge is not None:
            assert isinstance(network, UNet)
            return self._edge.loss(network, stems, known, rng, half), ()
        found = spectra(stems, self.spec, window)
        step = self.spec.context_step or 1  # a U-Net would pad what is not whole steps
        whole = found.shape[3] - found.shape[3] % step or found.shape[3]
        batch = Batch(found[:, :, :, :whole], known)
        with torch.autocast(self._torch_device.type, torch.bfloat16, enabled=half):
            estimates, memory = networks.estimates(network, self._architecture, batch.mix.abs(), memory)
        return self._loss.loss(estimates.float(), batch), memory

    def _rate(self) -> float:
        optimisation = self.settings.optimisation
        return learning_rate(
            self.step, optimisation.steps, optimisation.warmup_steps, optimisation.schedule, optimisation.learning_rate
        )

    def _validate(self, clips: Sequence[ValidationClip], valid: Log) -> None:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):  # what validating draws is no part of the run
            losses = [self._held_out_loss(clip) for clip in clips]
            judged = copy.deepcopy(self.average).cpu()
            found = validate(judged, self._architecture, self.spec, clips, self.settings.validation.preset)
        mean = float(np.mean(list(found.values()))) if found else float("nan")
        by_stem = {f"sdr_{stem}_db": value for stem, value in found.items()}
        with deferred_signals():
            self.sdr_db = found
            self.waited = 0 if mean > self.best + MARGIN_DB else self.waited + 1
            if mean > self.best:
                self.best = mean
                best = Checkpoint(self.step, self._fingerprint, {}, self.average.state_dict(), {}, [], mean, 0)
                checkpoint.save(best, self.folder / "best.pt")
            valid.add({"step": self.step, "loss": float(np.mean(losses)), "sdr_db": mean} | by_stem)

    def _held_out_loss(self, clip: ValidationClip) -> float:
        """The mean loss over a clip's pieces, under the first preset's window, no more at once than in training."""
        stems, known = as_batch(clip, self.settings.examples.seconds, self.spec)
        size = self.settings.optimisation.batch
        total = 0.0
        for first in range(0, len(stems), size):
            group = stems[first : first + size], known[first : first + size]
            rng = np.random.default_rng(self.settings.seed)
            total += len(group[0]) * float(self._loss_of(self.average, group, self._windows[0], rng)[0])
        return total / len(stems)


def _mean_of_finite(losses: Sequence[float]) -> float:
    finite = [value for value in losses if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")
