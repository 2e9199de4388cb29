"""How many alerts a destination gets within a day: what exceeds that is held back and listed, and P1 always goes."""

from __future__ import annotations

from datetime import datetime, timedelta

from workers.alert_settings import AlertDestinationSettings
from workers.delivery_ports import Deliveries, Delivery, DeliveryState
from workers.result_settings import ResultsSettings

DAY = timedelta(hours=24)
ALWAYS = 1  # urgency of a P1
MOST = 1000  # deliveries of one study


def budget_of(results: ResultsSettings, destination: str) -> int | None:
    """Alerts within 24 hours; None: no limit."""
    one = next((one for one in results.destinations if one.name == destination), None)
    return one.daily_budget if isinstance(one, AlertDestinationSettings) else None


def exceeds(deliveries: Deliveries, delivery: Delivery, budget: int | None, now: datetime) -> bool:
    """Whether sending it now would exceed the budget. Every alert counts, also a P1. What follows a P1 of the same
    study that went there always goes: whoever was alarmed must hear that the alarm fell.

    A person who releases a delivery has decided. What was sent "later than now" was sent before the clock was set back
    and does not count.

    Raises:
        Transient: the index is away.
    """
    if budget is None or delivery.urgency <= ALWAYS or delivery.shadow or delivery.released_by is not None:
        return False
    if deliveries.sent(delivery.destination, since=now - DAY, until=now) < budget:
        return False
    uid, done = delivery.decided.study_instance_uid, [DeliveryState.DONE]
    before = deliveries.listed(states=done, destination=delivery.destination, study_instance_uid=uid, limit=MOST)
    return not any(one.urgency <= ALWAYS and one.size_bytes for one in before)
