"""A device that was unplugged comes back under another number, and is known for itself among others of its kind."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rtsep.errors import DeviceError
from rtsep.host import clock as clocks
from rtsep.host import device as device_module
from rtsep.host.clock import DeviceClock
from rtsep.host.device import Device, find_again, find_device
from rtsep.host.device_io import DeviceIO, InputSettings, open_device_io

Card = tuple[str, int]  # name, and its number at ALSA


def listed(*cards: Card | str) -> tuple[Device, ...]:
    """Devices as PortAudio lists them: in the order of their numbers, then those that have none."""
    names = [f"{card[0]}: Audio (hw:{card[1]},0)" if isinstance(card, tuple) else card for card in cards]
    return tuple(Device(index, name, "ALSA", 2, 2, 48000) for index, name in enumerate(names))


PC, USB = ("HDA Intel", 0), "Scarlett"
ONE = listed(PC, (USB, 1), "default")
TWO = listed(PC, (USB, 1), (USB, 2), "default")
SAME = listed(PC, "Loop", "Loop")  # where names have no numbers


@pytest.mark.parametrize(
    ("before", "lost", "now", "found"),
    [
        (ONE, 1, listed(PC, "default"), None),  # still away
        (ONE, 1, listed(PC, (USB, 1), "default"), 1),
        (ONE, 1, listed(PC, (USB, 3), "default"), 1),  # another number
        (ONE, 1, listed((USB, 0), ("HDA Intel", 1)), 0),  # and another place
        (ONE, 1, listed(PC, ("Other", 1)), None),  # its number is another's now
        (TWO, 1, listed(PC, (USB, 2)), None),  # the one that is left is the other
        (TWO, 2, listed(PC, (USB, 1)), None),
        (TWO, 1, listed(PC, (USB, 2), (USB, 3)), 2),
        (TWO, 2, listed(PC, (USB, 1), (USB, 3)), 2),
        (TWO, 1, listed(PC, (USB, 3), (USB, 4)), 1),  # both were away
        (TWO, 2, listed(PC, (USB, 3), (USB, 4)), 2),
        (TWO, 2, listed(PC, (USB, 1), (USB, 2)), 2),
        (SAME, 2, listed(PC, "Loop", "Loop"), 2),
        (SAME, 2, listed(PC, "Loop"), None),
        (SAME, 1, listed("Loop", PC, "Loop"), 0),
        (ONE, 2, listed(PC, "default"), 1),
    ],
)
def test_which_one_it_is(before: Sequence[Device], lost: int, now: Sequence[Device], found: int | None) -> None:
    assert find_again(before[lost], before, now) == (None if found is None else now[found])


def test_one_that_can_only_record_is_another() -> None:
    now = (Device(0, f"{USB}: Audio (hw:3,0)", "ALSA", 2, 0, 48000),)
    assert find_again(ONE[1], ONE, now) is None


class Simulated:
    """A list of devices that changes, and a driver that opens whatever is in it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *cards: Card | str) -> None:
        self.now = listed(*cards)
        self.opened: list[int] = []
        monkeypatch.setattr(clocks, "portaudio_devices", lambda: self.now)
        monkeypatch.setattr(clocks, "refresh_devices", lambda: None)
        monkeypatch.setattr(DeviceClock, "_check", lambda *_: None)
        monkeypatch.setattr(DeviceClock, "open", self._open)

    def _open(self, device_io: DeviceIO) -> None:
        self.opened.append(len(self.opened))


def test_a_clock_goes_on_with_its_own_card(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = Simulated(monkeypatch, PC, (USB, 1), (USB, 2))
    device_io = open_device_io(2, 2, 48000, [InputSettings()])
    clock = DeviceClock(cards.now[2], cards.now[2], 48000, 2)
    cards.now = listed(PC, (USB, 1))
    assert not clock.reopen(device_io) and not cards.opened
    cards.now = listed(PC, (USB, 1), (USB, 5))
    assert clock.reopen(device_io) and len(cards.opened) == 1
    assert clock._output == clock._source == cards.now[2]
    cards.now = listed(PC, (USB, 5), (USB, 6))  # now the other one is unplugged, and plugged in again
    assert clock.reopen(device_io) and clock._output == cards.now[1]


def test_a_name_with_an_old_number_is_still_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "devices", lambda: listed(PC, (USB, 4), "default"))
    assert find_device(f"{USB}: Audio (hw:1,0)", "outputs").index == 1
    monkeypatch.setattr(device_module, "devices", lambda: listed(PC, (USB, 3), (USB, 4)))
    with pytest.raises(DeviceError, match=r"fits several output devices: 1 Scarlett.* name one by its number"):
        find_device(f"{USB}: Audio (hw:1,0)", "outputs")
