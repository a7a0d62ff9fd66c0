"""Follow the pickle that describes a file of tensors, without unpickling anything.

A pickle is a program. The standard library's `pickletools` takes its opcodes apart, and only those
are followed that build numbers, texts, tuples, lists and dictionaries. What it wants to call is
never called: what rebuilds a tensor is known by name and noted, and so are other things of torch's,
as `Foreign`. Everything else is refused.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_STEPS = 100_000  # opcodes; a network of a thousand tensors has some 30,000
MAX_AXES = 16


class BrokenError(Exception):
    """What is wrong with a file, without its name."""


@dataclass(frozen=True)
class Foreign:
    """Something that the pickle would call or build, and that is no plain tensor."""

    name: str


@dataclass(frozen=True)
class Storage:
    """Values in a row, somewhere in the file."""

    dtype: np.dtype[Any]
    key: str
    count: int  # values


@dataclass(frozen=True)
class TensorView:
    """A tensor as the pickle describes it: a view of a storage, not read yet."""

    storage: Storage
    offset: int  # values
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # values

    @property
    def bytes(self) -> int:
        """How much the tensor takes once it is read."""
        return math.prod(self.shape) * self.storage.dtype.itemsize


def one_line(error: Exception) -> str:
    """Make one line of what an error says."""
    return " ".join(str(error).split()) or type(error).__name__


class _Mark:
    """Where a group of values begins on the stack."""


MARK = _Mark()
CONSTANTS: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY: Mapping[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
NOTHING = {"PROTO", "FRAME"}  # to be done
PUTS, GETS = {"BINPUT", "LONG_BINPUT"}, {"BINGET", "LONG_BINGET"}
ORDERED = "collections.OrderedDict"


class PickleReader:
    """Follows one pickle without calling anything that it names.

    Args:
        persistent: makes storages of what the pickle refers to outside itself.
    """

    def __init__(self, persistent: Callable[[object], Storage]) -> None:
        self.storages: dict[str, Storage] = {}
        self._persistent = persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, file: io.BytesIO) -> Any:
        """Follow the pickle that begins where the file stands, and leave the file behind it.

        Raises:
            BrokenError: for a pickle that is damaged, hostile, or more than a description of tensors.
        """
        try:
            for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if number > MAX_STEPS:
                    raise BrokenError(f"its description takes more than {MAX_STEPS} steps")
                if opcode.name == "STOP":
                    return self._stack.pop()
                self._step(opcode.name, argument)
        except (ValueError, IndexError, KeyError, TypeError, RecursionError) as error:
            raise BrokenError(f"its description is broken: {one_line(error)}") from error
        raise BrokenError("its description is cut short")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in LITERALS:
            stack.append(argument)
        elif name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in EMPTY:
            stack.append(EMPTY[name]())
        elif name in PUTS:
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in GETS:
            stack.append(self._memo[argument])
        elif name == "MARK":
            stack.append(MARK)
        elif name == "TUPLE":
            stack.append(tuple(self._group()))
        elif name in TUPLES:
            count = TUPLES[name]
            taken = tuple(stack[-count:])
            if len(taken) < count or any(item is MARK for item in taken):
                raise BrokenError("its description takes what is not there")
            stack[-count:] = [taken]
        elif name in ("APPEND", "APPENDS"):
            items = [stack.pop()] if name == "APPEND" else self._group()
            self._top(list).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = [stack.pop(-2), stack.pop()] if name == "SETITEM" else self._group()
            self._set(self._top(dict), items)
        elif name == "GLOBAL":
            stack.append(_named(*argument.split(" ")))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_named(module, attribute))
        elif name == "REDUCE":
            arguments, called = stack.pop(), stack.pop()
            stack.append(_rebuilt(called, arguments))
        elif name == "BUILD":
            stack.pop()  # attributes, as `_metadata` of a state dict
            if not isinstance(stack[-1], dict | Foreign):
                raise BrokenError("it gives attributes to what can have none")
        elif name == "BINPERSID":
            stack.append(self._stored(stack.pop()))
        elif name not in NOTHING:
            raise BrokenError(f"its description uses {name}, which no description of tensors needs")

    def _group(self) -> list[Any]:
        """Take everything from the last mark on off the stack, with the mark."""
        for at in range(len(self._stack) - 1, -1, -1):
            if self._stack[at] is MARK:
                taken = self._stack[at + 1 :]
                del self._stack[at:]
                return taken
        raise BrokenError("its description takes what is not there")

    def _top(self, kind: type[Any]) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise BrokenError("its description adds to what nothing can be added to")
        return self._stack[-1]

    def _set(self, target: dict[Any, Any], items: list[Any]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):
                raise BrokenError("its description has keys that are neither texts nor whole numbers")
            target[key] = value

    def _stored(self, told: object) -> Storage:
        found = self._persistent(told)
        if isinstance(found, Storage) and self.storages.setdefault(found.key, found) != found:
            raise BrokenError(f"storage {found.key!r:.40} is told in two ways")
        return found


def _named(module: object, attribute: object) -> Foreign:
    """Note what a pickle names; only torch's own things and the usual dictionary may be."""
    name = f"{module}.{attribute}"
    if not name.isprintable() or (name != ORDERED and not name.startswith("torch.")):
        raise BrokenError(f"it names {name!r:.60}, which is no part of a tensor")
    return Foreign(name)


def _rebuilt(called: object, arguments: object) -> Any:
    """Give what a call stands for, without any call."""
    if not isinstance(called, Foreign) or not isinstance(arguments, tuple):
        raise BrokenError("it calls something in an unknown way")
    match called.name, arguments:
        case (str(name), ()) if name == ORDERED:
            return {}
        case "torch._utils._rebuild_tensor_v2", (Storage() as storage, offset, shape, strides, bool(), dict()):
            return _tensor(storage, offset, shape, strides)
        case "torch._utils._rebuild_tensor", (Storage() as storage, offset, shape, strides):
            return _tensor(storage, offset, shape, strides)
        case "torch._utils._rebuild_parameter", (TensorView() as view, bool(), dict()):
            return view
    return Foreign(called.name)


def _tensor(storage: Storage, offset: object, shape: object, strides: object) -> TensorView:
    """Hold a tensor's place against its storage."""
    for numbers in (shape, strides):
        if not isinstance(numbers, tuple) or len(numbers) > MAX_AXES or any(not _is_count(one) for one in numbers):
            raise BrokenError(f"a tensor has the shape or strides {numbers!r:.60}")
    assert isinstance(shape, tuple) and isinstance(strides, tuple)
    if not _is_count(offset) or len(shape) != len(strides):
        raise BrokenError(f"a tensor begins at {offset!r:.40}, or its shape and strides differ in length")
    assert isinstance(offset, int)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if 0 not in shape and last >= storage.count:
        raise BrokenError(f"a tensor ends beyond its storage of {storage.count} values")
    return TensorView(storage, offset, shape, strides)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 62
