"""Graphs at every precision: what is half, what stays float32, what has 8 bits, and that they still say the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from benchmarks.emulation import emulated
from rtsep.errors import ModelError
from rtsep.model.graphs import half, quantization
from rtsep.model.graphs.constants import folded
from rtsep.model.graphs.hop_graph import hop_graph
from rtsep.model.graphs.precision import PRECISIONS, at_precision
from tests.model.graphs.test_hop_graph import MODELS, SMALL_MODELS, unet
from tests.support.signals import Float32, error_db

HALF = {
    "fp16": TensorProto.FLOAT16,
    "bf16": TensorProto.BFLOAT16,
    "int8": TensorProto.FLOAT16,
    "fp8": TensorProto.FLOAT16,
}
SENSITIVE = {"Exp", "Log", "Sqrt", "Pow", "Div", "Softmax", "ReduceSum", "ReduceMean", "CumSum", "LayerNormalization",
             "GRU", "LSTM", "Where"}  # fmt: skip
UNETS = ("2 stems", "4 stems", "5 stems, softmax")
CLOSE_DB = {"fp16": -45.0, "bf16": -28.0, "int8": -20.0, "fp8": -15.0}  # of random weights, which are unkind


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks are treated as large ones are."""
    monkeypatch.setattr(half, "FEW_WEIGHTS", 100)
    monkeypatch.setattr(quantization, "MANY_WEIGHTS", {"int8": 300, "fp8": 300})


def inputs_of(graph: onnx.ModelProto, seed: int = 0) -> dict[str, Float32]:
    rng = np.random.default_rng(seed)
    shapes = {one.name: [dim.dim_value or 2 for dim in one.type.tensor_type.shape.dim] for one in graph.graph.input}
    return {name: rng.uniform(0.0, 9.0 if name == "magnitudes" else 0.2, shape).astype(np.float32)
            for name, shape in shapes.items()}  # fmt: skip


def run(graph: onnx.ModelProto, inputs: dict[str, Float32]) -> list[Float32]:
    return onnxruntime.InferenceSession(graph.SerializeToString()).run(None, inputs)  # type: ignore[no-any-return]


def kinds(graph: onnx.ModelProto) -> dict[str, int]:
    inferred = shape_inference.infer_shapes(graph, check_type=True, strict_mode=True).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    found = {value.name: value.type.tensor_type.elem_type for value in values}
    return found | {tensor.name: tensor.data_type for tensor in graph.graph.initializer}


def samples(graph: onnx.ModelProto) -> list[Float32]:
    return [inputs_of(graph, seed)["magnitudes"] for seed in (1, 2)]


@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize("name", SMALL_MODELS)
def test_a_graph_says_nearly_the_same_at_every_precision(name: str, precision: str, tmp_path: Path) -> None:
    graph, _ = hop_graph(MODELS[name](tmp_path), 0)
    if precision in quantization.EIGHTS and name not in UNETS:
        pytest.skip("it has no convolution that is worth it")
    made = at_precision(graph, precision, samples(graph))
    onnx.checker.check_model(made, full_check=True)
    for side in ("input", "output"):
        before, after = (list(getattr(one.graph, side)) for one in (graph, made))
        assert before == after, "names, shapes and float32 are as they were"
    inputs = inputs_of(graph)
    for wanted, found in zip(run(graph, inputs), run(emulated(made), inputs), strict=True):
        assert CLOSE_DB[precision] - 60.0 < error_db(wanted, found) < CLOSE_DB[precision]


@pytest.mark.parametrize("precision", HALF)
def test_convolutions_are_half_and_what_is_sensitive_is_not(precision: str, tmp_path: Path) -> None:
    graph, _ = hop_graph(unet(tmp_path, 2, filters=(4, 9, 12), levelled=True, context=16), 0)
    made = at_precision(graph, precision, samples(graph))
    found = kinds(made)
    heavy, small = set[str](), set[str]()
    for node in made.graph.node:
        kind = found[node.output[0]]
        if node.op_type in ("Conv", "ConvTranspose"):
            (small if kind == TensorProto.FLOAT else heavy).add(node.name)
            assert kind in (HALF[precision], TensorProto.FLOAT)
        elif node.op_type in SENSITIVE or node.name.startswith("hop/"):
            assert kind in (TensorProto.FLOAT, TensorProto.BOOL), node.name
        assert node.op_type != "BatchNormalization"
    assert {"vocals/down2/conv", "vocals/down3/conv", "vocals/up1/phase11/conv"} <= heavy
    assert "vocals/output/conv" in small, "it costs nothing, and its errors are heard at once"


