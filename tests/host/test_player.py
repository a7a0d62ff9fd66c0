"""The player against a bare ring: what comes out of it is the file, to the frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsep.audio.readers import open_audio
from rtsep.audio.sources import Resampled, Signal
from rtsep.dsp.ring import read, readable, skip_to
from rtsep.engine.identity import IdentityEngine
from rtsep.errors import FileError
from rtsep.host.device_io import LARGEST_BLOCK, DeckInput, InputSettings, open_device_io
from rtsep.host.player import Player, ring_frames
from tests.support.engines import stateful_spec
from tests.support.hosts import PATIENCE_S, file_host, until
from tests.support.signals import Float32, counting, error_db, noise, sine

pytestmark = pytest.mark.realtime

RATE = 8000  # a ring of 16,000 frames, read in chunks of 800
LONG = 5 * RATE + 123


class Deck:
    """A player and the reader of its ring, as the callback is, without a clock."""

    def __init__(self, file: Resampled, loop: bool = False) -> None:
        settings = InputSettings(file_frames=ring_frames(file.sample_rate))
        self.input: DeckInput = open_device_io(2, 2, 64, [settings]).inputs[0]
        self.player = Player("player", file, self.input, loop=loop)
        self.player.start()

    def take(self, frames: int) -> Float32:
        """The next frames, or what there is before the end: (channels, frames)."""
        parts = [np.zeros((0, 2), np.float32)]
        got = 0
        while got < frames:
            skip_to(self.input.file, int(self.input.state[0]["file_skip"]))
            block = np.zeros((frames - got, 2), np.float32)
            count = read(self.input.file, block)
            parts.append(block[:count])
            got += count
            if not count:
                if self.ended:
                    break
                assert until(lambda: readable(self.input.file) or self.ended)
        return np.concatenate(parts).T

    @property
    def ended(self) -> bool:
        return 0 <= int(self.input.state[0]["file_end"]) <= int(self.input.file.state[0]["read"])

    def seek(self, seconds: float) -> None:
        """Seek, and wait until the player has followed."""
        before = int(self.input.state[0]["file_skip"])
        self.player.seek(seconds)
        assert until(lambda: int(self.input.state[0]["file_skip"]) > before)


@pytest.fixture
def decks() -> Iterator[list[Deck]]:
    """Decks put in here are stopped at the end."""
    opened: list[Deck] = []
    yield opened
    for deck in opened:
        deck.player.stop()
        deck.player.join(PATIENCE_S)
        assert not deck.player.is_alive()


def deck(decks: list[Deck], folder: Path, sound: Float32, loop: bool = False, rate: int = RATE) -> Deck:
    path = folder / "sound.wav"
    soundfile.write(path, sound.T, RATE, subtype="FLOAT")
    decks.append(Deck(Resampled(open_audio(path), rate, 2), loop))
    decks[-1].player.fill()
    return decks[-1]


@pytest.mark.parametrize("frames", [1, 799, 800, 801, LONG])
def test_gapless_to_the_end(decks: list[Deck], tmp_path: Path, frames: int) -> None:
    sound = counting(frames)
    playing = deck(decks, tmp_path, sound)
    parts = []
    while not playing.ended:
        parts.append(playing.take(1777))
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), sound)
    assert int(playing.input.state[0]["file_end"]) == frames
    assert playing.player.error is None


def test_half_a_second_is_read_ahead(decks: list[Deck], tmp_path: Path) -> None:
    playing = deck(decks, tmp_path, counting(LONG))
    assert readable(playing.input.file) >= RATE // 2


@pytest.mark.parametrize("frames", [1000, LONG])
def test_a_loop_is_gapless(decks: list[Deck], tmp_path: Path, frames: int) -> None:
    sound = counting(frames)
    playing = deck(decks, tmp_path, sound, loop=True)
    heard = playing.take(2 * LONG)
    np.testing.assert_array_equal(heard, np.tile(sound, (1, 2 * LONG // frames + 1))[:, : 2 * LONG])
    assert int(playing.input.state[0]["file_end"]) == -1, "a loop has no end"
    assert 0.0 <= playing.player.position_s < frames / RATE


@pytest.mark.parametrize("seconds", [0.0, 1.0, 3.25, 4.99])
def test_a_seek_lands_on_the_frame(decks: list[Deck], tmp_path: Path, seconds: float) -> None:
    sound = counting(LONG)
    playing = deck(decks, tmp_path, sound)
    playing.take(500)
    playing.seek(seconds)
    assert playing.player.position_s == pytest.approx(seconds)
    np.testing.assert_array_equal(playing.take(LONG), sound[:, int(seconds * RATE) :])
    assert playing.ended


def test_after_a_seek_the_new_frames_are_there_at_once(decks: list[Deck], tmp_path: Path) -> None:
    """With a full ring too: nothing is dropped before its successor has come."""
    playing = deck(decks, tmp_path, counting(LONG))
    assert until(lambda: readable(playing.input.file) >= ring_frames(RATE) - 2 * LARGEST_BLOCK - 800)
    for seconds in (1.0, 3.0, 2.0):
        before = int(playing.input.state[0]["file_skip"])
        playing.player.seek(seconds)
        while int(playing.input.state[0]["file_skip"]) == before:  # look at the very moment
            pass
        skip_to(playing.input.file, int(playing.input.state[0]["file_skip"]))
        assert readable(playing.input.file) >= 800
        assert playing.take(1)[0, 0] == seconds * RATE + 1


def test_seeks_before_the_player_follows_add_up(decks: list[Deck], tmp_path: Path) -> None:
    playing = deck(decks, tmp_path, counting(LONG))
    for _ in range(3):
        playing.player.seek(playing.player.position_s + 1.0)
    assert playing.player.position_s == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize(("wanted", "there"), [(-5.0, 0.0), (99.0, LONG / RATE)])
def test_a_seek_stays_in_the_file(decks: list[Deck], tmp_path: Path, wanted: float, there: float) -> None:
    playing = deck(decks, tmp_path, counting(LONG))
    playing.take(500)
    playing.seek(wanted)
    assert playing.player.position_s == pytest.approx(there)


def test_a_seek_back_from_the_end_plays_on(decks: list[Deck], tmp_path: Path) -> None:
    sound = counting(LONG)
    playing = deck(decks, tmp_path, sound)
    playing.take(LONG + 1)
    assert playing.ended
    playing.seek(4.0)
    assert int(playing.input.state[0]["file_end"]) != LONG, "it goes on"
    np.testing.assert_array_equal(playing.take(LONG), sound[:, 4 * RATE :])


def test_position_and_length(decks: list[Deck], tmp_path: Path) -> None:
    playing = deck(decks, tmp_path, counting(LONG))
    assert playing.player.seconds == pytest.approx(LONG / RATE)
    assert playing.player.position_s == 0.0
    playing.take(2 * RATE)
    assert playing.player.position_s == pytest.approx(2.0)


def test_resampled_to_the_device(decks: list[Deck], tmp_path: Path) -> None:
    playing = deck(decks, tmp_path, sine(LONG, 440.0, RATE), rate=12000)
    heard = playing.take(10 * 12000)
    wanted = sine(heard.shape[1], 440.0, 12000)
    assert abs(heard.shape[1] - LONG * 12000 / RATE) <= 2
    assert error_db(wanted[:, 2000:-2000], heard[:, 2000:-2000]) < -90.0


class BreaksOff(Signal):
    """A file that cannot be read, or sought, behind a frame."""

    def __init__(self, sound: Float32, good: int, seeks: bool = True) -> None:
        super().__init__(sound, RATE, Path("broken"))
        self._good, self._seeks = good, seeks

    def read(self, frames: int) -> Float32:
        if self._position + frames > self._good:
            raise FileError("broken is broken")
        self._position += frames
        return self._sound[:, self._position - frames : self._position]

    def seek(self, frame: int) -> None:
        if not self._seeks:
            raise FileError("broken cannot be sought")
        self._position = frame


def test_a_file_that_breaks_off_ends_there(decks: list[Deck]) -> None:
    sound = counting(LONG)
    decks.append(Deck(Resampled(BreaksOff(sound, 2000), RATE, 2)))
    decks[0].player.fill()
    np.testing.assert_array_equal(decks[0].take(LONG), sound[:, :1600])  # two chunks
    assert decks[0].ended
    assert str(decks[0].player.error) == "broken is broken"
    decks[0].seek(0.05)
    np.testing.assert_array_equal(decks[0].take(800), sound[:, 400:1200])
    assert str(decks[0].player.error) == "broken is broken", "it stays"


def test_a_seek_that_fails_plays_on(decks: list[Deck]) -> None:
    sound = counting(LONG)
    decks.append(Deck(Resampled(BreaksOff(sound, LONG, seeks=False), RATE, 2)))
    decks[0].player.fill()
    decks[0].player.seek(3.0)
    assert until(lambda: decks[0].player.error is not None)
    np.testing.assert_array_equal(decks[0].take(4000), sound[:, :4000])


def test_broken_from_the_first_frame(decks: list[Deck]) -> None:
    decks.append(Deck(Resampled(BreaksOff(counting(LONG), 0), RATE, 2)))
    decks[0].player.fill()
    assert decks[0].ended and decks[0].player.error is not None


def test_a_host_with_a_broken_file_ends_and_says_so(tmp_path: Path) -> None:
    host, clock = file_host(tmp_path, IdentityEngine(stateful_spec()), noise(44100), freewheel=True)
    assert host.rig.decks[0].player
    path = tmp_path / "input.wav"
    with path.open("r+b") as file:
        file.truncate(44100 * 4)  # half of it; the header was good when it was opened
    with pytest.raises(FileError, match="truncated"), host:
        assert until(lambda: host.finished)
        assert "truncated" in host.snapshot().warning
    assert np.abs(clock.captured).max() > 0.1, "what was good has been heard"
