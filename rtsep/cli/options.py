"""What the commands share: options that several have, options derived from dataclasses, ways to say something."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.text import Text

from rtsep.core.config import Option
from rtsep.core.last_error import keep_error
from rtsep.errors import ConfigError

Model = Annotated[str, typer.Option("--model", "-m", help="A model's name or path; see `rtsep models`.")]
STOPPED = "stopped"  # so begins the line of a run that was asked to end
Report = Annotated[Optional[Path], typer.Option(help="Write the figures to this JSON file.")]  # noqa: UP045


class _Output(Console):
    """A console that raises `BrokenPipeError` as it comes; rich's own ends the program."""

    def on_broken_pipe(self) -> None:
        raise  # the error under way


out = _Output(highlight=False)


def say(text: str) -> None:
    """Print one line as it is: names of files and devices may hold anything."""
    out.print(Text(text), soft_wrap=True)


def print_error(error: BaseException) -> None:
    """Print one line for people to the error output; it is kept for `rtsep doctor --report`, unless it is no error."""
    words = " ".join(str(error).split())
    if not words.startswith(STOPPED):
        keep_error(error, sys.argv[1:])
    with suppress(OSError):  # a terminal that was closed
        _Output(stderr=True).print(Text.assemble(("rtsep:", "bold red"), f" {words}"), soft_wrap=True)


def dataclass_options(kind: type, **defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that the fields of a dataclass describe, in the place of its parameter `chosen`.

    Args:
        kind: a dataclass whose fields are annotated with an `Option`.
        defaults: only these fields, with these defaults; all with their own if none is named.

    Returns:
        A decorator. The command gets `chosen`, a dict of the fields' values by name.
    """
    derived = {
        field.name: inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_shown(defaults.get(field.name, field.default)),
            annotation=_annotation(
                field.name, typing.get_type_hints(kind, include_extras=True)[field.name], field.default
            ),
        )
        for field in fields(kind)
        if not defaults or field.name in defaults
    }

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        shown = [
            one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, own in inspect.signature(command, eval_str=True).parameters.items()
            for one in (derived.values() if name == "chosen" else (own,))
        ]

        def derived_command(**values: Any) -> None:
            chosen = {name: _value(kind, name, values.pop(name)) for name in derived}
            command(**values, chosen=chosen)

        described: Any = derived_command
        described.__name__, described.__doc__ = command.__name__, command.__doc__
        described.__signature__ = inspect.Signature(shown)
        described.__annotations__ = {one.name: one.annotation for one in shown}
        return derived_command

    return decorate


def _annotation(name: str, hint: Any, default: Any) -> Any:
    """A field's annotation as typer takes it: lists for tuples, text for pairs, `--no-` for what is on."""
    kind, option = typing.get_args(hint)
    assert isinstance(option, Option)
    if kind == tuple[str, ...]:
        kind = Optional[list[str]]  # noqa: UP045
    elif _is_pair(kind):
        kind = Optional[str]  # noqa: UP045
    word = name.replace("_", "-")
    names = (f"--{word}/--no-{word}" if default is True else f"--{word}", *((option.short,) if option.short else ()))
    return Annotated[kind, typer.Option(*names, help=option.help, min=option.least, max=option.most)]


def _shown(default: Any) -> Any:
    return ",".join(map(str, default)) or None if isinstance(default, tuple) else default


def _value(kind: type, name: str, given: Any) -> Any:
    """What typer gives as the field has it."""
    hint = typing.get_type_hints(kind)[name]
    if hint == tuple[str, ...]:
        return tuple(given or ())
    return parse_pair(name, given) if _is_pair(hint) and given is not None else given


def _is_pair(kind: Any) -> bool:
    return any(typing.get_origin(one) is tuple for one in (kind, *typing.get_args(kind)))


def parse_pair(name: str, text: str) -> tuple[int, int]:
    """Read two channels.

    Args:
        name: of the option.
        text: as `1,2`.

    Raises:
        ConfigError: for another text.
    """
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise ConfigError(f"{name} {text!r}: write two channels, counted from 1, as 1,2")
    return int(parts[0]), int(parts[1])
