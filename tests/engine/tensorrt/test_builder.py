"""From models to engines, without a card; and what is left where it does not come to the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtsep.core.spec import ModelSpec
from rtsep.engine.base import Float32
from rtsep.engine.tensorrt import builder
from rtsep.engine.tensorrt.builder import BuildOptions, build
from rtsep.engine.tensorrt.key import as_used
from rtsep.engine.tensorrt.manifest import BuiltEngine, Timing, find_built, open_built
from rtsep.errors import EngineError, ModelError, SpecError
from rtsep.model.store import StoredModel, find
from tests.support.models import narrow_unet
from tests.support.random_spleeters import random_spleeter

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("RTSEP_ENGINES", str(tmp_path / "engines"))
    return tmp_path / "engines"


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    return find(str(narrow_unet(tmp_path_factory.mktemp("narrow") / "narrow-unet")))


def noise(model: StoredModel) -> list[Float32]:
    """Magnitudes such as music has: most bins small, some large."""
    spec = model.spec
    generator = np.random.default_rng(0)
    return [generator.exponential(1.0, (1, spec.channels, spec.context, spec.bins)).astype(np.float32) ** 2]


def left(shelf: Path) -> list[str]:
    return sorted(path.name for path in shelf.iterdir())


def official(folder: Path) -> StoredModel:
    """The official 2stems, or where they are not at hand their network with random weights."""
    try:
        return find("spleeter:2stems")
    except ModelError:
        return random_spleeter("2stems", folder / "spleeter-2stems")


@pytest.mark.parametrize("name", ["embedded", "official"])
def test_the_default_and_spleeters_2stems_build_without_a_card(name: str, tmp_path: Path, shelf: Path) -> None:
    model = find("spleeter-2stems-live") if name == "embedded" else official(tmp_path)
    lines: list[str] = []
    (built,) = build(model, ["sm89"], BuildOptions("fp16"), samples=noise, say=lines.append)
    used = as_used(model)
    assert find_built(used, "fp16", 64, 1, "sm89") == built
    assert left(shelf) == [built.key.folder_name]
    spec = built.spec
    assert (spec.stems, spec.context, spec.newest, spec.output) == (used.spec.stems, 64, 1, "mask")
    assert built.manifest.parity.db is not None and built.manifest.parity.db > 50
    size = len(built.read())
    assert size == built.manifest.engine.bytes and 20e6 < size < 60e6  # half of the weights in fp32
    assert any("sm89" in line and "TensorRT-RTX" in line for line in lines)
    assert built.manifest.timing is None and built.manifest.build_s > 0
    assert {"rtsep", "onnx", "onnxruntime"} <= set(built.manifest.libraries)
    told = json.loads((built.path / "manifest.json").read_text())
    assert told["key"]["model"] == model.name and told["key"]["gpu"] == "sm89"


def test_a_stateful_model_builds(shelf: Path) -> None:
    (built,) = build(find("streaming-2stems"), ["sm120"], BuildOptions("fp32", rows=4))
    assert built.key.rows == 1 and built.spec.states
    assert find_built(find("streaming-2stems"), "fp32", 1, 4, "sm120") == built


def test_one_engine_for_each_card_in_their_order(narrow: StoredModel, shelf: Path) -> None:
    found = build(narrow, ["sm120", "sm86"], BuildOptions("fp32", rows=2))
    assert [one.key.gpu for one in found] == ["sm120", "sm86"]
    assert all(one.rows == 2 and one.manifest.parity.db is None for one in found)
    assert len(left(shelf)) == 2 and found[0].read() != found[1].read()


def test_building_again_replaces_what_was_there(narrow: StoredModel, shelf: Path) -> None:
    options = BuildOptions("fp32")
    (built,) = build(narrow, ["sm89"], options)
    (built.path / "engine.bin").write_bytes(b"damaged")
    with pytest.raises(EngineError):
        open_built(built.path)
    (again,) = build(narrow, ["sm89"], options)
    assert again.path == built.path and len(again.read()) > 1000
    assert left(shelf) == [built.path.name]


def test_tf32_is_another_engine_of_the_same_graph(narrow: StoredModel) -> None:
    found = [build(narrow, ["sm89"], BuildOptions(one))[0] for one in ("fp32", "tf32")]
    assert found[0].read() != found[1].read()
    assert found[0].path != found[1].path


def test_passes_are_timed_on_the_card_that_it_is_for_alone(narrow: StoredModel) -> None:
    timed: list[Path] = []

    def timer(built: BuiltEngine) -> Timing:
        assert built.read()
        timed.append(built.path)
        return Timing(10, 0.1, 0.2, 0.3)

    found = build(narrow, ["sm86", "sm89"], BuildOptions("fp32"), card="sm89", timer=timer)
    assert [one.manifest.timing for one in found] == [None, Timing(10, 0.1, 0.2, 0.3)]
    assert len(timed) == 1


def test_an_engine_that_cannot_be_timed_is_built_all_the_same(narrow: StoredModel) -> None:
    def timer(built: BuiltEngine) -> Timing:
        raise EngineError("pycuda is not installed")

    lines: list[str] = []
    (built,) = build(narrow, ["sm89"], BuildOptions("fp32"), card="sm89", timer=timer, say=lines.append)
    assert built.manifest.timing is None and built.read()
    assert "  sm89: not timed: pycuda is not installed" in lines


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "fp12"}, "precision is 'fp12'; allowed are fp32, tf32, fp16"),
        ({"rows": 0}, "batch is 0; allowed are 1 to 64"),
        ({"rows": 65}, "batch is 65; allowed are 1 to 64"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        BuildOptions(**options)  # type: ignore[arg-type]


def test_nothing_is_built_for_some_of_the_cards(narrow: StoredModel, shelf: Path) -> None:
    with pytest.raises(EngineError, match="no engine can be built for sm90 here"):
        build(narrow, ["sm89", "sm90"], BuildOptions("fp32"))
    with pytest.raises(SpecError, match="fixed context of 64"):
        build(narrow, ["sm89"], BuildOptions("fp32", context=128))
    with pytest.raises(ModelError, match="newest"):
        build(narrow, ["sm89"], BuildOptions("fp32", newest=65))
    assert not shelf.exists()


def test_a_build_that_fails_leaves_nothing(narrow: StoredModel, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> bytes:
        raise EngineError("the library refuses")

    monkeypatch.setattr(builder, "compiled", fail)
    with pytest.raises(EngineError, match="refuses"):
        build(narrow, ["sm89"], BuildOptions("fp32"))
    assert not left(shelf)


def test_a_full_disk_is_one_line(narrow: StoredModel, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTSEP_ENGINES", str(small_disk / "engines"))
    with pytest.raises(EngineError, match=r"cannot be written to .* \(No space left on device\)"):
        build(narrow, ["sm89"], BuildOptions("fp32"))
    assert not left(small_disk / "engines")


KILLED = """
import os, sys
from rtsep.engine.base import Float32
from rtsep.engine.tensorrt import builder
from rtsep.model.store import find

