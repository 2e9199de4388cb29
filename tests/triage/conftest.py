"""What is slow to load, once per session."""

from __future__ import annotations

import pytest

import atlas as package
from tests.builders import small_head
from triage.model import Atlas, Volume


@pytest.fixture(scope="session")
def atlas() -> Atlas:
    return package.load()


@pytest.fixture(scope="session")
def head(atlas: Atlas) -> Volume:
    """A whole head, 2 mm, without noise."""
    return small_head(atlas)
