"""Levels that are no sound any more."""

from __future__ import annotations

LOUDEST = 1000.0  # a sample beyond +60 dBFS is a fault, not sound, and would overflow in a network
