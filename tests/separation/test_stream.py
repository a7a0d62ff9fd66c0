from __future__ import annotations

import gc
import resource
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsep.audio.readers import open_audio
from rtsep.core.presets import PRESETS, plan
from rtsep.core.spec import Analysis, ModelSpec, WindowSpec
from rtsep.dsp.windows import magnitude_scale, model_window, window_pair
from rtsep.engine.base import Engine
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import SpecError
from rtsep.separation.stream import StreamSeparator
from tests.support.engines import RATES, BrokenEngine, FrameEngine, GateEngine, infer_one, stateful_spec, windowed_spec
from tests.support.signals import Float32, error_db, impulse, late, noise, sine

SONG = Path(__file__).parents[2] / "rtsep" / "demo" / "song.ogg"


def separate(separator: StreamSeparator, sound: Float32, sizes: Sequence[int] = ()) -> Float32:
    """Feed in blocks of these sizes, in a circle, or at once; then flush. All that came out."""
    latency, hop = separator.latency.total, separator.window.hop
    count, frames = len(separator.model.stems), sound.shape[1]
    whole = np.full((count, len(sound), frames + latency + hop), np.nan, np.float32)
    fed = given = index = 0
    while fed < frames:
        size = sizes[index % len(sizes)] if sizes else frames
        index += 1
        wanted = separator.emitted(min(size, frames - fed))
        written = separator.feed(sound[:, fed : fed + size], whole[:, :, given:])
        assert written == wanted and written % hop == 0
        fed, given = min(fed + size, frames), given + written
    given += separator.flush(whole[:, :, given:])
    assert given == frames + latency, "all that was fed comes out, and the latency before it"
    assert np.isnan(whole[:, :, given:]).all(), "nothing is written beyond"
    return whole[:, :, :given]


def random_sizes(seed: int) -> list[int]:
    """Block sizes from 1 to 10,000, small ones as likely as large ones."""
    rng = np.random.default_rng(seed)
    return [10_000, 1, *np.exp(rng.uniform(0.0, np.log(10_001), 40)).astype(int).tolist()]


class TestPartition:
    """Invariant 3: the result does not depend on how the stream is cut."""

    @pytest.mark.parametrize("lookahead", [0, 1, 3])
    @pytest.mark.parametrize("stems", [2, 4, 5])
    @pytest.mark.parametrize("preset", PRESETS)
    def test_windowed(self, preset: str, stems: int, lookahead: int) -> None:
        engine = FrameEngine(windowed_spec(stems))
        separator = StreamSeparator(engine, plan(engine.spec, 44100, preset, lookahead_hops=lookahead))
        self.check(separator, 5 * lookahead + stems)

    @pytest.mark.parametrize("stems", [2, 4, 5])
    @pytest.mark.parametrize("preset", PRESETS)
    def test_stateful(self, preset: str, stems: int) -> None:
        engine = FrameEngine(stateful_spec(stems))
        self.check(StreamSeparator(engine, plan(engine.spec, 48000, preset)), stems)

    @pytest.mark.parametrize("preset", ["exact", "23"])
    def test_the_embedded_model(self, streaming: Engine, preset: str) -> None:
        self.check(StreamSeparator(streaming, plan(streaming.spec, 48000, preset)), 1)

    def check(self, separator: StreamSeparator, seed: int) -> None:
        sound = noise(23_456, seed=seed) * np.linspace(0.1, 2.0, 23_456, dtype=np.float32)
        whole = separate(separator, sound)
        assert np.array_equal(separate(separator, sound, random_sizes(seed)), whole)
        assert error_db(whole[0], whole[1]) > -40.0, "the stems differ, so the masks were at work"

    def test_every_small_size(self) -> None:
        engine = FrameEngine(windowed_spec())
        separator = StreamSeparator(engine, plan(engine.spec, 44100, "3", lookahead_hops=1))
        sound = noise(1500)
        whole = separate(separator, sound)
        for size in (1, 2, 3, 63, 64, 65, 127, 128, 129, 1499, 1500):
            assert np.array_equal(separate(separator, sound, [size]), whole), size


