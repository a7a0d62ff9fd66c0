"""Settings files: what fits is taken, everything else is named."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rtsep.cli import app, live
from rtsep.core.config import MAX_BYTES, read_settings
from rtsep.errors import ConfigError
from rtsep.host.options import LiveOptions

CONFIGS = Path(__file__).parents[2] / "configs"


def read(tmp_path: Path, text: str) -> dict[str, object]:
    path = tmp_path / "live.toml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path, LiveOptions)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_settings_fit(path: Path) -> None:
    options = LiveOptions(**read_settings(path, LiveOptions))
    assert options != LiveOptions()


def test_lists_and_paths_become_what_the_field_says(tmp_path: Path) -> None:
    found = read(tmp_path, 'route = ["mix=1,2"]\nrecord = "stems"\nchannels = [3, 4]\nhop = 128\nloop = true')
    assert found == {
        "route": ("mix=1,2",),
        "record": Path("stems"),
        "channels": (3, 4),
        "hop": 128,
        "loop": True,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('latncy = "12"', "did you mean 'latency'"),
        ("latency = 12", "must be a text"),
        ('threads = "two"', "must be a whole number"),
        ("threads = true", "must be a whole number"),
        ("threads = 100", "threads = 100 is out of range; allowed are 0 to 64"),
        ("threads = -1", "allowed are 0 to 64"),
        ("route = [1, 2]", r"route\[0\] is 1; it must be a text"),
        ('route = "mix=1,2"', "must be a list"),
        ("channels = [1, 2, 3]", "must be a list of 2"),
        ("refresh = 2", "'refresh' is called 'mask_interval' now"),
        ("input_channels = [1, 2]", "'input_channels' is called 'channels' now"),
        ("latency = ", "is not TOML"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, text)


def test_missing_and_oversized_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings(tmp_path / "none.toml", LiveOptions)
    with pytest.raises(ConfigError, match="larger than"):
        read(tmp_path, "#" * (MAX_BYTES + 1))


def test_the_command_line_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[LiveOptions] = []
    monkeypatch.setattr(live, "play", lambda options, seconds, report, effects: taken.append(options))
    settings = tmp_path / "live.toml"
    settings.write_text('latency = "12"\nroute = ["vocals=1,2"]\nthreads = 2\nloop = true', encoding="utf-8")
    for extra in ([], ["--latency", "23", "--route", "mix=3,4", "--threads", "1"]):
        app.app(["live", "--config", str(settings), *extra], standalone_mode=False)
    by_file, by_hand = taken
    assert (by_file.latency, by_file.route, by_file.threads, by_file.loop) == ("12", ("vocals=1,2",), 2, True)
    assert (by_hand.latency, by_hand.route, by_hand.threads, by_hand.loop) == ("23", ("mix=3,4",), 1, True)


@dataclass(frozen=True)
class Folder:
    layout: str
    weight: float = 1.0


@dataclass(frozen=True)
class Nested:
    network: dict[str, Any]
    gain: Folder = field(default_factory=lambda: Folder("stems"))
    data: tuple[Folder, ...] = ()
    range_db: tuple[float, float] = (0.0, 1.0)


def test_tables_become_dataclasses(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text(
        'range_db = [-6, 6]\n[network]\nfamily = "unet"\n[gain]\nlayout = "musdb"\n'
        '[[data]]\nlayout = "stems"\nweight = 2\n[[data]]\nlayout = "aligned"\n',
        encoding="utf-8",
    )
    assert Nested(**read_settings(path, Nested)) == Nested(
        {"family": "unet"}, Folder("musdb"), (Folder("stems", 2), Folder("aligned")), (-6.0, 6.0)
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[gain]\nlayuot = "x"', "unknown key 'gain.layuot'; did you mean 'gain.layout'"),
        ("[gain]\nweight = 2.0", "'gain.layout' is missing"),
        ("gain = 3", "gain is 3; it must be a table"),
        ("[[data]]\nlayout = 3", "data[0].layout is 3; it must be a text"),
        ("network = 1", "network is 1; it must be a table"),
    ],
)
def test_a_fault_in_a_table_is_named_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "train.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(words)):
        read_settings(path, Nested)


def test_changes_replace_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text('[network]\nfamily = "unet"\n[gain]\nlayout = "musdb"\n', encoding="utf-8")
    changes = ("network.depth=3", "gain.layout = wav files", "range_db=[-3, 3]")
    found = Nested(**read_settings(path, Nested, changes))
    assert found == Nested({"family": "unet", "depth": 3}, Folder("wav files"), (), (-3.0, 3.0))


@pytest.mark.parametrize("change", ["gain", "=3", "a b=3"])
def test_a_change_that_is_none_is_named(tmp_path: Path, change: str) -> None:
    path = tmp_path / "train.toml"
    path.write_text("[network]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="write a name and a value"):
        read_settings(path, Nested, (change,))
