"""A stored decision and the destinations of the site in, the deliveries that it needs out. Pure.

Planning is a pass over decisions without a plan, not a part of saving a decision: a worker that dies in between, and a
node without a running delivery process, lose nothing, since the decision stays without a plan until one is stored
together with its deliveries. The results' files are written after the decision, and the settings of destinations are
only the business of the process that sends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from workers.delivery_ports import Delivery, Known, Unplanned
from workers.destination_settings import DestinationSettings
from workers.result_settings import ResultsSettings

AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)  # a clock that is set back delays nothing
URGENCY = {"P1": 1, "P2": 2, "P3": 3}
LEAST_URGENT = 4


def planned(decision: Unplanned, results: ResultsSettings, known: Mapping[str, Known]) -> list[Delivery]:
    """One delivery for each output of each destination that is to get this decision.

    Args:
        known: by name. A destination that is not in it gets nothing yet.
    """
    urgency = URGENCY.get(decision.priority, LEAST_URGENT)
    return [
        Delivery(
            decision.decided,
            output,
            destination.name,
            due_at=AT_ONCE,
            urgency=urgency,
            shadow=is_shadow(destination, results, known[destination.name]),
        )
        for destination in results.destinations
        if destination.name in known and _gets(destination, decision, known[destination.name])
        for output in dict.fromkeys(destination.outputs)
    ]


def is_shadow(destination: DestinationSettings, results: ResultsSettings, known: Known | None) -> bool:
    """Whether nothing is really sent. A person's promotion ends the shadow mode of one destination, never that of the
    site."""
    return results.shadow or (destination.shadow and not (known is not None and known.promoted))


def destination_names(results: ResultsSettings) -> Sequence[str]:
    return [destination.name for destination in results.destinations]


def _gets(destination: DestinationSettings, decision: Unplanned, known: Known) -> bool:
    wanted = destination.stages == "both" or decision.decided.stage != "first_look"
    return wanted and decision.created_at >= known.since
