"""Fixtures of the tests of the index: an empty database of the backend that the test names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.index import postgres
from workers.index.sql import SqlIndex, open_index


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[str]:
    with postgres.cluster() as folder:
        yield folder


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state' / 'index.db'}"
    return postgres.empty_database(request.getfixturevalue("postgres_socket"))


@pytest.fixture
def index(url: str) -> Iterator[SqlIndex]:
    opened = open_index(url)
    yield opened
    opened.close()
