"""Compiled kernels that are kept: in a folder of this very source, checked as they are read, or not kept at all.

numba alone would go on to the next folder that it may write to, down to that of the source, hand a damaged file
to pickle and LLVM, which may end the process, and fail where there is no room.
"""

from __future__ import annotations

import functools
import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import caching, ccallback, dispatcher

from rtsep.core import folders, notices, system
from rtsep.core.whole_file import write_whole

DIGEST = hashlib.sha256().digest_size  # bytes behind the content of every file; pickle does not read them
FORMAT = 2  # 2: with digests
CACHING: tuple[Any, ...] = (dispatcher, ccallback)  # modules of numba's that make caches


def root() -> Path:
    """Give the folder above those of all sources: RTSEP_CACHE, or the platform's place for caches.

    Thread: any; not real-time safe (Python).
    """
    return (folders.chosen("RTSEP_CACHE") or folders.cache()) / "kernels"


@functools.cache
def cache_folder() -> Path:
    """Give the folder where compiled kernels of this very source lie.

    numba looks only at the file of the outermost function and would go on running an old callee
    from another file, so the folder is named by a digest of all the sources that have kernels, or teach
    numba, and of what they take from the system.

    Thread: any; not real-time safe (reads files).
    """
    digest = hashlib.sha256(f"{FORMAT} {numba.__version__} {np.__version__} {system.HERE}".encode())
    package = Path(__file__).parent.parent
    for source in sorted(package.rglob("*.py")):
        text = source.read_bytes()
        if b"numba.extending" in text or (b"rtsep.dsp.native" in text and b"kernel" in text):
            digest.update(text)
    return root() / digest.hexdigest()[:16]


def compiled() -> bool:
    """Say whether there are kernels in the cache; else the first start takes its time.

    Thread: any; not real-time safe (reads files).
    """
    try:
        return any(cache_folder().rglob("*.nbi"))
    except OSError:
        return False


def refusal() -> str:
    """Say why nothing can be kept; empty where it can.

    Thread: any; not real-time safe (writes a file).
    """
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=cache_folder()).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    """The folder of the kernels of one file; whether it can be written matters when something is to be kept."""

    def __init__(self, function: Any, file: str) -> None:
        self._file, self._line = Path(file), function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> _Locator:
        return cls(py_func, py_file)

    def ensure_cache_path(self) -> None:
        Path(self.get_cache_path()).mkdir(parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        return str(cache_folder() / self.get_suitable_cache_subpath(self._file))

    def get_source_stamp(self) -> object:
        facts = self._file.stat()  # tests have kernels, too, and are not in the folder's name
        return facts.st_mtime_ns, facts.st_size

    def get_disambiguator(self) -> str:
        return str(self._line)


class _Files(caching.IndexDataCacheFile):  # type: ignore[misc]
    """An index and its kernels, each file with a digest of its content at its end."""

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[io.BytesIO]:
        content = io.BytesIO()
        yield content
        found = content.getvalue()
        write_whole(Path(filepath), found + hashlib.sha256(found).digest())

    def _load_index(self) -> Any:
        return super()._load_index() if _whole(Path(self._index_path)) else {}

    def _load_data(self, name: str) -> Any:
        return super()._load_data(name) if _whole(Path(self._data_path(name))) else None


def _whole(path: Path) -> bool:
    """Whether a file is what we wrote."""
    try:
        found = memoryview(path.read_bytes())
    except OSError:
        return False
    return hashlib.sha256(found[:-DIGEST]).digest() == found[-DIGEST:]


class _Implementation(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class KernelCache(caching.FunctionCache):  # type: ignore[misc]
    """The kept kernels of one function; what cannot be read is compiled anew, what cannot be kept is said once."""

    _impl_class = _Implementation

    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Give a kept kernel; None where there is none.

        Thread: any; not real-time safe (reads files).
        """
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # it names what is not here, or whatever else unpickling raises
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a kernel.

        Thread: any; not real-time safe (writes files).
        """
        try:
            super().save_overload(sig, data)
        except OSError as error:
            notices.say_once(_unkept(error))


def _unkept(error: OSError) -> str:
    anew = "and every start compiles the signal path anew"
    if root().is_relative_to(folders.NOWHERE):
        return f"no home folder is known, so compiled code cannot be kept, {anew}; set HOME, or RTSEP_CACHE to a folder"
    why = error.strerror or error
    return (
        f"{root()}: compiled code cannot be kept there ({why}), {anew}; "
        "make it writable, or set RTSEP_CACHE to a folder that is"
    )


def keeping(compiler: Callable[..., Any], *arguments: Any, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make a decorator that compiles as a decorator of numba does, and keeps it here; other users of numba keep theirs.

    Args:
        compiler: `numba.njit` or `numba.cfunc`.
        arguments: for it.
        options: for it.

    Thread: any, before the sound starts; not real-time safe (compiles).
    """

    def decorate(function: Callable[..., Any]) -> Any:
        for module in CACHING:
            module.FunctionCache = KernelCache
        try:
            return compiler(*arguments, cache=True, **options)(function)
        finally:
            for module in CACHING:
                module.FunctionCache = caching.FunctionCache

    return decorate
