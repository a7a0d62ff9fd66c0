"""From a graph to an engine's bytes, by either library; no card is touched that the library does not need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rtsep.core.whole_file import write_whole
from rtsep.engine.tensorrt.family import named
from rtsep.engine.tensorrt.key import EngineKey
from rtsep.engine.tensorrt.manifest import MAX_CACHE_BYTES
from rtsep.errors import EngineError, one_line


def compiled(graph: bytes, key: EngineKey, timing_cache: Path | None = None) -> bytes:
    """Compile a graph for a card.

    Args:
        graph: ONNX, in its precision already.
        key: of the engine: its card and library; where the graph leaves them free, rows from 1 on, and the context;
            with "fp32" the card is kept from rounding to TF32, which is what "tf32" is.
        timing_cache: where a family that measures keeps what it found.

    Returns:
        The engine, serialised.

    Raises:
        EngineError: where the library is missing, or refuses the graph.
    """
    family = named(key.family)
    library = family.load()
    log = error_log(library)
    builder = library.Builder(log)
    network = family.new_network(builder)
    parser = library.OnnxParser(network, log)
    if not parser.parse(graph):
        told = "; ".join(parser.get_error(number).desc() for number in range(parser.num_errors))
        raise EngineError(f"{family.title} cannot read the graph ({told or log.last:.300})")
    config = builder.create_builder_config()
    family.aim(config, key.gpu)
    family.allow_capture(config)
    (config.set_flag if key.precision == "tf32" else config.clear_flag)(library.BuilderFlag.TF32)
    config.add_optimization_profile(_profile(builder, network, key.context, key.rows))
    cache = _cached(config, timing_cache) if timing_cache else None
    built = builder.build_serialized_network(network, config)
    if built is None:
        raise EngineError(f"{family.title} cannot build for {key.gpu} ({log.last or 'it does not say why':.300})")
    if cache is not None and timing_cache is not None:
        _keep(cache, timing_cache)
    return bytes(built)


def error_log(library: Any) -> Any:
    """Give a logger for objects of a library; its `last` is the last error that it was told, for people to read.

    Args:
        library: the module of a family.
    """

    class ErrorLog(library.ILogger):  # type: ignore[misc]  # a class of a library that is imported only now
        """Keeps the last error."""

        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self.last = ""

        def log(self, severity: Any, words: str) -> None:
            """Take what the library says."""
            if severity <= library.ILogger.ERROR:
                self.last = one_line(Exception(words))

    return ErrorLog()


def _profile(builder: Any, network: Any, context: int, rows: int) -> Any:
    """The sizes of all inputs: rows first, and what else a graph leaves free are the spectra."""
    profile = builder.create_optimization_profile()
    for number in range(network.num_inputs):
        given = network.get_input(number)
        least, most = (
            tuple(size if size > 0 else (count, context)[axis > 0] for axis, size in enumerate(given.shape))
            for count in (1, rows)
        )
        profile.set_shape(given.name, least, most, most)
    return profile


def _cached(config: Any, path: Path) -> Any:
    try:
        kept = path.read_bytes() if path.stat().st_size <= MAX_CACHE_BYTES else b""
    except OSError:
        kept = b""
    for content in (kept, b""):  # what is kept may be damaged, or of another card or library
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return cache
    return None  # a build is only slower


def _keep(cache: Any, path: Path) -> None:
    write_whole(path, bytes(cache.serialize()))
