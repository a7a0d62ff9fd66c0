"""The command line: thin, and each command imports only what it needs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console

from rtsep import __version__
from rtsep.errors import RtsepError

if TYPE_CHECKING:
    from rtsep.host.session import LiveOptions

app = typer.Typer(
    name="rtsep",
    help="The open live stem host: sound in, stems out while it plays.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()
DEFAULT_MODEL = "starter-2stems"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rtsep {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass


Model = Annotated[str, typer.Option("--model", "-m", help="A model's name or path; see `rtsep models`.")]
EngineName = Annotated[str, typer.Option(help="onnx, or openvino.")]
Precision = Annotated[str, typer.Option(help="f32, or bf16 with openvino.")]
Threads = Annotated[int, typer.Option(min=1, max=64, help="CPU threads of one inference.")]
Report = Annotated[Optional[Path], typer.Option(help="Write the figures to this JSON file.")]  # noqa: UP045


@app.command(
    epilog="Examples:\n\n"
    "  rtsep live --input song.flac\n\n"
    "  rtsep live --input song.flac --output null --record stems --report run.json\n\n"
    "  rtsep live --input 3 --output 3 --latency 12 --route 'vocals=1,2 accompaniment=3,4 mix=5,6'"
)
def live(
    input: Annotated[str, typer.Option("--input", "-i", help="A sound device or an audio file.")] = "",
    output: Annotated[str, typer.Option("--output", "-o", help="A sound device, `null`, or `auto`.")] = "",
    model: Model = DEFAULT_MODEL,
    latency: Annotated[str, typer.Option("--latency", "-l", help="exact, or ms of window: 46, 23, 12, 6, 3.")] = "23",
    route: Annotated[Optional[list[str]], typer.Option(help="Outputs, as `vocals=1,2 mix=3,4`.")] = None,  # noqa: UP045
    record: Annotated[Optional[Path], typer.Option(help="Write every stem to this folder.")] = None,  # noqa: UP045
    seconds: Annotated[Optional[float], typer.Option(min=0.1, help="Stop after so long.")] = None,  # noqa: UP045
    report: Report = None,
    hop: Annotated[Optional[int], typer.Option(help="Frames of a hop, instead of the preset's.")] = None,  # noqa: UP045
    refresh: Annotated[Optional[int], typer.Option(help="Hops between two masks.")] = None,  # noqa: UP045
    lookahead: Annotated[int, typer.Option(help="Model hops to look ahead (windowed models).")] = 0,
    compute: Annotated[Optional[int], typer.Option(help="Frames of slack for inference.")] = None,  # noqa: UP045
    rate: Annotated[int, typer.Option(help="Sample rate in Hz; 0: the file's or the device's.")] = 0,
    block: Annotated[int, typer.Option(help="Frames of a block; 0: the device's own.")] = 0,
    channels: Annotated[str, typer.Option(help="Input channels of the device, from 1.")] = "1,2",
    engine: EngineName = "onnx",
    precision: Precision = "f32",
    threads: Threads = 1,
    loop: Annotated[bool, typer.Option("--loop", help="Play the file over and over.")] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Wait for every mask instead of the clock (null, files).")
    ] = False,
) -> None:
    """Separate sound while it plays."""
    from rtsep.host.session import LiveOptions

    play(
        LiveOptions(
            input=input,
            output=output,
            model=model,
            engine=engine,
            precision=precision,
            threads=threads,
            latency=latency,
            hop=hop,
            refresh=refresh,
            lookahead=lookahead,
            compute=compute,
            rate=rate,
            block=block,
            input_channels=_pair(channels),
            routes=tuple(route or ()),
            record=record,
            loop=loop,
            waiting=fast,
        ),
        seconds,
        report,
    )


@app.command(epilog="Examples:\n\n  rtsep demo\n\n  rtsep demo --song party.mp3 --output null")
def demo(
    song: Annotated[Optional[Path], typer.Option(help="Your own song instead of ours.")] = None,  # noqa: UP045
    output: Annotated[str, typer.Option("--output", "-o", help="A sound device, `null`, or `auto`.")] = "auto",
    record: Annotated[Path, typer.Option(help="Folder for the stems.")] = Path("stems/demo"),
    latency: Annotated[str, typer.Option("--latency", "-l", help="As in `rtsep live`.")] = "23",
) -> None:
    """Play a song, take the voice out of it live, and keep the stems."""
    from rtsep.demo import SONG
    from rtsep.host.session import LiveOptions

    options = LiveOptions(input=str(song or SONG), output=output, latency=latency, record=record)
    play(options, None, record / "report.json")


def play(options: LiveOptions, seconds: float | None, report: Path | None) -> None:
    """Run a host to its end, show it, and print what it says of itself."""
    from rtsep.host.live import Host
    from rtsep.host.report import host_report, write_json
    from rtsep.host.session import open_host
    from rtsep.remote.summary import summary
    from rtsep.remote.terminal import latency_line, watch

    with out.status("getting ready; the very first start takes half a minute"):
        host: Host = open_host(options)
        host.__enter__()
    try:
        out.print(f"[bold]{host.engine.spec.name}[/] on {host.clock.name}, {host.audio.sample_rate} Hz")
        out.print(latency_line(host, host.snapshot()))
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
                out.print(f"report   {report}")


@app.command(
    epilog="Examples:\n\n  rtsep separate song.mp3 -o stems\n\n"
    "  rtsep separate album/*.flac -o stems --stems vocals --threads 2"
)
def separate(
    inputs: Annotated[list[Path], typer.Argument(help="Audio files.", metavar="INPUT...")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder; each file gets one of its own in it.")],
    model: Model = DEFAULT_MODEL,
    latency: Annotated[str, typer.Option("--latency", "-l", help="The preset to separate with.")] = "exact",
    stems: Annotated[str, typer.Option(help="Only these, as `vocals,drums`.")] = "",
    engine: EngineName = "onnx",
    precision: Precision = "f32",
    threads: Threads = 2,
) -> None:
    """Separate files: OUTPUT/<name>/<stem>.wav."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from rtsep.engine.build import build
    from rtsep.errors import FileError
    from rtsep.model.store import find
    from rtsep.offline import separate_file

    folders = [output / path.stem for path in inputs]
    for folder in folders:
        if folders.count(folder) > 1:
            raise FileError(f"several inputs would be written to {folder}; separate them into different folders")
    built = build(find(model), engine, threads, precision)
    chosen = tuple(stem.strip() for stem in stems.split(",") if stem.strip())
    failed = 0
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    with Progress(*columns, TimeRemainingColumn(), console=out, transient=True) as bars:
        for path, folder in zip(inputs, folders, strict=True):
            task = bars.add_task(path.name)
            try:
                written = separate_file(
                    path,
                    folder,
                    built,
                    latency,
                    chosen,
                    lambda done, total, task=task: bars.update(task, completed=done, total=total),  # type: ignore[misc]
                )
                for name in written:
                    out.print(str(name), soft_wrap=True)
            except FileError as error:
                failed += 1
                complain(error)
            bars.remove_task(task)
    if failed:
        raise typer.Exit(1)


