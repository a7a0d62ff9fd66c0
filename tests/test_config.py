"""Settings files: what fits is taken, everything else is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsep import cli
from rtsep.config import MAX_BYTES, read_settings
from rtsep.errors import ConfigError
from rtsep.host.session import LiveOptions

CONFIGS = Path(__file__).parent.parent / "configs"


def read(tmp_path: Path, text: str) -> dict[str, object]:
    path = tmp_path / "live.toml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path, LiveOptions)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_settings_fit(path: Path) -> None:
    options = LiveOptions(**read_settings(path, LiveOptions))
    assert options != LiveOptions()


def test_lists_and_paths_become_what_the_field_says(tmp_path: Path) -> None:
    found = read(tmp_path, 'routes = ["mix=1,2"]\nrecord = "stems"\ninput_channels = [3, 4]\nhop = 128\nloop = true')
    assert found == {
        "routes": ("mix=1,2",),
        "record": Path("stems"),
        "input_channels": (3, 4),
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
        ("routes = [1, 2]", "must be a list, each a text"),
        ("input_channels = [1, 2, 3]", "must be a list"),
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
    monkeypatch.setattr(cli, "play", lambda options, seconds, report: taken.append(options))
    settings = tmp_path / "live.toml"
    settings.write_text('latency = "12"\nroutes = ["vocals=1,2"]\nthreads = 2\nloop = true', encoding="utf-8")
    for extra in ([], ["--latency", "23", "--route", "mix=3,4", "--threads", "1"]):
        cli.app(["live", "--config", str(settings), *extra], standalone_mode=False)
    by_file, by_hand = taken
    assert (by_file.latency, by_file.routes, by_file.threads, by_file.loop) == ("12", ("vocals=1,2",), 2, True)
    assert (by_hand.latency, by_hand.routes, by_hand.threads, by_hand.loop) == ("23", ("mix=3,4",), 1, True)
