"""Latency in words: the total, and the parts that make it up."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text


def latency_text(parts_ms: Mapping[str, float | None]) -> Text:
    """Write out the total, and the parts that are not zero.

    Args:
        parts_ms: in milliseconds, by name, None where nobody knows; a `total` among them is not counted.
    """
    known = {name: ms for name, ms in parts_ms.items() if ms and name != "total"}
    words = " + ".join(f"{name} {ms:.1f}" for name, ms in known.items())
    unknown = "".join(f" + {name} unknown" for name, ms in parts_ms.items() if ms is None)
    total = f"{sum(known.values()):.1f} ms{unknown}"
    return Text.assemble("latency  ", (total, "bold"), (f" = {words}{unknown}", "dim"))
