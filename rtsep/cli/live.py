"""The commands that play: `rtsep live` and `rtsep demo`."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from rtsep.cli.options import Report, dataclass_options, out, say
from rtsep.host.options import LiveOptions

if TYPE_CHECKING:
    from rtsep.host.host import Host

LIVE_EPILOG = (
    "Examples:\n\n"
    "  rtsep live --input demo\n\n"
    "  rtsep live --input song.flac --output null --record stems --report run.json\n\n"
    "  rtsep live --input 3 --output 3 --latency 12 --route 'vocals=1,2 accompaniment=3,4 mix=5,6'"
)
DEMO_EPILOG = "Examples:\n\n  rtsep demo\n\n  rtsep demo --song party.mp3 --output null"
DEMO = "demo"


@dataclass_options(LiveOptions)
def live(
    context_of_call: typer.Context,
    chosen: dict[str, Any],
    seconds: Annotated[Optional[float], typer.Option(min=0.1, help="Stop after so long.")] = None,  # noqa: UP045
    report: Report = None,
    config: Annotated[Optional[Path], typer.Option(help="A TOML file with these settings.")] = None,  # noqa: UP045
) -> None:
    """Separate sound while it plays."""
    if config:
        from rtsep.core.config import read_settings

        for name, value in read_settings(config, LiveOptions).items():
            source = context_of_call.get_parameter_source(name)
            if source is None or source.name != "COMMANDLINE":  # what the command line says goes first
                chosen[name] = value
    play(LiveOptions(**{**chosen, "input": _song(chosen["input"])}), seconds, report)


@dataclass_options(LiveOptions, output="auto", record=Path("stems/demo"), latency="23")
def demo(
    chosen: dict[str, Any],
    song: Annotated[Optional[Path], typer.Option(help="Your own song instead of ours.")] = None,  # noqa: UP045
) -> None:
    """Play a song, take the voice out of it live, and keep the stems."""
    options = LiveOptions(input=str(song or _song(DEMO)), **chosen)
    assert options.record
    play(options, None, options.record / "report.json")


def play(options: LiveOptions, seconds: float | None, report: Path | None) -> None:
    """Run a host to its end, show it, and print what it says of itself.

    Args:
        options: what is played, and how.
        seconds: to stop after; None for the end of the file, or never.
        report: the JSON file to write.

    Raises:
        RtsepError: for what cannot be played.
    """
    from rtsep.dsp.native import compiled
    from rtsep.host.factory import open_host
    from rtsep.host.report import check_writable
    from rtsep.surfaces.session import watch
    from rtsep.surfaces.terminal import Terminal

    if report:
        check_writable(report)
    with ExitStack() as ends:
        with out.status("getting ready" if compiled() else "compiling the signal path, this once; half a minute"):
            host = open_host(options)
            host.__enter__()
            ends.callback(_finish, host, report)  # from here on it plays, and ends whatever fails
        with suppress(KeyboardInterrupt):
            rig = host.rig
            rate = rig.audio.sample_rate
            behind = f"{rig.latency.ms(rate):.1f} ms"
            if rig.latency.device is None:
                behind += " and what the device itself takes, which it does not tell,"
            if rig.settings.note:
                say(rig.settings.note)
            say(f"{rig.model.name} on {rig.clock.name}, {rate} Hz, {behind} behind the input")
            terminal = Terminal(host.store, host.actions, host.publisher, out)
            ends.callback(lambda: say(terminal.failure) if terminal.failure else None)
            watch([terminal], host.publisher, host.ended, seconds)


def _finish(host: Host, report: Path | None) -> None:
    """Stop a host, keep its report, and print what it says of itself."""
    from rtsep.host.report import host_report, write_json
    from rtsep.surfaces.summary import summary

    try:
        host.__exit__(None, None, None)
    finally:
        found = host_report(host)
        if report:
            write_json(found, report)  # first: whoever reads what is printed may have gone
        out.print(summary(found))
        if report:
            say(f"report   {report}")


def _song(text: str) -> str:
    from rtsep.demo import SONG

    return str(SONG) if text == DEMO else text
