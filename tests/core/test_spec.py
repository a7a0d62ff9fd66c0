from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from rtsep.core.presets import PRESETS, STRIDE_TOLERANCE, WINDOW_TOLERANCE, plan
from rtsep.core.slack import host_block
from rtsep.core.spec import Latency, ModelSpec
from rtsep.errors import ModelError, SpecError
from rtsep.model import store
from tests.support.engines import stateful_spec, windowed_spec

ALL_RATES = (22050, 32000, 44100, 48000, 88200, 96000, 192000)
MODELS = {
    "streaming": store.find("streaming-2stems").spec,
    "spleeter": windowed_spec(window=4096, hop=1024, bins=1024, context=512, analysis="hann"),
    "openunmix": windowed_spec(window=4096, hop=1024, bins=1487, context=255, analysis="hann"),
}
PRESET_MS = {"46": 46.4, "23": 23.2, "12": 11.6, "6": 5.8, "3": 2.9}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rate", ALL_RATES)
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_fits_every_rate(name: str, rate: int, preset: str) -> None:
    model = MODELS[name]
    window = plan(model, rate, preset)
    own_window, own_hop = model.window * rate / model.sample_rate, model.hop * rate / model.sample_rate
    assert window.synthesis % window.hop == 0 and window.synthesis // window.hop >= 2
    assert window.synthesis <= window.window
    assert abs(window.frame_stride * window.hop / own_hop - 1.0) <= STRIDE_TOLERANCE
    assert abs(window.window / own_window - 1.0) <= WINDOW_TOLERANCE
    assert window.hop & (window.hop - 1) == 0, "a power of two goes with usual blocks"
    assert window.latency.total == window.synthesis - window.hop
    if model.kind == "stateful":
        assert window.frame_stride % window.mask_interval == 0
    else:
        assert window.mask_interval == window.frame_stride
    if preset == "exact":
        assert window.synthesis == window.window
    else:
        near = 0.4 if rate == 32000 else 0.15  # 32 kHz lies midway between two octaves of 44.1
        assert 1000.0 * window.synthesis / rate == pytest.approx(PRESET_MS[preset], rel=near)
        assert window.window % 16 == 0


def test_the_model_s_own_rate_gives_its_own_sizes() -> None:
    model = MODELS["spleeter"]
    window = plan(model, 44100, "exact")
    assert (window.window, window.synthesis, window.hop, window.frame_stride) == (4096, 4096, 1024, 1)
    window = plan(MODELS["streaming"], 48000, "23")
    assert (window.window, window.synthesis, window.hop, window.frame_stride) == (2240, 1024, 256, 2)


@pytest.mark.parametrize("hops", [1, 3, 7])
@pytest.mark.parametrize("preset", PRESETS)
def test_lookahead_costs_hops_of_the_model(preset: str, hops: int) -> None:
    window = plan(windowed_spec(), 48000, preset, lookahead_hops=hops)
    assert window.latency.window == window.synthesis - window.hop
    assert window.latency.lookahead == hops * window.frame_stride * window.hop
    assert window.latency.total == window.latency.window + window.latency.lookahead


def test_hop_and_mask_interval_can_be_chosen() -> None:
    model = MODELS["streaming"]
    window = plan(model, 44100, "3", hop=32, mask_interval=8)
    assert (window.hop, window.frame_stride, window.mask_interval, window.synthesis) == (32, 16, 8, 128)
    assert plan(windowed_spec(), 44100, "23", mask_interval=7).mask_interval == 7
    default = plan(model, 44100, "3")
    assert default.hop * default.mask_interval == 256, "a shorter hop makes no more masks"


