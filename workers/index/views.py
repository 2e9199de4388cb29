"""Saved views in the index: worklist_ports.KeptViews over SQLite or PostgreSQL."""

from __future__ import annotations

import sqlalchemy as sa

from workers.index.access_tables import web_views
from workers.index.connected import Connected
from workers.index.schema import open_engine
from workers.worklist_ports import KeptView

V = web_views.c


def open_view_table(url: str) -> SqlViews:
    """The views of an index whose tables are there already.

    Raises:
        Misconfigured: the URL is not one of SQLite or PostgreSQL.
    """
    return SqlViews(open_engine(url))


class SqlViews(Connected):
    """See worklist_ports.KeptViews."""

    def views_of(self, account: str) -> list[KeptView]:
        wanted = sa.select(web_views).where(V.account == account).order_by(V.number)
        return [KeptView(**row) for row in self._read(wanted)]

    def keep_view(self, view: KeptView) -> KeptView:
        values = {"account": view.account, "words": view.words, "query": view.query}
        statement = self._insert(web_views).values(values)
        kept = statement.on_conflict_do_update(index_elements=["account", "words"], set_={"query": view.query})
        with self._write() as connection:
            return KeptView(**values, number=connection.execute(kept.returning(V.number)).scalar_one())

    def drop_view(self, account: str, number: int) -> bool:
        with self._write() as connection:
            gone = web_views.delete().where(V.account == account, V.number == number)
            return connection.execute(gone).rowcount == 1
