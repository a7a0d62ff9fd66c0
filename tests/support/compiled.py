"""What a kernel becomes: for orders of memory, which no test on x86 can see at work."""

from __future__ import annotations

from typing import Any

import numba


def llvm(kernel: Any, *arguments: Any) -> str:
    """LLVM's text of a kernel, compiled anew, as what comes from the cache has none; it is called once."""
    fresh = numba.njit(kernel.py_func)
    fresh(*arguments)
    (text,) = fresh.inspect_llvm().values()
    return str(text)
