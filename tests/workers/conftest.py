"""Fixtures of the tests of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.files.store import FileStore


@pytest.fixture(params=["unnamed while it comes in", "named from the start"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> FileStore:
    """Both ways of receiving; the second is taken where the file system cannot name a file later."""
    found = FileStore(tmp_path)
    if request.param == "named from the start":
        found.unnamed = False
    elif not found.unnamed:
        pytest.skip("the file system of the temporary folder cannot name a file later")
    return found
