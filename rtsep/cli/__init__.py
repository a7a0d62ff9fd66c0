"""The command line: a module for each family of commands, thin; each imports only what it needs."""

from rtsep.cli.app import main

__all__ = ["main"]
