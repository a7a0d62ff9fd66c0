"""The command `rtsep train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from rtsep.cli.options import out, say
from rtsep.errors import ModelError, RtsepError

if TYPE_CHECKING:
    from rtsep.dataset.inspection import Issue
    from rtsep.training.trainer import Progress

EPILOG = (
    "Examples:\n\n"
    "  rtsep train configs/training/guitar.toml -o runs/guitar\n\n"
    "  rtsep train configs/training/guitar.toml -o runs/guitar --resume\n\n"
    "  rtsep train mine.toml -o runs/mine --init spleeter:2stems --set optimisation.steps=2000"
)
WORKERS = "Processes that make examples; unsaid: 1 beside a CPU, all cores but one beside a GPU."
UNPACK = "Decode songs into this folder once, as wav, and read them from there: for songs as flac, mp4, mp3 or ogg."
WORTH_SAYING = 0.1  # share of the time that a run waits for examples; it is then the loader that is slow
SHOWN = 8  # remarks on the songs that are printed one by one


def train(
    settings: Annotated[Path, typer.Argument(help="A TOML file; see configs/training.")],
    folder: Annotated[Path, typer.Option("--output", "-o", help="The run's folder.")],
    init: Annotated[str, typer.Option(help="Fine-tune this model: a name or a path.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's checkpoint.")] = False,
    changes: Annotated[Optional[list[str]], typer.Option("--set", help="As intervals.log_steps=10.")] = None,  # noqa: UP045
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads of the network; 0: all cores.")] = 0,
    workers: Annotated[Optional[int], typer.Option(min=0, help=WORKERS)] = None,  # noqa: UP045
    unpack: Annotated[Optional[Path], typer.Option(help=UNPACK)] = None,  # noqa: UP045
    check: Annotated[bool, typer.Option("--check", help="Only look the songs over.")] = False,
) -> None:
    """Train a model, or fine-tune one."""
    _need_torch()
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from rtsep.training.device import choose_device
    from rtsep.training.run import check_run
    from rtsep.training.run import train as learn
    from rtsep.training.settings import read_train_settings

    told = read_train_settings(settings, changes or ())
    if check:
        with out.status("looking the songs over"):
            _remark(check_run(told, init))
        say("the songs can be trained on")
        return
    machine = choose_device(device, threads, workers)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn())
    with Bar(*columns, console=out) as bar:
        task = bar.add_task(told.name, total=told.optimisation.steps, said="looking the songs over")

        def unpacking(done: int, total: int) -> None:
            bar.update(task, said=f"unpacking songs, {done} of {total} files")

        def on_progress(progress: Progress) -> None:
            bar.update(task, completed=progress.step, said=_words(progress))

        try:
            model = learn(told, folder, machine, init, resume, on_progress, _remark, unpack, unpacking)
        except KeyboardInterrupt:
            if not (folder / "checkpoint.pt").exists():
                kept = f"only what is unpacked in {unpack} is kept" if unpack else "nothing is kept"
                raise RtsepError(f"stopped before the first step; {kept}") from None
            raise RtsepError(f"stopped; all is kept in {folder}; go on with --resume") from None
    say(f"model    {model.path.parent}")
    say(f"listen   rtsep live --input demo -m {model.path.parent}")


def _need_torch() -> None:
    """Raise `ModelError` where models cannot be trained, before any long work for it."""
    try:
        import scipy  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise ModelError(f"training needs torch and scipy ({error}); pip install 'rtsep[train]'") from error


def _words(progress: Progress) -> str:
    judged = "  ".join(f"{stem} {value:.2f} dB" for stem, value in progress.sdr_db.items())
    speed = f"{progress.examples_per_s:.1f} examples/s"
    if progress.idle > WORTH_SAYING:
        speed += f", {100 * progress.idle:.0f} % idle"
    return f"step {progress.step}  loss {progress.loss:.4f}  {speed}  {judged}".rstrip()


def _remark(issues: Sequence[Issue]) -> None:
    for one in issues[:SHOWN]:
        say(str(one))
    if len(issues) > SHOWN:
        say(f"and {len(issues) - SHOWN} more remarks")
