"""Pytest's door to the virtual sound card; a test module says ``pytest_plugins = ("tests.support.virtual_card",)``.

Types from here are imported under ``TYPE_CHECKING`` only: pytest must be the first to import its plugin.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.support.card import VirtualCard, missing

CardFactory = Callable[..., VirtualCard]


@pytest.fixture
def card() -> Iterator[CardFactory]:
    """A factory with `VirtualCard`'s arguments; its cards end with the test. Skips where jackd is not installed.

    Clients must be closed when the test ends. One card at a time: what looks for a server finds the one that came last.
    """
    reason = missing()
    if reason:
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(VirtualCard(*arguments, **options))
