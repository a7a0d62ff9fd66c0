"""The commands that look at the machine: `rtsep devices` and `rtsep doctor`."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from rtsep.cli.options import out, say

DEVICES_EPILOG = "Example:\n\n  rtsep devices"
DOCTOR_EPILOG = (
    "Examples:\n\n  rtsep doctor\n\n  rtsep doctor -m spleeter:4stems\n\n  rtsep doctor --report > report.txt"
)


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


def doctor(
    model: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--model", "-m", help="Time these, instead of the two-stem models that are here."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="All of this machine as a text to paste, no names in it.")
    ] = False,
) -> None:
    """Say what this machine can do, which models it holds live, and how to cure what it cannot."""
    from rich.markup import escape

    from rtsep.cli.foreign_lines import crash_log, last_lines, log_path
    from rtsep.diagnostics.doctor import examine, live_models

    if report:
        from rtsep.diagnostics.machine_report import machine_report

        typer.echo(machine_report(last_lines()), nl=False)
        return
    missing = False
    for finding in examine():
        mark = "[green]●[/]" if not finding.cure else "[red]●[/]" if finding.needed else "[yellow]●[/]"
        out.print(f"{mark} {escape(f'{finding.subject}: {finding.state}')}", soft_wrap=True)
        if finding.cure:
            say(f"    {finding.cure}")
        missing |= finding.needed and bool(finding.cure)
    if log_path().exists():
        crashed = "the last run crashed; where it was then is in" if crash_log() else "what drivers say is in"
        say(f"● log: {crashed} {log_path()}")
    if missing:
        raise typer.Exit(1)
    for timing in live_models(model or []):
        threads = "one thread" if timing.threads == 1 else f"{timing.threads} threads"
        say(f"\n{timing.model}, {threads}: {1000.0 * timing.pass_s:.1f} ms for a mask")
        for budget in timing.budgets:
            say(timing.words(budget))
