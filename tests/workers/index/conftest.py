"""Fixtures of the tests of the index: an empty database of the backend that the test names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from tests.workers.index import postgres
from workers.index import migrations
from workers.index.schema import open_engine
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


@pytest.fixture
def engine_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Engine]]:
    """ "sqlite" or "postgresql" in, an empty index of that backend out."""
    engines: list[Engine] = []

    def opened(backend: str) -> Engine:
        if backend == "sqlite":
            url = f"sqlite:///{tmp_path / 'index.db'}"
        else:
            url = postgres.empty_database(request.getfixturevalue("postgres_socket"))
        engines.append(open_engine(url))
        migrations.prepare(engines[-1], upgrade=False)
        return engines[-1]

    yield opened
    for engine in engines:
        engine.dispose()
