"""The commands around plugins: find them, describe them, open their windows."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from rtsep.cli.options import out, say
from rtsep.errors import EffectError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtsep.effects.catalogue import Knob
    from rtsep.effects.records import Description, Record, Records

app = typer.Typer(help="Find plugins and describe effects.", no_args_is_help=True, rich_markup_mode="rich")

Plugin = Annotated[str, typer.Argument(help="An effect's or a plugin's name as `list` has it, or a plugin's file.")]
Limit = Annotated[float, typer.Option(min=1.0, max=600.0, help="Seconds that a plugin may take to be opened.")]


@app.command("scan", epilog="Examples:\n\n  rtsep effects scan\n\n  rtsep effects scan ~/plugins --again")
def scan_plugins(
    places: Annotated[Optional[list[Path]], typer.Argument(help="Folders and files; else this system's own.")] = None,  # noqa: UP045
    again: Annotated[bool, typer.Option("--again", help="Also what is known, as plugins refused before.")] = False,
    limit: Limit = 60.0,
) -> None:
    """Open each plugin in a process of its own, and keep what it is; chains may then name it."""
    _need_pedalboard()
    from rtsep.effects.records import read_records
    from rtsep.effects.scan import candidates, folders

    chosen = places or [one for one in folders() if one.is_dir()]
    paths = candidates(chosen)
    if not paths:
        raise EffectError(
            f"there are no plugins in {', '.join(map(str, chosen or folders()))}; name a folder or a file"
        )
    records = read_records()
    found = _scanned(paths, records, limit, again)
    refused = sum(one.status == "refused" for one in found)
    say(f"{len(found) - refused} accepted, {refused} refused; `rtsep effects list` lists all")


@app.command("list", epilog="Example:\n\n  rtsep effects list")
def list_effects() -> None:
    """List the effects that there are, and the plugins that were scanned."""
    from rtsep.effects.catalogue import BUILTINS
    from rtsep.effects.records import read_records

    for name, knobs in BUILTINS.items():
        say(f"{name}   {', '.join(knob.name for knob in knobs) or 'no parameters'}")
    for record in sorted(read_records().files.values(), key=lambda one: one.path):
        for plugin in record.plugins:
            say(f"{plugin.name}   {plugin.maker}, {_counted(len(plugin.knobs), 'parameter')}, {record.path}")
        if record.status == "refused":
            say(f"refused: {record.path}   {record.reason}")


@app.command("describe", epilog="Examples:\n\n  rtsep effects describe Reverb\n\n  rtsep effects describe ZamCompX2")
def describe_effect(plugin: Plugin, limit: Limit = 60.0) -> None:
    """Print an effect's parameters with units and ranges, its latency, channels and cost."""
    from rtsep.effects.catalogue import BUILTINS

    if plugin in BUILTINS:
        say(f"{plugin}   one of Pedalboard's own")
        _print_knobs(BUILTINS[plugin])
        return
    record, described = _found(plugin, limit)
    version = f" {described.version}" if described.version else ""
    say(f"{described.name}{version}   {described.maker}, {described.category}, {record.path}")
    say(f"    channels: {'2' if described.channels == 2 else '1; it runs twice on a stereo strip'}")
    frames = ", ".join(f"{frames} frames at {rate} Hz" for rate, frames in described.latency.items())
    say(f"    latency: {frames}, {described.latency_basis}")
    say(f"    cost: {', '.join(f'{us:g} us for {frames} frames' for frames, us in described.cpu_us.items())}")
    _print_knobs(described.knobs)


@app.command("edit", epilog="Example:\n\n  rtsep effects edit ZamCompX2 --preset glue.vstpreset")
def edit_plugin(
    plugin: Plugin,
    preset: Annotated[Optional[Path], typer.Option(help="Read before, if it exists, and written at the end.")] = None,  # noqa: UP045
    limit: Limit = 60.0,
) -> None:
    """Open a plugin's own window, in a process of its own."""
    from rtsep.effects.editor import has_display

    record, described = _found(plugin, limit)
    if not has_display():
        raise EffectError(
            f"{described.name}: there is no display for its window (DISPLAY is not set); "
            f"`rtsep effects describe` has its parameters"
        )
    command = [sys.executable, "-m", "rtsep.effects.editor", record.path, described.name, str(described.channels)]
    done = subprocess.run([*command, *([str(preset)] if preset else [])], stderr=subprocess.PIPE, check=False)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise EffectError(words[0] if words else f"{described.name}: its window ended with {done.returncode}")
    if preset:
        say(f"{preset}: kept")


def _need_pedalboard() -> None:
    if find_spec("pedalboard") is None:
        raise EffectError("effects need pedalboard, which is not installed; pip install 'rtsep[plugins]'")


def _scanned(paths: list[Path], records: Records, limit: float, again: bool) -> list[Record]:
    """Scan, say what comes of it, and keep it after each file: one that takes the machine down costs only itself."""
    from rtsep.effects.records import merged, write_records
    from rtsep.effects.scan import scan

    found = []
    for record, known in scan(paths, records, limit, again):
        names = ", ".join(plugin.name for plugin in record.plugins) or record.reason
        say(f"{record.status}: {record.path}   {names}{'   (known)' if known else ''}")
        found.append(record)
        if not known:
            records = merged(records, {record.path: record})
            write_records(records)
    return found


def _found(plugin: str, limit: float) -> tuple[Record, Description]:
    """A plugin by its name, or by its file, which is scanned if it is not known."""
    from rtsep.effects.records import read_records
    from rtsep.effects.scan import SUFFIXES, candidates

    if Path(plugin).suffix.lower() not in SUFFIXES:
        return read_records().trusted(plugin)
    _need_pedalboard()
    with out.status("opening"):
        (record,) = _scanned_quietly(candidates([Path(plugin)]), limit)
    if record.status == "refused":
        raise EffectError(f"{plugin} {record.reason}")
    if len(record.plugins) > 1:
        raise EffectError(f"{plugin} holds several; name one: {', '.join(one.name for one in record.plugins)}")
    return record, record.plugins[0]


def _scanned_quietly(paths: list[Path], limit: float) -> list[Record]:
    from rtsep.effects.records import merged, read_records, write_records
    from rtsep.effects.scan import scan

    records = read_records()
    found = [record for record, _ in scan(paths, records, limit)]
    write_records(merged(records, {record.path: record for record in found}))
    return found


def _print_knobs(knobs: Iterable[Knob]) -> None:
    for knob in knobs:
        words = f"; {', '.join(f'{n} {word}' for n, word in enumerate(knob.words))}" if knob.words else ""
        ends = f"{knob.low:g} to {knob.high:g} {knob.unit}".rstrip()
        say(f"    {knob.name}   {ends}, {knob.default:g} at first{words}")


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
