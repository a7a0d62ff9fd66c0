"""The command `rtsep separate`: files and folders to stems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from rtsep.cli.names import shown
from rtsep.cli.options import dataclass_options, out, parse_pair, print_error, say
from rtsep.core.spec import DEFAULT_MODEL
from rtsep.engine.registry import ENGINES, EngineOptions
from rtsep.errors import RtsepError

if TYPE_CHECKING:
    from rtsep.separation.files import Ended
    from rtsep.separation.job import Job
    from rtsep.separation.stem_record import StemRecord

EPILOG = (
    "Examples:\n\n  rtsep separate song.mp3 -o stems\n\n"
    "  rtsep separate album/ -o stems -p spleeter:4stems -c mp3 -b 192k --resume\n\n"
    "  rtsep separate song.wav -o stems -p openunmix:umxhq --niter 1 --residual\n\n"
    "  rtsep separate -o stems -- -x.wav            (a name that begins with -)"
)
Niter = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--niter", help="Open-Unmix: rounds of expectation-maximisation; 1 if left out."),
]
Bitrate = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--bitrate", "-b", help="Of the codecs that have one, as 192k; 128k if left out."),
]
Offset = Annotated[float, typer.Option("--offset", "-s", min=0.0, help="Begin so many seconds into each file.")]
Duration = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option("--duration", "-d", min=0.001, help="Separate only so many seconds; all if left out."),
]
Channels = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Two channels of each file, as 1,2; all, more than two mixed down, if left out."),
]
Names = Annotated[
    str,
    typer.Option(
        "--filename-format",
        "--filename_format",
        "-f",
        help="Of {filename}, {foldername}, {instrument} and {codec}.",
    ),
]


@dataclass_options(EngineOptions, engine="onnx", precision="fp32")
def separate(
    inputs: Annotated[list[Path], typer.Argument(help="Audio files, and folders of them.", metavar="INPUT...")],
    output: Annotated[Path, typer.Option("--output", "--output_path", "-o", help="Folder for the stems.")],
    model: Annotated[
        str,
        typer.Option("--model", "-m", "--params_filename", "-p", help="A model's name, path or JSON."),
    ] = DEFAULT_MODEL,
    latency: Annotated[str, typer.Option("--latency", "-l", help="The preset to separate with.")] = "exact",
    stems: Annotated[str, typer.Option(help="Only these, as `vocals,drums`.")] = "",
    codec: Annotated[str, typer.Option("--codec", "-c", help="wav (32 bit), mp3, ogg, m4a, wma, flac, opus.")] = "wav",
    bitrate: Bitrate = None,
    offset: Offset = 0.0,
    duration: Duration = None,
    filename_format: Names = "{filename}/{instrument}.{codec}",
    mwf: Annotated[bool, typer.Option("--mwf", help="Spleeter: multichannel Wiener filter.")] = False,
    niter: Niter = None,
    softmask: Annotated[bool, typer.Option("--softmask", help="Open-Unmix: targets share the mix.")] = False,
    residual: Annotated[bool, typer.Option("--residual", help="Open-Unmix: one more stem, the rest.")] = False,
    wiener_window: Annotated[int, typer.Option(help="Open-Unmix: frames that are refined together.")] = 300,
    resume: Annotated[bool, typer.Option("--resume", help="Leave out files that have just these stems.")] = False,
    channels: Channels = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a file with a spot that cannot be decoded.")] = False,
    *,
    chosen: dict[str, Any],
    threads: Annotated[int, typer.Option(min=0, max=256, help="CPU threads; 0: all processors.")] = 0,
) -> None:
    """Separate files: OUTPUT/<name>/<stem>.wav."""
    from concurrent.futures import ThreadPoolExecutor
    from contextlib import closing
    from importlib import import_module

    pool = ThreadPoolExecutor(1)
    if library := ENGINES[EngineOptions(**chosen).engine].library:
        pool.submit(import_module, library)  # loaded while the model's bytes are checked, which needs no GIL
    from rtsep.model.descriptor import resolve

    stored = resolve(model)

    from rtsep.audio.codecs import check_codec
    from rtsep.separation.engine_pool import open_pool
    from rtsep.separation.inputs import find_sources
    from rtsep.separation.jobs import plan_jobs
    from rtsep.separation.options import Refinement, SeparationOptions
    from rtsep.separation.output import Output
    from rtsep.separation.separate import prepare
    from rtsep.separation.span import Span
    from rtsep.separation.stem_record import StemRecord, settings_of

    asked = niter is not None or softmask or residual or wiener_window != 300
    refinement = Refinement(1 if niter is None else niter, softmask, residual, wiener_window) if asked else None
    method = SeparationOptions(latency, mwf, refinement)
    method.check(stored.spec)
    wanted = tuple(stem.strip() for stem in stems.split(",") if stem.strip())
    target = Output(output, codec, bitrate, filename_format, wanted)
    span = Span(offset, duration, parse_pair("channels", channels) if channels else (), strict)
    check_codec(codec, bitrate, method.sample_rate(stored.spec, 0), stored.spec.channels)
    found = find_sources(inputs, output)
    plan = plan_jobs(found.sources, method.stems(stored.spec), target)
    for remark in (*found.remarks, *plan.remarks):
        say(shown(remark))
    record = StemRecord(settings_of(stored, method, target, span, **chosen))
    left = _left(plan.jobs, record) if resume else plan.jobs
    batch = _Batch([*found.failed, *plan.failed], len(plan.jobs) + len(found.failed) + len(plan.failed))
    if not left:
        batch.end()
        return
    with pool:  # a network is loaded without the GIL; meanwhile the rest gets ready
        # as for all of them: engines with other threads need not give the same to the bit
        building = pool.submit(open_pool, stored, method, len(plan.jobs), threads=threads, **chosen)
        from rtsep.separation.files import separate_files

        prepare(stored.spec, method)
        engines = building.result()
    try:
        with _Bars() as bars, closing(separate_files(left, engines, method, target, span, bars.show, record)) as ended:
            for one in ended:
                bars.end(one.job.source)
                batch.take(one)
    except KeyboardInterrupt:
        batch.list_failed()
        print_error(RtsepError(f"stopped; {batch.done} of {len(left)} files are whole; --resume goes on from there"))
        raise typer.Exit(130) from None
    finally:
        for engine in engines:
            engine.close()
    batch.end()


def _left(jobs: Sequence[Job], record: StemRecord) -> list[Job]:
    """The jobs whose stems are not there as they are wanted, and a word about the others."""
    from rtsep.separation.stem_record import DONE, MISSING

    states = {job: record.state(job) for job in jobs}
    left = [job for job in jobs if states[job] != DONE]
    if len(left) < len(jobs):
        say(f"{len(jobs) - len(left)} of {len(jobs)} files have their stems already")
    for state, count in Counter(states.values()).items():
        if state not in (DONE, MISSING):
            say(f"{count} of {len(jobs)} files are separated again: their stems {state}")
    return left


class _Batch:
    """What became of the files; those that failed are named at the end."""

    def __init__(self, failed: Sequence[RtsepError], total: int) -> None:
        self.done = 0
        self._failed, self._total = list(failed), total

    def take(self, ended: Ended) -> None:
        """Say what is there of a file that is over."""
        source = str(ended.job.source)
        if ended.error is not None:
            text = str(ended.error)
            self._failed.append(RtsepError(text if source in text else f"{source}: {text}"))
            return
        self.done += 1
        for remark in ended.remarks:
            say(shown(remark if source in remark else f"{source}: {remark}"))
        for path in ended.job.paths:
            say(shown(path))

    def list_failed(self) -> None:
        """Name every file that failed, with its reason."""
        for error in self._failed:
            print_error(RtsepError(shown(error)))

    def end(self) -> None:
        """Name what failed, and end the program so where something did."""
        self.list_failed()
        if len(self._failed) > 1:
            print_error(RtsepError(f"{len(self._failed)} of {self._total} have no stems; --resume tries these again"))
        if self._failed:
            raise typer.Exit(1)


class _Bars:
    """A progress bar for every file that is being separated."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
        self._bars = Progress(*columns, TimeRemainingColumn(), console=out, transient=True, disable=not out.is_terminal)
        self._tasks: dict[Path, TaskID] = {}

    def __enter__(self) -> _Bars:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def show(self, source: Path, done: int, total: int) -> None:
        """Any thread: a file is so far."""
        if source not in self._tasks:
            self._tasks[source] = self._bars.add_task(shown(source.name))
        self._bars.update(self._tasks[source], completed=done, total=total)

    def end(self, source: Path) -> None:
        """A file is done with."""
        if source in self._tasks:
            self._bars.remove_task(self._tasks.pop(source))
