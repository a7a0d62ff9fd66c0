"""The choices of `rtsep live`: each written once, and read by command line, settings files and host alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from rtsep.core.config import Option
from rtsep.engine.registry import ENGINE_HELP, PRECISION_HELP


@dataclass(frozen=True)
class LiveOptions:
    """What is played, where, and how; an empty string or 0 leaves a choice to the program."""

    RENAMED: ClassVar = {  # settings of before
        "refresh": "mask_interval",
        "waiting": "freewheel",
        "routes": "route",
        "input_channels": "channels",
    }

    input: Annotated[str, Option("A sound device, an audio file, or `demo`.", "-i")] = ""
    deck: Annotated[
        tuple[str, ...], Option("Decks, as `a=song.flac` or `b=3,4`: a file, `demo`, or channels of the input device.")
    ] = ()
    output: Annotated[str, Option("A sound device, `null`, or `auto`.", "-o")] = ""
    model: Annotated[str, Option("A model's name or path; the best that holds here, if none is given.", "-m")] = ""
    latency: Annotated[str, Option("exact, or ms of window: 46, 23, 12, 6, 3.", "-l")] = "23"
    route: Annotated[tuple[str, ...], Option("Outputs, as `vocals=1,2 mix=3,4`, or `a/vocals=1,2` of decks.")] = ()
    group: Annotated[
        tuple[str, ...], Option("Buses of several stems, as `beat=drums,bass`, or `beat=a/drums,b/drums` of decks.")
    ] = ()
    effects: Annotated[
        Path | None, Option("Chains of effects of strips, buses and master, a TOML file; see docs/effects.md.")
    ] = None
    record: Annotated[
        Path | None, Option("Write every stem to this folder, of several decks each to one of its own in it.")
    ] = None
    hop: Annotated[int | None, Option("Frames of a hop, instead of the preset's.")] = None
    mask_interval: Annotated[int | None, Option("Hops between two masks.")] = None
    lookahead: Annotated[int, Option("Model hops to look ahead (windowed models).")] = 0
    context: Annotated[int, Option("Frames that a windowed model sees; 0: 64 for Spleeter's.")] = 0
    compute: Annotated[int | None, Option("Frames of slack for inference.")] = None
    rate: Annotated[int, Option("Sample rate in Hz; 0: the file's or the device's.")] = 0
    block: Annotated[int, Option("Frames of a block; 0: the device's own.")] = 0
    channels: Annotated[
        tuple[int, int] | None, Option("Channels of the input, from 1; if left out 1,2 of a device, all of a file.")
    ] = None
    engine: Annotated[str, Option(ENGINE_HELP)] = "onnx"
    precision: Annotated[str, Option(PRECISION_HELP)] = "fp32"
    threads: Annotated[
        int, Option("CPU threads of one inference; 0: one, or two where one does not hold.", least=0, most=64)
    ] = 0
    connect: Annotated[bool, Option("Connect our JACK ports; --no-connect leaves the cables to you.")] = True
    loop: Annotated[bool, Option("Play the file over and over.")] = False
    freewheel: Annotated[bool, Option("Wait for every mask instead of the clock (null, files, JACK).")] = False
