"""A stored decision and the destinations of the site in, the deliveries that it needs out. Pure.

Planning is a pass over decisions without a plan, not a part of saving a decision: a worker that dies in between, and a
node without a running delivery process, lose nothing, since the decision stays without a plan until one is stored
together with its deliveries. The results' files are written after the decision, and the settings of destinations are
only the business of the process that sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from workers.alert_settings import AlertDestinationSettings
from workers.deliveries.escalation import ESCALATED, covering, due_at, stopped, was_called
from workers.deliveries.staging import shadow_at
from workers.delivery_ports import Acknowledgement, Call, Delivery, DeliveryState, Known, Released, Unplanned
from workers.destination_settings import DestinationSettings
from workers.image_ports import IMAGES
from workers.output_kinds import KINDS
from workers.result_settings import ResultsSettings
from workers.rules.rule import Send

URGENCY = {"P1": 1, "P2": 2, "P3": 3}
LEAST_URGENT = 4
# What takes long to render or to send comes last: the picture and the key images are not to wait for it.
TURNS = {kind.name: kind.turn for kind in KINDS}
# an object has the same UIDs and a file the same name when it comes again; a message would call people twice
MAY_BE_KNOWN = "held back: the index was restored, and this alert may have been sent before"
OF_LONG_AGO = "held back: nobody served this destination when it was decided, and that is long ago"


@dataclass(frozen=True)
class PlanFacts:
    """What planning rests on beside the decision and the settings.

    known: by name; a destination that is not in it gets nothing yet. earlier: what is planned, or was, of the study for
    destinations of escalation, by name. acknowledged: of the study. sends: what the site's rules want; None: each
    destination gets the outputs that it is configured for. held: it waits for a person. would: what rules in shadow
    mode would send, beside that; would_rule: (destination, output) -> their names. released: from shadow mode. shadow:
    why nothing of this decision is sent (its scanner, its patterns); empty: it is. late: it is planned so long after it
    was decided that its alerts wait for a person.
    """

    known: Mapping[str, Known]
    earlier: Mapping[str, Sequence[Call]] = field(default_factory=dict)
    acknowledged: Sequence[Acknowledgement] = ()
    sends: Sequence[Send] | None = None
    held: bool = False
    would: Sequence[Send] = ()
    would_rule: Callable[[str, str], str] = lambda _destination, _output: ""
    released: Released = frozenset()
    shadow: Sequence[str] = ()
    late: bool = False


def planned(decision: Unplanned, results: ResultsSettings, facts: PlanFacts) -> list[Delivery]:
    """One delivery for each output of each destination that is to get this decision."""
    seen = covering(facts.acknowledged, decision)
    some: list[Delivery] = []
    for destination in results.destinations:
        blank = blank_for(destination, decision, results, facts)
        if blank is None:
            continue
        really = _outputs(destination, facts.sends)
        would = _outputs(destination, facts.would) if facts.would else []
        new = [
            *(replace(blank, output=output) for output in really),
            *(
                replace(
                    replace(blank, output=output, shadow=True, state=DeliveryState.PLANNED, answer=None),
                    shadow_of=", ".join(
                        filter(None, [blank.shadow_of, facts.would_rule(destination.name, output) or "a rule"])
                    ),
                )
                for output in would
                if output not in really
            ),
        ]
        some += new if seen is None or not blank.escalates else [stopped(one, seen) for one in new]
    return some


def blank_for(
    destination: DestinationSettings, decision: Unplanned, results: ResultsSettings, facts: PlanFacts
) -> Delivery | None:
    """What a delivery of a decision to a destination is, whatever its output; None: nothing of it goes there."""
    known = facts.known.get(destination.name)
    if known is None or not _gets(destination, decision, known):
        return None
    why = [*shadow_at(destination, results, facts.released), *facts.shadow]
    shadow = bool(why)
    # nobody was called by what was in shadow mode
    earlier = [one for one in facts.earlier.get(destination.name, ()) if shadow or not one.delivery.shadow]
    due = due_at(destination, decision, earlier)
    if due is None:
        return None
    blank = Delivery(
        decision.decided,
        "",
        destination.name,
        due_at=due,
        urgency=urgency_of(decision),
        shadow=shadow,
        shadow_of=", ".join(why) or None,
        escalates=destination.escalate_after_s is not None and not was_called(earlier),
    )
    if facts.held and not shadow:
        return replace(blank, state=DeliveryState.HELD)
    if (decision.restored or facts.late) and not shadow and isinstance(destination, AlertDestinationSettings):
        answer = MAY_BE_KNOWN if decision.restored else OF_LONG_AGO
        return replace(blank, state=DeliveryState.HELD, answer=answer)
    return blank


def urgency_of(decision: Unplanned) -> int:
    return URGENCY.get(decision.priority, LEAST_URGENT)


def _outputs(destination: DestinationSettings, sends: Sequence[Send] | None) -> list[str]:
    wanted: Iterable[str] = [one for one in destination.outputs if one != IMAGES]
    if sends is not None:
        wanted = (output for send in sends if destination.name in send.to for output in send.outputs)
    return in_order(wanted)


def in_order(outputs: Iterable[str]) -> list[str]:
    """Each once, in the order in which they go out: the slow ones last."""
    return sorted(dict.fromkeys(outputs), key=lambda output: TURNS.get(output, 0))


def destination_names(results: ResultsSettings) -> Sequence[str]:
    return [destination.name for destination in results.destinations]


def never_gets(destination: DestinationSettings, stage: str, priority: str) -> str:
    """Why a destination is told nothing of such a decision by itself, whatever the rules say; empty: it may be."""
    if destination.stages != "both" and stage == "first_look":
        return "no first look (stages: full)"
    if destination.escalate_after_s is not None and priority != ESCALATED:
        return "only P1, and what follows one that was sent (escalate_after_s)"
    return ""


def _gets(destination: DestinationSettings, decision: Unplanned, known: Known) -> bool:
    wanted = destination.stages == "both" or decision.decided.stage != "first_look"
    return wanted and decision.created_at >= known.since
