"""Our side of every case: the same weights through our importers, the same song through our Separator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.parity.cases import OPENUNMIX_SETS, SPLEETER_MODELS, Case, OpenUnmixCase, SpleeterCase, config_path
from rtsep.model.importers.openunmix import import_openunmix
from rtsep.model.importers.spleeter import import_spleeter
from rtsep.separation.options import Refinement
from rtsep.separation.separator import Separator

Float32 = NDArray[np.float32]


@contextmanager
def imported(folder: Path, models: set[str]) -> Iterator[None]:
    """Import these of the models in `folder` into a store that is there for the while and then gone."""
    before = os.environ.get("RTSEP_MODELS")
    with TemporaryDirectory(prefix="rtsep-models-", dir=folder) as store:
        os.environ["RTSEP_MODELS"] = store
        try:
            for name in models & SPLEETER_MODELS.keys():
                import_spleeter(folder / "models" / name, f"spleeter-{name}", SPLEETER_MODELS[name])
            for sizes in OPENUNMIX_SETS:
                if sizes.name in models:
                    place = folder / "models" / "openunmix" / sizes.name
                    import_openunmix(place, f"openunmix-{sizes.name}", sizes.targets)
            yield
        finally:
            if before is None:
                del os.environ["RTSEP_MODELS"]
            else:
                os.environ["RTSEP_MODELS"] = before


def separate(folder: Path, case: Case, song: Float32) -> dict[str, Float32]:
    """What rtsep gives for song (frames, channels), within `imported`: {stem: (frames, channels)}."""
    separator = _separator(folder, case)
    try:
        return separator.separate(song)
    finally:
        separator.close()


def _separator(folder: Path, case: Case) -> Separator:
    if isinstance(case, OpenUnmixCase):
        refinement = Refinement(case.niter, case.softmask, case.residual, case.wiener_window)
        return Separator(f"openunmix:{case.model}", refinement=refinement)
    assert isinstance(case, SpleeterCase)
    if case.named:
        return Separator(f"spleeter:{case.model}", MWF=case.mwf)
    return Separator(config_path(folder, case), folder / "models" / case.model, MWF=case.mwf)
