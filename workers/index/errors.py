"""Errors of a database in, errors of this program out: what passes by itself is Transient, everything else is a bug."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from triage.errors import Transient

# Class of SQLSTATE (PostgreSQL, appendix A). A value too long for an index belongs to it; psycopg calls it operational.
LIMIT_EXCEEDED = "54"


@contextmanager
def transient_errors() -> Iterator[None]:
    """A database that is away, locked or out of connections is Transient. Wrong SQL and a value that the database never
    accepts stay bugs."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        if str(getattr(getattr(error, "orig", None), "sqlstate", None) or "").startswith(LIMIT_EXCEEDED):
            raise
        raise Transient(f"index: {_brief(error)}") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise Transient(f"index: {_brief(error)}") from error


def _brief(error: Exception) -> str:
    """The driver's own words without the statement and its parameters, which may hold names."""
    original = getattr(error, "orig", None)
    return f"{type(original or error).__name__}: {original}" if original is not None else type(error).__name__