real = builder.compiled

def compiled(*given):
    content = real(*given)
    print("compiled", flush=True)
    sys.stdin.read()  # until it is killed
    return content

builder.compiled = compiled
builder.build(find(sys.argv[1]), ["sm89"], builder.BuildOptions("fp32"))
"""


def test_a_killed_build_leaves_nothing_that_loads(narrow: StoredModel, shelf: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(narrow.path.parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "compiled\n"
        process.send_signal(signal.SIGKILL)
    (unfinished,) = left(shelf)
    assert unfinished.startswith(".building-")
    with pytest.raises(EngineError, match="no engine of narrow-unet was built"):
        find_built(narrow, "fp32", 64, 1, "sm89")
    build(narrow, ["sm89"], BuildOptions("fp32"))
    assert len(left(shelf)) == 2  # it may be another build's, still under way
    os.utime(shelf / unfinished, (0, 0))
    (built,) = build(narrow, ["sm89"], BuildOptions("fp32"))
    assert left(shelf) == [built.path.name]


def test_the_spec_of_an_engine_is_the_graphs(narrow: StoredModel) -> None:
    (built,) = build(narrow, ["sm89"], BuildOptions("fp32", newest=3))
    spec: ModelSpec = built.spec
    assert (spec.newest, spec.output, spec.exponent, spec.bins) == (3, "mask", 1.0, narrow.spec.bins)
    assert built.key.newest == 3


def test_the_engine_that_was_there_is_put_back_where_the_new_one_cannot_take_its_place(
    narrow: StoredModel, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (built,) = build(narrow, ["sm89"], BuildOptions("fp32"))
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if target == built.path and not path.name.endswith("-before"):
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(EngineError, match="cannot be written"):
        build(narrow, ["sm89"], BuildOptions("fp32"))
    assert left(shelf) == [built.path.name] and open_built(built.path) == built
