"""Nodes that share one index and have different destinations: what another one has still to plan. A part of
ports.Deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from workers.delivery_ports import PLAN, Decided, Delivery, DeliveryState, Unplanned
from workers.image_ports import ARRIVAL
from workers.index.connected import Connected
from workers.index.delivery_lists import delivery_of
from workers.index.image_schema import image_batches
from workers.index.schema import assessments, deliveries

A, B, D = assessments.c, image_batches.c, deliveries.c


class OtherNodes(Connected):
    """See ports.Deliveries."""

    def unplanned_for(self, destinations: Sequence[str], *, images: bool, limit: int) -> list[Delivery]:
        of_images = D.stage == ARRIVAL if images else D.stage != ARRIVAL
        wanted = sa.select(deliveries).where(
            D.state == DeliveryState.UNPLANNED.value, D.destination.in_(destinations), of_images
        )
        with self._reading() as connection:
            return [delivery_of(row) for row in connection.execute(wanted.order_by(D.sequence, D.number).limit(limit))]

    def stored_decision(self, decided: Decided) -> Unplanned | None:
        wanted = sa.select(A.created_at, A.document, A.retracted_at).where(
            A.study_instance_uid == decided.study_instance_uid,
            A.revision == decided.revision,
            A.stage == decided.stage,
        )
        with self._reading() as connection:
            row = connection.execute(wanted).one_or_none()
        if row is None:
            return None
        priority = str((row.document.get("decision") or {}).get("priority", ""))
        return Unplanned(decided, row.created_at, priority, retracted=row.retracted_at is not None)

    def untold(self, destination: str, *, since: datetime, images: bool) -> list[Decided]:
        decisions = self._without_delivery(
            sa.select(A.study_instance_uid, A.revision, A.stage).where(A.planned_at >= since),
            (A.study_instance_uid, A.revision, A.stage),
            destination,
        )
        if not images:
            return list(decisions)
        arrived = sa.literal(ARRIVAL)
        batches = self._without_delivery(
            sa.select(B.study_instance_uid, B.number, arrived).where(B.planned_at >= since),
            (B.study_instance_uid, B.number, arrived),
            destination,
        )
        return [*decisions, *batches]

    def end_unplanned(self, numbers: Sequence[int]) -> None:
        if numbers:
            with self._write() as connection:
                mine = (D.number.in_(numbers), D.state == DeliveryState.UNPLANNED.value, D.output == PLAN)
                connection.execute(deliveries.delete().where(*mine))

    def _without_delivery(
        self, wanted: sa.Select[Any], key: tuple[sa.ColumnElement[Any], ...], destination: str
    ) -> Iterable[Decided]:
        study, revision, stage = key
        there = sa.exists().where(
            D.study_instance_uid == study, D.revision == revision, D.stage == stage, D.destination == destination
        )
        with self._reading() as connection:
            return [Decided(*row) for row in connection.execute(wanted.where(sa.not_(there)))]
