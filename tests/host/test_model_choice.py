"""Which model is chosen, how it is fitted, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rtsep.engine.base import Engine
from rtsep.engine.fallback import FallbackEngine
from rtsep.engine.graph import magnitudes_shape, masks_shape
from rtsep.engine.identity import IdentityEngine
from rtsep.engine.registry import ENGINES, EngineOptions, open_engine
from rtsep.errors import EngineError, ModelError, NotBuiltError, SpecError
from rtsep.host import model_choice as model_choice
from rtsep.host.model_choice import LiveModel, choose_model
from rtsep.host.options import LiveOptions
from rtsep.model import store
from rtsep.model.store import StoredModel

BEST, CHEAP = "spleeter-2stems-live", "streaming-2stems"


@pytest.fixture
def taking(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, float]], None]:
    """Let passes take so long, in seconds by model; two models are bundled, the slower one is the better."""

    def give(times: dict[str, float]) -> None:
        monkeypatch.setattr(model_choice, "BUNDLED", (BEST, CHEAP))
        monkeypatch.setattr(model_choice, "pass_time_s", lambda engine, every_s, rows: rows * times[engine.spec.name])

    return give


def chosen(**changes: object) -> LiveModel:
    return choose_model(LiveOptions(engine="identity", **changes), 44100)  # type: ignore[arg-type]


def test_without_a_name_the_best_that_holds(taking: Callable[[dict[str, float]], None]) -> None:
    taking({BEST: 0.012, CHEAP: 0.001})
    found = chosen()
    assert found.engine.spec.name == BEST
    assert found.note == f"{BEST}: 12 ms for a mask here, 15 ms are there"


def test_without_a_name_the_next_where_the_best_does_not_hold(taking: Callable[[dict[str, float]], None]) -> None:
    taking({BEST: 0.030, CHEAP: 0.001})
    found = chosen()
    assert found.engine.spec.name == CHEAP
    assert found.note == f"{CHEAP}: 1.0 ms for a mask; {BEST} takes 30 ms, 15 ms are there"


def test_a_pass_of_two_decks_takes_longer(taking: Callable[[dict[str, float]], None]) -> None:
    taking({BEST: 0.010, CHEAP: 0.001})
    assert chosen().engine.spec.name == BEST
    found = chosen(deck=("a=demo", "b=demo"))
    assert found.engine.spec.name == CHEAP
    assert found.note == f"{CHEAP}: 2.0 ms for a mask; {BEST} takes 20 ms, 15 ms are there"


def test_the_last_plays_even_where_it_does_not_hold(taking: Callable[[dict[str, float]], None]) -> None:
    taking({BEST: 0.030, CHEAP: 0.020})
    assert chosen().engine.spec.name == CHEAP


def test_what_is_named_plays_and_what_would_hold_is_said(taking: Callable[[dict[str, float]], None]) -> None:
    taking({BEST: 0.030})
    found = chosen(model=BEST)
    assert found.engine.spec.name == BEST and not found.holds
    assert found.note == (
        f"{BEST} takes 30 ms for a mask here, 15 ms are there at this setting: masks may come late; "
        "try --mask-interval 8 --compute 2048"
    )
    assert not chosen(model=BEST, mask_interval=8, compute=2048).note


def test_what_holds_is_not_talked_about(taking: Callable[[dict[str, float]], None]) -> None:
    taking({BEST: 0.012})
    assert chosen(model=BEST).note == ""


def test_nothing_is_timed_where_nothing_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(engine: Engine, every_s: float) -> float:
        raise AssertionError("timed")

    monkeypatch.setattr(model_choice, "pass_time_s", never)
    monkeypatch.setattr(model_choice, "BUNDLED", (BEST, CHEAP))
    found = chosen(freewheel=True)
    assert (found.engine.spec.name, found.note) == (BEST, "")


def test_live_a_network_of_spleeter_s_kind_sees_64_spectra() -> None:
    assert store.find(BEST).live().spec.context == 64
    assert chosen(model=BEST, context=128, freewheel=True).engine.spec.context == 128
    with pytest.raises(SpecError, match="context 100 does not suit"):
        chosen(model=BEST, context=100, freewheel=True)


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ModelError, match="no model 'nothing'"):
        chosen(model="nothing")


@pytest.mark.parametrize(("times", "threads"), [((0.010, 0.010), 1), ((0.017, 0.010), 2), ((0.030, 0.025), 2)])
def test_two_threads_where_one_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, times: tuple[float, float], threads: int
) -> None:
    taken = iter(times)
    monkeypatch.setattr(model_choice, "pass_time_s", lambda engine, every_s, rows: next(taken))
    monkeypatch.setattr(model_choice, "processors", lambda: 2)
    built: list[int] = []

    def counted(stored: StoredModel, options: EngineOptions) -> Engine:
        built.append(options.threads)
        return open_engine(stored, options)

    monkeypatch.setattr(model_choice, "open_engine", counted)
    assert chosen(model=BEST).pass_s == times[threads - 1]
    assert built == [1, 2][:threads]


def test_threads_that_are_asked_for_are_taken(taking: Callable[[dict[str, float]], None]) -> None:
    taking({BEST: 0.030})
    assert not chosen(model=BEST, threads=1).holds


@pytest.mark.parametrize(
    ("taken_s", "remark"), [(0.010, ""), (0.030, "masks come late: 30 ms for one, 15 ms are there")]
)
def test_an_engine_on_a_card_has_one_on_the_cpu_beside_it(
    taking: Callable[[dict[str, float]], None], monkeypatch: pytest.MonkeyPatch, taken_s: float, remark: str
) -> None:
    entry = replace(ENGINES["identity"], devices=("cuda",))
    monkeypatch.setitem(ENGINES, "identity", entry)
    taking({BEST: taken_s, CHEAP: 0.001})
    found = chosen(model=BEST)
    assert isinstance(found.engine, FallbackEngine)
    assert found.engine.provider == "identity, no network" and found.engine.notice == ""
    masks = np.zeros(masks_shape(found.engine.spec, 64), np.float32)
    monkeypatch.setattr(IdentityEngine, "infer", lost)
    found.engine.infer(np.ones(magnitudes_shape(found.engine.spec, 64), np.float32), masks)
    assert masks.std() > 0.0
    assert found.engine.provider.startswith("ONNX Runtime CPU, ")
    assert found.engine.notice == f"the card is lost; {found.engine.provider} goes on{f', {remark}' * bool(remark)}"
    found.engine.close()


def lost(*arguments: object) -> None:
    raise EngineError("the card is lost")


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that an engine is built of beforehand for the card at hand; it wants that."""
    names: list[str] = []

    def check(model: StoredModel, options: EngineOptions) -> None:
        assert (options.rows, options.newest) == (2, 1)
        if model.name not in names:
            raise NotBuiltError(f"no engine of {model.name} was built; build it with: rtsep build {model.name}")

    entry = replace(ENGINES["identity"], check_built=check)
    monkeypatch.setitem(ENGINES, "identity", entry)
    return names


DECKS = {"deck": ("a=demo", "b=demo")}


def test_without_a_name_the_best_that_is_built(taking: Callable[[dict[str, float]], None], built: list[str]) -> None:
    taking({BEST: 0.001, CHEAP: 0.002})
    built.append(CHEAP)
    found = chosen(**DECKS)
    assert found.engine.spec.name == CHEAP
    assert found.note == f"{CHEAP}: 4.0 ms for a mask; for {BEST} no engine is built"
    built.append(BEST)
    assert chosen(**DECKS).engine.spec.name == BEST


def test_without_a_name_and_none_built_the_command_of_the_best_is_said(
    taking: Callable[[dict[str, float]], None], built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taking({})
    with pytest.raises(NotBuiltError, match=f"^no engine of {BEST} was built; build it with: rtsep build {BEST}$"):
        chosen(**DECKS)
    lacking = replace(ENGINES["identity"], machine=lambda: "there is no card")
    monkeypatch.setitem(ENGINES, "identity", lacking)
    with pytest.raises(EngineError, match=r"^there is no card$"):
        chosen(**DECKS)
