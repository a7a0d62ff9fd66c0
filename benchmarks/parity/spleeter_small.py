"""Runs inside the environment of Spleeter: the small frozen cases in tests/data/parity, for tests without TensorFlow.

`python -m benchmarks.parity.spleeter_small FOLDER`, with MODEL_PATH=FOLDER.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from spleeter.separator import Separator
from spleeter.utils.configuration import load_configuration

from benchmarks.parity.small_sound import small_sound
from benchmarks.parity.spleeter_original import write_model

SIZES = {"frame_length": 256, "frame_step": 64, "T": 64, "F": 64}
FILTERS = [2, 3, 4, 3, 5, 4]
FRAMES = 4400  # 73 spectra: two segments, the second cut short
LOUD = 4.0
MODELS: dict[str, dict[str, Any]] = {
    "spleeter-small": {"model": {"type": "unet.unet", "params": {"conv_n_filters": FILTERS}}},
    "spleeter-small-softmax": {
        "instrument_list": ["vocals", "drums", "other"],
        "model": {
            "type": "unet.softmax_unet",
            "params": {"conv_n_filters": FILTERS, "conv_activation": "ELU", "deconv_activation": "ELU"},
        },
    },
}
VARIANTS: dict[str, dict[str, tuple[str, bool]]] = {
    "spleeter-small": {"zeros": ("zeros", False), "average": ("average", False), "mwf": ("zeros", True)},
    "spleeter-small-softmax": {"zeros": ("zeros", False)},
}


def main(folder: Path) -> None:
    """Write FOLDER/<model>/ (checkpoint and config.json) and FOLDER/<model>.npz for each model, anew."""
    song = small_sound(FRAMES)
    for seed, (model, change) in enumerate(MODELS.items()):
        place = folder / model
        params = {**load_configuration("spleeter:2stems"), **SIZES, **change, "model_dir": model}
        write_model(place, params, song, seed, statistics=True, loud=LOUD)
        outputs: dict[str, Any] = {"song": song}
        for variant, (extension, mwf) in VARIANTS[model].items():
            config = place / "config.json"
            config.write_text(json.dumps({**params, "mask_extension": extension}, indent=1) + "\n", encoding="utf-8")
            stems = Separator(str(config), MWF=mwf, multiprocess=False).separate(song)
            outputs.update({f"{variant}/{stem}": sound.astype(np.float32) for stem, sound in stems.items()})
        config.write_text(json.dumps(params, indent=1) + "\n", encoding="utf-8")
        np.savez_compressed(folder / f"{model}.npz", **outputs)
        (place / "model.meta").unlink()
        (place / ".probe").unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
