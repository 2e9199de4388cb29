"""A stored decision and the routes of the site in, the deliveries that it needs out. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from workers.delivery_ports import Decided, Delivery


@dataclass(frozen=True)
class Route:
    """Decisions leave as this output to this destination. output: its kind. destination: its name."""

    output: str
    destination: str


def planned(decided: Decided, routes: Iterable[Route], *, now: datetime) -> list[Delivery]:
    """One delivery for each route, due now; a route that is named twice counts once."""
    return [Delivery(decided, route.output, route.destination, due_at=now) for route in dict.fromkeys(routes)]