@pytest.mark.parametrize("name", ["streaming-2stems", "openunmix, live"])
def test_states_and_recurrent_layers_stay_float32(name: str, tmp_path: Path) -> None:
    graph, spec = hop_graph(MODELS[name](tmp_path), 0)
    made = at_precision(graph, "fp16")
    found = kinds(made)
    recurrent = [node for node in made.graph.node if node.op_type in ("GRU", "LSTM")]
    assert recurrent
    for node in recurrent:
        assert {found[value] for value in (*node.input, *node.output) if value} <= {
            TensorProto.FLOAT,
            TensorProto.INT32,
        }
    products = [found[node.output[0]] for node in made.graph.node if node.op_type == "MatMul"]
    assert set(products) == {TensorProto.FLOAT16}
    assert {found[f"{state.name}_out"] for state in spec.states} == {TensorProto.FLOAT}


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_value_is_cast_once_and_never_there_and_back(precision: str, tmp_path: Path) -> None:
    for name in ("4 stems", "openunmix, both ways"):
        graph, _ = hop_graph(MODELS[name](tmp_path), 0)
        made = at_precision(graph, precision)
        casts = [node for node in made.graph.node if node.op_type == "Cast"]
        pairs = [(node.input[0], node.attribute[0].i) for node in casts]
        assert casts and len(set(pairs)) == len(pairs)
        from_casts = {node.output[0] for node in casts}
        assert not from_casts & {node.input[0] for node in casts}
        assert not from_casts & {tensor.name for tensor in made.graph.initializer}, "weights are cast beforehand"


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_has_half_the_size(precision: str, tmp_path: Path) -> None:
    graph, _ = hop_graph(unet(tmp_path, 2, filters=(8, 64, 128), context=16), 0)
    assert at_precision(graph, precision).ByteSize() < 0.51 * graph.ByteSize()


@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_eight_bits_have_a_scale_for_each_output_and_one_for_all_values(precision: str, tmp_path: Path) -> None:
    graph, _ = hop_graph(unet(tmp_path, 2, filters=(4, 9, 12), context=16), 0)
    made = at_precision(graph, precision, samples(graph))
    found = kinds(made)
    giver = {output: node for node in made.graph.node for output in node.output}
    tensors = {tensor.name: tensor for tensor in made.graph.initializer}
    eights = [node for node in made.graph.node if node.op_type == "Conv" and "back" in node.input[1]]
    assert {node.name for node in eights} >= {"vocals/down2/conv", "vocals/up1/phase00/conv"}
    kind = quantization.EIGHTS[precision].kind
    plain = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    for node in eights:
        values, weights = (giver[name] for name in node.input[:2])
        assert (values.op_type, weights.op_type) == ("DequantizeLinear", "DequantizeLinear")
        quantise = giver[values.input[0]]
        assert quantise.op_type == "QuantizeLinear" and found[quantise.output[0]] == kind
        assert tensors[values.input[1]].dims == [] and tensors[weights.input[0]].data_type == kind
        number, scale = (numpy_helper.to_array(tensors[name]).astype(np.float32) for name in weights.input[:2])
        wanted = plain[weights.input[0].removesuffix(f"/fp16/{precision}")]
        assert len(scale) == len(wanted)
        assert error_db(wanted, number * scale[:, None, None, None]) < (-35.0 if precision == "int8" else -25.0)
    shared = [node.input[0] for node in eights if node.name.startswith("vocals/up1/phase")]
    assert len(shared) == 4 and len(set(shared)) == 1, "all four see the same values"
    assert made.ByteSize() < at_precision(graph, "fp16").ByteSize()


def test_the_emulation_rounds_as_onnx_says(tmp_path: Path) -> None:
    """The reference evaluator of onnx computes in float16 itself; float32 with values rounded is as far from exact."""
    graph, _ = hop_graph(unet(tmp_path, 2, filters=(3, 4), context=4, bins=16, window=64, hop=16), 0)
    made, inputs = at_precision(graph, "fp16"), inputs_of(graph)
    exact = run(graph, inputs)[0]
    (reference,), (found,) = ReferenceEvaluator(made).run(None, inputs), run(emulated(made), inputs)
    assert abs(error_db(exact, reference) - error_db(exact, found)) < 9.0
    assert error_db(reference, found) < error_db(exact, reference) + 3.0


@pytest.mark.parametrize("name", ["2 stems", "streaming-2stems"])
def test_folded_constants_change_nothing(name: str, tmp_path: Path) -> None:
    graph, _ = hop_graph(MODELS[name](tmp_path), 0)
    made = folded(graph)
    assert {"Constant", "BatchNormalization"}.isdisjoint(node.op_type for node in made.graph.node)
    inputs = inputs_of(graph)
    for wanted, found in zip(run(graph, inputs), run(made, inputs), strict=True):
        assert error_db(wanted, found) < -100.0


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_float32_is_the_graph_itself(precision: str, tmp_path: Path) -> None:
    graph, _ = hop_graph(unet(tmp_path, 2), 0)
    made = at_precision(graph, precision)
    assert made == graph and made is not graph


def test_what_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    graph, _ = hop_graph(unet(tmp_path, 2), 0)
    with pytest.raises(ModelError, match=f"precision is 'fp4'; allowed are {', '.join(PRECISIONS)}"):
        at_precision(graph, "fp4")
    with pytest.raises(ModelError, match="precision is int8, which is scaled by music; give samples of magnitudes"):
        at_precision(graph, "int8")
    live, _ = hop_graph(MODELS["openunmix, live"](tmp_path), 0)
    with pytest.raises(ModelError, match="this graph has no convolution that is worth it; take fp16"):
        at_precision(live, "fp8", samples(live))


def test_the_graph_that_is_given_stays_as_it_is(tmp_path: Path) -> None:
    graph, _ = hop_graph(unet(tmp_path, 2), 0)
    before = graph.SerializeToString(deterministic=True)
    for precision in PRECISIONS:
        at_precision(graph, precision, samples(graph))
    assert graph.SerializeToString(deterministic=True) == before
