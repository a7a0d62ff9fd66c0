"""Every name can be shown on every terminal, in one line."""

from __future__ import annotations

import io
import os

import pytest

from rtsep.cli import options
from rtsep.cli.names import shown

ODD = {
    os.fsdecode(b"Stra\xdfe.wav"): ("Stra\\xdfe.wav",) * 3,
    "Straße": ("Stra\\xdfe", "Straße", "Straße"),
    "🎤 %d": ("\\U0001f3a4 %d", "\\U0001f3a4 %d", "🎤 %d"),
    "two\nlines\r\t\x1b[31m\x9b\u2028": ("two\\nlines\\r\\t\\x1b[31m\\x9b\\u2028",) * 3,
    "txt\u202egnp.wav": ("txt\\u202egnp.wav",) * 3,
    "👩\u200d🎤": ("\\U0001f469\\u200d\\U0001f3a4", "\\U0001f469\\u200d\\U0001f3a4", "👩\u200d🎤"),
    "a\"b'c [bold] {x} \\": ("a\"b'c [bold] {x} \\",) * 3,
}


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize(("place", "encoding"), list(enumerate(("ascii", "latin-1", "utf-8"))))
def test_names_on_terminals(name: str, place: int, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options.out, "_file", io.TextIOWrapper(io.BytesIO(), encoding))
    assert shown(name) == ODD[name][place]
    options.say(shown(name))
    assert len(shown(name).splitlines()) == 1


def test_a_terminal_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(io.StringIO):
        encoding = "nosuch"

    monkeypatch.setattr(options.out, "_file", Odd())
    assert shown("é") == "\\xe9"
