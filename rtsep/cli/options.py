"""What the commands share: the options that several have, and the two ways to say something."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.text import Text

Model = Annotated[str, typer.Option("--model", "-m", help="A model's name or path; see `rtsep models`.")]
EngineName = Annotated[str, typer.Option(help="onnx, or openvino.")]
Precision = Annotated[str, typer.Option(help="f32, or bf16 with openvino.")]
Threads = Annotated[int, typer.Option(min=1, max=64, help="CPU threads of one inference.")]
Report = Annotated[Optional[Path], typer.Option(help="Write the figures to this JSON file.")]  # noqa: UP045

out = Console(highlight=False)


def say(text: str) -> None:
    """One line to the output, as it is: names of files and devices may hold anything."""
    out.print(Text(text), soft_wrap=True)


def complain(error: BaseException) -> None:
    """One line for people, to the error output."""
    words = " ".join(str(error).split())
    Console(stderr=True).print(Text.assemble(("rtsep:", "bold red"), f" {words}"), soft_wrap=True)
