"""rtsep, the open live stem host: sound in, stems out while it plays."""

from __future__ import annotations

__version__ = "0.1.0"