@app.command(epilog="Example:\n\n  rtsep devices")
def devices() -> None:
    """List the sound devices."""
    from rich.table import Table

    from rtsep.host.audio import devices as find_all

    table = Table("number", "name", "by", "inputs", "outputs", "Hz", box=None, header_style="dim")
    found = find_all()
    for device in found:
        counts = (device.inputs, device.outputs, device.sample_rate)
        table.add_row(str(device.index), device.name, device.host_api, *map(str, counts))
    if found:
        out.print(table)
    else:
        out.print("no sound device; `rtsep live --output null` plays without one")


@app.command(epilog="Example:\n\n  rtsep models")
def models() -> None:
    """List the models that can be named."""
    from rich.table import Table

    from rtsep.model.store import catalogue

    table = Table("name", "stems", "kind", "Hz", "MB", "from", "licence", box=None, header_style="dim")
    for stored in catalogue():
        spec = stored.spec
        size = f"{stored.path.stat().st_size / 1e6:.1f}"
        table.add_row(
            spec.name, " ".join(spec.stems), spec.kind, str(spec.sample_rate), size, stored.origin, spec.licence
        )
    out.print(table)


@app.command(epilog="Example:\n\n  rtsep doctor")
def doctor() -> None:
    """Say what this machine can do, and how to cure what it cannot."""
    from rtsep.doctor import examine

    missing = False
    for finding in examine():
        mark = "[green]●[/]" if not finding.cure else "[red]●[/]" if finding.needed else "[yellow]●[/]"
        out.print(f"{mark} {finding.subject}: {finding.state}", soft_wrap=True)
        if finding.cure:
            out.print(f"    {finding.cure}", soft_wrap=True)
        missing |= finding.needed and bool(finding.cure)
    if missing:
        raise typer.Exit(1)


