from __future__ import annotations

import shutil
from pathlib import Path

from rtsep.audio.readers import open_audio
from rtsep.audio.sources import Resampled
from rtsep.host.seek_index import SeekIndex
from tests.support.recordings import RATE, coded, music


def test_it_finds_the_length_beside_the_player(tmp_path: Path) -> None:
    path = coded(tmp_path / "a.mp3", music(2 * RATE))
    data = bytearray(path.read_bytes())
    place = max(data.find(b"Xing"), data.find(b"Info")) + 8
    data[place : place + 4] = (9000).to_bytes(4, "big")
    path.write_bytes(data)
    file = Resampled(open_audio(path), 48000, 2)
    assert file.frames > 200 * 48000
    index = SeekIndex("index", file)
    index.start()
    index.join(30.0)
    assert index.error is None and 1.9 * 48000 < file.frames < 2.1 * 48000
    file.close()


def test_it_stops_when_asked_and_hides_no_file_that_is_gone(tmp_path: Path) -> None:
    path = coded(tmp_path / "a.mp3", music(2 * RATE))
    file = Resampled(open_audio(path), 48000, 2)
    stopped = SeekIndex("index", file)
    stopped.stop()
    stopped.work()
    assert stopped.error is None
    shutil.move(path, tmp_path / "elsewhere.mp3")
    gone = SeekIndex("index", file)
    gone.work()
    assert gone.error is None
    file.close()
