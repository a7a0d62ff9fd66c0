"""DATA-CREDITS.md: whose sound is in a corpus, and under which licence."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath

from rtsep.corpus.inventory import TAGGED
from rtsep.corpus.manifest import Entry, Manifest, Origin, write_text

NAME = "DATA-CREDITS.md"
ARCHIVE = "<https://snapshot.debian.org/binary/{}/>"
HEAD = """# Data credits

The sound of this corpus was made from the files below, or by playing and singing with them. Each keeps
its own licence; a model that was trained with the corpus owes its makers these credits.
"""


def credits_text(manifest: Manifest) -> str:
    """Give the credits in Markdown: by package, licence and author, with the number of files used."""
    versions = {(origin.package, origin.version) for entry in manifest.entries for origin in entry.sources}
    parts = [HEAD, *(_package(manifest.entries, *version) for version in sorted(versions)), _licences(manifest.entries)]
    return "\n".join(parts)


def write_credits(folder: Path, manifest: Manifest) -> None:
    """Write the credits of a manifest into a folder's DATA-CREDITS.md."""
    write_text(folder / NAME, credits_text(manifest))


def _package(entries: tuple[Entry, ...], package: str, version: str) -> str:
    used = {
        origin
        for entry in entries
        for origin in entry.sources
        if (origin.package, origin.version) == (package, version)
    }
    groups: defaultdict[tuple[str, str], list[Origin]] = defaultdict(list)
    for origin in used:
        groups[origin.licence, origin.author].append(origin)
    link = [ARCHIVE.format(package), ""] if version else []  # what has no version is no Debian package
    lines = [_group(*names, origins) for names, origins in sorted(groups.items())]
    return "\n".join([f"## {package} {version}".rstrip(), "", *link, *lines, ""])


def _group(licence: str, author: str, origins: list[Origin]) -> str:
    """One author's files under one licence; the titles of music whose licence asks to name them."""
    count = f"{len(origins)} {'file' if len(origins) == 1 else 'files'}"
    paths = [PurePosixPath(origin.file) for origin in origins]
    music = [path.with_suffix("").parts[-2:] for path in paths if path.suffix in TAGGED]
    titles = ["/".join(names) for names in sorted(music)] if licence.startswith("CC-BY") else []
    named = f": {', '.join(titles)}" if titles else ""
    return f"- {licence}: {author or 'author not named'} ({count}{named})"


def _licences(entries: tuple[Entry, ...]) -> str:
    minutes: defaultdict[str, float] = defaultdict(float)
    for entry in entries:
        for licence in {origin.licence for origin in entry.sources}:
            minutes[licence] += entry.seconds / 60.0
    lines = [f"- {licence}: {count:.0f} min" for licence, count in sorted(minutes.items())]
    return "\n".join(["## By licence", "", "Minutes of stems that hold something under it.", "", *lines, ""])
