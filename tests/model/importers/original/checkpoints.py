"""Make the archives beside this file: checkpoints by TensorFlow, and what the original's network says.

Run it with a Python that has TensorFlow 2.12 and spleeter 2.4.2. The filters are few, for small
files; weights, gains, offsets, moving means and variances are all random. `expected.npy` has every
7th spectrum and every 5th bin of the stems, (stems, frames, bins, channels), for `magnitudes()`.
"""

from __future__ import annotations

import importlib
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FRAMES, BINS, FILTERS = 64, 64, (2, 1, 2, 1, 2, 1)


def magnitudes() -> NDArray[np.float32]:
    """The input: (frames, bins, channels)."""
    frame, bin_, channel = np.indices((FRAMES, BINS, 2))
    waves: NDArray[np.float64] = np.sin(0.37 * frame + 0.11 * bin_ * (channel + 1))
    return (2 + 2 * waves).astype(np.float32)


def value(name: str, shape: list[int], random: np.random.Generator) -> NDArray[np.float32]:
    """Random numbers that keep the signal of every layer near its size."""
    part = name.rpartition("/")[2]
    reach = 2 / np.sqrt(np.prod(shape[:3]))
    low, high = {"kernel": (-reach, reach), "gamma": (0.5, 1.5), "moving_variance": (0.5, 2)}.get(part, (-0.5, 0.5))
    return random.uniform(low, high, shape).astype(np.float32)


def make(name: str, folder: Path) -> None:
    """Write the archive of the shipped configuration `name` into `folder`."""
    tf: Any = importlib.import_module("tensorflow").compat.v1
    configuration = importlib.import_module("spleeter.utils.configuration").load_configuration(f"spleeter:{name}")
    configuration.update(T=FRAMES, F=BINS)
    model = configuration["model"]
    model["params"]["conv_n_filters"] = list(FILTERS)
    network = importlib.import_module("spleeter.model").get_model_function(model["type"])
    random = np.random.default_rng(len(configuration["instrument_list"]))
    with tempfile.TemporaryDirectory() as temporary, tf.Graph().as_default(), tf.Session() as session:
        place = tf.placeholder(tf.float32, (None, FRAMES, BINS, 2))
        stems = network(place, configuration["instrument_list"], model["params"])
        tf.train.get_or_create_global_step()
        session.run(tf.global_variables_initializer())
        for variable in tf.global_variables():
            if variable.op.name != "global_step":
                variable.load(value(variable.op.name, variable.shape.as_list(), random), session)
        spectrograms = [stems[f"{instrument}_spectrogram"] for instrument in configuration["instrument_list"]]
        found = np.concatenate(session.run(spectrograms, {place: magnitudes()[None]}))
        tf.train.Saver(save_relative_paths=True).save(session, f"{temporary}/model", write_meta_graph=False)
        np.save(f"{temporary}/expected.npy", found[:, ::7, ::5])
        Path(temporary, "config.json").write_text(json.dumps(configuration), encoding="utf-8")
        with tarfile.open(folder / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(temporary, ".")


if __name__ == "__main__":
    for shipped in ("2stems", "5stems"):
        make(shipped, Path(__file__).parent)
