"""The commands of `rtsep bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rtsep.cli_options import DEFAULT_MODEL, EngineName, Model, Precision, Report, Threads, out, say

app = typer.Typer(help="Measure this machine.", no_args_is_help=True, rich_markup_mode="rich")


@app.command("latency", epilog="Example:\n\n  rtsep bench latency --rate 48000 --block 128 --report latency.json")
def latency(
    model: Model = DEFAULT_MODEL,
    rate: Annotated[int, typer.Option(help="Sample rate in Hz.")] = 48000,
    block: Annotated[int, typer.Option(min=16, max=8192, help="Frames of a block.")] = 256,
    report: Report = None,
) -> None:
    """Latency of every preset in parts, computed and measured with an impulse."""
    from rtsep import bench
    from rtsep.remote.summary import latency_table

    _look_ahead(report)
    with out.status("sending an impulse through every preset"):
        found = bench.latency(model, rate, block)
    out.print(latency_table(found))
    _keep(found, report)


@app.command("jitter", epilog="Example:\n\n  rtsep bench jitter --seconds 30 --latency 6")
def jitter(
    model: Model = DEFAULT_MODEL,
    latency: Annotated[str, typer.Option("--latency", "-l", help="The preset.")] = "23",
    seconds: Annotated[float, typer.Option(min=1.0, help="How long.")] = 10.0,
    output: Annotated[str, typer.Option("--output", "-o", help="A sound device or `null`.")] = "null",
    report: Report = None,
) -> None:
    """Play with the GIL held 30 ms at a time, and see what that does."""
    from rtsep import bench
    from rtsep.remote.summary import summary

    _look_ahead(report)
    with out.status(f"playing for {seconds:g} s with the GIL held"):
        found = bench.jitter(model, latency, seconds, output)
    out.print(summary(found))
    _keep(found, report)


@app.command("throughput", epilog="Example:\n\n  rtsep bench throughput --threads 2")
def throughput(
    model: Model = DEFAULT_MODEL,
    latency: Annotated[str, typer.Option("--latency", "-l", help="The preset.")] = "exact",
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of the sound.")] = 120.0,
    engine: EngineName = "onnx",
    precision: Precision = "f32",
    threads: Threads = 2,
    report: Report = None,
) -> None:
    """How many times faster than real time files are separated."""
    from rtsep import bench

    _look_ahead(report)
    with out.status(f"separating {seconds:g} s of music, {bench.RUNS + 1} times"):
        found = bench.throughput(model, latency, seconds, engine, threads, precision)
    say(f"{found['times_real_time']:.1f} times real time  ({found['engine']}, {found['runs']} runs, median)")
    _keep(found, report)


def _look_ahead(report: Path | None) -> None:
    from rtsep.host.report import check_writable

    if report:
        check_writable(report)


def _keep(found: dict[str, Any], report: Path | None) -> None:
    from rtsep.host.report import write_json

    if report:
        write_json(found, report)
        say(f"report   {report}")
