"""Priorities of orders in the index: prior_ports.OrderPriorities over SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from workers.index.answer_schema import order_priorities
from workers.index.connected import Connected
from workers.index.schema import AT_ONCE, open_engine
from workers.settings import NodeSettings

O = order_priorities.c  # noqa: E741 - as the other tables


def open_order_priorities(url: str) -> SqlOrderPriorities:
    """Of an index whose tables are there already.

    Raises:
        Misconfigured: the URL is not one of SQLite or PostgreSQL.
    """
    return SqlOrderPriorities(open_engine(url))


class SqlOrderPriorities(Connected):
    """See prior_ports.OrderPriorities."""

    def put_priority(self, study_instance_uid: str, priority: str, *, now: datetime) -> None:
        statement = self._insert(order_priorities)
        said = {"priority": priority, "asked_at": now}
        with self._write() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=["study_instance_uid"], set_=said),
                [{"study_instance_uid": study_instance_uid, **said}],
            )

    def priorities(self, study_instance_uids: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for first in range(0, len(study_instance_uids), AT_ONCE):
            some = O.study_instance_uid.in_(study_instance_uids[first : first + AT_ONCE])
            with self._reading() as connection:
                rows = connection.execute(sa.select(O.study_instance_uid, O.priority).where(some))
                found |= {row.study_instance_uid: row.priority for row in rows}
        return found


def priorities_of_orders(settings: NodeSettings) -> SqlOrderPriorities | None:
    """None: no worklist is asked. The index must be there."""
    return None if settings.feeds.worklist is None else open_order_priorities(settings.index_url)
