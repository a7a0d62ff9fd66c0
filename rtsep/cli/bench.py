"""The commands of `rtsep bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rtsep.cli import laboratory
from rtsep.cli.evaluate import (
    Changes,
    Jobs,
    LayoutName,
    Museval,
    Rate,
    Seconds,
    Songs,
    Start,
    Stems,
    parse_numbers,
    prepare_evaluation,
    save_plot,
    score_all,
    split_commas,
)
from rtsep.cli.options import Model, Report, dataclass_options, out, say
from rtsep.cli.score_tables import score_tables
from rtsep.core.spec import DEFAULT_MODEL
from rtsep.engine.registry import EngineOptions

app = typer.Typer(help="Measure this machine.", no_args_is_help=True, rich_markup_mode="rich")
app.command("gpu", epilog=laboratory.EPILOG)(laboratory.gpu)
app.command("compare", epilog=laboratory.COMPARE_EPILOG)(laboratory.compare)


@app.command("latency", epilog="Example:\n\n  rtsep bench latency --rate 48000 --block 128 --report latency.json")
def latency(
    model: Model = DEFAULT_MODEL,
    rate: Annotated[int, typer.Option(help="Sample rate in Hz.")] = 48000,
    block: Annotated[int, typer.Option(min=16, max=8192, help="Frames of a block.")] = 256,
    report: Report = None,
) -> None:
    """Latency of every preset in parts, computed and measured with an impulse."""
    from rtsep.diagnostics import benchmarks as bench
    from rtsep.surfaces.summary import latency_table

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
    from rtsep.diagnostics import benchmarks as bench
    from rtsep.surfaces.summary import summary

    _look_ahead(report)
    with out.status(f"playing for {seconds:g} s with the GIL held"):
        found = bench.jitter(model, latency, seconds, output)
    out.print(summary(found))
    _keep(found, report)


@app.command("throughput", epilog="Example:\n\n  rtsep bench throughput --threads 2")
@dataclass_options(EngineOptions, engine="onnx", precision="fp32", threads=2)
def throughput(
    model: Model = DEFAULT_MODEL,
    latency: Annotated[str, typer.Option("--latency", "-l", help="The preset.")] = "exact",
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of the sound.")] = 120.0,
    *,
    chosen: dict[str, Any],
    report: Report = None,
) -> None:
    """How many times faster than real time files are separated."""
    from rtsep.diagnostics import benchmarks as bench

    _look_ahead(report)
    with out.status(f"separating {seconds:g} s of music, {bench.RUNS + 1} times"):
        found = bench.throughput(model, latency, seconds, **chosen)
    say(f"{found['times_real_time']:.1f} times real time  ({found['engine']}, {found['runs']} runs, median)")
    share = f"{100 * found['share_of_network']:.0f} %"
    say(f"{share} of the network alone, which does {found['network_times_real_time']:.1f} in the same run")
    _keep(found, report)


@app.command(
    "quality",
    epilog="Examples:\n\n"
    "  rtsep bench quality songs -o quality --latency 23,exact,46,12,6,3\n\n"
    "  rtsep bench quality songs -o quality -m spleeter:2stems --around 46,23 --lookahead 0,1,2,4,8 "
    "--context 64,128,256 --seen own,preset --late 0,1,2 --museval",
)
@dataclass_options(EngineOptions, engine="onnx", precision="fp32")
def quality(
    folder: Songs,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for JSON, plot, and what is kept.")],
    model: Model = DEFAULT_MODEL,
    layout: LayoutName = "stems",
    changes: Changes = None,
    latency: Annotated[str, typer.Option("--latency", "-l", help="Presets.")] = "23,exact,46,12,6,3",
    around: Annotated[str, typer.Option(help="Presets that the others are swept around; else the first one.")] = "",
    lookahead: Annotated[str, typer.Option(help="Model hops to look ahead (windowed models).")] = "0",
    context: Annotated[str, typer.Option(help="Spectra that a windowed model sees; 0: those of live use.")] = "0",
    seen: Annotated[str, typer.Option(help="Windows that the network sees, own or preset; else its choice.")] = "",
    hop: Annotated[str, typer.Option(help="Frames of a hop; 0: the preset's.")] = "0",
    mask_interval: Annotated[str, typer.Option(help="Hops between two masks; 0: the preset's.")] = "0",
    late: Annotated[str, typer.Option(help="Mask intervals by which masks come late.")] = "0",
    stems: Stems = "",
    start: Start = None,
    seconds: Seconds = None,
    rate: Rate = 0,
    jobs: Jobs = 0,
    museval: Museval = False,
    *,
    chosen: dict[str, Any],
) -> None:
    """SDR against latency and all that buys or costs it: one axis at a time, the others at their first value.

    Along all other axes the network sees the window of its choice, unless --seen names just one.
    """
    from rtsep.evaluation.report import report, write
    from rtsep.evaluation.summary import summarise
    from rtsep.evaluation.sweep import plan_sweeps, sweep_curves

    whole = {"lookahead": lookahead, "context": context, "hop": hop, "mask_interval": mask_interval, "late": late}
    values = {name: parse_numbers(text, name.replace("_", "-"), int) for name, text in whole.items()}
    sweeps = plan_sweeps({"latency": split_commas(latency), **values, "seen": split_commas(seen)}, split_commas(around))
    settings = list(dict.fromkeys(setting for sweep in sweeps for setting in sweep.settings))
    songs, evaluation = prepare_evaluation(
        folder, layout, changes, model, stems, start, seconds, rate, museval, settings, EngineOptions(**chosen)
    )
    scores = score_all(evaluation, songs, settings, output, jobs)
    summary = summarise(scores, settings)
    found = sweep_curves(sweeps, summary, evaluation.separator.model, evaluation.rate(songs[0]))
    if scores:
        out.print(score_tables(summary))
    write(report("bench quality", evaluation, settings, scores, found), output / "quality.json")
    say(f"report   {output / 'quality.json'}")
    save_plot(output / "quality.svg", lambda plots, path: plots.plot_sweep(path, found))
    if len(scores) < len(songs) * len(settings):
        raise typer.Exit(1)


def _look_ahead(report: Path | None) -> None:
    from rtsep.host.report import check_writable

    if report:
        check_writable(report)


def _keep(found: dict[str, Any], report: Path | None) -> None:
    from rtsep.host.report import write_json

    if report:
        write_json(found, report)
        say(f"report   {report}")
