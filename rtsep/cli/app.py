"""The program: its commands, and how it ends."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rtsep import __version__
from rtsep.cli import bench, build, corpus, effects, evaluate, live, models, separate, system, train
from rtsep.cli.options import print_error
from rtsep.cli.output import discard, is_lost
from rtsep.cli.stop_requests import INTERRUPTED, requests
from rtsep.core.last_error import keep_error
from rtsep.errors import ConfigError, RtsepError

RENAMED = {  # options of before, by command
    "live": {"--refresh": "--mask-interval", "--fast": "--freewheel"},
    "evaluate": {"--refresh": "--mask-interval"},
    "bench": {"--refresh": "--mask-interval"},
}

STOPPED = RtsepError("stopped")


class _Commands(TyperGroup):
    """All commands; one that is stopped and says nothing of it ends with one line."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Read the command line."""
        with _stopped_in_words():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with _stopped_in_words():
            return super().invoke(ctx)


@contextmanager
def _stopped_in_words() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, Exception) as error:
        if not isinstance(error, KeyboardInterrupt) and not requests.lost:
            raise
        requests.hold()
        print_error(STOPPED)  # typer would end without a word
        raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="rtsep",
    cls=_Commands,
    help="The open live stem host: sound in, stems out while it plays.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("live", epilog=live.LIVE_EPILOG)(live.live)
app.command("demo", epilog=live.DEMO_EPILOG)(live.demo)
app.command("devices", epilog=system.DEVICES_EPILOG)(system.devices)
app.command("doctor", epilog=system.DOCTOR_EPILOG)(system.doctor)
app.command("separate", epilog=separate.EPILOG)(separate.separate)
app.command("evaluate", epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command("build", epilog=build.EPILOG)(build.build)
app.command("train", epilog=train.EPILOG)(train.train)
app.add_typer(corpus.app, name="corpus")
app.add_typer(effects.app, name="effects")
app.add_typer(models.models_app, name="models")
app.add_typer(models.import_app, name="import")
app.add_typer(bench.app, name="bench")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rtsep {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; what went wrong is one line and an exit status of 1, what was stopped one line and 130."""
    with requests:
        try:
            _run()
        except KeyboardInterrupt:
            print_error(STOPPED)
            sys.exit(requests.status)
        except Exception as error:  # a fault of ours: Python shows where
            keep_error(error, sys.argv[1:])
            raise
        finally:
            requests.hold()


def _run() -> None:
    try:
        _check_names(sys.argv[1:])
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED and requests.requested:
            sys.exit(requests.status)  # 143 and 129 where it was SIGTERM or SIGHUP
        raise
    except RtsepError as error:
        print_error(error)
        sys.exit(1)
    except OSError as error:
        if not is_lost(error):
            raise
        discard()
        if error.errno != errno.EPIPE:  # as of `| head -1`: who reads no more wants no more
            reason = error.strerror or error
            print_error(RtsepError(f"the output cannot be written ({reason}); what was kept is kept"))
        sys.exit(1)


def _check_names(words: list[str]) -> None:
    """Raise `ConfigError` for an option under a name that it had before."""
    renamed = RENAMED.get(words[0], {}) if words else {}
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if name in renamed:
            raise ConfigError(f"{name} is called {renamed[name]} now")
