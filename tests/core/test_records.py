"""Tables of strangers become dataclasses, or an error that names the place, the value, and what it must be."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from rtsep.core.records import RecordError, convert
from rtsep.errors import ModelError


@dataclass(frozen=True)
class Inner:
    file: str
    weight: float = 1.0
    kind: Literal["wav", "flac"] = "wav"
    deeper: tuple[Inner, ...] = ()


@dataclass(frozen=True)
class Outer:
    format: ClassVar[int] = 1

    RENAMED: ClassVar = {"refresh": "mask_interval"}

    name: str
    count: int = 0
    gain_db: float = 0.0
    loop: bool = False
    words: tuple[str, ...] = ()
    pair: tuple[float, float] = (0.0, 0.0)
    either: str | tuple[int, ...] = ""
    shape: Literal["hann", "sqrt_hann"] | None = None
    record: Path | None = None
    inner: Inner = field(default_factory=lambda: Inner("none"))
    maybe: Inner | None = None
    many: tuple[Inner, ...] = ()
    network: dict[str, Any] = field(default_factory=dict)
    by_name: dict[str, tuple[float, ...]] = field(default_factory=dict)
    mask_interval: int = 1

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ModelError(f"count is {self.count}; it must not be negative")
        if self.gain_db > 24.0:
            raise ValueError(f"A gain of {self.gain_db} dB is too much")


def refused(entries: Any, **options: Any) -> str:
    with pytest.raises(RecordError) as caught:
        convert(entries, Outer, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_type_is_what_its_field_says() -> None:
    entries = {
        "name": "one",
        "count": 3,
        "gain_db": -6,  # whole numbers may stand for others
        "loop": True,
        "words": ["a", "b"],
        "pair": [1, 2.5],
        "either": [1, 2],
        "shape": "hann",
        "record": "stems/one",
        "inner": {"file": "a.wav", "deeper": [{"file": "b", "kind": "flac"}]},
        "maybe": {"file": "c"},
        "many": [{"file": "d"}, {"file": "e", "weight": 2}],
        "network": {"family": "unet", "any": [1, {"b": None}]},
        "by_name": {"sdr": [1, 2.5]},
    }
    found = convert(json.loads(json.dumps(entries)), Outer)
    assert found == Outer(
        "one",
        3,
        -6.0,
        True,
        ("a", "b"),
        (1.0, 2.5),
        (1, 2),
        "hann",
        Path("stems/one"),
        Inner("a.wav", deeper=(Inner("b", kind="flac"),)),
        Inner("c"),
        (Inner("d"), Inner("e", 2.0)),
        {"family": "unet", "any": [1, {"b": None}]},
        {"sdr": (1.0, 2.5)},
    )
    assert type(found.gain_db) is float
    assert convert({"name": "one", "either": "text", "maybe": None}, Outer) == Outer("one", either="text")


def test_paths_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert convert({"name": "one", "record": "~/stems"}, Outer).record == tmp_path / "stems"


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"name": 7}, "name is 7; it must be a text"),
        ({"count": "3"}, "count is '3'; it must be a whole number"),
        ({"count": 3.0}, "count is 3.0; it must be a whole number"),
        ({"count": True}, "count is True; it must be a whole number"),
        ({"gain_db": "loud"}, "gain_db is 'loud'; it must be a number"),
        ({"gain_db": 10**400}, "number out of range"),
        ({"loop": 1}, "loop is 1; it must be true or false"),
        ({"words": "a"}, "words is 'a'; it must be a list"),
        ({"words": ["a", 2]}, "words[1] is 2; it must be a text"),
        ({"pair": [1.0]}, "pair is [1.0]; it must be a list of 2"),
        ({"pair": [1.0, None]}, "pair[1] is None; it must be a number"),
        ({"either": 3}, "either is 3; it must be a text or a list"),
        ({"either": [1, "2"]}, "either[1] is '2'; it must be a whole number"),
        ({"shape": "triangle"}, "shape is 'triangle'; allowed are hann, sqrt_hann"),
        ({"shape": 3}, "shape is 3; allowed are hann, sqrt_hann"),
        ({"record": 3}, "record is 3; it must be a text"),
        ({"inner": 3}, "inner is 3; it must be a table"),
        ({"inner": {"file": 3}}, "inner.file is 3; it must be a text"),
        ({"maybe": []}, "maybe is []; it must be a table"),
        ({"maybe": {"file": 3}}, "maybe.file is 3; it must be a text"),
        ({"many": [{"file": "a"}, {"file": "b", "kind": "mp3"}]}, "many[1].kind is 'mp3'; allowed are wav, flac"),
        (
            {"many": [{"file": "a", "deeper": [{"file": "b"}, {"file": "c", "weight": "x"}]}]},
            "many[0].deeper[1].weight is 'x'; it must be a number",
        ),
        ({"by_name": {"sdr": ["x"]}}, "by_name[...][0]: it must be a number"),
        ({"network": 3}, "network is 3; it must be a table"),
        ({"words": ["x" * 1000, 1]}, "words[1] is 1; it must be a text"),
    ],
)
def test_a_value_of_another_type_is_named_with_its_place(entries: dict[str, Any], words: str) -> None:
    assert refused({"name": "one", **entries}).endswith(words)


def test_long_values_are_cut() -> None:
    assert len(refused({"name": "one", "count": "x" * 10_000})) < 300


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({}, "'name' is missing"),
        ({"name": "one", "inner": {}}, "'inner.file' is missing"),
        ({"name": "one", "many": [{"file": "a"}, {}]}, "'many[1].file' is missing"),
    ],
)
def test_what_is_missing_is_named(entries: dict[str, Any], words: str) -> None:
    assert refused(entries) == words


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"cuont": 1}, "unknown key 'cuont'; did you mean 'count'?"),
        ({"inner": {"file": "a", "wieght": 1}}, "unknown key 'inner.wieght'; did you mean 'inner.weight'?"),
        ({"maybe": {"file": "a", "wieght": 1}}, "unknown key 'maybe.wieght'; did you mean 'maybe.weight'?"),
        ({"many": [{"file": "a"}, {"flie": "b"}]}, "unknown key 'many[1].flie'; did you mean 'many[1].file'?"),
        ({"inner": {"file": "a", "colour": 1}}, "unknown key 'inner.colour'; allowed are file, weight, kind, deeper"),
        ({"refresh": 1}, "'refresh' is called 'mask_interval' now"),
        ({"inner": {"refresh": 1}}, "unknown key 'inner.refresh'"),
        ({"waiting": True}, "unknown key 'waiting'; allowed are name, count"),  # no field here is called freewheel
        ({"format": 1}, "unknown key 'format'"),  # of the class, no field
    ],
)
def test_unknown_names_are_named_with_what_may_be_meant(entries: dict[str, Any], words: str) -> None:
    assert refused({"name": "one", **entries}).startswith(words)


def test_unknown_names_may_be_passed_over() -> None:
    entries = {"name": "one", "colour": "red", "many": [{"file": "a", "more": 1}]}
    assert convert(entries, Outer, strict_names=False) == Outer("one", many=(Inner("a"),))
    assert refused({"colour": "red"}, strict_names=False) == "'name' is missing"


@pytest.mark.parametrize("entries", [[], "text", 3, None])
def test_what_is_no_table(entries: object) -> None:
    assert refused(entries) == f"the whole is {entries!r}; it must be a table"


def test_a_table_may_have_a_place_of_its_own() -> None:
    assert refused([], place="graph") == "graph is []; it must be a table"
    assert refused({}, place="graph") == "'graph.name' is missing"
    assert refused({"name": 3}, place="graph") == "graph.name is 3; it must be a text"
    assert refused({"naem": 3}, place="graph") == "unknown key 'graph.naem'; did you mean 'graph.name'?"


def test_what_the_dataclass_itself_refuses() -> None:
    """Our own errors pass through as they are; others become words."""
    with pytest.raises(ModelError, match=r"^count is -1; it must not be negative$"):
        convert({"name": "one", "count": -1}, Outer)
    assert refused({"name": "one", "gain_db": 30.0}).endswith("; a gain of 30.0 dB is too much")


@dataclass(frozen=True)
class Named:
    tables: dict[str, Inner] = field(default_factory=dict)


def test_an_unknown_name_in_a_table_by_name_is_an_error() -> None:
    assert convert({"tables": {"a": {"file": "x"}}}, Named).tables["a"].file == "x"
    with pytest.raises(RecordError, match=r"unknown key 'tables\.a\.fil'; did you mean 'tables\.a\.file'"):
        convert({"tables": {"a": {"fil": "x"}}}, Named)
