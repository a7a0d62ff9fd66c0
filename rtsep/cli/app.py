"""The command line: thin, and each command imports only what it needs."""

from __future__ import annotations

import gc
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from rtsep import __version__
from rtsep.cli import bench as cli_bench
from rtsep.cli import corpus as cli_corpus
from rtsep.cli import evaluate as cli_evaluate
from rtsep.cli import models as cli_models
from rtsep.cli import separate as cli_separate
from rtsep.cli import train as cli_train
from rtsep.cli.options import (
    EngineName,
    Precision,
    Report,
    complain,
    out,
    say,
)
from rtsep.errors import DeviceError, RtsepError

if TYPE_CHECKING:
    from rtsep.host.factory import LiveOptions

app = typer.Typer(
    name="rtsep",
    help="The open live stem host: sound in, stems out while it plays.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command(epilog=cli_separate.EPILOG)(cli_separate.separate)
app.command(epilog=cli_evaluate.EPILOG)(cli_evaluate.evaluate)
app.command(epilog=cli_train.EPILOG)(cli_train.train)
app.add_typer(cli_corpus.app, name="corpus")
app.add_typer(cli_models.models_app, name="models")
app.add_typer(cli_models.import_app, name="import")
app.add_typer(cli_bench.app, name="bench")
DEMO = "demo"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rtsep {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


@app.command(
    epilog="Examples:\n\n"
    "  rtsep live --input demo\n\n"
    "  rtsep live --input song.flac --output null --record stems --report run.json\n\n"
    "  rtsep live --input 3 --output 3 --latency 12 --route 'vocals=1,2 accompaniment=3,4 mix=5,6'"
)
def live(
    typer_context: typer.Context,
    input: Annotated[str, typer.Option("--input", "-i", help="A sound device, an audio file, or `demo`.")] = "",
    output: Annotated[str, typer.Option("--output", "-o", help="A sound device, `null`, or `auto`.")] = "",
    model: Annotated[
        str, typer.Option("--model", "-m", help="A model's name or path; the best that holds here, if none is given.")
    ] = "",
    latency: Annotated[str, typer.Option("--latency", "-l", help="exact, or ms of window: 46, 23, 12, 6, 3.")] = "23",
    route: Annotated[Optional[list[str]], typer.Option(help="Outputs, as `vocals=1,2 mix=3,4`.")] = None,  # noqa: UP045
    record: Annotated[Optional[Path], typer.Option(help="Write every stem to this folder.")] = None,  # noqa: UP045
    seconds: Annotated[Optional[float], typer.Option(min=0.1, help="Stop after so long.")] = None,  # noqa: UP045
    report: Report = None,
    config: Annotated[Optional[Path], typer.Option(help="A TOML file with these settings.")] = None,  # noqa: UP045
    hop: Annotated[Optional[int], typer.Option(help="Frames of a hop, instead of the preset's.")] = None,  # noqa: UP045
    refresh: Annotated[Optional[int], typer.Option(help="Hops between two masks.")] = None,  # noqa: UP045
    lookahead: Annotated[int, typer.Option(help="Model hops to look ahead (windowed models).")] = 0,
    context: Annotated[int, typer.Option(help="Frames that a windowed model sees; 0: 64 for Spleeter's.")] = 0,
    compute: Annotated[Optional[int], typer.Option(help="Frames of slack for inference.")] = None,  # noqa: UP045
    rate: Annotated[int, typer.Option(help="Sample rate in Hz; 0: the file's or the device's.")] = 0,
    block: Annotated[int, typer.Option(help="Frames of a block; 0: the device's own.")] = 0,
    channels: Annotated[str, typer.Option(help="Input channels of the device, from 1.")] = "1,2",
    engine: EngineName = "onnx",
    precision: Precision = "f32",
    threads: Annotated[
        int, typer.Option(min=0, max=64, help="CPU threads of one inference; 0: one, or two where one does not hold.")
    ] = 0,
    loop: Annotated[bool, typer.Option("--loop", help="Play the file over and over.")] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Wait for every mask instead of the clock (null, files).")
    ] = False,
) -> None:
    """Separate sound while it plays."""
    from rtsep.host.factory import LiveOptions

    choices: dict[str, Any] = {
        "input": input,
        "output": output,
        "model": model,
        "engine": engine,
        "precision": precision,
        "threads": threads,
        "latency": latency,
        "hop": hop,
        "refresh": refresh,
        "lookahead": lookahead,
        "context": context,
        "compute": compute,
        "rate": rate,
        "block": block,
        "input_channels": _pair(channels),
        "routes": tuple(route or ()),
        "record": record,
        "loop": loop,
        "waiting": fast,
    }
    if config:
        from rtsep.core.config import read_settings

        named = {"input_channels": "channels", "routes": "route", "waiting": "fast"}
        for key, value in read_settings(config, LiveOptions).items():
            source = typer_context.get_parameter_source(named.get(key, key))
            if source is None or source.name != "COMMANDLINE":  # what the command line says goes first
                choices[key] = value
    choices["input"] = _song(choices["input"])
    play(LiveOptions(**choices), seconds, report)


@app.command(epilog="Examples:\n\n  rtsep demo\n\n  rtsep demo --song party.mp3 --output null")
def demo(
    song: Annotated[Optional[Path], typer.Option(help="Your own song instead of ours.")] = None,  # noqa: UP045
    output: Annotated[str, typer.Option("--output", "-o", help="A sound device, `null`, or `auto`.")] = "auto",
    record: Annotated[Path, typer.Option(help="Folder for the stems.")] = Path("stems/demo"),
    latency: Annotated[str, typer.Option("--latency", "-l", help="As in `rtsep live`.")] = "23",
) -> None:
    """Play a song, take the voice out of it live, and keep the stems."""
    from rtsep.demo import SONG
    from rtsep.host.factory import LiveOptions

    options = LiveOptions(input=str(song or SONG), output=output, latency=latency, record=record)
    play(options, None, record / "report.json")


def play(options: LiveOptions, seconds: float | None, report: Path | None) -> None:
    """Run a host to its end, show it, and print what it says of itself."""
    from rtsep.dsp.native import compiled
    from rtsep.host.factory import open_host
    from rtsep.host.report import check_writable, host_report, write_json
    from rtsep.surfaces.summary import summary
    from rtsep.surfaces.terminal import watch

    if report:
        check_writable(report)
    with out.status("getting ready" if compiled() else "compiling the signal path, this once; half a minute"):
        host = open_host(options)
        host.__enter__()
    try:
        rate = host.audio.sample_rate
        if host.settings.note:
            say(host.settings.note)
        say(f"{host.engine.spec.name} on {host.clock.name}, {rate} Hz, {host.latency.ms(rate):.1f} ms behind the input")
        watch(host, seconds, out)
    except KeyboardInterrupt:
        pass
    finally:
        try:
            host.__exit__(None, None, None)
        finally:
            found = host_report(host)
            out.print(summary(found))
            if report:
                write_json(found, report)
                say(f"report   {report}")


@app.command(epilog="Example:\n\n  rtsep devices")
def devices() -> None:
    """List the sound devices."""
    from rich.table import Table
    from rich.text import Text

    from rtsep.host.device import devices as find_all

    table = Table("number", "name", "by", "inputs", "outputs", "Hz", box=None, header_style="dim", pad_edge=False)
    found = find_all()
    for device in found:
        counts = (device.inputs, device.outputs, device.sample_rate)
        table.add_row(str(device.index), Text(device.name), Text(device.host_api), *map(str, counts))
    if found:
        out.print(table)
    else:
        say("no sound device; `rtsep live --input demo --output null` plays without one")


@app.command(epilog="Examples:\n\n  rtsep doctor\n\n  rtsep doctor -m spleeter:4stems")
def doctor(
    model: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--model", "-m", help="Time these, instead of the two-stem models that are here."),
    ] = None,
) -> None:
    """Say what this machine can do, which models it holds live, and how to cure what it cannot."""
    from rich.markup import escape

    from rtsep.diagnostics.doctor import examine, live_models

    missing = False
    for finding in examine():
        mark = "[green]●[/]" if not finding.cure else "[red]●[/]" if finding.needed else "[yellow]●[/]"
        out.print(f"{mark} {escape(f'{finding.subject}: {finding.state}')}", soft_wrap=True)
        if finding.cure:
            say(f"    {finding.cure}")
        missing |= finding.needed and bool(finding.cure)
    if missing:
        raise typer.Exit(1)
    for standing in live_models(model or []):
        threads = "one thread" if standing.threads == 1 else f"{standing.threads} threads"
        say(f"\n{standing.model}, {threads}: {1000.0 * standing.pass_s:.1f} ms for a mask")
        for budget in standing.budgets:
            say(standing.words(budget))


def _song(text: str) -> str:
    from rtsep.demo import SONG

    return str(SONG) if text == DEMO else text


def _pair(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise DeviceError(f"channels {text!r}: write the two of the input device, counted from 1, as 1,2")
    return int(parts[0]), int(parts[1])


def main() -> None:
    """Run the command line; what went wrong is one line and an exit code of 1."""
    for name in (signal.SIGTERM, signal.SIGHUP):  # an end as clean as Ctrl-C's
        signal.signal(name, signal.default_int_handler)
    try:
        app()
    except RtsepError as error:
        complain(error)
        sys.exit(1)
    finally:
        gc.freeze()  # all goes now; sorting it first would take a tenth of a second