class TestIdentity:
    """Without a network the output is the input, `latency` frames late."""

    @pytest.mark.parametrize("rate", RATES)
    @pytest.mark.parametrize("preset", PRESETS)
    @pytest.mark.parametrize(("kind", "lookahead"), [("windowed", 0), ("windowed", 3), ("stateful", 0)])
    def test_error(self, kind: str, lookahead: int, preset: str, rate: int) -> None:
        spec = windowed_spec() if kind == "windowed" else stateful_spec()
        window = plan(spec, rate, preset, lookahead_hops=lookahead)
        separator = StreamSeparator(IdentityEngine(spec, (0.25, 0.75)), window)
        sound = noise(20_011)
        stems = separate(separator, sound, [777, 4096])
        expected = late(sound, window.latency.total)
        assert separator.latency == window.latency
        assert error_db(expected, stems.sum(axis=0)) < -120.0
        assert error_db(expected, 4.0 * stems[0]) < -120.0
        assert error_db(expected, stems[1] / np.float32(0.75)) < -120.0

    @pytest.mark.parametrize("preset", PRESETS)
    def test_an_impulse_comes_at_the_stated_frame(self, preset: str) -> None:
        spec = windowed_spec()
        window = plan(spec, 48000, preset, lookahead_hops=2)
        stems = separate(StreamSeparator(IdentityEngine(spec), window), impulse(9000, 4321))
        assert np.abs(stems.sum(axis=0)[0]).argmax() == 4321 + window.latency.total

    @pytest.mark.parametrize("hop", [15, 93, 139, 279])
    def test_odd_sizes(self, hop: int) -> None:
        spec = windowed_spec()
        for preset in ("exact", "23"):
            window = plan(spec, 48000, preset, hop=hop)
            stems = separate(StreamSeparator(IdentityEngine(spec), window), noise(9001))
            assert error_db(late(noise(9001), window.latency.total), stems.sum(axis=0)) < -120.0

    def test_mono(self) -> None:
        spec = windowed_spec(channels=1)
        window = plan(spec, 44100, "12")
        stems = separate(StreamSeparator(IdentityEngine(spec), window), noise(9000, 1), [100])
        assert error_db(late(noise(9000, 1), window.latency.total), stems.sum(axis=0)) < -120.0


