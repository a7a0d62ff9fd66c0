"""Figures of a run as CSV, one row at a time, so that a killed run keeps them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from rtsep.errors import FileError

Row = dict[str, float]


class Log:
    """A CSV file with a fixed set of columns, the first of them `step`.

    A run that goes on from a checkpoint drops the rows after its step: they are made again.

    Args:
        path: of the file.
        columns: in their order.
        step: that the run goes on from; 0 for a new file.

    Raises:
        FileError: if it cannot be read or written.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], step: int = 0) -> None:
        self.path, self._columns = path, columns
        kept = [row for row in read_log(path) if row["step"] <= step] if step and path.exists() else []
        self.last = int(kept[-1]["step"]) if kept else 0  # step of the last row, 0 where there is none
        part = path.with_name(f"{path.name}.part")  # a full disk leaves the rows of before
        self._write(part, "w", [dict.fromkeys(columns, "") | row for row in kept], head=True)
        part.replace(path)

    def add(self, row: Row) -> None:
        """Append one row.

        Args:
            row: by column, with `step`.

        Raises:
            FileError: if it cannot be written.
        """
        self._write(self.path, "a", [row], head=False)
        self.last = int(row["step"])

    def _write(self, path: Path, mode: str, rows: list[dict[str, float | str]] | list[Row], head: bool) -> None:
        try:
            with path.open(mode, newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self._columns)
                if head:
                    writer.writeheader()
                for row in rows:
                    writer.writerow({name: _short(value) for name, value in row.items() if name in self._columns})
        except OSError as error:
            raise FileError(f"{self.path} cannot be written: {error.strerror}") from error


def read_log(path: Path) -> list[Row]:
    """Read the rows of a log; cells that are empty are left out, and so is a row that was cut short.

    Args:
        path: of the file.

    Raises:
        FileError: if it cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [row for cells in csv.DictReader(file) if (row := _row(cells))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path} cannot be read ({error}); move it away") from error


def _row(cells: Mapping[str, str | None]) -> Row:
    """The numbers of a row; none where one is broken or missing."""
    if None in cells.values() or not cells.get("step"):
        return {}
    try:
        return {name: float(cell) for name, cell in cells.items() if cell}
    except ValueError:
        return {}


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
