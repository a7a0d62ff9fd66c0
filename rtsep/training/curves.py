"""The course of a run drawn: loss and SDR over steps."""

from __future__ import annotations

from pathlib import Path

from rtsep.errors import FileError
from rtsep.training.logs import read_log


def plot_curves(folder: Path) -> Path | None:
    """Plot `log.csv` and `valid.csv` of a run into `curves.svg`.

    Args:
        folder: the run's.

    Returns:
        The path of the plot; None without matplotlib.

    Raises:
        FileError: for a log that cannot be read, and a plot that cannot be written.
    """
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("svg")
    from matplotlib import pyplot

    trained, judged = read_log(folder / "log.csv"), read_log(folder / "valid.csv")
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    left.plot([row["step"] for row in trained], [row["loss"] for row in trained], lw=1, label="training")
    left.plot([row["step"] for row in judged], [row["loss"] for row in judged], marker=".", label="held out")
    left.set(xlabel="step", ylabel="loss")
    for name in [key for key in (judged[0] if judged else {}) if key.startswith("sdr_")]:
        points = [(row["step"], row[name]) for row in judged if name in row]
        right.plot(*zip(*points, strict=True), marker=".", label=name.removeprefix("sdr_").removesuffix("_db"))
    right.set(xlabel="step", ylabel="SDR of the held-out songs (dB)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False)
    path = folder / "curves.svg"
    try:
        figure.savefig(path)
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}; make room and go on with --resume") from error
    finally:
        pyplot.close(figure)
    return path
