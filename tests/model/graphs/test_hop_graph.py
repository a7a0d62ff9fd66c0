"""A hop's graph gives what network and native code gave, and its spec says what it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from rtsep.core.presets import plan
from rtsep.core.spec import ModelSpec
from rtsep.dsp.limits import EPSILON
from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.onnx import OnnxEngine
from rtsep.errors import ModelError, SpecError
from rtsep.model.folder import ONNX_NAME, file_record, write_json
from rtsep.model.graphs.hop_graph import hop_graph
from rtsep.model.graphs.openunmix import openunmix_graph
from rtsep.model.store import StoredModel, digest, find
from rtsep.model.weights import write_model
from rtsep.separation.stream import StreamSeparator
from tests.model.graphs.test_unet import SHALLOW, weights
from tests.model.networks.test_openunmix import random_weights, spec_of, system, targets_of
from tests.support.engines import STEMS
from tests.support.models import narrow_unet
from tests.support.signals import Float32, error_db, noise

SMALL = replace(SHALLOW, context=16, window=512, hop=128, bins=128)


def unet(folder: Path, stems: int, **changes: object) -> StoredModel:
    described = replace(SMALL, stems=STEMS[stems], **changes)  # type: ignore[arg-type]
    write_model(weights(described), described.spec("random", "none"), folder / "unet")
    return find(folder / "unet").live()


def openunmix(folder: Path, bidirectional: bool) -> StoredModel:
    made = [random_weights(seed, bidirectional=bidirectional) for seed in (1, 2)]
    spec = spec_of(system(*made, residual=True))
    (folder / "umx").mkdir()
    onnx.save(openunmix_graph(targets_of(*made), True, spec), folder / "umx" / ONNX_NAME)
    write_json(folder / "umx", spec, {"graph": file_record(folder / "umx" / ONNX_NAME)})
    return find(folder / "umx")


MODELS: dict[str, Callable[[Path], StoredModel]] = {
    "2 stems": lambda folder: unet(folder, 2),
    "4 stems": lambda folder: unet(folder, 4, exponent=1.0),
    "5 stems, softmax": lambda folder: unet(folder, 5, output="softmax", conv="elu", deconv="elu", exponent=1.5),
    "a graph of a file": lambda folder: find(narrow_unet(folder / "narrow", STEMS[2], filters=(2, 3), context=16)),
    "spleeter-2stems-live": lambda folder: find("spleeter-2stems-live").live(),
    "streaming-2stems": lambda folder: find("streaming-2stems").live(),
    "openunmix, both ways": lambda folder: openunmix(folder, True).with_context(8),
    "openunmix, live": lambda folder: openunmix(folder, False),
}
SMALL_MODELS = [name for name in MODELS if "2stems" not in name]


def stored(graph: onnx.ModelProto, spec: ModelSpec, folder: Path) -> StoredModel:
    """A graph as a model that engines take."""
    path = folder / f"{len(list(folder.glob('*.onnx')))}.onnx"
    onnx.save(graph, path)
    return StoredModel(spec, path, digest(path), "path")


def hop_model(model: StoredModel, folder: Path, newest: int = 1) -> StoredModel:
    graph, spec = hop_graph(model, 0, newest)
    onnx.checker.check_model(graph, full_check=True)
    return stored(graph, spec, folder)


def ratio(raw: Float32, exponent: float) -> Float32:
    """Spleeter's, of masks (rows, stems, ...), in float64."""
    powers = np.maximum(raw.astype(np.float64), 0.0) ** exponent
    return (powers + EPSILON / raw.shape[1]) / (powers.sum(1, keepdims=True) + EPSILON)  # type: ignore[no-any-return]


def inferred(model: StoredModel, calls: int = 2) -> Float32:
    """The newest masks of some calls of two rows."""
    engine, rng, found = OnnxEngine(model), np.random.default_rng(0), []
    for _ in range(calls):
        magnitudes = rng.uniform(0.0, 9.0, magnitudes_shape(model.spec, model.spec.context, 2)).astype(np.float32)
        masks = np.zeros(masks_shape(model.spec, model.spec.context, 2), np.float32)
        engine.infer(magnitudes, masks)
        found.append(masks[:, :, :, -1])
    return np.concatenate(found)


