"""DATA-CREDITS.md: whose sound is in a corpus, and under which licence."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from rtsep.corpus.manifest import Entry, Manifest, write_text

NAME = "DATA-CREDITS.md"
HEAD = """# Data credits

The sound of this corpus was made from the files below, or by playing and singing with them. Each keeps
its own licence; a model that was trained with the corpus owes its makers these credits.
"""


def credits_text(manifest: Manifest) -> str:
    """The credits in Markdown: by package, licence and author, with the number of files used."""
    versions = {(origin.package, origin.version) for entry in manifest.entries for origin in entry.sources}
    parts = [HEAD, *(_package(manifest.entries, *version) for version in sorted(versions)), _licences(manifest.entries)]
    return "\n".join(parts)


def write_credits(folder: Path, manifest: Manifest) -> None:
    """Write folder/DATA-CREDITS.md."""
    write_text(folder / NAME, credits_text(manifest))


def _package(entries: tuple[Entry, ...], package: str, version: str) -> str:
    used = {
        origin
        for entry in entries
        for origin in entry.sources
        if (origin.package, origin.version) == (package, version)
    }
    groups = Counter((origin.licence, origin.author) for origin in used)
    lines = [
        f"- {licence}: {author or 'author not named'} ({count} {'file' if count == 1 else 'files'})"
        for (licence, author), count in sorted(groups.items())
    ]
    return "\n".join([f"## {package} {version}".rstrip(), "", *lines, ""])


def _licences(entries: tuple[Entry, ...]) -> str:
    minutes: defaultdict[str, float] = defaultdict(float)
    for entry in entries:
        for licence in {origin.licence for origin in entry.sources}:
            minutes[licence] += entry.seconds / 60.0
    lines = [f"- {licence}: {count:.0f} min" for licence, count in sorted(minutes.items())]
    return "\n".join(["## By licence", "", "Minutes of stems that hold something under it.", "", *lines, ""])
