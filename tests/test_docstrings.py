"""Docstrings have one form: a sentence, then Args, Returns and Raises; in dsp and host also the thread."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rtsep"
SECTIONS = ("Args", "Returns", "Yields", "Raises")  # in this order
COMMANDS = ("cli",)  # their docstrings are help texts, and all errors end in one line
THREADED = ("dsp", "host")  # packages whose functions say which thread may call them

HEADER = re.compile(r"(\w+):")
ENTRY = re.compile(r" {4}(?P<names>\*{0,2}\w+(?:, \w+)*): \S")
THREAD = re.compile(r"Thread: [^;]+; (real-time safe|not real-time safe \([^()]+\))\.")
EXCEPTION = re.compile(r"[A-Z]\w*(Error|Interrupt|Exit)")
ELSEWHERE = re.compile(r"\b[Ss]ee `([\w.]+)`")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Documented:
    """A public class, function or method, and its docstring."""

    place: str  # as host/device.py: Clock.open
    package: str
    name: str  # within its module
    node: ast.ClassDef | Function
    text: str

    @property
    def functions(self) -> list[Function]:
        """Those whose parameters and errors it documents: itself, or what makes an object of a class."""
        if not isinstance(self.node, ast.ClassDef):
            return [self.node]
        makers = ("__init__", "__post_init__")
        return [one for one in self.node.body if isinstance(one, Function) and one.name in makers]

    @property
    def parameters(self) -> set[str]:
        """The names that Args may list."""
        rows = [function.args for function in self.functions]
        found = {arg.arg for row in rows for arg in (*row.posonlyargs, *row.args, *row.kwonlyargs)}
        return (found | {arg.arg for row in rows for arg in (row.vararg, row.kwarg) if arg}) - {"self", "cls"}

    @property
    def sections(self) -> dict[str, list[str]]:
        """The lines of each section; what a header looks like and is not in `SECTIONS` counts as one."""
        found: dict[str, list[str]] = {}
        lines: list[str] = []
        for line in self.text.splitlines():
            if header := HEADER.fullmatch(line):
                lines = found.setdefault(header[1], [])
            elif line and not line.startswith(" "):
                lines = []
            elif line:
                lines.append(line)
        return found

    def names(self, section: str) -> list[str]:
        """What a section lists."""
        entries = [line for line in self.sections.get(section, []) if not line.startswith(" " * 5)]
        found: list[str] = []
        for line in entries:
            entry = ENTRY.match(line)
            assert entry, f"{self.place}: {section} has {line.strip()!r}; write it as `name: what it is`"
            found += entry["names"].replace("*", "").split(", ")
        return found

    @property
    def is_property(self) -> bool:
        return not isinstance(self.node, ast.ClassDef) and bool({"property", "cached_property"} & self.decorators)

    @property
    def decorators(self) -> set[str]:
        return {ast.unparse(one).partition("(")[0] for one in self.node.decorator_list}

    @property
    def elsewhere(self) -> list[str]:
        """What else is to be read, where it says `see ...`."""
        return ELSEWHERE.findall(self.text)


def documented(tree: ast.AST, path: str, owner: str = "") -> Iterator[Documented]:
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.ClassDef | Function) or (node.name.startswith("_") and node.name != "__call__"):
            continue
        yield Documented(
            f"{path}: {owner}{node.name}",
            path.partition("/")[0],
            owner + node.name,
            node,
            inspect.cleandoc(ast.get_docstring(node, clean=False) or ""),
        )
        if isinstance(node, ast.ClassDef):
            yield from documented(node, path, f"{owner}{node.name}.")


def parse(source: str, path: str = "host/example.py") -> list[Documented]:
    return list(documented(ast.parse(source), path))


@cache
def everything() -> dict[str, list[Documented]]:
    """All that is public, by file."""
    paths = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
    return {name: parse(path.read_text(encoding="utf-8"), name) for name, path in paths.items()}


def raised(function: Function) -> set[str]:
    """The errors that stand in a function's own body, not in those of functions within."""
    found = set()
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            name = ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
            if re.fullmatch(r"[A-Z]\w*Error", name):
                found.add(name)
        waiting += ast.iter_child_nodes(node)
    return found


def says_thread(text: str) -> bool:
    """Whether the last paragraph is one of threads, in its one form."""
    return THREAD.fullmatch(" ".join(text.split("\n\n")[-1].split())) is not None


def lacks_thread(one: Documented, others: dict[str, list[Documented]]) -> bool:
    """Whether nothing tells the thread of a function, or of a class with properties; what it refers to may."""
    if isinstance(one.node, ast.ClassDef):
        if "dataclass" in one.decorators or not any(member.is_property for member in documented(one.node, "")):
            return False
    elif one.is_property:  # its class says it
        return False
    return not any(says_thread(other.text) for other in (one, *references(one, others)))


def references(one: Documented, others: dict[str, list[Documented]]) -> list[Documented]:
    return [other for name in one.elsewhere for other in others.get(name, [])]


@cache
def by_name() -> dict[str, list[Documented]]:
    found: dict[str, list[Documented]] = {}
    for one in (one for several in everything().values() for one in several):
        found.setdefault(one.name, []).append(one)
    return found


def problems(one: Documented) -> list[str]:
    """What is wrong with the sections of a docstring."""
    found = [f"unknown section {name}" for name in one.sections if name not in SECTIONS]
    known = [name for name in one.sections if name in SECTIONS]
    if known != sorted(known, key=SECTIONS.index):
        found.append(f"the order is {', '.join(SECTIONS)}")
    found += [f"{name} is empty" for name in known if not one.sections[name]]
    if "Args" in known and set(one.names("Args")) != one.parameters:
        found.append(f"Args lists {one.names('Args')}, parameters are {sorted(one.parameters)}")
    strange = [name for name in one.names("Raises") if not EXCEPTION.fullmatch(name)]
    found += [f"Raises lists {name}, which is no error" for name in strange]
    if not one.text.split("\n\n")[0].endswith("."):
        found.append("the first paragraph is no sentence")
    return found


