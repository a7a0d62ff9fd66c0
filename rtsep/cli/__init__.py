"""The command line: a module for each family of commands, thin; each imports only what it needs."""

import gc
import sys

from rtsep.cli.output import show_everything
from rtsep.cli.stop_requests import end_at_once_when_asked


def main() -> None:
    """Run the program `rtsep`."""
    end_at_once_when_asked()  # while what follows is imported nothing is open yet
    show_everything()
    from rtsep.cli.app import main as run

    try:
        run()
    finally:
        gc.freeze()  # all goes now, with the process; sorting it first would take a tenth of a second
        if "rtsep.host.host" in sys.modules:  # drivers and engines, which may not let go
            from rtsep.cli.ending import bound_exit

            bound_exit()


__all__ = ["main"]
