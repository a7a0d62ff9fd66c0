"""The report of the laboratory as JSON; the schema is in report.schema.json beside this file."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any

from rtsep.core.whole_file import write_whole
from rtsep.diagnostics.environment import environment
from rtsep.diagnostics.laboratory.case import AXES, Case
from rtsep.diagnostics.laboratory.hardware import card
from rtsep.diagnostics.laboratory.measurement import Protocol, measure
from rtsep.errors import FileError, RtsepError, one_line
from rtsep.host.report import PROGRAM

SCHEMA = Path(__file__).with_name("report.schema.json")
FORMAT = 1
COMMAND = "bench gpu"
MAX_BYTES = 256 << 20

Report = dict[str, Any]


def new_report(words: Sequence[str], protocol: Protocol) -> Report:
    """Begin a report: the machine, the date, the command; no rows yet.

    Args:
        words: of the command line; of those that are paths the last part is kept alone, since folders have owners.
        protocol: how the cases are measured.
    """
    return {
        "format": FORMAT,
        "program": PROGRAM,
        "command": COMMAND,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "words": [_nobodys(word) for word in words],
        "machine": environment() | card(),
        "protocol": {"hops": protocol.hops, "seconds": protocol.seconds, "pause_s": protocol.pause_s},
        "rows": [],
        "absent": [],
    }


def _nobodys(word: str) -> str:
    name, equals, value = word.rpartition("=")
    return f"{name}{equals}{PurePath(value).name if '/' in value or os.sep in value else value}"


def measure_all(
    report: Report,
    wanted: Iterable[Case],
    protocol: Protocol,
    on_row: Callable[[dict[str, Any]], None] = lambda row: None,
    on_step: Callable[[dict[str, Any]], None] = lambda row: None,
) -> None:
    """Measure cases into a report; one that cannot be had is listed with its reason, and the others go on.

    Args:
        report: its rows are added to.
        wanted: the cases.
        protocol: how each is measured.
        on_row: hears of each row, and of each that is absent, when it is there.
        on_step: hears of a row that grows, see `measure`.
    """
    for case in wanted:
        try:
            row = measure(case, protocol, on_step)
            report["rows"].append(row)
        except Exception as error:  # whatever a driver or a library raises: the other cases are measured
            reason = str(error) if isinstance(error, RtsepError) else f"{type(error).__name__}: {one_line(error)}"
            row = {"case": case.to_dict(), "reason": reason}
            report["absent"].append(row)
        on_row(row)


def write(report: Report, path: Path) -> None:
    """Write a report so that the file is whole at any moment: a run that is killed keeps what was measured.

    Raises:
        FileError: where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(report, allow_nan=False) + "\n")
    except OSError as error:
        raise FileError(f"{path}: the report cannot be written ({error.strerror})") from error


def read(path: Path) -> Report:
    """Read a report that may be a stranger's: only what is used of it is checked, and is plain values.

    Raises:
        FileError: for a file that is missing, too large or no report of the laboratory.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(f"{path} has {path.stat().st_size} bytes; a report has {MAX_BYTES} at the most")
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path} is no JSON; give a report that `rtsep {COMMAND} --report` wrote") from error
    if not isinstance(found, dict) or found.get("command") != COMMAND or not isinstance(found.get("rows"), list):
        raise FileError(f"{path} is no report of `rtsep {COMMAND}`")
    if found.get("format") != FORMAT:
        raise FileError(f"{path} has format {found.get('format')!r:.20}; this rtsep reads {FORMAT}; measure it again")
    for number, row in enumerate(found["rows"]):
        if not _is_row(row):
            raise FileError(f"{path}: row {number + 1} is damaged; measure it again")
    return found


def _is_row(row: Any) -> bool:
    try:
        samples = [sample for pace in ("live", "back_to_back") if pace in row for sample in row[pace]["samples_us"]]
        plain = all(isinstance(row["case"][axis], str | int) for axis in AXES)
    except (KeyError, TypeError):
        return False
    return plain and all(isinstance(sample, int | float) and 0.0 < sample < 1e12 for sample in samples)
