from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.support.card import ROOT, CardError, Samples, VirtualCard, missing
from tests.support.load import cpu_burner, gil_holder

if TYPE_CHECKING:  # not at run time: pytest itself must import its plugin, to rewrite it
    from tests.support.virtual_card import CardFactory

pytest_plugins = ("tests.support.virtual_card",)
pytestmark = pytest.mark.jack


def noise(frames: int, channels: int = 2) -> Samples:
    return np.random.default_rng(7).uniform(-1, 1, (channels, frames)).astype(np.float32)


@contextmanager
def pass_through(card: VirtualCard, late_s: float = 0.0) -> Iterator[Any]:
    """A client whose Python callback plays its input on outputs 1, 2 and, negated, on 7, 8; connected to the card."""
    import jack

    client = jack.Client(card.client, no_start_server=True)
    sources = [client.inports.register(f"in_{n}") for n in range(2)]
    targets = [client.outports.register(f"out_{n}") for n in range(8)]
    calls = 0

    def callback(frames: int) -> None:
        nonlocal calls
        calls += 1
        if late_s and calls % 64 == 0:
            time.sleep(late_s)
        for n, port in enumerate(targets):
            port.get_array()[:] = sources[n % 2].get_array() * (1, 0, 0, -1)[n // 2]

    client.set_process_callback(callback)
    with client:
        assert (client.samplerate, client.blocksize) == (card.sample_rate, card.block)
        for captured, source in zip(client.get_ports("^system:", is_output=True), sources, strict=True):
            client.connect(captured, source)
        for target, played in zip(targets, client.get_ports("^system:", is_input=True), strict=True):
            client.connect(target, played)
        yield client
    client.close()


def delay_of(recorded: Samples, signal: Samples) -> int:
    """Frames by which the recording is late, found by the signal's first frame."""
    hits = np.flatnonzero(recorded == signal[0])
    assert hits.size, "the signal is not in the recording"
    return int(hits[0])


def expect(samples: Samples, signal: Samples, delay: int) -> None:
    """Outputs 1, 2, 7 and 8 are the signal, `delay` late, to the bit; the rest is silent."""
    wanted = np.zeros((2, samples.shape[1]), np.float32)
    length = min(signal.shape[1], samples.shape[1] - delay)
    wanted[:, delay : delay + length] = signal[:, :length]
    np.testing.assert_array_equal(samples[:2], wanted)
    np.testing.assert_array_equal(samples[6:], -wanted)
    np.testing.assert_array_equal(samples[2:6], 0)


def test_two_seconds_arrive_to_the_bit(card: CardFactory) -> None:
    running = card(sample_rate=48000, block=256)
    signal = noise(2 * 48000)
    with pass_through(running), running.deck(signal) as deck:
        deck.connect()
        recording = deck.run()
    assert recording.skipped == 0
    expect(recording.samples, signal, 0)


@pytest.mark.parametrize("sample_rate", [44100, 48000])
@pytest.mark.parametrize("block", [64, 256, 1024])
def test_the_cable_adds_no_delay_at_any_start(card: CardFactory, sample_rate: int, block: int) -> None:
    running = card(sample_rate=sample_rate, block=block)
    signal = noise(4096)
    for _ in range(2):
        with pass_through(running), running.deck(signal, frames=8192) as deck:
            deck.connect()
            recording = deck.run()
        assert delay_of(recording.samples[0], signal[0]) == 0
        expect(recording.samples, signal, 0)


def test_freewheel_is_fast_and_to_the_bit(card: CardFactory) -> None:
    running = card()
    signal = noise(20 * 48000)
    with pass_through(running), running.deck(signal) as deck:
        deck.connect()
        began = time.monotonic()
        recording = deck.run(freewheel=True)
        assert time.monotonic() - began < 15
        assert deck.position() == recording.samples.shape[1]
    expect(recording.samples, signal, 0)


def test_lateness_and_a_held_gil_cost_time_and_no_sample(card: CardFactory) -> None:
    running = card()
    signal = noise(48000)
    with cpu_burner(), gil_holder() as holds, pass_through(running, late_s=0.05), running.deck(signal) as deck:
        deck.connect()
        began = time.monotonic()
        recording = deck.run()
        seconds = time.monotonic() - began
    assert holds.count > 0 and holds.longest_s >= 0.03
    assert seconds > 1.05  # two callbacks of 50 ms, of which one period each can be made good
    assert recording.skipped == 0
    expect(recording.samples, signal, 0)


def test_a_looped_signal_goes_on_without_a_seam(card: CardFactory) -> None:
    running = card(block=64)
    signal = noise(1000)
    with pass_through(running), running.deck(signal, record=2, frames=6400, loop=True) as deck:
        deck.connect()
        recording = deck.run()
    np.testing.assert_array_equal(recording.samples, np.tile(signal, 7)[:, :6400])


def test_native_echo_is_late_by_slack_and_block(card: CardFactory) -> None:
    from benchmarks.echo import Echo

    running = card()
    signal = noise(48000)
    with Echo(48000, 256, slack=256) as echo, running.deck(signal, record=2) as deck, gil_holder():
        deck.connect()
        recording = deck.run()
        report = echo.report()
    assert report["overflows"] == 0
    assert 4 < report["interval_p50_ms"] < 7
    # The machine may stall: then whole blocks are silent, and the rest is still in its place.
    wanted = np.concatenate([np.zeros((2, 512), np.float32), signal[:, :-512]], axis=1)
    wrong = recording.samples[:, : signal.shape[1]] != wanted
    assert not recording.samples[:, : signal.shape[1]][wrong].any()
    assert np.count_nonzero(wrong[0]) <= 256 * report["underflows"]


def test_echo_runs_beside_another_program(card: CardFactory) -> None:
    running = card()
    signal = noise(24000)
    command = [sys.executable, "-W", "error", "-m", "benchmarks.echo", "--seconds", "1", "--server", running.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as echo:
        with pass_through(running), running.deck(signal) as deck:
            deck.connect()
            recording = deck.run()
        printed, _ = echo.communicate(timeout=60)
    assert echo.returncode == 0
    assert json.loads(printed)["callbacks"] > 100
    expect(recording.samples, signal, 0)


DEATH = """
import time
from contextlib import ExitStack
import numpy as np
from tests.support.card import CardError, VirtualCard, bounded
from tests.host.test_virtual_card import expect, noise, pass_through

card = VirtualCard()
with card, ExitStack() as clients:
    client = clients.enter_context(pass_through(card))
    with card.deck(noise(48000)) as deck:
        deck.connect()
        deck.roll()
        card.kill()
        try:
            deck.wait(5)
        except CardError as error:
            assert "went down" in str(error), error
        else:
            raise AssertionError("the deck does not notice")
    left = time.monotonic()
    clients.pop_all()  # for it would not know
    assert bounded(client.close, 5)
assert time.monotonic() - left < 10
assert not card.alive

with VirtualCard() as card, pass_through(card), card.deck(noise(4800)) as deck:
    deck.connect()
    expect(deck.run().samples, noise(4800), 0)
print("played on")
"""


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_dead_server_is_noticed_and_a_new_one_plays_on() -> None:
    # In a process of its own: it must end in order after that, too.
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", DEATH], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "played on\n"), ended.stderr


def test_a_server_that_does_not_start_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tool, script in (("jackd", "echo no such driver; exit 3"), ("jack_wait", "exit 1")):
        (tmp_path / tool).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(CardError, match=r"ended with 3.*no such driver"), VirtualCard():
        pass


def test_ports_that_never_come_are_an_error(card: CardFactory) -> None:
    with card().deck(noise(256)) as deck, pytest.raises(CardError, match="could not connect to nobody"):
        deck.connect("nobody", timeout_s=0.2)
