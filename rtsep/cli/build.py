"""The command `rtsep build`: models compiled for NVIDIA's GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from rtsep.cli.options import print_error, say
from rtsep.errors import ConfigError, EngineError, RtsepError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtsep.engine.tensorrt.manifest import BuiltEngine
    from rtsep.model.store import StoredModel

EPILOG = (
    "Examples:\n\n"
    "  rtsep build spleeter-2stems-live\n\n"
    "  rtsep build spleeter:2stems --precision fp16 --context 128 --batch 2\n\n"
    "  rtsep build spleeter:4stems --for sm86,sm89,sm120\n\n"
    "  rtsep build --list"
)
CALLS = {"windowed": 16, "stateful": 1024}  # of music, half to scale 8 bits by and half to compare on

Model = Annotated[Optional[str], typer.Argument(help="A model's name or path; see `rtsep models`.")]  # noqa: UP045
Precision = Annotated[str, typer.Option(help="fp32, tf32, fp16, bf16, int8 or fp8.")]
Context = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=1, max=4096, help="Spectra that the network sees at once; if left out, as live use has it."),
]
Batch = Annotated[int, typer.Option(min=1, max=64, help="Rows of a call at most: decks, and phases of each.")]
Newest = Annotated[
    int, typer.Option(min=0, max=4096, help="Spectra that get masks: 1 + lookahead; 0: all, for whole files.")
]
Targets = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--for", help="GPUs by compute capability, as sm86,sm89,sm120; if left out, the one here."),
]
Library = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="tensorrt_rtx or tensorrt; if left out, the first that can."),
]
Listed = Annotated[bool, typer.Option("--list", help="List what was built, and whether it can be used.")]


def build(
    model: Model = None,
    precision: Precision = "fp16",
    context: Context = None,
    batch: Batch = 1,
    newest: Newest = 1,
    targets: Targets = None,
    library: Library = None,
    listed: Listed = False,
) -> None:
    """Compile a model for a GPU."""
    if listed:
        _list()
        return
    if model is None:
        raise ConfigError("which model? name one, as in: rtsep build spleeter-2stems-live; `rtsep models` lists them")
    from rtsep.engine.tensorrt.builder import BuildOptions
    from rtsep.engine.tensorrt.builder import build as build_engines
    from rtsep.engine.tensorrt.family import installed, named
    from rtsep.engine.tensorrt.opening import timed
    from rtsep.model.store import find

    if library:
        named(library).load()
    else:
        installed()
    card = _card()
    gpus = _gpus(targets) or [card]
    if not all(gpus):
        raise EngineError("there is no NVIDIA GPU here; name those to build for, as in: --for sm86,sm89,sm120")
    options = BuildOptions(precision, context or 0, batch, newest, library or "")
    build_engines(find(model), gpus, options, card, samples=music, timer=timed, say=say)


def _gpus(targets: Sequence[str] | None) -> list[str]:
    """The words of all `--for`, each once."""
    words = [word.strip().lower() for text in targets or () for word in text.split(",")]
    return list(dict.fromkeys(word for word in words if word))


def _card() -> str:
    """The compute capability of the first card at hand; "" for none."""
    from rtsep.engine.tensorrt.driver import probe

    gpus = probe().gpus
    return gpus[0].sm if gpus else ""


def music(model: StoredModel) -> list[NDArray[np.float32]]:
    """What a model is given of the demo song."""
    from rtsep.audio.downmix import to_channels
    from rtsep.audio.readers import open_audio
    from rtsep.audio.sources import resampled
    from rtsep.demo import SONG
    from rtsep.separation.heard import heard_magnitudes

    spec = model.spec
    song = open_audio(SONG)
    try:
        sound = resampled(song.read(song.frames), song.sample_rate, spec.sample_rate)
    finally:
        song.close()
    calls = CALLS[spec.kind]
    spread = (sound.shape[1] // spec.hop - spec.context) // calls if spec.kind == "windowed" else 1
    return heard_magnitudes(spec, to_channels(sound, spec.channels), every=max(1, spread))[:calls]


def _list() -> None:
    from rtsep.engine.tensorrt.manifest import folders, open_built

    found = False
    for folder in folders():
        found = True
        try:
            _show(open_built(folder))
        except EngineError as error:
            print_error(EngineError(f"{folder.name}: {error}"))
    if not found:
        say("no engines were built; build one as in: rtsep build spleeter-2stems-live")


def _show(built: BuiltEngine) -> None:
    manifest, key = built.manifest, built.key
    say(built.path.name)
    rows = f"{key.rows} row{'s' if key.rows > 1 else ''}"
    near = "" if manifest.parity.db is None else f", {manifest.parity.db} dB from fp32"
    say(f"    {manifest.engine.bytes / 1e6:.1f} MB, {rows}{near}, built {manifest.built} in {manifest.build_s} s")
    if manifest.timing:
        say(f"    {manifest.timing}")
    if stale := _staleness(built):
        say(f"    it will not be used: {stale}")


def _staleness(built: BuiltEngine) -> str:
    from rtsep.engine.tensorrt.family import FAMILIES
    from rtsep.engine.tensorrt.key import as_used, key_of
    from rtsep.engine.tensorrt.manifest import staleness
    from rtsep.model.store import find

    key = built.key
    family = FAMILIES.get(key.family)
    if family is None or not family.installed:
        return f"{family.title if family else key.family} is not installed{f'; {family.cure}' if family else ''}"
    try:
        used = as_used(find(key.model), key.context, key.newest)
    except RtsepError:
        return f"there is no model {key.model} here"
    now = key_of(used, key.precision, key.context, key.newest, key.rows, key.gpu, family)
    stale = staleness(key, now)
    return f"it {stale}; build it again with: {now.command()}" if stale else ""
