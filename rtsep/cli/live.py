"""The commands that play: `rtsep live` and `rtsep demo`."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from rtsep.cli.ending import Ending
from rtsep.cli.foreign_lines import ForeignLines, crash_log
from rtsep.cli.options import Report, dataclass_options, out, print_error, say
from rtsep.cli.output import Output, is_lost
from rtsep.cli.stop_requests import requests
from rtsep.errors import DeviceError, RtsepError
from rtsep.host.options import LiveOptions

if TYPE_CHECKING:
    from rtsep.effects.live_settings import LiveEffects
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
    from rtsep.effects.live_settings import LiveEffects, read_effects, read_live_file

    effects = LiveEffects()
    if config:
        settings, effects = read_live_file(config)
        for name, value in settings.items():
            source = context_of_call.get_parameter_source(name)
            if source is None or source.name != "COMMANDLINE":  # what the command line says goes first
                chosen[name] = value
    options = LiveOptions(**chosen)
    play(options, seconds, report, read_effects(options.effects, effects))


@dataclass_options(LiveOptions, output="auto", record=Path("stems/demo"), latency="23")
def demo(
    chosen: dict[str, Any],
    song: Annotated[Optional[Path], typer.Option(help="Your own song instead of ours.")] = None,  # noqa: UP045
) -> None:
    """Play a song, take the voice out of it live, and keep the stems."""
    options = LiveOptions(input=str(song or DEMO), **chosen)
    assert options.record
    from rtsep.effects.live_settings import LiveEffects, read_effects

    play(options, None, options.record / "report.json", read_effects(options.effects, LiveEffects()))


def play(options: LiveOptions, seconds: float | None, report: Path | None, effects: LiveEffects) -> None:
    """Run a host to its end, show it, keep its report, and print what it says of itself.

    Args:
        options: what is played, and how.
        seconds: to stop after; None for the end of the file, or never.
        report: the JSON file to write.
        effects: chains and macros.

    Raises:
        RtsepError: for what cannot be played.
    """
    from rtsep.dsp.kernel_cache import compiled
    from rtsep.host.report import check_writable

    if report:
        check_writable(report)
    if crashed := crash_log():
        print_error(RtsepError(f"the last run crashed; where it was then is in {crashed}"))
    output = Output()
    with ForeignLines() as foreign:
        with requests.answered_within() as instead:
            others = threading.enumerate()
            status = out.status(
                "getting ready" if compiled() else "compiling the signal path, this once; half a minute"
            )
            output.attempt(status.start)
            try:
                host = _started(options, foreign, effects)
            finally:
                output.attempt(status.stop)
            ending = Ending(host, report, output, others)
            instead(ending.run_instead)
            try:
                if not output.attempt(lambda: _show(host, seconds)):
                    _show(host, seconds)  # to nowhere: it plays on without a view
            except BaseException as error:
                ending.failures.append(error)
        ending.run()


def _started(options: LiveOptions, foreign: ForeignLines, effects: LiveEffects) -> Host:
    """A host that plays; from here on a request to stop is a flag."""
    from rtsep.host.factory import open_host

    try:
        host = open_host(options, effects.wanted)
        try:
            _attach(host, effects)
            host.__enter__()
            requests.hold()
        except KeyboardInterrupt as stop:  # between the two lines, too; where nothing runs any more this does nothing
            with suppress(RtsepError):
                host.__exit__(KeyboardInterrupt, stop, None)
            raise
    except DeviceError as error:
        if foreign.found:
            raise DeviceError(f"{error} (what the drivers said: {foreign.found})") from error
        raise
    return host


def _attach(host: Host, effects: LiveEffects) -> None:
    try:
        effects.attach(host)
    except RtsepError as error:  # threads of the host run already
        host.__exit__(type(error), error, None)
        raise


def _show(host: Host, seconds: float | None) -> None:
    """Say what plays, and show it to its end."""
    from rtsep.surfaces.session import watch
    from rtsep.surfaces.terminal import Terminal

    rig = host.rig
    rate = rig.audio.sample_rate
    behind = f"{rig.latency.ms(rate):.1f} ms"
    if rig.latency.device is None:
        behind += " and what the device itself takes, which it does not tell,"
    if rig.settings.note:
        say(rig.settings.note)
    say(f"{rig.model.name} on {rig.clock.name}, {rate} Hz, {behind} behind the input")
    terminal = Terminal(host.store, host.actions, host.publisher, out)
    watch([terminal], host.publisher, lambda: host.ended.is_set() or requests.requested, seconds)
    if terminal.error and is_lost(terminal.error):
        raise terminal.error
    if terminal.error:
        raise RtsepError(f"the view failed ({type(terminal.error).__name__}: {terminal.error})") from terminal.error
