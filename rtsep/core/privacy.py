"""Texts that a user may show to others: without home folders, and the names of users and of the machine."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GENERIC = {  # names that are nobody's
    *("root", "user", "admin", "nobody", "runner", "live", "name", "none", "home"),
    *("localhost", "localdomain", "local", "lan", "linux", "ubuntu", "debian", "fedora", "arch", "raspberrypi"),
}
SUBSTRING = 4  # letters from which a name is found within words, too
PATTERNS = (  # what tells of a person wherever it stands
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<mail>"),
    (re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}[:_-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f])"), "<address>"),
    (re.compile(r"(?<=/home/)[^/\s\"':;,]+|(?<=/Users/)[^/\s\"':;,]+|(?<=\\Users\\)[^\\\s\"':;,]+"), "<user>"),
    (re.compile(r"(?<=/media/)[^/\s\"':;,]+|(?<=/run/user/)[^/\s\"':;,]+"), "<user>"),
)


@dataclass(frozen=True)
class Identity:
    """Whose machine this is."""

    homes: tuple[str, ...]  # folders
    users: tuple[str, ...]  # names, and what the people are called
    hosts: tuple[str, ...]


def identity() -> Identity:
    """Ask the system whose it is."""
    homes = {os.path.expanduser("~"), os.environ.get("HOME", ""), os.environ.get("USERPROFILE", "")}  # noqa: PTH111
    homes |= {os.path.realpath(home) for home in homes if home and home != "~"}
    users = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER", "USERNAME")} | set(_account())
    users |= {Path(home).name for home in homes}
    host = platform.node()
    return Identity(
        tuple(sorted((home for home in homes if len(home) > 1 and home != "~"), key=len, reverse=True)),
        _worth_hiding(users),
        _worth_hiding({host, host.partition(".")[0], host.partition(".")[2]}),
    )


def _account() -> Iterator[str]:
    """The name of the account, and the words of the person's full name."""
    with suppress(ImportError, KeyError, AttributeError):
        import pwd

        entry = pwd.getpwuid(os.getuid())
        yield from (entry.pw_name, *re.findall(r"\w+", entry.pw_gecos.partition(",")[0]))


def _worth_hiding(names: set[str]) -> tuple[str, ...]:
    found = {name for name in names if len(name) > 1 and name.lower() not in GENERIC and not name.isdecimal()}
    return tuple(sorted(found, key=lambda name: (-len(name), name)))


def anonymous(text: str, whose: Identity | None = None) -> str:
    """Give a text without what tells whose machine it is from; `~`, `<user>` and `<host>` stand there instead.

    Args:
        text: any.
        whose: whom it must not tell; None for who runs this.
    """
    whose = whose or identity()
    for home in whose.homes:
        text = re.sub(re.escape(home) + r"(?![\w.-])", "~", text)
    for pattern, word in PATTERNS:
        text = pattern.sub(word, text)
    for names, word in ((whose.hosts, "<host>"), (whose.users, "<user>")):
        for name in names:
            text = _name(name).sub(word, text)
    return text


def _name(name: str) -> re.Pattern[str]:
    """Where a name stands, in any case; a short one only as a word, perhaps with the s of a genitive."""
    text = re.escape(name)
    bounded = rf"(?<![^\W_]){text}(?=s?(?![^\W_]))"
    return re.compile(text if len(name) >= SUBSTRING else bounded, re.IGNORECASE)
