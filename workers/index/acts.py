"""What readers said, in the index: act_ports.Acts over SQLite or PostgreSQL. Rows are added, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa

from workers.act_ports import Act, ActKind
from workers.delivery_ports import Acknowledgement
from workers.index.access_tables import acts
from workers.index.connected import Connected
from workers.index.schema import AT_ONCE, acknowledgements, open_engine

C, K = acts.c, acknowledgements.c


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

    def acknowledged_among(self, study_instance_uids: Sequence[str]) -> dict[str, Acknowledgement]:
        found = {}
        for start in range(0, len(study_instance_uids), AT_ONCE):
            some = study_instance_uids[start : start + AT_ONCE]
            wanted = sa.select(K.study_instance_uid, K.by, K.at, K.sequence).where(K.study_instance_uid.in_(some))
            for row in self._read(wanted.order_by(K.number)):
                found[row["study_instance_uid"]] = Acknowledgement(**row)
        return found

    def _acts(self, statement: sa.Select[tuple[object, ...]]) -> list[Act]:
        rows = self._read(statement.order_by(C.number))
        return [Act(**{**row, "kind": ActKind(row["kind"]), "patterns": tuple(row["patterns"])}) for row in rows]
