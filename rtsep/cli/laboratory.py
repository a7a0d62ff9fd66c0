"""The commands of the laboratory: `rtsep bench gpu` and `rtsep bench compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from rtsep.cli.evaluate import parse_numbers, split_commas
from rtsep.cli.options import out, say
from rtsep.core.spec import DEFAULT_MODEL
from rtsep.errors import ConfigError

EPILOG = (
    "Examples:\n\n"
    "  rtsep bench gpu --engine tensorrt --precision fp32,fp16 --context 64,512 --report card.json --plots plots\n\n"
    "  rtsep bench gpu --engine onnx,openvino,torch-cpu -m streaming-2stems --pause 1\n\n"
    "  rtsep bench gpu --engine tensorrt --seconds 7200 --report soak.json"
)
COMPARE_EPILOG = (
    "Examples:\n\n"
    "  rtsep bench compare before.json after.json\n\n"
    "  rtsep bench compare onnx.json card.json --across engine,precision"
)

Folder = Annotated[Optional[Path], typer.Option("--plots", help="Draw plots into this folder (extra bench).")]  # noqa: UP045
Across = Annotated[str, typer.Option(help="What the reports differ in on purpose: engine, precision, model, ...")]


def gpu(
    model: Annotated[str, typer.Option("--model", "-m", help="Models; so also the stems.")] = DEFAULT_MODEL,
    engine: Annotated[
        str, typer.Option(help="Engines, on a card or not: tensorrt, onnx, openvino, and peers (see above).")
    ] = "",
    precision: Annotated[str, typer.Option(help="Precisions; else the first of each engine.")] = "",
    context: Annotated[str, typer.Option(help="Spectra that a windowed model sees; 0: those of live use.")] = "0",
    decks: Annotated[str, typer.Option(help="Decks that are inferred together.")] = "1",
    latency: Annotated[str, typer.Option("--latency", "-l", help="Presets.")] = "23",
    hop: Annotated[str, typer.Option(help="Frames of a hop; 0: the preset's.")] = "0",
    mask_interval: Annotated[str, typer.Option(help="Hops between two masks; 0: the preset's.")] = "0",
    rate: Annotated[str, typer.Option(help="Sample rates in Hz.")] = "44100",
    threads: Annotated[str, typer.Option(help="CPU threads of one inference.")] = "1",
    hops: Annotated[int, typer.Option(min=0, help="Masks that are made at each pace.")] = 2000,
    seconds: Annotated[float, typer.Option(min=0.0, help="A soak: so long at the pace of live use, not --hops.")] = 0.0,
    pause: Annotated[float, typer.Option(min=0.0, help="Seconds of the pauses; 0: none.")] = 10.0,
    pauses: Annotated[int, typer.Option(min=0, help="How many pauses.")] = 2,
    cold: Annotated[bool, typer.Option("--cold/--no-cold", help="Measure the cold start.")] = True,
    sdr: Annotated[bool, typer.Option("--sdr/--no-sdr", help="Compare masks with float32's.")] = True,
    report: Annotated[Optional[Path], typer.Option(help="Write all of it to this JSON file.")] = None,  # noqa: UP045
    plots: Folder = None,
) -> None:
    """Latency of a hop in its parts, by engine and all that changes it; with or without a card.

    Every option with commas is swept, all with all. A hop goes through transform, engine and inverse at the pace of
    live use, and again back to back; then after pauses. Peers, measured alike where they are installed: torch,
    torch-compile and torch-graph (a card), onnx-cuda, onnx-tensorrt, torch-cpu, torch-compile-cpu.
    """
    from rtsep.diagnostics.laboratory import report as reports
    from rtsep.diagnostics.laboratory.measurement import Protocol
    from rtsep.surfaces.laboratory import case_words, report_tables

    told = {"context": context, "decks": decks, "hop": hop, "mask_interval": mask_interval}
    told |= {"sample_rate": rate, "threads": threads}
    values = {name: parse_numbers(text, name.replace("_", "-"), int) for name, text in told.items()}
    values |= {"model": split_commas(model), "preset": split_commas(latency)}
    wanted = _cases(values, split_commas(engine), split_commas(precision))
    protocol = Protocol(hops, hops, seconds, float("inf"), pauses if pause else 0, pause, cold, sdr)
    if report:
        from rtsep.host.report import check_writable

        check_writable(report)
    found = reports.new_report(["rtsep", *sys.argv[1:]], protocol)

    def on_row(row: dict[str, Any]) -> None:
        say(f"{case_words(row['case'])}: {'not here' if 'reason' in row else 'measured'}")
        if report:
            reports.write(found, report)

    with out.status(f"measuring {len(wanted)} cases"):
        reports.measure_all(found, wanted, protocol, on_row)
    out.print(report_tables(found))
    if report:
        say(f"report   {report}")
    if plots:
        _draw(found, plots)
    if not found["rows"]:
        raise typer.Exit(1)


def _cases(values: dict[str, tuple[Any, ...]], engines: tuple[str, ...], precisions: tuple[str, ...]) -> list[Any]:
    """All cases; each engine has the precisions that are asked for, or its first."""
    from rtsep.diagnostics.laboratory.case import cases
    from rtsep.diagnostics.laboratory.peers.registry import PEERS
    from rtsep.engine.registry import ENGINES

    known: dict[str, Any] = {**ENGINES, **PEERS}
    chosen = engines or ("tensorrt" if "tensorrt" in ENGINES else "onnx",)
    for name in chosen:
        if name not in known:
            raise ConfigError(f"unknown engine {name!r}; allowed are {', '.join(known)}")
    if empty := [name for name, several in values.items() if not several]:
        raise ConfigError(f"{empty[0].replace('_', '-')} is empty; give a value, or leave it out")
    return [
        case
        for name in chosen
        for case in cases({**values, "engine": (name,), "precision": precisions or known[name].precisions[:1]})
    ]


def _draw(found: dict[str, Any], folder: Path) -> None:
    try:
        from rtsep.diagnostics.laboratory.plots import draw
    except ImportError:
        raise ConfigError("plots need matplotlib; pip install 'rtsep[bench]'") from None
    for path in draw(found, folder):
        say(f"plot     {path}")


def compare(
    first: Annotated[Path, typer.Argument(help="A report of `rtsep bench gpu`.")],
    second: Annotated[Path, typer.Argument(help="Another.")],
    across: Across = "",
) -> None:
    """Two reports compared, case by case: ratios of p50 and p99 with intervals, and whether they can be told apart.

    The intervals come from blocks of neighbouring hops, drawn anew a thousand times. They tell how sure a ratio is of
    these two runs; what differs from run to run they do not know.
    """
    from rtsep.diagnostics.laboratory.comparison import compare as compare_reports
    from rtsep.diagnostics.laboratory.report import read
    from rtsep.surfaces.laboratory import comparison_table

    a, b = read(first), read(second)
    compared = compare_reports(a, b, split_commas(across))
    for name in ("CPU", "GPU"):
        if (one := a["machine"].get(name)) != (other := b["machine"].get(name)):
            say(f"{name}: {one or 'none'}; then {other or 'none'}")
    out.print(comparison_table(compared, first.stem, second.stem))