def messages(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def refused(model: ModelSpec, rate: int = 44100, **settings: Any) -> str:
    with pytest.raises(SpecError) as error:
        plan(model, rate, **settings)
    return messages(error)


def test_unknown_preset_names_the_known() -> None:
    text = refused(windowed_spec(), preset="24")
    assert "'24'" in text and all(preset in text for preset in PRESETS)


@pytest.mark.parametrize("rate", [0, 7999, 384_001])
def test_rate_out_of_range(rate: int) -> None:
    text = refused(windowed_spec(), rate)
    assert str(rate) in text and "8000" in text and "384000" in text


@pytest.mark.parametrize("rate", ALL_RATES)
def test_preset_longer_than_the_model_s_window(rate: int) -> None:
    short = windowed_spec(window=1024, hop=256)
    text = refused(short, rate, preset="46")
    assert "46" in text and "windowed" in text and "exact" in text
    assert plan(short, rate, "23").synthesis <= plan(short, rate, "23").window


@pytest.mark.parametrize("hop", [400, 0, -4, 5000])
def test_a_hop_that_does_not_fit_suggests_ones_that_do(hop: int) -> None:
    text = refused(windowed_spec(), 48000, hop=hop)
    assert f"hop {hop} " in text and "10 %" in text
    for suggestion in text.rpartition("try ")[2].split(", "):
        assert plan(windowed_spec(), 48000, "46", hop=int(suggestion)).hop == int(suggestion)


def test_a_hop_that_does_not_overlap_add_suggests_ones_that_do() -> None:
    spleeter = windowed_spec(window=4096, hop=2048, analysis="hann")
    text = refused(spleeter, preset="exact", hop=2048)
    assert "hop 2048" in text and "4096" in text
    suggestions = text.rpartition("allowed are ")[2].split(", ")
    for suggestion in suggestions:
        assert plan(spleeter, 44100, "exact", hop=int(suggestion)).hop == int(suggestion)
    assert len(suggestions) >= 2


@pytest.mark.parametrize("preset", ["3", "6", "12"])
def test_a_hop_may_not_lengthen_the_preset_s_window(preset: str) -> None:
    """The preset names the window; a hop too long for it is an error, not another window."""
    text = refused(windowed_spec(), preset=preset, hop=512)
    assert "hop 512" in text and f"{plan(windowed_spec(), 44100, preset).synthesis} frames" in text
    for suggestion in text.rpartition("try ")[2].split(", "):
        assert plan(windowed_spec(), 44100, preset, hop=int(suggestion)).hop == int(suggestion)


def test_a_hop_may_not_bend_the_exact_window() -> None:
    """At 48 kHz the window is 2229 frames; whole hops of 512 come only within 8 % of it."""
    assert "512" in refused(windowed_spec(), 48000, preset="exact", hop=512)


def test_lookahead_out_of_range() -> None:
    for hops in (-1, 8):
        text = refused(windowed_spec(), lookahead_hops=hops)
        assert str(hops) in text and "0 to 7" in text
    assert plan(windowed_spec(), 44100, lookahead_hops=7).lookahead_hops == 7
    text = refused(stateful_spec(), lookahead_hops=2)
    assert "2 hops" in text and "causal" in text and "use 0" in text


def test_masks_for_a_later_frame_are_not_made_more_often_than_that() -> None:
    model = windowed_spec(ahead=1)
    window = plan(model, 44100, "12")
    assert window.ahead == window.mask_interval == window.frame_stride
    assert f"mask interval 1 is out of range; it must be {window.ahead} hops or more" in refused(
        model, preset="12", mask_interval=1
    )
    with pytest.raises(ModelError, match="ahead is 1; it must be a whole number, 0 to 0"):
        stateful_spec(ahead=1)


def test_mask_interval_out_of_range() -> None:
    text = refused(windowed_spec(), mask_interval=0)
    assert "mask interval 0" in text and "1 hop or more" in text
    for mask_interval in (0, 3, 16):
        text = refused(stateful_spec(), preset="3", mask_interval=mask_interval)
        assert f"mask interval {mask_interval} " in text and text.endswith("allowed are 1, 2, 4, 8")


def test_latency_adds_up() -> None:
    latency = Latency(device=1, block=2, window=3, lookahead=4, compute=5, effects=6)
    assert latency.total == 21 and sum(frames or 0 for frames in latency.parts().values()) == 21
    assert list(latency.parts()) == ["device", "block", "window", "lookahead", "compute", "effects"]
    assert Latency(window=441).ms(44100) == pytest.approx(10.0)
    assert latency + latency == Latency(device=2, block=4, window=6, lookahead=8, compute=10, effects=12)
    unknown = latency + Latency(device=None)
    assert unknown.device is None and unknown.total == 20


@pytest.mark.parametrize("block", [1, 64, 100, 256, 441, 1024, 4096])
@pytest.mark.parametrize("hop", [32, 64, 256, 1024])
def test_host_block_is_exactly_enough(block: int, hop: int) -> None:
    """Blocks in, whole hops through, blocks out: the pre-fill never runs dry, and one frame less does."""

    def lowest(prefill: int) -> int:
        waiting, queued, low = 0, prefill, prefill
        for _ in range(2 * math.lcm(block, hop) // block):
            low = min(low, queued - block)  # the block's output leaves before its own input is worked on
            queued -= block
            waiting += block
            queued += waiting // hop * hop
            waiting %= hop
        return low

    assert lowest(host_block(block, hop)) == 0


class TestModelSpec:
    def test_json_round_trip(self) -> None:
        for model in (*MODELS.values(), windowed_spec(), stateful_spec(5)):
            assert ModelSpec.from_dict(model.to_dict()) == model

    def refused(self, **changes: Any) -> str:
        with pytest.raises(ModelError) as error:
            ModelSpec.from_dict({**windowed_spec().to_dict(), **changes})
        return messages(error)

    def test_unknown_and_missing_keys(self) -> None:
        text = self.refused(colour="red")
        assert "'colour'" in text and "exponent" in text
        optional = {"context_step", "family", "newest", "ahead", "own_window"}
        for key in windowed_spec().to_dict().keys() - optional:
            entries = windowed_spec().to_dict()
            del entries[key]
            with pytest.raises(ModelError, match=f"'{key}' is missing"):
                ModelSpec.from_dict(entries)

    def test_what_older_models_do_not_say(self) -> None:
        """A fixed context, and a way of our own with files."""
        entries = windowed_spec().to_dict()
        for key in ("context_step", "family", "newest", "ahead", "own_window"):
            del entries[key]
        assert ModelSpec.from_dict(entries) == windowed_spec()

    def test_only_the_newest_frames(self) -> None:
        free = windowed_spec(context=512, context_step=64)
        newest = free.with_newest(3)
        assert (free.given(128), newest.given(128), newest.given(2)) == (128, 3, 2)
        assert newest.with_newest(0) == free
        assert ModelSpec.from_dict(newest.to_dict()) == newest != free
        assert free.with_newest(512).with_context(64).newest == 64
        for wrong in (-1, 513, 2.0):
            with pytest.raises(ModelError, match="newest is"):
                free.with_newest(wrong)  # type: ignore[arg-type]
        with pytest.raises(ModelError, match="newest is 1; only a windowed model has one"):
            stateful_spec().with_newest(1)

    def test_another_context(self) -> None:
        free = windowed_spec(context=512, context_step=64)
        assert free.with_context(128) == windowed_spec(context=128, context_step=64)
        assert windowed_spec(context=8).with_context(8) == windowed_spec(context=8)
        for frames in (0, -64, 100, 4160):
            with pytest.raises(SpecError, match=f"context {frames} does not suit windowed; allowed are multiples of"):
                free.with_context(frames)
        with pytest.raises(SpecError, match="windowed has a fixed context of 8 frames; leave it out"):
            windowed_spec(context=8).with_context(16)
        for changes in ({"context": 100, "context_step": 64}, {"context_step": -1}, {"family": "demucs"}):
            with pytest.raises(ModelError, match=r"context_step|family"):
                windowed_spec(**changes)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("sample_rate", "44100"),
            ("sample_rate", 44100.0),
            ("sample_rate", 0),
            ("window", "2048"),
            ("window", 8),
            ("window", None),
            ("hop", 4096),
            ("hop", True),
            ("channels", 3),
            ("channels", True),
            ("context", 0),
            ("bins", 1026),
            ("analysis", "hamming"),
            ("basis", "rl"),
            ("kind", "wavelet"),
            ("output", 1),
            ("extension", "none"),
            ("exponent", 0.0),
            ("exponent", float("nan")),
            ("exponent", [2]),
            ("exponent", "2"),
            ("stems", ["only"]),
            ("stems", ["twice", "twice"]),
            ("stems", "ab"),
            ("stems", 2),
            ("stems", [1, 2]),
            ("states", [{"name": "x"}]),
            ("states", [{"name": "x", "shape": "12"}]),
            ("states", 3),
            ("name", 5),
            ("licence", None),
        ],
    )
    def test_mistyped_or_illegal(self, key: str, value: Any) -> None:
        assert self.refused(**{key: value}).startswith("model spec: ")

    def test_what_does_not_go_together(self) -> None:
        assert "mid and side" in self.refused(channels=1, basis="ms")
        assert "stateful" in self.refused(kind="stateful", context=1)
        assert "stateful" in self.refused(states=[{"name": "h", "shape": [1, 2]}])

    @pytest.mark.parametrize("stem", ["../../etc/vocals", "/tmp/vocals", "a/b", "", "mix", "a=b", "two words"])
    def test_a_stem_must_be_a_plain_name(self, stem: str) -> None:
        """It becomes a file's name, a word in routes and a part of parameter paths."""
        with pytest.raises(ModelError):
            replace(windowed_spec(), stems=("vocals", stem))
