"""What goes wrong, in words for people: the value, what is allowed, and the cure."""

from __future__ import annotations


class RtsepError(Exception):
    """Base of every error that rtsep raises on purpose; the message is one clear line."""


class SpecError(RtsepError):
    """A preset, hop, mask interval, lookahead or other setting that cannot work together."""


class ModelError(RtsepError):
    """A model that is missing, broken, foreign, or does not match its spec."""


class EngineError(RtsepError):
    """An inference engine that is missing or failed."""


class NotBuiltError(EngineError):
    """An engine that is built beforehand is not there for this model and card, or cannot be used."""


class DeviceError(RtsepError):
    """A sound device that is missing, refuses a setting, or was lost."""


class FileError(RtsepError):
    """An audio file that is missing, empty, truncated, or cannot be read or written."""


class RouteError(RtsepError):
    """A route to an unknown stem or to channels that do not exist."""


class ParameterError(RtsepError):
    """An unknown parameter path, or a value outside its range."""


class EffectError(RtsepError):
    """A chain that cannot be, or an effect or a plugin that is unknown, not accepted, or fails."""


class ConfigError(RtsepError):
    """A settings file that cannot be read, or an entry that is unknown or of the wrong type."""


def one_line(error: Exception) -> str:
    """Give a library's error message as one line that is not too long."""
    return " ".join(str(error).split())[:300]
