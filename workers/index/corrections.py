"""What is sent to a destination only because it may hold an older decision that a newer one contradicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from workers.delivery_ports import STANDING_OUTPUTS, Delivery, DeliveryState
from workers.index.schema import deliveries

D = deliveries.c
NOT_NEEDED = "not sent: the older decision that it corrects never went there"


def as_needed(connection: Connection, some: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """The corrections as they are to be inserted: SUPERSEDED where the destination never got anything older of the
    study. Such a row has the older one give way all the same, now and whenever it would wait again.

    Nobody takes one of the older rows until the transaction ends, so that none goes out uncorrected meanwhile.
    """
    return [
        one
        if _may_hold(connection, one)
        else replace(one, state=DeliveryState.SUPERSEDED, answer=NOT_NEEDED, done_at=now)
        for one in some
    ]


def _may_hold(connection: Connection, one: Delivery) -> bool:
    """Whether the destination has something older of the study, is getting it, or was tried and may have kept it."""
    older = sa.select(D.state, D.size_bytes, D.error_class).where(
        D.study_instance_uid == one.decided.study_instance_uid,
        D.destination == one.destination,
        D.sequence < one.decided.sequence,
        D.output.not_in(STANDING_OUTPUTS),
        sa.not_(D.shadow),
    )
    return any(
        row.state == DeliveryState.SENDING.value
        or (row.state == DeliveryState.DONE.value and bool(row.size_bytes))
        or (
            row.state not in (DeliveryState.DONE.value, DeliveryState.DISCARDED.value)
            and row.error_class == "transient"
        )
        for row in connection.execute(older.with_for_update())
    )