def unnamed_errors(one: Documented, others: dict[str, list[Documented]]) -> set[str]:
    """Errors that are raised in plain sight, and not named under Raises, here or where it refers to."""
    named = {error for place in (one, *references(one, others)) for error in place.names("Raises")}
    return {error for function in one.functions for error in raised(function)} - named


@pytest.mark.parametrize("path", everything())
def test_sections_have_their_names_their_order_and_the_parameters(path: str) -> None:
    wrong = {one.place: found for one in everything()[path] if (found := problems(one))}
    assert not wrong


@pytest.mark.parametrize("path", [path for path in everything() if path.partition("/")[0] in THREADED])
def test_the_thread_is_told(path: str) -> None:
    lacking = [one.place for one in everything()[path] if lacks_thread(one, by_name())]
    assert not lacking, f"no line as `Thread: the pipeline's; real-time safe.` at the end of {lacking}"


@pytest.mark.parametrize("path", [path for path in everything() if path.partition("/")[0] not in COMMANDS])
def test_errors_are_named(path: str) -> None:
    unnamed = {one.place: errors for one in everything()[path] if (errors := unnamed_errors(one, by_name()))}
    assert not unnamed


@pytest.mark.parametrize("path", everything())
def test_what_is_referred_to_exists(path: str) -> None:
    names = {name.rpartition(".")[2] for name in by_name()} | {Path(name).stem for name in everything()}
    lost = {
        one.place: name
        for one in everything()[path]
        for name in one.elsewhere
        if name.removesuffix(".py").rpartition(".")[2] not in names
    }
    assert not lost


def test_packages_exist() -> None:
    assert {*THREADED, *COMMANDS} <= {path.partition("/")[0] for path in everything()}


GOOD = '''
def wait(frames: int, *, patience_s: float = 1.0) -> int:
    """Wait for frames.

    Args:
        frames: how many.
        patience_s: the longest wait, in seconds,
            but never less than a block.

    Returns:
        The frames that came.

    Raises:
        FileError, DeviceError: when none come.

    Thread: any,
    before the sound starts; not real-time safe (waits).
    """
    raise FileError("none")
'''


def first(source: str) -> Documented:
    return parse(source)[0]


def test_a_good_docstring_passes() -> None:
    one = first(GOOD)
    assert one.names("Args") == ["frames", "patience_s"]
    assert one.names("Raises") == ["FileError", "DeviceError"]
    assert not problems(one)
    assert not unnamed_errors(one, {})
    assert not lacks_thread(one, {})


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("Args:", "Arguments:", "unknown section"),
        ("Returns:", "Return:", "unknown section"),
        ("        patience_s: the", "        patience: the", "Args lists"),
        ("        frames: how many.\n", "", "Args lists"),
        ("        The frames that came.\n", "", "Returns is empty"),
        ("FileError, DeviceError: when", "Nothing: when", "no error"),
        ("Wait for frames.", "Wait for frames", "no sentence"),
    ],
)
def test_a_fault_is_found(old: str, new: str, word: str) -> None:
    assert old in GOOD
    assert any(word in problem for problem in problems(first(GOOD.replace(old, new))))


def test_a_wrong_order_is_found() -> None:
    text = '"""Read.\n\n    Raises:\n        FileError: at once.\n\n    Returns:\n        Nothing.\n    """'
    assert problems(first(f"def read():\n    {text}\n")) == ["the order is Args, Returns, Yields, Raises"]


@pytest.mark.parametrize(
    "line",
    [
        "Thread: any; safe.",
        "Thread: any; not real-time safe.",
        "Thread: any; real-time safe",
        "thread: any; real-time safe.",
    ],
)
def test_a_thread_in_other_words_is_none(line: str) -> None:
    assert lacks_thread(first(f'def read():\n    """Read.\n\n    {line}\n    """\n'), {})


def test_thread_and_errors_may_stand_elsewhere() -> None:
    one = first('def read():\n    """Read on; see `wait`."""\n    raise FileError("none")\n')
    assert not lacks_thread(one, {"wait": [first(GOOD)]})
    assert lacks_thread(one, {"read": [first(GOOD)]})
    assert not unnamed_errors(one, {"wait": [first(GOOD)]})
    assert unnamed_errors(one, {"read": [first(GOOD)]}) == {"FileError"}


def test_a_class_with_properties_says_who_may_read_them() -> None:
    body = '    @property\n    def x(self):\n        """The x."""\n'
    assert lacks_thread(first(f'class Clock:\n    """A clock."""\n\n{body}'), {})
    assert not lacks_thread(first(f'@dataclass(frozen=True)\nclass Clock:\n    """A clock."""\n\n{body}'), {})
    assert not lacks_thread(first('class Clock:\n    """A clock."""\n'), {})


def test_an_error_that_is_not_named_is_found() -> None:
    assert unnamed_errors(first(GOOD.replace("FileError, DeviceError:", "DeviceError:")), {}) == {"FileError"}
    made = 'class File:\n    """A file."""\n\n    def __init__(self):\n        raise FileError\n'
    assert unnamed_errors(first(made), {}) == {"FileError"}
    inner = 'def read():\n    """Read."""\n    def work():\n        raise FileError("later")\n    raise\n'
    assert not unnamed_errors(first(inner), {})
