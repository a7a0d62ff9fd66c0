"""The commands that make sound to train with, and verify it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from rtsep.cli.options import out, print_error, say
from rtsep.core.limits import processors
from rtsep.errors import ConfigError, RtsepError

if TYPE_CHECKING:
    from rtsep.corpus.manifest import Manifest
    from rtsep.corpus.package_table import Package

app = typer.Typer(help="Make sound to train with from Debian packages.", no_args_is_help=True, rich_markup_mode="rich")
SHOWN = 10  # complaints of `check`
LIBRARIES = ("debian", "pedalboard", "pyworld", "tinysoundfont")

Folder = Annotated[Path, typer.Argument(help="Where the corpus is.")]


@app.command(
    "build",
    epilog="Examples:\n\n  rtsep corpus build corpus --jobs 4\n\n"
    "  rtsep corpus build try --hours-singing 0.1 --hours-songs 0.1 --hours-drums 0.1 --hours-music 0.5",
)
def build_corpus(
    folder: Folder,
    hours_singing: Annotated[float, typer.Option(help="Of singing made from speech.")] = 10.0,
    hours_songs: Annotated[float, typer.Option(help="Of songs in stems, played by soundfonts.")] = 10.0,
    hours_drums: Annotated[float, typer.Option(help="Of drum kits.")] = 1.0,
    hours_music: Annotated[Optional[float], typer.Option(help="At most, of real music; all if not said.")] = None,  # noqa: UP045
    valid_share: Annotated[float, typer.Option(help="How much more of sources held out of training.")] = 0.1,
    jobs: Annotated[int, typer.Option(min=0, max=256, help="Processes; 0: one for each core.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives another corpus.")] = 0,
    multitrack: Annotated[Optional[Path], typer.Option(help="The songs of 'Everything is Free', in stems.")] = None,  # noqa: UP045
    packages: Annotated[Optional[Path], typer.Option(help="A folder of .debs that you have.")] = None,  # noqa: UP045
    package: Annotated[Optional[list[str]], typer.Option(help="Only this package; may be given again.")] = None,  # noqa: UP045
    skip_missing: Annotated[bool, typer.Option("--skip-missing", help="Go on without what cannot be had.")] = False,
) -> None:
    """Fetch packages, keep what their licences allow, and make songs in stems of it; goes on where it stopped."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    _need_libraries()
    from rtsep.corpus.build import BuildOptions, build
    from rtsep.corpus.jobs import Amounts

    chosen = _chosen(package or [])
    options = BuildOptions(
        Amounts(hours_singing, hours_songs, hours_drums, hours_music, valid_share),
        chosen,
        seed,
        jobs or processors(),
        packages,
        multitrack,
        skip_missing,
    )
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bars:
            task = bars.add_task("packages")

            def on_progress(what: str, done: int, total: int) -> None:
                bars.update(task, description=what, completed=done, total=total)

            manifest = build(folder, options, on_progress)
    except KeyboardInterrupt:
        print_error(RtsepError(f"stopped; what was made is kept in {folder}; the same command goes on"))
        raise typer.Exit(130) from None
    _tell(folder, manifest)


@app.command("check", epilog="Example:\n\n  rtsep corpus check corpus")
def check_corpus(folder: Folder) -> None:
    """Verify every file of a corpus against its manifest."""
    from rtsep.corpus.manifest import check

    with out.status("reading"):
        complaints = check(folder)
    for complaint in complaints[:SHOWN]:
        say(complaint)
    if len(complaints) > SHOWN:
        say(f"and {len(complaints) - SHOWN} more")
    if complaints:
        say(f"`rtsep corpus build {folder}` makes missing and changed files again")
        raise typer.Exit(1)
    say(f"{folder}: every file is as the manifest says")


def _need_libraries() -> None:
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        cure = "pip install 'rtsep[corpus]' && pip install --no-deps tinysoundfont"
        raise ConfigError(f"building a corpus needs {', '.join(missing)}; {cure}")


def _chosen(names: list[str]) -> tuple[Package, ...]:
    from rtsep.corpus.package_table import PACKAGES

    known = {package.name: package for package in PACKAGES}
    for name in names:
        if name not in known:
            raise ConfigError(f"package {name!r} is not in our table; known are {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names)) if names else PACKAGES


def _tell(folder: Path, manifest: Manifest) -> None:
    from collections import Counter

    seconds: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for entry in manifest.entries:
        kind = "/".join(Path(entry.file).parts[1:3])
        files[kind] += 1
        seconds[kind] += round(entry.seconds)
    for kind in sorted(files):
        say(f"{kind}: {_counted(files[kind], 'stem')}, {seconds[kind] / 60:.1f} min")
    if manifest.refused:
        say(f"left out: {_counted(len(manifest.refused), 'file')}; manifest.json says why")
    say(f"{folder}: {_counted(len(manifest.entries), 'stem')}, with manifest.json and DATA-CREDITS.md")


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
