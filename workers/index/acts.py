"""What readers said, in the index: act_ports.Acts over SQLite or PostgreSQL. Rows are added, never changed."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa

from workers.act_ports import Act, ActKind
from workers.delivery_ports import Decided
from workers.index.access_tables import acts
from workers.index.connected import Connected
from workers.index.schema import assessments, open_engine

C = acts.c
NOT_ASSESSABLE = "not_assessable"  # triage.model.Category; the receiving program does not load the core
DECISION = ("study_instance_uid", "revision", "stage")


def open_act_table(url: str) -> SqlActs:
    """The acts of an index whose tables are there already.

    Raises:
        Misconfigured: the URL is not one of SQLite or PostgreSQL.
    """
    return SqlActs(open_engine(url))


class SqlActs(Connected):
    """See act_ports.Acts."""

    def add_act(self, act: Act) -> None:
        values = {**asdict(act), "kind": act.kind.value, "patterns": list(act.patterns)}
        del values["number"]
        with self._write() as connection:
            connection.execute(acts.insert().values(values))

    def acts_of(self, study_instance_uid: str) -> list[Act]:
        return self._acts(sa.select(acts).where(C.study_instance_uid == study_instance_uid))

    def all_acts(self) -> list[Act]:
        return self._acts(sa.select(acts))

    def not_assessed(self) -> set[Decided]:
        d = assessments.c
        same = (C.study_instance_uid == d.study_instance_uid, C.revision == d.revision, C.stage == d.stage)
        unnamed = d.document["decision"]["category"].as_string() == NOT_ASSESSABLE
        wanted = sa.select(*(C[name] for name in DECISION)).join(assessments, sa.and_(*same)).where(unnamed).distinct()
        return {Decided(**row) for row in self._read(wanted)}

    def _acts(self, statement: sa.Select[tuple[object, ...]]) -> list[Act]:
        rows = self._read(statement.order_by(C.number))
        return [Act(**{**row, "kind": ActKind(row["kind"]), "patterns": tuple(row["patterns"])}) for row in rows]
