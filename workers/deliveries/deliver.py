"""Due deliveries in, rendered outputs at their destinations out. Each one is tried until it succeeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from workers.backoff import Backoff
from workers.delivery_ports import Decided, Deliveries, Delivery, Destination
from workers.log import brief, get_logger, study_hash
from workers.outputs.output import EvidenceFiles, Output
from workers.ports import Clock, StudyIndex

log = get_logger(__name__)

TAKEN_S = 300.0  # nobody else tries the same delivery for this long, unless it fails before
PAUSES = Backoff(30.0, 3600.0)


@dataclass(frozen=True)
class Delivering:
    """Everything that delivering needs. evidence: the files stored with a decision. destinations: by name."""

    deliveries: Deliveries
    index: StudyIndex
    evidence: Callable[[Decided], EvidenceFiles]
    outputs: Sequence[Output]
    destinations: Mapping[str, Destination]
    clock: Clock


def deliver_due(parts: Delivering) -> int:
    """Try each delivery that is due, once; returns how many succeeded. One that fails costs no other.

    Raises:
        Transient: the index is away.
    """
    return sum(_tried(delivery, parts) for delivery in parts.deliveries.due(now=parts.clock.now()))


def _tried(delivery: Delivery, parts: Delivering) -> bool:
    taken = parts.deliveries.take(delivery, now=parts.clock.now(), for_s=TAKEN_S)
    if taken is None:
        return False  # another process tries it
    names = {"study": study_hash(taken.decided.study_instance_uid), "output": taken.output, "to": taken.destination}
    try:
        output = next(one for one in parts.outputs if one.kind == taken.output)
        content = output.render(_document(taken.decided, parts.index), parts.evidence(taken.decided))
        parts.destinations[taken.destination].send(taken, output.file_name, output.media_type, content)
    except Exception as error:  # whatever it is, the others are tried
        pause = timedelta(seconds=PAUSES.pause_s(taken.attempts - 1))
        parts.deliveries.failed(taken, reason=brief(error), due_at=parts.clock.now() + pause)
        log.warning("delivery.failed", attempt=taken.attempts, error=brief(error), **names)
        return False
    parts.deliveries.done(taken, now=parts.clock.now())
    log.info("delivery.done", **names)
    return True


def _document(decided: Decided, index: StudyIndex) -> Mapping[str, Any]:
    versions: Iterable[Mapping[str, Any]] = index.assessments(decided.study_instance_uid)
    wanted = (decided.revision, decided.stage)
    document: Mapping[str, Any] = next(v["document"] for v in versions if (v["revision"], v["stage"]) == wanted)
    return document
