"""Databases for tests of the index: marks that run a test on both backends, and databases written by older programs."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

BACKENDS = ["sqlite", "postgresql"]
# dumps of databases that the last program without revisions wrote through its own index, one per backend
BEFORE_REVISIONS = Path(__file__).parent / "before_revisions"

on_both = pytest.mark.parametrize("url", BACKENDS, indirect=True)
on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


def load_before_revisions(url: str) -> None:
    """Fill an empty database with what the last program without revisions wrote."""
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(path) as connection:
            connection.executescript((BEFORE_REVISIONS / "sqlite.sql").read_text(encoding="utf-8"))
        connection.close()
        return
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute((BEFORE_REVISIONS / "postgresql.sql").read_text(encoding="utf-8").encode())
