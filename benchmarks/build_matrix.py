"""The engines of docs/gpu.md, "Engines that were built": models, cards, contexts and precisions, built without a card.

`python -m benchmarks.build_matrix [--only NAME] [--quick]` prints the table row by row, and throws the engines away. It
takes some minutes, and no part in `python -m benchmarks`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rtsep.cli.build import music
from rtsep.engine.tensorrt.builder import BuildOptions, build
from rtsep.engine.tensorrt.manifest import BuiltEngine
from rtsep.errors import ModelError, RtsepError
from rtsep.model.store import StoredModel, find
from tests.support.random_spleeters import random_spleeter

GPUS = ("sm86", "sm89", "sm120")
CONTEXTS = (64, 512)
PRECISIONS = ("fp32", "fp16")
NAMED = ("spleeter-2stems-live", "spleeter-2stems-small", "streaming-2stems", "streaming-4stems", "spleeter:2stems")
RANDOM = ("4stems", "5stems")
HEAD = "| Model | Context | Precision | From fp32 | sm86 | sm89 | sm120 |\n|---|---|---|---|---|---|---|"


def models(folder: Path) -> Iterator[StoredModel]:
    """The models of the matrix; those that are not at hand have random weights, and say so in their names."""
    for name in NAMED:
        try:
            yield find(name)
        except ModelError:
            yield random_spleeter(name.partition(":")[2], folder / f"random-{name.partition(':')[2]}")
    for name in RANDOM:
        yield random_spleeter(name, folder / f"random-{name}")


def row(built: list[BuiltEngine]) -> str:
    """One row of the table: the same engine for all cards."""
    manifest = built[0].manifest
    near = "" if manifest.parity.db is None else f"{manifest.parity.db:.1f} dB"
    sizes = (f"{one.manifest.engine.bytes / 1e6:.0f} MB, {one.manifest.build_s:.1f} s" for one in built)
    return f"| {' | '.join((manifest.key.model, str(manifest.key.context), manifest.key.precision, near, *sizes))} |"


def main() -> None:
    """Build them, and print the table row by row."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.build_matrix", description=__doc__)
    parser.add_argument("--only", action="append", help="models whose names hold this; may be given several times")
    parser.add_argument("--quick", action="store_true", help="one context, one precision")
    options = parser.parse_args()
    started, count = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="rtsep-matrix-") as folder:
        os.environ["RTSEP_ENGINES"] = str(Path(folder, "engines"))
        print(HEAD, flush=True)
        for model in models(Path(folder)):
            if options.only and not any(part in model.name for part in options.only):
                continue
            contexts = CONTEXTS if model.spec.context_step else (0,)
            for context in contexts[:1] if options.quick else contexts:
                for precision in PRECISIONS[1:] if options.quick else PRECISIONS:
                    try:
                        built = build(model, GPUS, BuildOptions(precision, context), samples=music)
                    except RtsepError as error:
                        print(f"| {model.name} | {context} | {precision} | {error} | | | |", flush=True)
                        continue
                    print(row(built), flush=True)
                    count += len(built)
                    for one in built:  # the disk need not hold them all
                        for path in one.path.iterdir():
                            path.unlink()
    print(f"\n{count} engines in {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    main()
