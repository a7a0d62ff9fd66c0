"""What is compared: a table that the originals' scripts and our side both read; only the standard library here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

STEMS: dict[str, tuple[str, ...]] = {
    "2stems": ("vocals", "accompaniment"),
    "4stems": ("vocals", "drums", "bass", "other"),
    "5stems": ("vocals", "piano", "drums", "bass", "other"),
}
OFFICIAL = "2stems-official"
SPLEETER_MODELS = {
    **{name: name for name in STEMS},
    "2stems-statistics": "2stems",
    "4stems-statistics": "4stems",
    OFFICIAL: "2stems",
}
"""Name of a set of weights to the shipped config it is for.

`-statistics`: random moving means and variances; `-official`: the published weights, which are not random.
"""

TARGETS = ("vocals", "drums", "bass", "other")
DOUBLE = "-double"  # ends the names of outputs in double precision
MASK_LIMIT, WIENER_LIMIT = 1e-4, 1e-3


@dataclass(frozen=True)
class SpleeterCase:
    """One run of Spleeter."""

    original: ClassVar[str] = "spleeter"
    model: str
    bins: int = 1024
    extension: str = "zeros"
    mwf: bool = False

    @property
    def name(self) -> str:
        """Folder of its outputs."""
        return f"{self.model}-{self.bins}-{self.extension}{'-mwf' if self.mwf else ''}"

    @property
    def limit(self) -> float:
        """The largest error that is allowed, against the peak."""
        return WIENER_LIMIT if self.mwf else MASK_LIMIT

    @property
    def named(self) -> bool:
        """Whether Spleeter's own config says the same, so that `spleeter:<model>` is enough."""
        return self.model in STEMS and self.bins == 1024 and self.extension == "zeros"


@dataclass(frozen=True)
class OpenUnmixSet:
    """Weights at the sizes of `umxhq`, random."""

    name: str
    targets: tuple[str, ...] = TARGETS
    hidden: int = 512
    max_bin: int = 1487
    unidirectional: bool = False
    hashed: bool = False  # named as the published files, without separator.json and <target>.json


@dataclass(frozen=True)
class OpenUnmixCase:
    """One run of Open-Unmix's separator."""

    original: ClassVar[str] = "openunmix"
    model: str
    niter: int = 0
    residual: bool = False
    softmask: bool = False
    wiener_window: int = 300

    @property
    def name(self) -> str:
        """Folder of its outputs."""
        flags = "".join(f"-{word}" for word in ("residual", "softmask") if getattr(self, word))
        return f"{self.model}-niter{self.niter}{flags}"

    @property
    def limit(self) -> float:
        """The largest error that is allowed, against the peak."""
        return WIENER_LIMIT if self.niter else MASK_LIMIT

    @property
    def in_double(self) -> bool:
        """Whether the original must run in double precision to show what it computes.

        For phases it sets each bin of the mix that is exactly 0 to 1, in place (its `filtering.atan2`). In single
        precision rounding alone makes such bins, in music that has nothing there, and the residual, the mix less the
        targets, sounds of them: up to 0.02 of its peak. In double precision there are none.
        """
        return self.residual and not self.softmask


Case = SpleeterCase | OpenUnmixCase
AnyCase = TypeVar("AnyCase", SpleeterCase, OpenUnmixCase, Case)


SPLEETER_CASES: tuple[SpleeterCase, ...] = (
    *(SpleeterCase(model, bins, how) for model in STEMS for bins in (1024, 1536) for how in ("zeros", "average")),
    *(SpleeterCase(model) for model in SPLEETER_MODELS if model.endswith("-statistics")),
    *(SpleeterCase(model, mwf=True) for model in STEMS),
)

OFFICIAL_CASES = (SpleeterCase(OFFICIAL),)
"""Only where somebody has the weights: `python -m benchmarks.parity --official CHECKPOINT`."""

OPENUNMIX_SETS: tuple[OpenUnmixSet, ...] = (
    OpenUnmixSet("published", hashed=True),
    OpenUnmixSet("trained"),
    OpenUnmixSet("unidirectional", unidirectional=True),
    OpenUnmixSet("guitar", ("guitar",)),
)

OPENUNMIX_CASES: tuple[OpenUnmixCase, ...] = (
    OpenUnmixCase("published", niter=0),
    OpenUnmixCase("published", niter=1),
    OpenUnmixCase("published", niter=0, residual=True),
    OpenUnmixCase("published", niter=1, residual=True),
    OpenUnmixCase("published", niter=0, softmask=True),
    OpenUnmixCase("published", niter=1, softmask=True, residual=True),
    OpenUnmixCase("trained", niter=1),
    OpenUnmixCase("unidirectional", niter=0),
    OpenUnmixCase("unidirectional", niter=1, residual=True),
    OpenUnmixCase("guitar", niter=0),
    OpenUnmixCase("guitar", niter=0, residual=True),
    OpenUnmixCase("guitar", niter=1, residual=True),
)

CASES: tuple[Case, ...] = (*SPLEETER_CASES, *OPENUNMIX_CASES)
QUICK = ("2stems-1024-zeros", "2stems-1024-zeros-mwf", "guitar-niter0", "guitar-niter1-residual")


def official(folder: Path) -> tuple[SpleeterCase, ...]:
    """The cases of the official weights, where they are among the models in `folder`."""
    return OFFICIAL_CASES if (folder / "models" / OFFICIAL).is_dir() else ()


def chosen(cases: Sequence[AnyCase], quick: bool) -> list[AnyCase]:
    """All of the cases, or the few quick ones."""
    return [case for case in cases if not quick or case.name in QUICK]


def config_path(folder: Path, case: SpleeterCase) -> Path:
    """Where the config lies for what Spleeter ships none for."""
    return folder / "configs" / f"{case.model}-{case.bins}-{case.extension}.json"


def manifest(folder: Path) -> dict[str, Any]:
    """What the originals did so far: the song, and by original and name of case what came out."""
    path = folder / "manifest.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def write_manifest(folder: Path, entries: dict[str, Any]) -> None:
    """Replace `manifest.json`."""
    (folder / "manifest.json").write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def note(folder: Path, case: Case, stems: list[str], seconds: float) -> None:
    """Add a run to the manifest, in the place of an earlier one of the same name."""
    entry = {
        **asdict(case),
        "stems": stems,
        "outputs": f"outputs/{case.original}/{case.name}",
        "seconds": round(seconds, 2),
    }
    kept = manifest(folder)
    kept.setdefault(case.original, {})[case.name] = entry
    write_manifest(folder, kept)
