"""A soundfont small enough for a test: all General MIDI sounds, and one kit, are one looped tone.

Written after the SoundFont 2.01 specification: a RIFF file of three lists (INFO, sample data, presets).
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

RATE = 44_100
ROOT = 69  # the tone's key: 441 Hz, a period of 100 frames
ROOT_HZ = 441.0
PERIODS = 40


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _list(kind: bytes, *chunks: bytes) -> bytes:
    return _chunk(b"LIST", kind + b"".join(chunks))


def write_bank(path: Path, programs: int = 128, kit: bool = True) -> Path:
    """Write a soundfont with so many sounds in bank 0 and, perhaps, kit 0 in bank 128; all of them a sine."""
    tone = 0.5 * np.sin(2.0 * np.pi * np.arange(100 * PERIODS) / 100.0)
    samples = np.concatenate([np.round(32767.0 * tone), np.zeros(46)]).astype("<i2").tobytes()
    places = [(0, number) for number in range(programs)] + ([(128, 0)] if kit else [])
    presets = b"".join(
        struct.pack("<20sHHHIII", b"sound %d" % index, number, bank, index, 0, 0, 0)
        for index, (bank, number) in enumerate(places)
    )
    count = len(places)
    presets += struct.pack("<20sHHHIII", b"EOP", 0, 0, count, 0, 0, 0)
    bags = b"".join(struct.pack("<HH", index, 0) for index in range(count + 1))
    uses = struct.pack("<HH", 41, 0) * count + struct.pack("<HH", 0, 0)  # 41: the instrument
    instruments = struct.pack("<20sH", b"tone", 0) + struct.pack("<20sH", b"EOI", 1)
    zone = struct.pack("<HH", 54, 1) + struct.pack("<HH", 53, 0) + struct.pack("<HH", 0, 0)  # loop, sample
    sample = struct.pack("<20sIIIIIBbHH", b"tone", 0, 100 * PERIODS, 100, 3900, RATE, ROOT, 0, 0, 1)
    sample += struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    info = _list(b"INFO", _chunk(b"ifil", struct.pack("<HH", 2, 1)), _chunk(b"isng", b"EMU8000\0"))
    info_and_sound = info + _list(b"sdta", _chunk(b"smpl", samples))
    modulators = b"\0" * 10
    hydra = _list(
        b"pdta",
        _chunk(b"phdr", presets),
        _chunk(b"pbag", bags),
        _chunk(b"pmod", modulators),
        _chunk(b"pgen", uses),
        _chunk(b"inst", instruments),
        _chunk(b"ibag", struct.pack("<HHHH", 0, 0, 2, 0)),
        _chunk(b"imod", modulators),
        _chunk(b"igen", zone),
        _chunk(b"shdr", sample),
    )
    path.write_bytes(_chunk(b"RIFF", b"sfbk" + info_and_sound + hydra))
    return path
