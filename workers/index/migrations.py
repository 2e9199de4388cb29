"""The schema of the index over time: an engine in, tables of this program's revision out. SQLite and PostgreSQL.

A new database gets the tables of workers.index.schema as they are now. An older one is upgraded by the scripts in
``versions``; only then is Alembic imported, so that the door stays small. Everything happens in one transaction under a
lock: any number of processes may start at once, and a crash leaves the old schema whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from triage.errors import Misconfigured
from workers.index import access_tables, answer_schema, image_schema  # noqa: F401 - their tables belong to the metadata
from workers.index.schema import WRITES, metadata, schema_version, studies
from workers.log import get_logger

log = get_logger(__name__)

BASELINE = "0001"  # the schema before there were revisions; such a database has no table of revisions
REVISION = "0030"  # of the tables in workers.index.schema: the newest script in versions
LEGACY_VERSION = 2  # what schema_version says; programs without revisions know 1 and refuse this
SCHEMA_LOCK = 0x1CA5EE  # key of the PostgreSQL advisory lock held while tables are created or changed

# as Alembic defines it; not among the tables of the index
alembic_version = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


@dataclass(frozen=True)
class FoundSchema:
    """What a database holds. revision: None without tables. stamped: the database itself names its revision."""

    revision: str | None
    stamped: bool


def prepare(engine: Engine, *, upgrade: bool) -> FoundSchema:
    """Make the tables those of this program; what was found before.

    Args:
        upgrade: an older schema may be changed. Otherwise it is refused.

    Raises:
        Misconfigured: the schema is newer than this program, or older and ``upgrade`` is False.
        sqlalchemy.exc.DBAPIError: the database cannot be reached.
    """
    with engine.connect() as connection:
        found = look(connection)
    if found == FoundSchema(REVISION, stamped=True):
        return found
    with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
        _lock(connection)
        found = look(connection)  # another process may have been faster
        if found.revision is None:
            _create(connection)
        elif found != FoundSchema(REVISION, stamped=True):
            _refuse(found.revision, upgrade=upgrade)
            run_scripts(connection, found)
            log.info("index.schema_upgraded", before=found.revision, now=REVISION)
    return found


def look(connection: Connection) -> FoundSchema:
    """Which revision the database has."""
    tables = sa.inspect(connection).get_table_names()
    if alembic_version.name in tables:
        revision = connection.execute(sa.select(alembic_version.c.version_num)).scalar()
        if revision is not None:
            return FoundSchema(revision, stamped=True)
    return FoundSchema(BASELINE if studies.name in tables else None, stamped=False)


def _refuse(found: str, *, upgrade: bool) -> None:
    """Revisions are numbers of equal length, so that their order is that of their texts."""
    if found > REVISION:
        raise Misconfigured(
            f"index.url: the schema of the index has revision {found}, this program knows {REVISION}; "
            "update the program"
        )
    if found < REVISION and not upgrade:
        raise Misconfigured(
            f"index.url: the schema of the index has revision {found}, this program needs {REVISION}; "
            "stop every node that uses this index and run `icansee store upgrade`"
        )


def _lock(connection: Connection) -> None:
    """SQLite's write lock is held already."""
    if connection.dialect.name == "postgresql":
        # CREATE TABLE IF NOT EXISTS still collides when two sessions run it at the same moment
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(SCHEMA_LOCK)))


def _create(connection: Connection) -> None:
    from workers.index import spellings  # noqa: F401 - it adds its table to the metadata

    metadata.create_all(connection)
    connection.execute(schema_version.insert().values(version=LEGACY_VERSION))
    alembic_version.create(connection, checkfirst=True)
    connection.execute(alembic_version.insert().values(version_num=REVISION))


def run_scripts(connection: Connection, found: FoundSchema) -> None:
    """Upgrade within the transaction at hand."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(Path(__file__).parent)
    context = MigrationContext.configure(connection)
    if found.revision is not None and not found.stamped:
        context.stamp(scripts, found.revision)
    newest_first = list(scripts.iterate_revisions(REVISION, found.revision))
    with Operations.context(context):
        for script in reversed(newest_first):
            script.module.upgrade()
    context.stamp(scripts, REVISION)
