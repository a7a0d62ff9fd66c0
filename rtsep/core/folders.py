"""Where files of ours lie on this machine: one place that knows the user's folders, and what to do without a home."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

NOWHERE = Path(os.devnull).absolute() / "no-home-folder"  # nothing is found there, and nothing can be written
APP = "rtsep"


def cache() -> Path:
    """Give the platform's place for what can be made anew: compiled kernels, downloads."""
    return _of_platform("cache")


def data() -> Path:
    """Give the platform's place for what the user wants kept: models, what a scan of plugins found."""
    return _of_platform("data")


def state() -> Path:
    """Give the platform's place for what the last runs left behind: the last error."""
    return _of_platform("state")


def logs() -> Path:
    """Give the platform's place for logs."""
    return _of_platform("log")


def chosen(variable: str) -> Path | None:
    """Give the folder that an environment variable names; None where it names none.

    A Dockerfile's `ENV` does not know what `~` is, so it is put in here.

    Args:
        variable: its name.
    """
    value = os.environ.get(variable)
    return expanded(value).absolute() if value else None


def expanded(path: str | Path) -> Path:
    """Put the home folder in the place of a leading `~`; without a home, or for another's that is not known, nowhere.

    Args:
        path: as it was written.
    """
    told = os.path.expanduser(path)  # noqa: PTH111 - pathlib's raises where there is no home
    if not told.startswith("~"):
        return Path(told)
    return NOWHERE.joinpath(*Path(told).parts[1:]) if told[1:2] in ("", "/") else Path(told)


def _of_platform(kind: str) -> Path:
    """platformdirs has a folder for everybody; without a home it raises, or names one called `~`."""
    author = False if kind in ("log", "state") else None  # on Windows alone it makes a folder more
    try:
        found = expanded(getattr(platformdirs, f"user_{kind}_dir")(APP, author))
    except RuntimeError:
        return NOWHERE
    return found if found.is_absolute() else NOWHERE
