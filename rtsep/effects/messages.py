"""What is said between the keeper and a process of effects: one JSON object a line, checked when it is read."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

READY = -1  # number of the first answer
LONGEST_LINE = 64 << 20  # bytes; states of plugins are large


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """To a process. Rows and effects are counted from 0."""

    number: int  # comes back with the answer
    kind: Literal["chain", "parameter", "limit", "state", "policy", "ping"]
    row: int = 0
    chain: Any = None  # plain values; None takes the chain away
    effect: int = 0
    name: str = ""
    value: Any = None
    generation: int = 0  # of the row's chain; a parameter of another one is not turned
    soft: bool = False  # the sound plays already: a first chain fades in what it hears


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """From a process."""

    number: int
    latency: int = 0  # of the row's chain, in frames
    state: Any = None  # a chain with its values as they are
    error: str = ""
    latencies: tuple[int, ...] = ()  # that each of its effects adds, were it played
    missing: tuple[str, ...] = ()  # why effects of it are not there, a line each


_encoder = msgspec.json.Encoder()
_commands, _answers = msgspec.json.Decoder(Command), msgspec.json.Decoder(Answer)


def encode(message: Command | Answer) -> bytes:
    """Write a message as a line."""
    return _encoder.encode(message) + b"\n"


def read_command(line: bytes) -> Command:
    """Read a line of the keeper's.

    Raises:
        ValueError: for what is none.
    """
    return _commands.decode(line)


def read_answer(line: bytes) -> Answer:
    """Read a line of a process's, which may be anything.

    Raises:
        ValueError: for what is none.
    """
    return _answers.decode(line)