class TestSum:
    """Invariant 5: the stems sum to the late input, whatever the network says."""

    def check(self, engine: Engine, rate: int, preset: str, sound: Float32) -> None:
        window = plan(engine.spec, rate, preset)
        stems = separate(StreamSeparator(engine, window), sound)
        assert error_db(late(sound, window.latency.total), stems.sum(axis=0)) < -100.0
        assert error_db(stems.sum(axis=0), stems[0]) > -60.0 and error_db(stems.sum(axis=0), stems[1]) > -60.0

    @pytest.mark.parametrize("preset", PRESETS)
    @pytest.mark.parametrize("rate", [44100, 48000])
    def test_the_embedded_model_full_band(self, streaming: Engine, rate: int, preset: str) -> None:
        sound = noise(rate, level=0.1)
        for hz in (50.0, 440.0, 3000.0, 19000.0):
            sound += sine(rate, hz, rate, 0.1)
        self.check(streaming, rate, preset, sound)

    @pytest.mark.parametrize("rate", [44100, 48000])
    def test_the_demo_song(self, streaming: Engine, rate: int) -> None:
        if not SONG.exists():
            pytest.skip("the demo song is not there yet")
        reader = open_audio(SONG)
        reader.seek(reader.frames // 3)
        sound = reader.read(4 * rate)
        reader.close()
        self.check(streaming, rate, "23", sound)

    @pytest.mark.parametrize("stems", [2, 4, 5])
    @pytest.mark.parametrize("output", ["mask", "magnitude"])
    def test_any_masks(self, output: str, stems: int) -> None:
        spec = windowed_spec(stems, output=output, exponent=2.0, bins=700)
        self.check(FrameEngine(spec), 48000, "12", noise(30_000))


def formula(raw: Float32, spec: ModelSpec) -> NDArray[np.float64]:
    """Ratio masks (stems, channels, bins + 1), from the formula; for average and edge extension."""
    power = raw.astype(np.float64) ** spec.exponent
    masks = (power + 1e-10 / len(raw)) / (power.sum(axis=0) + 1e-10)
    above = masks if spec.extension == "average" else masks[:, :, -24:]
    return np.concatenate([masks, above.mean(axis=2, keepdims=True)], axis=2)


def by_the_book(make: Callable[[], Engine], window: WindowSpec, sound: Float32) -> Float32:
    """The separation in plain numpy, with a fresh engine for every phase: what `separate` should give."""
    spec = make().spec
    pair, hop, length, frame_stride = window_pair(spec, window), window.hop, window.window, window.frame_stride
    frames = -(-(sound.shape[1] + window.latency.total) // hop)
    padded = np.zeros((spec.channels, length + frames * hop))
    padded[:, length - hop : length - hop + sound.shape[1]] = sound
    if spec.basis == "ms":
        padded = np.stack([padded[0] + padded[1], padded[0] - padded[1]]) / 2
    spectra = [np.fft.rfft(pair.analysis * padded[:, h * hop : h * hop + length]) for h in range(frames)]
    device_hz = np.arange(length // 2 + 2) * window.sample_rate / length
    model_hz = np.arange(spec.bins + 1) * spec.sample_rate / spec.window
    shown = model_window(spec.analysis, length).astype(np.float32) if window.own_window else pair.analysis
    scale = magnitude_scale(spec, shown)
    views = [np.fft.rfft(shown * padded[:, h * hop : h * hop + length]) for h in range(frames)]
    grid = [
        np.stack([np.interp(model_hz[:-1], device_hz, scale * np.append(np.abs(row), 0.0)) for row in spectrum])
        for spectrum in views
    ]
    engines: dict[int, Engine] = {}
    out = np.zeros((len(spec.stems), spec.channels, frames * hop + window.synthesis))
    mapped = np.full((len(spec.stems), spec.channels, length // 2 + 1), 1.0 / len(spec.stems))
    for h in range(frames):
        made = h - window.ahead
        if made >= 0 and made % window.mask_interval == 0:
            ages = [made - (spec.context - 1 - t) * frame_stride for t in range(spec.context)]
            seen = np.stack([grid[age] if age >= 0 else np.zeros_like(grid[0]) for age in ages], axis=1)
            raw = np.zeros((len(spec.stems), *seen.shape), np.float32)
            infer_one(engines.setdefault(made % frame_stride, make()), seen.astype(np.float32), raw)
            masks = formula(raw[:, :, spec.context - 1 - window.lookahead_hops], spec)
            mapped = np.apply_along_axis(lambda row: np.interp(device_hz[:-1], model_hz, row), 2, masks)
        if h >= window.delay_hops:
            parts = np.fft.irfft(mapped * spectra[h - window.delay_hops], length)[:, :, -window.synthesis :]
            out[:, :, h * hop : h * hop + window.synthesis] += parts * pair.synthesis
    if spec.basis == "ms":
        out = np.stack([out[:, 0] + out[:, 1], out[:, 0] - out[:, 1]], axis=1)
    return out[:, :, : sound.shape[1] + window.latency.total].astype(np.float32)


class TestByTheBook:
    """Context, lookahead, phases, mask interval and both bin maps, against plain numpy."""

    def check(self, spec: ModelSpec, window: WindowSpec) -> None:
        sound = noise(12_000, seed=9) * np.abs(np.sin(np.arange(12_000) / 900.0)).astype(np.float32)
        stems = separate(StreamSeparator(FrameEngine(spec), window), sound, [500])
        assert error_db(by_the_book(lambda: FrameEngine(spec), window, sound), stems) < -90.0

    @pytest.mark.parametrize("lookahead", [0, 1, 3])
    @pytest.mark.parametrize(
        ("preset", "mask_interval"), [("exact", None), ("23", None), ("12", 1), ("12", 3), ("6", 9)]
    )
    def test_windowed(self, preset: str, mask_interval: int | None, lookahead: int) -> None:
        spec = windowed_spec()
        self.check(spec, plan(spec, 48000, preset, mask_interval=mask_interval, lookahead_hops=lookahead))

    def test_magnitudes_of_a_hann_model(self) -> None:
        spec = windowed_spec(4, analysis="hann", output="magnitude", exponent=2.0)
        self.check(spec, plan(spec, 44100, "12", lookahead_hops=2))

    @pytest.mark.parametrize(("kind", "rate"), [("hann", 44100), ("hann", 48000), ("sqrt_hann", 44100)])
    def test_a_network_that_sees_its_own_window_behind_a_shorter_one(self, kind: Analysis, rate: int) -> None:
        spec = windowed_spec(analysis=kind, own_window=("12",))
        window = plan(spec, rate, "12")
        assert window.own_window and not plan(spec, rate, "23").own_window
        assert not plan(spec, rate, "12", own_window=False).own_window
        self.check(spec, window)

    @pytest.mark.parametrize(("preset", "mask_interval"), [("exact", None), ("23", None), ("12", 9)])
    def test_masks_for_a_later_frame(self, preset: str, mask_interval: int | None) -> None:
        spec = windowed_spec(ahead=1)
        self.check(spec, plan(spec, 44100, preset, mask_interval=mask_interval))

    @pytest.mark.parametrize("rate", [44100, 48000, 22050])
    @pytest.mark.parametrize(("preset", "mask_interval"), [("exact", 1), ("12", 1), ("12", 2), ("12", 4), ("3", None)])
    def test_stateful(self, preset: str, mask_interval: int | None, rate: int) -> None:
        spec = stateful_spec()
        self.check(spec, plan(spec, rate, preset, mask_interval=mask_interval))


@pytest.mark.parametrize("lookahead", [0, 1, 4])
@pytest.mark.parametrize("preset", ["exact", "12", "3"])
def test_a_mask_meets_the_frame_that_it_was_made_from(preset: str, lookahead: int) -> None:
    """Frames that hold a click open the gate for themselves: the click passes whole, and alone."""
    spec = windowed_spec(bins=1025)
    window = plan(spec, 44100, preset, mask_interval=1, lookahead_hops=lookahead)
    at = 7000
    sound = noise(14_000, level=1e-4) + impulse(14_000, at, height=0.9)
    engine = GateEngine(spec, threshold=20.0)
    loud, rest = separate(StreamSeparator(engine, window), sound)[:, 0]
    place = at + window.latency.total
    top = float(sound[0, at])
    if preset == "exact":  # the click is quieter than the threshold at the very rim of a frame
        assert abs(loud[place] / top - 1.0) < 0.05
    else:
        assert abs(loud[place] / top - 1.0) < 0.01
    assert np.abs(rest[place - 2 : place + 3]).max() < 0.05 * top
    assert (np.abs(loud[: place - window.synthesis]) < 1e-5).all(), "the gate is shut before"
    assert (np.abs(loud[place + window.window :]) < 1e-5).all(), "and after"


class TestBadInput:
    @pytest.mark.parametrize("kind", ["windowed", "stateful", "streaming"])
    def test_nan_inf_and_absurd_samples_are_silence(self, streaming: Engine, kind: str) -> None:
        engine: Engine = streaming
        if kind != "streaming":
            engine = FrameEngine(windowed_spec() if kind == "windowed" else stateful_spec())
        window = plan(engine.spec, 44100, "23")
        separator = StreamSeparator(engine, window)
        sound = noise(30_000)
        bad, silenced = sound.copy(), sound.copy()
        for place, value in ((5000, np.nan), (5100, np.inf), (5200, -np.inf), (6000, 1e30), (6001, -1e30)):
            bad[:, place : place + 20], silenced[:, place : place + 20] = value, 0.0
        broken = separator.broken_samples
        stems = separate(separator, bad, [333])
        assert separator.broken_samples - broken == 2 * 81
        assert np.isfinite(stems).all() and np.abs(stems).max() < 10.0
        assert np.array_equal(stems, separate(separator, silenced))
        clean = separate(separator, sound)
        if kind == "windowed":  # as soon as the bad frames have left the context, it is as if they had never been
            context = engine.spec.context * window.frame_stride * window.hop
            after = 6021 + window.window + context + window.synthesis
            assert np.array_equal(stems[:, :, after:], clean[:, :, after:])
        assert not np.array_equal(stems, clean)

    def test_all_of_it_bad(self, streaming: Engine) -> None:
        separator = StreamSeparator(streaming, plan(streaming.spec, 44100, "23"))
        before = separate(separator, noise(9000))
        assert (separate(separator, np.full((2, 9000), np.nan, np.float32)) == 0.0).all()
        assert np.array_equal(separate(separator, noise(9000)), before)

    @pytest.mark.parametrize("output", ["mask", "magnitude"])
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
    def test_an_engine_that_says_nonsense(self, value: float, output: str) -> None:
        engine = BrokenEngine(windowed_spec(output=output, exponent=2.0), value)
        window = plan(engine.spec, 44100, "23")
        separator = StreamSeparator(engine, window)
        sound = noise(9000)
        stems = separate(separator, sound)
        assert error_db(late(sound, window.latency.total), stems.sum(axis=0)) < -100.0
        if not np.isfinite(value):
            assert separator.broken_masks > 0 and separator.broken_masks % 12 == 0

    def test_a_phase_that_said_nonsense_starts_anew(self) -> None:
        engine = BrokenEngine(stateful_spec(), np.nan)
        separator = StreamSeparator(engine, plan(engine.spec, 44100, "12", mask_interval=2))
        engine.resets.clear()
        separate(separator, noise(9000))
        assert set(engine.resets) == {1}, "two phases take turns, and every second call is broken"


class TestCalls:
    def separator(self) -> StreamSeparator:
        spec = windowed_spec()
        return StreamSeparator(FrameEngine(spec), plan(spec, 44100, "12", lookahead_hops=1))

    def test_flush_gives_the_rest(self) -> None:
        separator = self.separator()
        latency, room = separator.latency.total, np.zeros((2, 2, 20_000), np.float32)
        assert separator.flush(room) == latency, "of nothing, only the latency"
        for frames in (1, 127, 128, 129, 5000):
            given = separator.feed(noise(frames), room)
            assert given == frames // 128 * 128
            assert separator.flush(room) == frames + latency - given

    def test_reset_gives_the_same_again(self) -> None:
        for spec in (windowed_spec(), stateful_spec()):
            separator = StreamSeparator(FrameEngine(spec), plan(spec, 44100, "12"))
            first = separate(separator, noise(9000))
            separator.feed(noise(5003, seed=5), np.zeros((2, 2, 6000), np.float32))
            separator.reset()
            assert np.array_equal(separate(separator, noise(9000)), first)

    def test_wrong_shapes(self) -> None:
        separator, room = self.separator(), np.zeros((2, 2, 2000), np.float32)
        for block in (noise(500, 1), noise(500, 3), noise(500)[0], noise(500).T, noise(500)[np.newaxis]):
            with pytest.raises(SpecError) as error:
                separator.feed(block, room)
            assert str(block.shape) in str(error.value) and "(2, frames)" in str(error.value)
        for stems in (room[:1], room[:, :1], room[:, :, :300], room[0]):
            with pytest.raises(SpecError) as error:
                separator.feed(noise(500), stems)
            assert str(stems.shape) in str(error.value) and "(2, 2, 384)" in str(error.value)
        assert separator.feed(noise(500), room) == 384, "a refused call leaves no trace"

    def test_wrong_shapes_of_a_flush(self) -> None:
        separator, room = self.separator(), np.zeros((2, 2, 2000), np.float32)
        separator.feed(noise(100), room)
        rest = 100 + separator.latency.total
        for stems in (room[:, :, : rest - 1], room[:1], room[:, :1], room[0]):
            with pytest.raises(SpecError):
                separator.flush(stems)
        assert separator.flush(room[:, :, :rest]) == rest

    def test_an_empty_block(self) -> None:
        separator = self.separator()
        assert separator.feed(np.zeros((2, 0), np.float32), np.zeros((2, 2, 0), np.float32)) == 0


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.parametrize("kind", ["windowed", "stateful"])
def test_feed_allocates_nothing(kind: str) -> None:
    """Invariant 8: nothing that lasts, and nothing of the size of a block on the way."""
    spec = windowed_spec() if kind == "windowed" else stateful_spec()
    separator = StreamSeparator(IdentityEngine(spec), plan(spec, 48000, "23"))
    block, stems = noise(700), np.zeros((2, 2, 1024), np.float32)

    def feed(times: int) -> None:
        for _ in range(times):
            separator.feed(block, stems)

    feed(500)
    gc.collect()
    gc.disable()
    resident, growths, peaks = resident_bytes(), [], []
    tracemalloc.start()
    try:
        for _ in range(8):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            feed(500)
            after, peak = tracemalloc.get_traced_memory()
            growths.append(after - before)
            peaks.append(peak - before)
    finally:
        tracemalloc.stop()
        gc.enable()
    assert min(growths) < 100, "a leak grows every time; numba's dispatcher fills its caches once, at odd times"
    assert min(peaks) < 4000, "a spectrum or a hop would be more"
    assert resident_bytes() - resident < 2_000_000
