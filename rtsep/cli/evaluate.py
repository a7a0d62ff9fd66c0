"""The command `rtsep evaluate`, and what `rtsep bench quality` shares with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from rtsep.cli.options import Model, dataclass_options, out, print_error, say
from rtsep.cli.score_tables import score_tables
from rtsep.core.spec import DEFAULT_MODEL
from rtsep.engine.registry import EngineOptions
from rtsep.errors import ConfigError, RtsepError
from rtsep.host.options import LiveOptions

if TYPE_CHECKING:
    from rtsep.dataset.layouts import LayoutOptions
    from rtsep.dataset.songs import Song
    from rtsep.evaluation.runner import Evaluation
    from rtsep.evaluation.scores import TrackScore
    from rtsep.evaluation.settings import Setting

EPILOG = (
    "Examples:\n\n"
    "  rtsep evaluate songs -m streaming-2stems --latency exact,23,6 --baseline centre\n\n"
    "  rtsep evaluate MUSDB18-HQ --layout musdb-hq -m spleeter:2stems --offline -o results\n\n"
    "  rtsep evaluate songs --level=-6,-16,-26,-36,-46 --seconds 30 --no-museval"
)
KEPT, JSON, BOXES = "scores.jsonl", "evaluation.json", "boxes.svg"

Songs = Annotated[Path, typer.Argument(metavar="FOLDER", help="Songs in stems.")]
LayoutName = Annotated[str, typer.Option(help="How they lie there: stems, musdb, musdb-hq, spleeter-csv, ...")]
Changes = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--set", help="What the layout must know, as subset=test or target_file=guitar.wav."),
]
Start = Annotated[Optional[float], typer.Option(min=0.0, help="Score from here on in each song.")]  # noqa: UP045
Seconds = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(min=1.0, help="Score only so much of each song: its middle, if no start is given."),
]
Rate = Annotated[int, typer.Option(help="Sample rate that is played at, in Hz; 0: each song's own.")]
Jobs = Annotated[int, typer.Option(min=0, help="Processes; 0: as many as cores and memory have room for.")]
Stems = Annotated[str, typer.Option(help="Only these, as `vocals`; `accompaniment` is all but vocals.")]
Museval = Annotated[bool, typer.Option("--museval/--no-museval", help="BSSEval v4 too, which takes the longest.")]


@dataclass_options(LiveOptions, hop=None, mask_interval=None, lookahead=0, context=0, engine="onnx", precision="fp32")
def evaluate(
    folder: Songs,
    model: Model = DEFAULT_MODEL,
    layout: LayoutName = "stems",
    changes: Changes = None,
    latency: Annotated[str, typer.Option("--latency", "-l", help="Presets, as `exact,46,23`.")] = "exact",
    *,
    chosen: dict[str, Any],
    seen: Annotated[str, typer.Option(help="Window that the network sees, own or preset; else its choice.")] = "",
    late: Annotated[int, typer.Option(help="Mask intervals by which masks come late.")] = 0,
    offline: Annotated[bool, typer.Option("--offline", help="The model family's way with whole files too.")] = False,
    baseline: Annotated[str, typer.Option(help="centre: what is in the middle is the voice, no model.")] = "",
    level: Annotated[str, typer.Option(help="RMS of the mix in dBFS, as `-6,-26,-46`; else as it is.")] = "",
    stems: Stems = "",
    start: Start = None,
    seconds: Seconds = None,
    rate: Rate = 0,
    jobs: Jobs = 0,
    museval: Museval = True,
    output: Annotated[Optional[Path], typer.Option("--output", "-o", help="Folder for JSON and plots.")] = None,  # noqa: UP045
) -> None:
    """Score a model on songs in stems, separated as they would play live."""
    from rtsep.evaluation.report import report, write
    from rtsep.evaluation.settings import Setting, setting_grid
    from rtsep.evaluation.summary import summarise

    if baseline not in ("", "centre"):
        raise ConfigError(f"unknown baseline {baseline!r}; allowed is centre")
    options = EngineOptions(chosen.pop("engine"), chosen.pop("precision"))
    base = Setting(**chosen, seen=seen, late=late)
    settings = setting_grid(base, split_commas(latency), parse_numbers(level, "level", float), offline, bool(baseline))
    songs, evaluation = prepare_evaluation(
        folder, layout, changes, model, stems, start, seconds, rate, museval, settings, options
    )
    scores = score_all(evaluation, songs, settings, output, jobs)
    if scores:
        out.print(score_tables(summarise(scores, settings)))
    if output:
        write(report("evaluate", evaluation, settings, scores), output / JSON)
        say(f"report   {output / JSON}")
        save_plot(output / BOXES, lambda plots, path: plots.plot_boxes(path, scores, settings))
    if len(scores) < len(songs) * len(settings):
        raise typer.Exit(1)


def prepare_evaluation(
    folder: Path,
    layout: str,
    changes: Sequence[str] | None,
    model: str,
    stems: str,
    start: float | None,
    seconds: float | None,
    rate: int,
    museval: bool,
    settings: Sequence[Setting],
    options: EngineOptions,
) -> tuple[list[Song], Evaluation]:
    """Find the songs, and how they are scored; all that can be wrong with either is said now.

    Args:
        folder: of the songs.
        layout: how they lie there.
        changes: what the layout must know, as subset=test; None for nothing.
        model: its name or path.
        stems: those that are reported, with commas between them; empty for all.
        start: first second that is scored; None for around the middle.
        seconds: that are scored of each song; None for all.
        rate: that is played at, in Hz; 0 for each song's own.
        museval: whether its figures are made too.
        settings: by which songs are scored.
        options: which engine runs the model.

    Raises:
        ConfigError: without a preset.
        RtsepError: for songs, a model or settings that cannot be.
    """
    from rtsep.evaluation.bsseval import require_museval
    from rtsep.evaluation.estimation import EvaluatedModel
    from rtsep.evaluation.runner import Evaluation
    from rtsep.evaluation.tracks import Clip, songs_to_score
    from rtsep.model.descriptor import resolve

    if not settings:
        raise ConfigError("latency is empty; name a preset, as 23")
    if museval:
        require_museval()
    separator = EvaluatedModel(resolve(model), options)
    evaluation = Evaluation(separator, split_commas(stems), Clip(start, seconds), rate, museval)
    songs = songs_to_score(layout, folder, _layout_options(layout, changes or ()))
    evaluation.check(songs, settings)
    return songs, evaluation


def score_all(
    evaluation: Evaluation, songs: Sequence[Song], settings: Sequence[Setting], folder: Path | None, jobs: int
) -> list[TrackScore]:
    """Score every song by every setting, with a progress bar.

    Args:
        evaluation: what is the same for all songs and settings.
        songs: to score.
        settings: by which they are.
        folder: where scores are kept, and not made again; None to keep nothing.
        jobs: processes; 0 for as many as cores and memory have room for.

    Returns:
        The scores of the songs that could be read.
    """
    from contextlib import closing

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from rtsep.dataset.songs import song_remarks
    from rtsep.evaluation.report import prepare_folder
    from rtsep.evaluation.runner import score_songs
    from rtsep.evaluation.score_cache import ScoreCache
    from rtsep.evaluation.scores import TrackScore

    if folder:
        prepare_folder(folder)
    for song in songs:
        for remark in song_remarks(song):
            say(f"{song.name}: {remark}")
    score_cache = ScoreCache(folder / KEPT if folder else None)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    scores: list[TrackScore] = []
    try:
        with (
            Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress,
            closing(score_songs(evaluation, songs, settings, score_cache, jobs)) as found,
        ):
            task = progress.add_task("scoring", total=len(songs) * len(settings))
            for one in found:
                if isinstance(one, TrackScore):
                    scores.append(one)
                else:
                    print_error(one[1])
                progress.advance(task)
    except KeyboardInterrupt:
        kept = f"what was scored is kept in {folder}; the same command goes on" if folder else "nothing was kept"
        print_error(RtsepError(f"stopped; {kept}"))
        raise typer.Exit(130) from None
    return scores


def save_plot(path: Path, plot: Callable[[Any, Path], None]) -> None:
    """Save a plot by matplotlib, or say that it is missing.

    Args:
        path: of the SVG file.
        plot: gets `rtsep.evaluation.plots` and the path.
    """
    try:
        from rtsep.evaluation import plots
    except ImportError as error:
        say(f"no plots: {error}; pip install 'rtsep[evaluate]'")
        return
    plot(plots, path)
    say(f"plot     {path}")


def split_commas(text: str) -> tuple[str, ...]:
    """Split what stands between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_numbers(text: str, name: str, kind: Callable[[str], Any]) -> tuple[Any, ...]:
    """Read numbers between commas.

    Args:
        text: to read.
        name: of the option.
        kind: int or float.

    Raises:
        ConfigError: for anything else.
    """
    try:
        return tuple(kind(part) for part in split_commas(text))
    except ValueError:
        raise ConfigError(f"{name} {text!r}: write numbers with commas between them") from None


def _layout_options(layout: str, changes: Sequence[str]) -> LayoutOptions:
    """The options of a layout from texts as `subset=test`; MUSDB is scored on its test part."""
    from dataclasses import fields

    from rtsep.dataset.layouts import LayoutOptions

    known = {field.name for field in fields(LayoutOptions)}
    found: dict[str, Any] = {"subset": "test"} if layout.startswith("musdb") else {}
    for change in changes:
        name, equals, value = (part.strip() for part in change.partition("="))
        if not equals or name not in known:
            raise ConfigError(f"--set {change!r}: write it as subset=test; allowed are {', '.join(sorted(known))}")
        found[name] = _OPTION.get(name, str)(value)
    return LayoutOptions(**found)


def _flag(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ConfigError(f"{name} is {text!r}; allowed are true and false")
    return text.lower() == "true"


_OPTION: dict[str, Callable[[str], Any]] = {
    "stems": split_commas,
    "interferer_files": split_commas,
    "interferer_dirs": split_commas,
    "silence_missing": lambda text: _flag("silence_missing", text),
    "csv": Path,
}
