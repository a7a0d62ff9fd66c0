"""Runs inside the environment of Spleeter: random weights in its own graph, then its own separation of the song.

`python -m benchmarks.parity.spleeter_original FOLDER`, with MODEL_PATH=FOLDER/models.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from spleeter.model import EstimatorSpecBuilder, InputProviderFactory
from spleeter.model.provider import ModelProvider
from spleeter.separator import Separator
from spleeter.utils.configuration import load_configuration

from benchmarks.parity.cases import (
    SPLEETER_CASES,
    SPLEETER_MODELS,
    STEMS,
    SpleeterCase,
    chosen,
    config_path,
    note,
    official,
)

tf.get_logger().setLevel("ERROR")

LOUD = 20.0  # a magnitude of music that few bins exceed: the first layer brings it to about 1
LOGIT = 2.5  # what nine of ten logits stay within, so that masks fill 0 to 1


def draw(
    name: str, shape: tuple[int, ...], generator: np.random.Generator, loud: float, statistics: bool
) -> NDArray[np.float64]:
    """A value for the variable `name`; nothing is left at a 0 or 1 that could hide a mistake."""
    kind = name.rsplit("/", 1)[-1]
    if kind == "kernel":
        transposed = name.startswith("conv2d_transpose")
        inputs = shape[0] * shape[1] * shape[3 if transposed else 2] / (4 if transposed else 1)
        first = not transposed and shape[:3] == (5, 5, 2)
        reach = (6.0 / inputs) ** 0.5 / (loud if first else 1.0)
        return generator.uniform(-reach, reach, shape)
    if kind == "gamma":
        return generator.uniform(0.6, 1.4, shape)
    if kind == "moving_variance":
        return generator.uniform(0.5, 2.0, shape) if statistics else np.ones(shape)
    if kind == "moving_mean":
        return generator.uniform(-0.3, 0.3, shape) if statistics else np.zeros(shape)
    return generator.uniform(-0.4, 0.4, shape)  # bias, beta


def write_model(
    folder: Path, params: dict[str, Any], song: NDArray[np.float32], seed: int, statistics: bool, loud: float = LOUD
) -> None:
    """Save a checkpoint of the graph that Spleeter builds from `params`, as its training would.

    song (frames, 2) sets the scale of the last layers; loud: see LOUD.
    """
    generator = np.random.default_rng(seed)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        features = InputProviderFactory.get(params).get_input_dict_placeholders()
        builder = EstimatorSpecBuilder(features, params)
        builder.build_predict_model()
        tf.compat.v1.train.get_or_create_global_step()
        variables = {variable.op.name: variable for variable in tf.compat.v1.global_variables()}
        session.run(tf.compat.v1.global_variables_initializer())
        for name in sorted(variables):
            if name != "global_step":
                variables[name].load(draw(name, variables[name].shape, generator, loud, statistics), session)
        graph = tf.compat.v1.get_default_graph()
        last = [f"conv2d_{7 * stem + 6}" for stem in range(len(params["instrument_list"]))]
        feed = {features["waveform"]: song[: 12 * params["sample_rate"]], features["audio_id"]: ""}
        logits = session.run([graph.get_tensor_by_name(f"{name}/BiasAdd:0") for name in last], feed)
        for name, values in zip(last, logits, strict=True):
            offset = session.run(variables[f"{name}/bias"])
            gain = LOGIT / np.quantile(np.abs(values - np.median(values)), 0.9)
            variables[f"{name}/kernel"].load(session.run(variables[f"{name}/kernel"]) * gain, session)
            centre = (np.median(values, axis=(0, 1, 2)) - offset) * gain
            variables[f"{name}/bias"].load(offset - centre, session)
        masks = session.run(builder.masks, feed)
        for stem, mask in masks.items():
            shown = ", ".join(
                f"{value:.3f}" for value in np.quantile(mask[:, : params["F"]], (0.05, 0.25, 0.5, 0.75, 0.95))
            )
            print(f"{folder.name} {stem}: mask quantiles {shown}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        tf.compat.v1.train.Saver(save_relative_paths=True).save(session, str(folder / "model"))
    ModelProvider.writeProbe(str(folder))


def configuration(folder: Path, case: SpleeterCase) -> str:
    """The descriptor of a case: Spleeter's own name, or a config written beside the models."""
    if case.named:
        return f"spleeter:{case.model}"
    path = config_path(folder, case)
    path.parent.mkdir(exist_ok=True)
    params = load_configuration(f"spleeter:{SPLEETER_MODELS[case.model]}")
    params.update(model_dir=str(folder / "models" / case.model), F=case.bins, mask_extension=case.extension)
    path.write_text(json.dumps(params, indent=1) + "\n", encoding="utf-8")
    return str(path)


def main(folder: Path, quick: bool) -> None:
    """Write the weights that are not there, then the outputs that are not there."""
    song = np.load(folder / "song.npy")
    cases = [*chosen(SPLEETER_CASES, quick), *official(folder)]
    for seed, (model, config) in enumerate(SPLEETER_MODELS.items()):
        place = folder / "models" / model
        wanted = any(case.model == model for case in cases)
        if wanted and not (place / ModelProvider.MODEL_PROBE_PATH).exists():
            write_model(place, load_configuration(f"spleeter:{config}"), song, seed, statistics=model not in STEMS)
    for case in cases:
        place = folder / "outputs" / "spleeter" / case.name
        descriptor = configuration(folder, case)
        if place.exists():
            continue
        started = time.monotonic()
        stems = Separator(descriptor, MWF=case.mwf, multiprocess=False).separate(song)
        seconds = time.monotonic() - started
        place.mkdir(parents=True)
        for stem, sound in stems.items():
            np.save(place / f"{stem}.npy", sound.astype(np.float32))
        note(folder, case, list(stems), seconds)
        print(f"spleeter {case.name}: {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), "--quick" in sys.argv[2:])