@pytest.mark.parametrize("name", MODELS)
def test_the_masks_are_those_of_network_and_ratio(name: str, tmp_path: Path) -> None:
    model = MODELS[name](tmp_path)
    hop = hop_model(model, tmp_path)
    wanted = ratio(inferred(model), model.spec.exponent)
    assert wanted.std() > 0.01
    assert error_db(wanted, ratio(inferred(hop), hop.spec.exponent)) < -100.0


@pytest.mark.parametrize("name", MODELS)
def test_stems_are_the_same_through_the_unchanged_signal_path(name: str, tmp_path: Path) -> None:
    model = MODELS[name](tmp_path)
    stems = []
    for one in (model, hop_model(model, tmp_path)):
        window = plan(one.spec, one.spec.sample_rate, "exact")
        separator = StreamSeparator(OnnxEngine(one), window)
        sound = noise(24 * window.hop)
        found = np.zeros((len(one.spec.stems), 2, sound.shape[1]), np.float32)
        separator.feed(sound, found)
        assert separator.broken_masks == 0
        stems.append(found)
    assert error_db(*stems) < -100.0


@pytest.mark.parametrize("newest", [0, 1, 3])
@pytest.mark.parametrize("name", ["2 stems", "a graph of a file", "openunmix, both ways"])
def test_only_the_newest_frames_leave_a_graph_of_one_context(name: str, newest: int, tmp_path: Path) -> None:
    model = MODELS[name](tmp_path)
    model = replace(model, spec=model.spec.with_newest(0))
    graph, spec = hop_graph(model, 0, newest)
    (out,) = graph.graph.output
    given = newest or model.spec.context
    assert [dim.dim_value for dim in out.type.tensor_type.shape.dim][1:] == [
        len(spec.stems), spec.channels, given, spec.bins,
    ]  # fmt: skip
    assert (spec.newest, spec.context, spec.context_step) == (newest, model.spec.context, 0)
    assert (spec.output, spec.exponent) == ("mask", 1.0)
    magnitudes = noise(spec.context * spec.bins, 2).reshape(1, 2, spec.context, spec.bins) ** 2
    (whole,) = onnxruntime.InferenceSession(model.graph()).run(None, {"magnitudes": magnitudes})
    (found,) = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"magnitudes": magnitudes})
    assert error_db(ratio(whole, model.spec.exponent)[:, :, :, -given:], found) < -100.0


def test_a_context_is_chosen(tmp_path: Path) -> None:
    model = find("spleeter-2stems-live")
    graph, spec = hop_graph(model, 128)
    assert spec.context == 128 and graph.graph.input[0].type.tensor_type.shape.dim[2].dim_value == 128
    with pytest.raises(SpecError, match="context 100 does not suit spleeter-2stems-live; allowed are multiples of 64"):
        hop_graph(model, 100)
    with pytest.raises(ModelError, match="newest is 65; spleeter-2stems-live gives 1 to 64 frames of a context"):
        hop_graph(model, 64, 65)


def test_what_is_no_number_stays_for_native_code_to_find(tmp_path: Path) -> None:
    graph, spec = hop_graph(unet(tmp_path, 2), 0)
    magnitudes = np.ones((1, 2, spec.context, spec.bins), np.float32)
    magnitudes[0, 1, -1, 40] = np.nan
    (masks,) = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"magnitudes": magnitudes})
    assert np.isnan(masks[0, :, 1, 0, 40]).all()


def test_a_file_that_is_no_graph_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    model = StoredModel(find("streaming-2stems").spec, tmp_path / "x.onnx", "", "path")
    with pytest.raises(ModelError, match=r"x\.onnx is no ONNX model; export or get it again"):
        hop_graph(model, 0)
