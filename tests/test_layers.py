"""Imports point down (invariant 10): the order of the packages, checked."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rtsep"
MAX_LINES = 320
LAYERS = (  # each package imports only from itself and from those before it
    "errors",
    "core",
    "demo",
    "audio",
    "dsp",
    "model",
    "engine",
    "separation",
    "control",
    "host",
    "effects",
    "surfaces",
    "dataset",
    "evaluation",
    "training",
    "corpus",
    "diagnostics",
    "cli",
    "__main__",
)
LAYER = {package: number for number, package in enumerate(LAYERS)}
FOREIGN = {  # modules of others, and where alone they may be imported
    "torch": ("model.networks", "model.embed", "training", "cli.train", "diagnostics.laboratory.peers.pytorch"),
    "onnx": ("model",),
    "safetensors": ("model",),
    "onnxruntime": ("engine", "diagnostics", "model.graphs.calibration"),
    "openvino": ("engine", "diagnostics"),
    "tensorrt": ("engine.tensorrt",),
    "tensorrt_rtx": ("engine.tensorrt",),
    "pycuda": ("engine.tensorrt",),
    "pynvml": ("diagnostics.laboratory.hardware",),
    "sounddevice": ("host.device", "host.portaudio"),
    "pedalboard": ("corpus", "effects"),
    "pyworld": ("corpus",),
    "tinysoundfont": ("corpus",),
    "debian": ("corpus",),
    "museval": ("evaluation",),
    "rtmidi": ("surfaces.midi",),
    "scipy": ("dataset.filters", "cli.train"),
    "av": ("audio",),
    "soundfile": ("audio", "diagnostics", "demo", "dataset.codec", "corpus.recording"),
    "soxr": ("audio.sources",),
    "pooch": ("model",),
    "requests": ("model",),
    "urllib3": ("model",),
    "crc32c": ("model",),
    "typer": ("cli",),
    "rich": ("cli", "surfaces"),
}


def name_of(path: Path) -> str:
    """`dsp.ring` for rtsep/dsp/ring.py; a package's own file has the package's name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(module: str) -> str:
    return module.partition(".")[0]


@cache
def sources() -> dict[str, Path]:
    return {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def imports() -> dict[str, set[str]]:
    """Everything that each module imports, absolute, wherever in the file it does so."""
    found: dict[str, set[str]] = {}
    for module, path in sources().items():
        found[module] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found[module] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: imports are absolute"
                assert node.module is not None
                found[module] |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@cache
def own_imports() -> dict[str, set[str]]:
    """Our modules that each of ours imports; a name out of a module counts as the module."""
    found: dict[str, set[str]] = {}
    for module, names in imports().items():
        found[module] = set()
        for name in names:
            if not name.startswith("rtsep."):
                continue
            target = name.removeprefix("rtsep.")
            while target not in sources():
                target = target.rpartition(".")[0]
            if target not in ("", module):
                found[module].add(target)
    return found


def test_every_package_has_its_place() -> None:
    assert {package_of(module) for module in sources()} - {""} <= set(LAYER)


@pytest.mark.parametrize("module", sources())
def test_imports_point_down(module: str) -> None:
    upward = {
        target for target in own_imports()[module] if module and LAYER[package_of(target)] > LAYER[package_of(module)]
    }
    assert not upward, f"rtsep.{module} imports from above: {upward}"


def circle(graph: dict[str, set[str]]) -> list[str]:
    """One circle of a graph, or nothing."""
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> list[str]:
        if node in way:
            return [*way[way.index(node) :], node]
        if node in done:
            return []
        for target in graph.get(node, ()):
            if found := walk(target, [*way, node]):
                return found
        done.add(node)
        return []

    return next((found for node in graph if (found := walk(node, []))), [])


def test_there_is_no_circle_of_modules_nor_of_packages() -> None:
    assert not circle(own_imports())
    packages: dict[str, set[str]] = {}
    for module, targets in own_imports().items():
        packages.setdefault(package_of(module), set()).update(package_of(target) for target in targets)
    assert not circle({name: targets - {name} for name, targets in packages.items()})


def test_the_search_for_circles_finds_one() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})


def test_the_demo_is_a_leaf() -> None:
    for module, targets in own_imports().items():
        if package_of(module) == "demo":
            assert {package_of(target) for target in targets} <= {"demo"}, module
        elif any(package_of(target) == "demo" for target in targets):
            assert package_of(module) in ("cli", "diagnostics", "host"), module  # a deck may be told to play it


@pytest.mark.parametrize("module", [module for module in sources() if package_of(module) == "control"])
def test_control_knows_no_sound(module: str) -> None:
    assert {package_of(target) for target in own_imports()[module]} <= {"control", "core", "errors"}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_foreign_modules_stay_in_their_packages(foreign: str) -> None:
    for module, names in imports().items():
        if any(name == foreign or name.startswith(f"{foreign}.") for name in names):
            allowed = FOREIGN[foreign]
            assert any(module == place or module.startswith(f"{place}.") for place in allowed), (
                f"rtsep.{module} imports {foreign}, which belongs in {allowed}"
            )


def test_a_live_run_imports_no_torch() -> None:
    program = (
        "import sys, rtsep.cli.app, rtsep.host.host, rtsep.host.factory, rtsep.engine.onnx, rtsep.model.store;"
        "unwanted = ('torch', 'onnx', 'openvino', 'tensorrt_rtx', 'tensorrt', 'pycuda', 'matplotlib');"
        "print([name for name in unwanted if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_terminal_needs_no_host() -> None:
    program = (
        "import sys, rtsep.surfaces.terminal, rtsep.surfaces.session;"
        "print([name for name in sys.modules if name.startswith(('rtsep.host', 'rtsep.dsp', 'numpy', 'numba'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_itself_is_lazy() -> None:
    program = "import sys, rtsep; print(rtsep.__version__, 'numba' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1:] == ["False", "False"]


@pytest.mark.parametrize("module", sources())
def test_files_are_small_and_named_by_a_noun(module: str) -> None:
    path = sources()[module]
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    assert path.stem not in ("utils", "util", "helpers", "common", "misc")
