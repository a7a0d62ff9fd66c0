"""Numbers that the signal path and whole files share. Kernels (`rtsep.dsp.native`) hold them as constants."""

from __future__ import annotations

import numpy as np

LOUDEST = 1000.0  # a sample beyond +60 dBFS is a fault, not sound, and would overflow in a network
EPSILON = 1e-10  # of ratio masks, Spleeter's
LARGEST = float(np.finfo(np.float32).max)  # powers beyond it would be infinite in float32
EDGE_BINS = 24  # of the band's upper end, averaged for the `edge` extension
