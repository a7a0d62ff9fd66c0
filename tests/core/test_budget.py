from __future__ import annotations

from dataclasses import replace

import pytest

from rtsep.core.budget import MARGIN, Budget, default_compute, patience_s
from rtsep.core.presets import plan
from rtsep.core.slack import RESERVE_NS, reserve_ns, until_dry_ns
from tests.support.engines import stateful_spec
from tests.support.models import causal_spec, unet_spec

UNET = unet_spec()


def budget(preset: str = "23", block: int = 256, mask_interval: int | None = None, ahead: int = 0) -> Budget:
    model = unet_spec(ahead=ahead)
    window = plan(model, 44100, preset, mask_interval=mask_interval)
    return Budget(window, block, default_compute(model, window, block), False)


class TestSlack:
    def test_a_stateful_network_gets_5_3_ms_in_steps_that_the_ring_can_use(self) -> None:
        model = stateful_spec()
        for block, rate, frames in ((256, 48000, 256), (64, 48000, 256), (441, 44100, 236), (1024, 48000, 256)):
            window = plan(model, rate, "23")
            assert default_compute(model, window, block) == frames

    @pytest.mark.parametrize("preset", ["exact", "46", "23", "12"])
    def test_a_windowed_network_gets_the_time_between_two_masks(self, preset: str) -> None:
        assert budget(preset).compute == 1024
        assert budget(preset, mask_interval=plan(UNET, 44100, preset).mask_interval * 2).compute == 2048

    def test_masks_for_a_later_frame_need_no_slack_of_their_own(self) -> None:
        assert budget("23", ahead=1).compute == 256

    def test_half_of_a_short_time_is_kept_for_scheduling_and_8_ms_of_a_long_one(self) -> None:
        assert reserve_ns(until_dry_ns(256, 0, 48000)) == pytest.approx(128e9 / 48000, abs=1)
        assert reserve_ns(until_dry_ns(256, 2048, 48000)) == RESERVE_NS == 8_000_000
        assert patience_s(256, 1024, 44100) == pytest.approx(1280 / 44100 - 0.008)


class TestBudget:
    def test_what_a_pass_may_take(self) -> None:
        found = budget("23")
        assert found.interval_s == pytest.approx(1024 / 44100)
        assert found.wait_s == pytest.approx(1280 / 44100 - 0.008)
        assert found.allowed_s == found.wait_s
        assert found.holds(found.wait_s / MARGIN - 1e-6) and not found.holds(found.wait_s / MARGIN + 1e-6)

    def test_masks_for_a_later_frame_have_that_time_too_but_only_one_is_made_at_a_time(self) -> None:
        found = budget("23", ahead=1)
        assert found.wait_s == pytest.approx(1024 / 44100 + 512 / 44100 / 2)
        assert found.allowed_s == found.interval_s

    def test_what_holds_is_left_as_it_is(self) -> None:
        assert budget("46").fitted(0.010) == budget("46")

    @pytest.mark.parametrize("pass_s", [0.0185, 0.030, 0.047, 0.2])
    @pytest.mark.parametrize("preset", ["exact", "46", "23", "12", "3"])
    @pytest.mark.parametrize("ahead", [0, 1])
    def test_the_nearest_setting_that_holds(self, ahead: int, preset: str, pass_s: float) -> None:
        asked = budget(preset, ahead=ahead)
        found = asked.fitted(pass_s)
        assert found.holds(pass_s) or MARGIN * pass_s == pytest.approx(found.allowed_s)
        assert found.window.mask_interval % asked.window.mask_interval == 0
        times = found.window.mask_interval // asked.window.mask_interval
        assert times == 1 or (times - 1) * asked.interval_s < MARGIN * pass_s, "masks as often as they can be made"
        step = 1 if found.compute == asked.compute else 256
        assert (
            found.compute == asked.compute
            or Budget(found.window, 256, found.compute - step, False).wait_s < MARGIN * pass_s
        )

    @pytest.mark.parametrize("preset", ["exact", "46", "23", "12", "6", "3"])
    @pytest.mark.parametrize("pass_s", [0.002, 0.0045, 0.007, 0.012, 0.015, 0.03])
    @pytest.mark.parametrize("rate", [44100, 48000])
    def test_a_stateful_model_is_told_only_what_it_takes(self, rate: int, pass_s: float, preset: str) -> None:
        model = causal_spec()
        window = plan(model, rate, preset)
        asked = Budget(window, 256, default_compute(model, window, 256), True)
        found = asked.fitted(pass_s)
        again = plan(model, rate, preset, mask_interval=found.window.mask_interval)  # raises for what it refuses
        assert again == found.window
        longest_s = replace(asked, window=replace(window, mask_interval=window.frame_stride)).interval_s
        if MARGIN * pass_s > longest_s:
            assert found == asked
        else:
            assert found.holds(pass_s) or MARGIN * pass_s == pytest.approx(found.allowed_s)
