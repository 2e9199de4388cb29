"""Images on their way out, in the index: image_ports.ImageBatches over SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from workers.delivery_ports import Delivery
from workers.image_ports import IMAGES, ImageBatch, Tag
from workers.index.connected import Connected
from workers.index.delivery_lists import delivery_values
from workers.index.image_schema import image_batches, study_tags
from workers.index.schema import deliveries, instances, open_engine, studies
from workers.ports import InstanceRow

I, B, D = instances.c, image_batches.c, deliveries.c  # noqa: E741 - as the other tables
INSTANCE_COLUMNS = [I[field.name] for field in fields(InstanceRow)]
MOST_STUDIES = 500  # that get batches in one pass


def open_image_batches(url: str) -> SqlImageBatches:
    """Of an index whose tables are there already.

    Raises:
        Misconfigured: the URL is not one of SQLite or PostgreSQL.
    """
    return SqlImageBatches(open_engine(url))


class SqlImageBatches(Connected):
    """See image_ports.ImageBatches."""

    def to_batch(self, *, quiet_since: datetime, older_than: datetime, now: datetime) -> list[str]:
        newest, oldest = sa.func.max(I.received_at), sa.func.min(I.received_at)
        ripe = sa.or_(newest <= quiet_since, oldest <= older_than, newest > now)
        statement = sa.select(I.study_instance_uid).where(I.batch.is_(None)).group_by(I.study_instance_uid).having(ripe)
        with self._reading() as connection:
            return list(connection.execute(statement.limit(MOST_STUDIES)).scalars())

    def make_batches(self, study_instance_uid: str) -> int:
        mine = I.study_instance_uid == study_instance_uid
        found = sa.select(I.series_instance_uid, I.sop_instance_uid, I.received_at).where(mine, I.batch.is_(None))
        with self._write() as connection:
            # another host may be at it, and a number must not be given twice
            connection.execute(
                sa.select(studies.c.revision)
                .where(studies.c.study_instance_uid == study_instance_uid)
                .with_for_update()
            )
            last = sa.select(sa.func.max(B.number)).where(B.study_instance_uid == study_instance_uid)
            number = connection.execute(last).scalar() or 0
            by_series: dict[str, list[Any]] = {}
            for row in connection.execute(found.order_by(I.series_instance_uid)):
                by_series.setdefault(row.series_instance_uid, []).append(row)
            for new, (series, rows) in enumerate(by_series.items(), start=number + 1):
                received = max(row.received_at for row in rows)
                batch = ImageBatch(study_instance_uid, new, series, len(rows), received)
                values = {name: value for name, value in asdict(batch).items() if name != "planned"}
                connection.execute(image_batches.insert().values(**values))
                connection.execute(
                    instances.update().where(I.sop_instance_uid == sa.bindparam("uid")).values(batch=new),
                    [{"uid": row.sop_instance_uid} for row in rows],
                )
        return len(by_series)

    def without_plan(self, *, limit: int) -> list[str]:
        statement = sa.select(B.study_instance_uid).where(B.planned_at.is_(None)).distinct()
        with self._reading() as connection:
            return list(connection.execute(statement.order_by(B.study_instance_uid).limit(limit)).scalars())

    def oldest_without_plan(self) -> datetime | None:
        oldest = sa.select(sa.func.min(B.received_at, type_=B.received_at.type)).where(B.planned_at.is_(None))
        with self._reading() as connection:
            found: datetime | None = connection.execute(oldest).scalar_one()
        return found

    def batches(self, study_instance_uid: str) -> list[ImageBatch]:
        wanted = sa.select(image_batches).where(B.study_instance_uid == study_instance_uid).order_by(B.number)
        return [
            ImageBatch(
                **{name: row[name] for name in row if name != "planned_at"}, planned=row["planned_at"] is not None
            )
            for row in self._read(wanted)
        ]

    def batch_images(self, study_instance_uid: str, number: int) -> list[InstanceRow]:
        wanted = sa.select(*INSTANCE_COLUMNS).where(I.study_instance_uid == study_instance_uid, I.batch == number)
        return [InstanceRow(**row) for row in self._read(wanted.order_by(I.sop_instance_uid))]

    def plan_images(self, batches: Sequence[ImageBatch], some: Sequence[Delivery], *, now: datetime) -> None:
        with self._write() as connection:
            for one in some:
                mine = (
                    D.study_instance_uid == one.decided.study_instance_uid,
                    D.revision == one.decided.revision,
                    D.stage == one.decided.stage,
                    D.output == IMAGES,
                    D.destination == one.destination,
                )
                if not one.shadow and one.output == IMAGES:
                    connection.execute(deliveries.delete().where(*mine, D.shadow))
                connection.execute(
                    self._insert(deliveries).on_conflict_do_nothing().values(**delivery_values(one, now))
                )
            for batch in batches:
                key = (B.study_instance_uid == batch.study_instance_uid, B.number == batch.number)
                connection.execute(image_batches.update().where(*key, B.planned_at.is_(None)).values(planned_at=now))

    def put_tags(self, tags: Sequence[Tag]) -> None:
        if tags:
            with self._write() as connection:
                connection.execute(self._insert(study_tags).on_conflict_do_nothing(), [asdict(one) for one in tags])

    def tags(self, study_instance_uids: Sequence[str]) -> dict[str, list[Tag]]:
        if not study_instance_uids:
            return {}
        wanted = sa.select(study_tags).where(study_tags.c.study_instance_uid.in_(study_instance_uids))
        found: dict[str, list[Tag]] = {}
        for row in self._read(wanted.order_by(study_tags.c.at, study_tags.c.tag)):
            found.setdefault(row["study_instance_uid"], []).append(Tag(**row))
        return found
