"""Peers run the same networks: their masks are the reference's, by as much as their precision lets them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.gpu_models import model
from rtsep.diagnostics.laboratory.case import Case
from rtsep.diagnostics.laboratory.peers.registry import FULL, PEERS, open_peer
from rtsep.diagnostics.laboratory.quality import sdr_db
from rtsep.engine.base import Float32, Real
from rtsep.engine.registry import open_engine
from rtsep.errors import EngineError


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Case:
    name, weights = model(2, tmp_path_factory.mktemp("models"), narrow=True)
    assert weights == "random"
    return Case(name, "torch-cpu")


def sdr_of(case: Case) -> float:
    engine = case.open(case.stored())
    try:
        found = sdr_db(case, engine)
    finally:
        engine.close()
    assert found is not None
    return found


def test_pytorch_gives_the_references_masks(narrow: Case) -> None:
    full, half = sdr_of(narrow), sdr_of(Case(narrow.model, "torch-cpu", "bf16"))
    assert full > 100.0
    assert 20.0 < half < 60.0  # 8 bits of mantissa


def test_rows_that_are_not_real_are_left_alone_and_states_are_their_own() -> None:
    case = Case("streaming-2stems", "torch-cpu", decks=2)
    stored = case.stored()
    peer, ours = case.open(stored), open_engine(stored)
    magnitudes = np.random.default_rng(0).random((2, 2, 1, stored.spec.bins), np.float32)
    masks, wanted = (np.zeros((2, 2, *magnitudes.shape[1:]), np.float32) for _ in range(2))
    for engine in (peer, ours):
        engine.warmup(1, 2)
    for real in ([True, False], [True, True], [False, True]):
        for engine, out in ((peer, masks), (ours, wanted)):
            engine.infer(magnitudes, out, np.array(real))
    assert float(np.abs(masks - wanted).max()) < 1e-5
    assert float(np.abs(wanted[0] - wanted[1]).max()) > 5e-4
    before = masks[0].copy()
    peer.infer(magnitudes[::-1].copy(), masks, np.array([False, True]))
    assert np.array_equal(masks[0], before)
    peer.close()
    with pytest.raises(EngineError, match="is closed"):
        peer.infer(magnitudes, masks)


class Louder:
    """An engine whose first stem is a little too loud."""

    def __init__(self, case: Case, factor: float) -> None:
        self._engine = open_engine(case.stored())
        self.spec, self.provider, self._factor = self._engine.spec, "louder", np.float32(factor)
        self.warmup, self.reset, self.close = self._engine.warmup, self._engine.reset, self._engine.close

    def infer(self, magnitudes: Float32, masks: Float32, real: Real = None) -> None:
        self._engine.infer(magnitudes, masks, real)
        masks[:, 0] *= self._factor


def test_sdr_counts_what_is_wrong(narrow: Case) -> None:
    found = [sdr_db(narrow, Louder(narrow, 1.0 + wrong)) for wrong in (1e-3, 1e-2)]
    assert found[0] is not None and found[1] is not None
    assert found[0] - found[1] == pytest.approx(20.0, abs=1.0)
    assert sdr_db(narrow, open_engine(narrow.stored())) is None


def test_what_a_machine_lacks_is_said(narrow: Case) -> None:
    stored = narrow.stored()
    if not torch.cuda.is_available():
        for name in ("torch", "torch-graph"):
            with pytest.raises(EngineError, match="PyTorch finds no CUDA device; install a driver"):
                open_peer(stored, name, FULL, 1)
    with pytest.raises(EngineError, match="precision is 'int8'; PyTorch has"):
        open_peer(stored, "torch-cpu", "int8", 1)
    streaming = Case("streaming-2stems", "torch-cpu", "fp16")
    with pytest.raises(EngineError, match="only U-Nets have it"):
        streaming.open(streaming.stored())
    assert all(peer.probe("int8") for peer in PEERS.values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method.* is deprecated:DeprecationWarning")  # in torch itself
def test_torch_compile_gives_the_references_masks(narrow: Case) -> None:
    if reason := PEERS["torch-compile-cpu"].probe(FULL):
        pytest.skip(reason)
    assert sdr_of(Case(narrow.model, "torch-compile-cpu")) > 100.0
