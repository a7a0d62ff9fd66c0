"""The multichannel Wiener filter over a whole signal, Spleeter's MWF with norbert's defaults, segment by segment.

It takes two ways through the signal: the first gathers where the sources are, the second filters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsep.core.spec import ModelSpec, WindowSpec
from rtsep.dsp import stft, wiener
from rtsep.dsp.native import kernel
from rtsep.separation.batches import analyse_all
from rtsep.separation.segments import Open

Float32 = NDArray[np.float32]

EPSILON = float(np.finfo(np.float32).eps)  # norbert's, for float32 spectra


class Look:
    """The first way: gathers into `places`, and gives silence; see `Treatment`.

    Args:
        places: empty.
        model: that gives the magnitudes.
        window: how it is run.
        segments: that are analysed before the first of them is rendered.
    """

    def __init__(self, places: wiener.Places, model: ModelSpec, window: WindowSpec, segments: int) -> None:
        self._places = places
        self._stream = stft.open_stream(model, window, segments * model.context)

    def analyse(self, segment: Float32, magnitudes: Float32) -> None:
        """See `Treatment.analyse`."""
        analyse_all(self._stream, segment, magnitudes)

    def render(self, raw: Float32, stems: Float32) -> None:
        """See `Treatment.render`."""
        _look_all(self._stream, self._places, raw)


class Refine(Look):
    """The second way, by the places that `Look` has filled."""

    def render(self, raw: Float32, stems: Float32) -> None:
        """See `Treatment.render`."""
        _refine_all(self._stream, self._places, raw, stems)


def two_ways(model: ModelSpec, window: WindowSpec) -> tuple[Open, Open]:
    """Make both ways through one signal."""
    places = wiener.open_places(len(model.stems), model.channels, window.window // 2 + 1)
    return (
        lambda model, window, segments: Look(places, model, window, segments),
        lambda model, window, segments: Refine(places, model, window, segments),
    )


@kernel
def _look_all(stream: stft.Stream, places: wiener.Places, raw: Float32) -> None:
    for i in range(raw.shape[2]):
        mix = stft.next_spectrum(stream)
        wiener.estimate(raw[:, :, i], mix, True, False, EPSILON, stream.products)
        wiener.look(places, stream.products, mix)
        stream.state[0].played += 1


@kernel
def _refine_all(stream: stft.Stream, places: wiener.Places, raw: Float32, stems: Float32) -> None:
    hop = stream.state[0].hop
    for i in range(raw.shape[2]):
        mix = stft.next_spectrum(stream)
        wiener.estimate(raw[:, :, i], mix, True, False, EPSILON, stream.products)
        wiener.refine(places, mix, EPSILON, stream.products)
        stft.resynthesise(stream, True, stems[:, :, i * hop : (i + 1) * hop])
