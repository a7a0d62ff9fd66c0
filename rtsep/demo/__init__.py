"""The demo song, ours to give away: `SONG` is its file, `rtsep.demo.song` renders it and its stems anew."""

from __future__ import annotations

from pathlib import Path

SONG = Path(__file__).with_name("song.ogg")
