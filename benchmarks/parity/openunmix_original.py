"""Runs inside the environment of Open-Unmix: random weights at full size, then its own separation of the song.

`python -m benchmarks.parity.openunmix_original FOLDER`
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.parity.cases import DOUBLE, OPENUNMIX_CASES, OPENUNMIX_SETS, OpenUnmixCase, OpenUnmixSet, chosen, note

sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))  # imported by openunmix, not used to separate

from openunmix.model import OpenUnmix, Separator  # noqa: E402
from openunmix.utils import load_separator  # noqa: E402

WINDOW, HOP, SAMPLE_RATE, CHANNELS = 4096, 1024, 44_100, 2


def magnitudes(song: NDArray[np.float32], window: int, hop: int) -> torch.Tensor:
    """Spectra of song (frames, channels), as the separator takes them: (1, channels, bins, frames)."""
    sound = torch.from_numpy(song.T.copy())
    return torch.stft(sound, window, hop, window=torch.hann_window(window), return_complex=True).abs()[None]


def network(sizes: OpenUnmixSet, window: int, **statistics: NDArray[np.float32]) -> OpenUnmix:
    """The original's network at these sizes."""
    shape = {"unidirectional": sizes.unidirectional, "max_bin": sizes.max_bin}
    return OpenUnmix(window // 2 + 1, CHANNELS, sizes.hidden, **shape, **statistics)


def random_network(sizes: OpenUnmixSet, window: int, spectra: torch.Tensor, seed: int) -> OpenUnmix:
    """Draw weights, then let the batch norms see the song once, so that gains come out around 0.3, never all 0."""
    torch.manual_seed(seed)
    scale = spectra.std(dim=(0, 1, 3)).clamp_min(1e-3).numpy()
    drawn = network(sizes, window, input_mean=spectra.mean(dim=(0, 1, 3)).numpy(), input_scale=scale)
    norms = (drawn.bn1, drawn.bn2, drawn.bn3)
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.6, 1.4)
            norm.bias.uniform_(-0.4, 0.4)
            norm.momentum = 1.0
        drawn.train()(spectra)
        for norm in norms:
            norm.running_var.mul_(torch.empty_like(norm.running_var).uniform_(0.8, 1.3))
        drawn.output_scale.uniform_(0.15, 0.4)
        drawn.output_mean.uniform_(0.1, 0.4)
    return drawn.eval()


def save(sizes: OpenUnmixSet, folder: Path, networks: dict[str, OpenUnmix], window: int, hop: int) -> None:
    """Write the files: as published, or as the original's training leaves them."""
    folder.mkdir(parents=True)
    for target, drawn in networks.items():
        path = folder / f"{target}.pth"
        torch.save(drawn.state_dict(), path)
        if sizes.hashed:
            path.rename(folder / f"{target}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth")
            continue
        arguments = {
            "target": target,
            "nfft": window,
            "nhop": hop,
            "nb_channels": CHANNELS,
            "hidden_size": sizes.hidden,
            "bandwidth": 16000,
            "unidirectional": sizes.unidirectional,
            "seq_dur": 6.0,
        }
        progress = {"epochs_trained": 1, "args": arguments, "best_loss": 1.0, "best_epoch": 0}
        (folder / f"{target}.json").write_text(json.dumps(progress, indent=1) + "\n", encoding="utf-8")
    if not sizes.hashed:
        encoder = {"nfft": window, "nhop": hop, "sample_rate": SAMPLE_RATE, "nb_channels": CHANNELS}
        (folder / "separator.json").write_text(json.dumps(encoder, indent=1) + "\n", encoding="utf-8")


def load(sizes: OpenUnmixSet, folder: Path, window: int) -> dict[str, OpenUnmix]:
    """Networks from the files, in the order of the targets."""
    found = {}
    for target in sizes.targets:
        found[target] = network(sizes, window)
        state = torch.load(next(folder.glob(f"{target}*.pth")), weights_only=True)
        found[target].load_state_dict(state)
    return found


def separate(
    sizes: OpenUnmixSet, case: OpenUnmixCase, folder: Path, song: NDArray[Any], window: int, hop: int
) -> dict[str, NDArray[Any]]:
    """What the original gives for song (frames, channels), in its precision: {stem: (frames, channels)}."""
    kept = {"niter": case.niter, "residual": case.residual, "wiener_win_len": case.wiener_window}
    if sizes.hashed or sizes.unidirectional or case.softmask:
        # Its loader takes a folder only with JSON files, never asks for unidirectional, and has no word for softmask.
        separator = Separator(
            load(sizes, folder, window), softmask=case.softmask, n_fft=window, n_hop=hop, nb_channels=CHANNELS, **kept
        )
    else:
        separator = load_separator(str(folder), list(sizes.targets), **kept)
    separator.freeze()
    separator.to(torch.from_numpy(song).dtype)
    with torch.no_grad():
        stems = separator.to_dict(separator(torch.from_numpy(song.T.copy())[None]))
    return {stem: sound[0].T.contiguous().numpy() for stem, sound in stems.items()}


def main(folder: Path, quick: bool) -> None:
    """Write the weights that are not there, then the outputs that are not there."""
    song = np.load(folder / "song.npy")
    sets = {sizes.name: sizes for sizes in OPENUNMIX_SETS}
    cases = chosen(OPENUNMIX_CASES, quick)
    spectra, models = magnitudes(song, WINDOW, HOP), folder / "models" / "openunmix"
    for number, sizes in enumerate(OPENUNMIX_SETS):
        place = models / sizes.name
        if place.exists() or not any(case.model == sizes.name for case in cases):
            continue
        networks = {
            target: random_network(sizes, WINDOW, spectra, 10 * number + index)
            for index, target in enumerate(sizes.targets)
        }
        save(sizes, place, networks, WINDOW, HOP)
    for case in cases:
        place = folder / "outputs" / "openunmix" / case.name
        if place.exists():
            continue
        started = time.monotonic()
        outputs = {"": separate(sets[case.model], case, models / case.model, song, WINDOW, HOP)}
        seconds = time.monotonic() - started
        place.mkdir(parents=True)
        if case.in_double:
            double = song.astype(np.float64)
            outputs[DOUBLE] = separate(sets[case.model], case, models / case.model, double, WINDOW, HOP)
        for suffix, stems in outputs.items():
            for stem, sound in stems.items():
                np.save(place / f"{stem}{suffix}.npy", sound.astype(np.float32))
        note(folder, case, list(stems), seconds)
        print(f"openunmix {case.name}: {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), "--quick" in sys.argv[2:])
