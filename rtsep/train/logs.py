"""Figures of a run as CSV, one row at a time, so that a killed run keeps them."""

from __future__ import annotations

import csv
from pathlib import Path

from rtsep.errors import FileError

Row = dict[str, float]


class Log:
    """A CSV file with a fixed set of columns, the first of them `step`.

    A run that goes on from a checkpoint drops the rows after its step: they are made again.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], step: int = 0) -> None:
        self.path, self._columns = path, columns
        kept = [row for row in read(path) if row["step"] <= step] if step and path.exists() else []
        self._write("w", [dict.fromkeys(columns, "") | row for row in kept], head=True)

    def add(self, row: Row) -> None:
        """Append one row. Raises `FileError`."""
        self._write("a", [row], head=False)

    def _write(self, mode: str, rows: list[dict[str, float | str]] | list[Row], head: bool) -> None:
        try:
            with self.path.open(mode, newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self._columns)
                if head:
                    writer.writeheader()
                for row in rows:
                    writer.writerow({name: _short(value) for name, value in row.items() if name in self._columns})
        except OSError as error:
            raise FileError(f"{self.path} cannot be written: {error.strerror}") from error


def read(path: Path) -> list[Row]:
    """The rows of a log; cells that are empty are left out."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in csv.DictReader(file)]


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
