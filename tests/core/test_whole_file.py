"""Files that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsep.core.whole_file import write_whole


def test_what_is_written_is_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250)
    write_whole(path, "Grüße")
    write_whole(path, b"\x00new")
    assert path.read_bytes() == b"\x00new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_there_stays_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept.json"
    path.write_text("old")

    def half(part: Path, content: bytes) -> int:
        with part.open("wb") as file:
            file.write(content[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "new content")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