bench = typer.Typer(help="Measure this machine.", no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(bench, name="bench")


@bench.command("latency", epilog="Example:\n\n  rtsep bench latency --rate 48000 --block 128 --report latency.json")
def bench_latency(
    model: Model = DEFAULT_MODEL,
    rate: Annotated[int, typer.Option(help="Sample rate in Hz.")] = 48000,
    block: Annotated[int, typer.Option(min=16, max=8192, help="Frames of a block.")] = 256,
    report: Report = None,
) -> None:
    """Latency of every preset in parts, computed and measured with an impulse."""
    from rtsep import bench as benches
    from rtsep.remote.summary import latency_table

    found = benches.latency(model, rate, block)
    out.print(latency_table(found))
    _keep(found, report)


@bench.command("jitter", epilog="Example:\n\n  rtsep bench jitter --seconds 30 --latency 6")
def bench_jitter(
    model: Model = DEFAULT_MODEL,
    latency: Annotated[str, typer.Option("--latency", "-l", help="The preset.")] = "23",
    seconds: Annotated[float, typer.Option(min=1.0, help="How long.")] = 10.0,
    output: Annotated[str, typer.Option("--output", "-o", help="A sound device or `null`.")] = "null",
    report: Report = None,
) -> None:
    """Play with the GIL held 30 ms at a time, and see what that does."""
    from rtsep import bench as benches
    from rtsep.remote.summary import summary

    found = benches.jitter(model, latency, seconds, output)
    out.print(summary(found))
    _keep(found, report)


@bench.command("throughput", epilog="Example:\n\n  rtsep bench throughput --threads 2")
def bench_throughput(
    model: Model = DEFAULT_MODEL,
    latency: Annotated[str, typer.Option("--latency", "-l", help="The preset.")] = "exact",
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of the sound.")] = 120.0,
    engine: EngineName = "onnx",
    precision: Precision = "f32",
    threads: Threads = 2,
    report: Report = None,
) -> None:
    """How many times faster than real time files are separated."""
    from rtsep import bench as benches

    found = benches.throughput(model, latency, seconds, engine, threads, precision)
    out.print(f"{found['times_real_time']:.1f} times real time  ({found['engine']}, {found['runs']} runs, median)")
    _keep(found, report)


def _keep(found: dict[str, object], report: Path | None) -> None:
    from rtsep.host.report import write_json

    if report:
        write_json(found, report)


def _pair(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
        raise typer.BadParameter(f"{text!r}: write two channels, as 1,2")
    return int(parts[0]), int(parts[1])


def complain(error: BaseException) -> None:
    """One line for people, to the error output."""
    Console(stderr=True).print(f"[bold red]rtsep:[/] {error}", soft_wrap=True, highlight=False)


def main() -> None:
    """Run the command line; what went wrong is one line and an exit code of 1."""
    try:
        app()
    except RtsepError as error:
        complain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
