"""The program: its commands, and how it ends."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from typing import Annotated

import typer

from rtsep import __version__
from rtsep.cli import bench, corpus, evaluate, live, models, separate, system, train
from rtsep.cli.options import print_error
from rtsep.core.system import END_SIGNALS
from rtsep.errors import ConfigError, RtsepError

RENAMED = {  # options of before, by command
    "live": {"--refresh": "--mask-interval", "--fast": "--freewheel"},
    "evaluate": {"--refresh": "--mask-interval"},
    "bench": {"--refresh": "--mask-interval"},
}

app = typer.Typer(
    name="rtsep",
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
app.command("train", epilog=train.EPILOG)(train.train)
app.add_typer(corpus.app, name="corpus")
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
    """Run the command line; what went wrong is one line and an exit code of 1."""
    for name in END_SIGNALS:  # an end as clean as Ctrl-C's
        signal.signal(name, signal.default_int_handler)
    try:
        _check_names(sys.argv[1:])
        app()
    except RtsepError as error:
        print_error(error)
        sys.exit(1)
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO, errno.EPIPE):
            raise  # not of standard output
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or what is left in its buffer would fail once more at the end
        print_error(RtsepError(f"the output cannot be written ({error.strerror or error}); what was kept is kept"))
        sys.exit(1)
    finally:
        gc.freeze()  # all goes now; sorting it first would take a tenth of a second


def _check_names(words: list[str]) -> None:
    """Raise `ConfigError` for an option under a name that it had before."""
    renamed = RENAMED.get(words[0], {}) if words else {}
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if name in renamed:
            raise ConfigError(f"{name} is called {renamed[name]} now")
