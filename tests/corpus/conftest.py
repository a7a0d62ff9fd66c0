"""Fixtures of the corpus's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.debs import tool


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that go before the system's; apt knows nothing until a test says so."""
    tools = tmp_path / "tools"
    tool(tools, "apt-cache", "exit 100")
    tool(tools, "apt-get", "echo 'E: Unable to locate package' >&2; exit 100")
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return tools
