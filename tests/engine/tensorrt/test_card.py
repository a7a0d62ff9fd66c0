"""On a real card: the embedded models built for it give what ONNX Runtime gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.registry import EngineOptions, open_engine
from rtsep.engine.tensorrt import device, driver
from rtsep.errors import EngineError
from rtsep.model.store import find

LACK = device.missing()


@pytest.mark.gpu
@pytest.mark.skipif(bool(LACK), reason=LACK)
@pytest.mark.parametrize(("precision", "near_db"), [("fp32", 80.0), ("fp16", 50.0)])
@pytest.mark.parametrize(("name", "rows"), [("streaming-2stems", 1), ("spleeter-2stems-live", 2)])
def test_it_gives_what_onnx_runtime_gives(
    name: str, rows: int, precision: str, near_db: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stems of noise, after a pause of the card as well, within what the precision allows."""
    from rtsep.engine.tensorrt.builder import BuildOptions, build

    monkeypatch.setenv("RTSEP_ENGINES", str(tmp_path))
    card = driver.probe().gpus[0].sm
    build(find(name), [card], BuildOptions(precision, rows=rows), card)
    model = find(name).live()
    engine = open_engine(model, EngineOptions("tensorrt", precision, rows=rows))
    wanted = open_engine(model)
    try:
        engine.warmup(model.spec.context, rows)
        assert engine.provider.endswith("CUDA graph") and "without" not in engine.provider
        rng = np.random.default_rng(0)
        for _ in range(20):
            magnitudes = rng.uniform(0.0, 3.0, magnitudes_shape(model.spec, model.spec.context, rows)).astype(
                np.float32
            )
            found, reference = (
                np.zeros(masks_shape(one.spec, one.spec.context, rows), np.float32) for one in (engine, wanted)
            )
            engine.infer(magnitudes, found)
            wanted.infer(magnitudes, reference)
            if model.spec.output == "magnitude":  # the graph on the card makes masks of them
                power = np.maximum(reference.astype(np.float64), 0.0) ** model.spec.exponent
                reference = (power / np.maximum(power.sum(axis=1, keepdims=True), 1e-10)).astype(np.float32)
            error = np.square(found - reference).sum() / np.square(reference).sum()
            assert 10.0 * np.log10(error) < -near_db
        engine.reset()
    finally:
        engine.close()
        wanted.close()
    with pytest.raises(EngineError):
        engine.infer(magnitudes, found)
