"""A stored decision and the destinations of the site in, the deliveries that it needs out. Pure.

Planning is a pass over decisions without a plan, not a part of saving a decision: a worker that dies in between, and a
node without a running delivery process, lose nothing, since the decision stays without a plan until one is stored
together with its deliveries. The results' files are written after the decision, and the settings of destinations are
only the business of the process that sends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workers.deliveries.escalation import due_at
from workers.delivery_ports import Delivery, Known, Unplanned
from workers.destination_settings import DestinationSettings
from workers.result_settings import ResultsSettings
from workers.rules.rule import Send

URGENCY = {"P1": 1, "P2": 2, "P3": 3}
LEAST_URGENT = 4


def planned(
    decision: Unplanned,
    results: ResultsSettings,
    known: Mapping[str, Known],
    earlier: Mapping[str, Sequence[Delivery]],
    sends: Sequence[Send] | None = None,
) -> list[Delivery]:
    """One delivery for each output of each destination that is to get this decision.

    Args:
        known: by name. A destination that is not in it gets nothing yet.
        earlier: what is planned, or was, of the study for destinations of escalation, by name.
        sends: what the site's rules want; None: each destination gets the outputs that it is configured for.
    """
    urgency = URGENCY.get(decision.priority, LEAST_URGENT)
    some: list[Delivery] = []
    for destination in results.destinations:
        name = destination.name
        if name not in known or not _gets(destination, decision, known[name]):
            continue
        due = due_at(destination, decision, earlier.get(name, ()))
        if due is None:
            continue
        shadow = is_shadow(destination, results, known[name])
        some += [
            Delivery(decision.decided, output, name, due_at=due, urgency=urgency, shadow=shadow)
            for output in _outputs(destination, sends)
        ]
    return some


def _outputs(destination: DestinationSettings, sends: Sequence[Send] | None) -> list[str]:
    if sends is None:
        return list(dict.fromkeys(destination.outputs))
    return list(dict.fromkeys(output for send in sends if destination.name in send.to for output in send.outputs))


def is_shadow(destination: DestinationSettings, results: ResultsSettings, known: Known | None) -> bool:
    """Whether nothing is really sent. A person's promotion ends the shadow mode of one destination, never that of the
    site."""
    return results.shadow or (destination.shadow and not (known is not None and known.promoted))


def destination_names(results: ResultsSettings) -> Sequence[str]:
    return [destination.name for destination in results.destinations]


def _gets(destination: DestinationSettings, decision: Unplanned, known: Known) -> bool:
    wanted = destination.stages == "both" or decision.decided.stage != "first_look"
    return wanted and decision.created_at >= known.since
