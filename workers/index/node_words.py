"""What people said about decisions and shadow mode: in files before it is rows, and back after the index was lost.

Acknowledgements, acts of readers and releases from shadow mode are only ever added. What counts is often the last word,
so that they come back in the order of their times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from triage.errors import Transient
from workers.act_ports import Act
from workers.delivery_ports import Acknowledgement, Release
from workers.files.facts import FactFolder, KeptFact
from workers.index.access_tables import acts
from workers.index.acts import SqlActs
from workers.index.deliveries import SqlDeliveries
from workers.index.fact_forms import costs_itself
from workers.index.schema import acknowledgements, open_engine, releases
from workers.settings import NodeSettings

RELEASE, ACKNOWLEDGEMENT, ACT = "release", "acknowledgement", "act"  # kinds of facts
TABLES = {RELEASE: releases, ACKNOWLEDGEMENT: acknowledgements, ACT: acts}
UNTOLD = ("why", "note", "patterns", "sequence")  # columns that do not tell one word from another


def open_node_deliveries(settings: NodeSettings) -> NodeDeliveries:
    """The deliveries of an index whose tables are there already.

    Raises:
        Misconfigured: the URL is not one of SQLite or PostgreSQL.
    """
    return NodeDeliveries(open_engine(settings.index_url), FactFolder(settings.store.files_dir))


def open_node_acts(settings: NodeSettings) -> NodeActs:
    """What readers said, in an index whose tables are there already.

    Raises:
        Misconfigured: the URL is not one of SQLite or PostgreSQL.
    """
    return NodeActs(open_engine(settings.index_url), FactFolder(settings.store.files_dir))


class NodeDeliveries(SqlDeliveries):
    """See ports.Deliveries."""

    def __init__(self, engine: Engine, facts: FactFolder) -> None:
        super().__init__(engine)
        self._facts = facts

    def release(self, release: Release) -> None:
        _keep(self._facts, RELEASE, asdict(release) | {"kind": release.kind.value})
        super().release(release)

    def acknowledge(self, one: Acknowledgement) -> int:
        one = self.with_sequence(one)
        _keep(self._facts, ACKNOWLEDGEMENT, asdict(one))
        return super().acknowledge(one)


class NodeActs(SqlActs):
    """See act_ports.Acts."""

    def __init__(self, engine: Engine, facts: FactFolder) -> None:
        super().__init__(engine)
        self._facts = facts

    def add_act(self, act: Act) -> None:
        _keep(self._facts, ACT, asdict(act) | {"kind": act.kind.value, "patterns": list(act.patterns)})
        super().add_act(act)


def restore_words(connection: Connection, facts: FactFolder) -> int:
    """Make rows and files agree: a file without a row gets one, and a row without a file gets that. How many rows came
    back.

    Raises:
        Transient: a file cannot be written.
        OSError: the folder of the files cannot be read now.
    """
    return sum(_restore(connection, facts, kind, table) for kind, table in TABLES.items())


def _restore(connection: Connection, facts: FactFolder, kind: str, table: sa.Table) -> int:
    rows = [dict(row) for row in connection.execute(sa.select(table).order_by(table.c.number)).mappings()]
    known = {_fact(kind, row).key: row for row in rows}
    kept, lost = set(), []
    for fact in facts.all(kind):
        kept.add(fact.key)
        if fact.key not in known:
            with costs_itself(fact):
                lost.append(_row_of(fact, table))
    for key, row in known.items():
        if key not in kept:  # of a program that kept no files
            _keep(facts, kind, row)
    if lost:
        everything = [{name: row[name] for name in row if name != "number"} for row in rows] + lost
        connection.execute(table.delete())
        connection.execute(table.insert(), sorted(everything, key=lambda row: row["at"]))
    return len(lost)


def _fact(kind: str, said: Mapping[str, Any]) -> KeptFact:
    at: datetime = said["at"]
    value = {name: said[name] for name in sorted(said) if name != "number"} | {"at": at.astimezone(UTC).isoformat()}
    return KeptFact(kind, tuple(str(value[name]) for name in value if name not in UNTOLD), value)


def _row_of(fact: KeptFact, table: sa.Table) -> dict[str, Any]:
    """Raises KeyError, TypeError or ValueError when it is none of this table."""
    columns = {column.name: column for column in table.c if column.name != "number"}
    unknown = {name: None for name, column in columns.items() if column.nullable}  # of an older program
    row = unknown | dict(fact.value) | {"at": datetime.fromisoformat(fact.value["at"])}
    if row.keys() != columns.keys():
        raise KeyError("other columns")
    for name, column in columns.items():
        wanted = {"at": datetime, "patterns": list}.get(name) or column.type.python_type
        if not isinstance(row[name], wanted) and not (column.nullable and row[name] is None):
            raise TypeError(name)
    return row


def _keep(facts: FactFolder, kind: str, said: Mapping[str, Any]) -> None:
    try:
        facts.put(_fact(kind, said))
    except OSError as error:
        raise Transient(f"facts: the file cannot be written ({error.strerror})") from error
