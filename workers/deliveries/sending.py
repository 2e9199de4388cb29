"""One destination and its due deliveries in, outputs at the destination out.

Each destination has a sender of its own, so that one that is dead or slow delays nobody. A sender tries one delivery at
a time, in the order of urgency. A failure that may pass is tried again after a growing pause. After several in a row
the destination is left alone for a while (circuit breaker). That stands in the table, so that a restart does not forget
it. What the receiver refuses, or did not take for too long, waits for a human.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from triage.errors import Transient
from workers.backoff import Backoff
from workers.deliveries.beside import MOST, Beside, what_went_out
from workers.deliveries.budget import budget_of, exceeds
from workers.deliveries.counts import FailureCounts
from workers.deliveries.errors import DeliveryRejected, FilesLostError, NotAskedError, Unreachable, WaitsAloneError
from workers.deliveries.escalation import AT_ONCE
from workers.deliveries.forwarding import Forwarding
from workers.deliveries.images import ImageSending, MoreToSendError, StoredImages
from workers.deliveries.other_nodes import HOLD_S, catch_up
from workers.deliveries.postponed import Postponed
from workers.deliveries.staging import ScannerFacts, shadow_since
from workers.deliveries.stored import EvidenceFolder, WithoutContent
from workers.deliveries.turns import Turns
from workers.delivery_ports import Decided, Deliveries, Delivery, DeliveryState, Destination, Known, Receipt
from workers.destination_settings import cannot_send
from workers.image_ports import IMAGES
from workers.log import brief, get_logger, study_hash
from workers.outputs.beside import SITE_ZONE, WENT_OUT, went_out_json
from workers.outputs.output import EvidenceFiles, Output
from workers.ports import Clock
from workers.result_settings import ResultsSettings

if TYPE_CHECKING:  # the language is only loaded where there are rules
    from workers.rules.answer import RulesAnswer

log = get_logger(__name__)

LEASE_S = 300.0  # longer than any sending may take
IDLE_S = 0.2  # between two looks when nothing is due
WAIT_S = 1.0  # the same while the destination is left alone
# The files of a decision are written after it: looked for again after this share of the time that was waited already.
NOT_READY_SHARE, NOT_READY_S, NOT_READY_MOST_S = 0.2, 0.1, 2.0
MOST_FAULTS = 3  # of one output while it is rendered: the same input gives the same fault
LONGEST_TEXT = 500


@dataclass(frozen=True)
class Delivering:
    """Everything that delivering needs.

    document, evidence: of a stored decision; evidence raises Transient while its files are not written. owner: who
    holds the leases; stable over restarts. outputs: by kind. chance: 0 to 1. wanted: what the site's rules want of a
    decision; None: each destination gets the outputs that it is configured for. images: None: none are sent. scanner:
    of a study. forwarding: what plans images; None: nothing does. turns: who goes first of all senders. alone: no
    other node has this index. zone: IANA name of the site's time zone; "": not known. postponed: decisions that could
    not be planned just now.
    """

    deliveries: Deliveries
    document: Callable[[Decided], Mapping[str, Any]]
    evidence: Callable[[Decided], EvidenceFiles]
    outputs: Mapping[str, Output]
    clock: Clock
    results: ResultsSettings
    owner: str
    chance: Callable[[], float] = random.random
    wanted: Callable[[Decided], RulesAnswer | None] = lambda _decided: None
    images: StoredImages | None = None
    scanner: Callable[[str], ScannerFacts] = lambda _uid: ScannerFacts()
    forwarding: Forwarding | None = None
    turns: Turns = field(default_factory=Turns)
    alone: bool = False
    zone: str = ""
    postponed: Postponed = field(default_factory=Postponed)


class DeliverySender:
    """Serves one destination. ``step`` is called again and again by one thread."""

    def __init__(self, name: str, destination: Destination, parts: Delivering) -> None:
        self._name, self._destination, self._parts = name, destination, parts
        self._held_until: datetime | None = None
        self._known: Known | None = None
        self._asked_until: datetime | None = None  # for how long the receiver wants to be left alone
        self._study = ""
        self._budget = budget_of(parts.results, name)
        self._images = None if parts.images is None else ImageSending(parts.images, destination)
        own = next((one for one in parts.results.destinations if one.name == name), None)
        self._own = own
        self._left_out = () if own is None else own.never_passed_on
        self._escalate_s = (None if own is None else own.escalate_after_s) or 0.0
        self._failures, self._faults = FailureCounts(), FailureCounts()

    def step(self) -> float:
        """Try at most one delivery; returns how many seconds nothing is to be done.

        Raises:
            Transient: the index is away.
        """
        now = self._parts.clock.now()
        if not self._holds(now):
            return WAIT_S
        known = self._known_now()
        if known is not None and self._still(known.paused_until, now):
            self._let_go()
            return WAIT_S
        with self._parts.turns.turn(self._name):
            return self._one(now, 0 if known is None else known.failures)

    def _one(self, now: datetime, failures: int) -> float:
        """The next one that is due."""
        deliveries, longest_s = self._parts.deliveries, self._parts.results.longest_pause_s
        span = {"for_s": LEASE_S, "longest_s": longest_s, "escalate_s": self._escalate_s}
        # After a failure nobody knows whether the destination is away or dislikes that one: others go before it.
        taken = deliveries.take(self._name, owner=self._parts.owner, now=now, least_tried=failures > 0, **span)
        if taken is None:
            self._let_go()
            return IDLE_S
        if exceeds(deliveries, taken, self._budget, now):
            self._hold_back(taken, f"{self._budget} alerts within 24 hours are the budget")
            return 0.0
        if self._own is not None and (why := shadow_since(self._own, self._parts.results, deliveries, taken)):
            self._hold_back(taken, f"in shadow mode since this was planned: {why}")
            return 0.0
        if taken.decided.study_instance_uid != self._study:
            self._let_go()
            self._study = taken.decided.study_instance_uid
        began = time.monotonic()
        ended, answered = self._tried(taken, failures)
        if answered:
            self._failures.answered()
        if answered is not None:
            self._parts.turns.note(self._name, began, failed=answered is False)
        self._settle(ended, answered, failures)
        return 0.0

    def close(self) -> None:
        """Give connections back; the process ends."""
        self._let_go()

    def _holds(self, now: datetime) -> bool:
        """One sender at a time, over all hosts; asked again after a third of the time, and when the clock jumped."""
        third = timedelta(seconds=HOLD_S / 3)
        if self._held_until is not None and now < self._held_until <= now + third:
            return True
        deliveries, owner = self._parts.deliveries, self._parts.owner
        before = deliveries.known(self._name)
        look = partial(catch_up, deliveries, owner=owner, held=self._held_until is not None, now=now)
        # before the hold, whose end says what was missed; and after it, for what others planned in between
        number = 0 if before is None else look(before)
        held = deliveries.hold(self._name, owner=owner, now=now, for_s=HOLD_S)
        if held and before is not None:
            number += look(before)
        if number:
            log.info("delivery.catches_up", to=self._name, number=number)
        self._known = None  # another host may have served it
        self._held_until = now + third if held else None
        return held

    def _known_now(self) -> Known | None:
        """The circuit breaker. While the way is free only this sender changes it, so that it need not be read."""
        if self._known is None or self._known.failures:
            self._known = self._parts.deliveries.known(self._name)
        return self._known

    def _still(self, until: datetime | None, now: datetime) -> bool:
        """Whether a pause goes on; one that seems longer than any was written before the clock was set back."""
        return until is not None and now < until <= now + timedelta(seconds=self._parts.results.longest_pause_s)

    def _hold_back(self, taken: Delivery, why: str) -> None:
        """Over the budget, or in shadow mode: listed until a person releases it, and said."""
        held = replace(taken, state=DeliveryState.HELD, attempts=taken.attempts - 1, answer=f"held back: {why}")
        self._parts.deliveries.settle(held, now=self._parts.clock.now())
        number = self._parts.deliveries.tallies(ended=False).get((self._name, DeliveryState.HELD.value), 0)
        names = {"study": study_hash(taken.decided.study_instance_uid), "to": self._name}
        log.warning("delivery.held_back", why=why, budget=self._budget, held=number, **names)

    def _let_go(self) -> None:
        self._study = ""
        try:
            self._destination.close()
        except Exception as error:
            log.warning("delivery.close_failed", to=self._name, error=brief(error))

    def _tried(self, taken: Delivery, failures: int) -> tuple[Delivery, bool | None]:
        """The delivery as it ended, and whether the receiver answered; None: it was not asked."""
        try:
            receipt = self._sent(taken)
            return self._ended(taken, receipt), True if receipt.asked else None
        except DeliveryRejected as error:
            return _dead(taken, str(error), "permanent"), None if isinstance(error, NotAskedError) else True
        except Unreachable as error:
            answered = isinstance(error, WaitsAloneError)
            return self._failed(taken, error, alone=failures == 0), answered
        except Exception as error:
            # of the system; a library says so with an OSError of its own about a picture that is damaged
            if isinstance(error, Transient) or (isinstance(error, OSError) and error.errno is not None):
                return self._again(replace(taken, attempts=taken.attempts - 1), error)
            log.exception("delivery.fault", to=self._name, output=taken.output)
            text = f"a fault of the program ({type(error).__name__})"
            if self._faults.more(taken) >= MOST_FAULTS:
                return _dead(taken, text, "permanent"), None
            return _waiting(taken, text, self._later(taken.attempts)), None

    def _sent(self, taken: Delivery) -> Receipt:
        if taken.output == IMAGES and self._images is not None:
            return self._images.sent(taken)
        if self._own is not None and (not_taken := cannot_send(self._own.kind, taken.output)):
            raise NotAskedError(f"{not_taken}; its kind is another one since this was planned")
        output = self._parts.outputs[taken.output]
        document, files = self._parts.document(taken.decided), self._parts.evidence(taken.decided)
        evidence = Beside(WithoutContent(files, self._left_out), self._made(taken))
        if not output.applies(document, evidence):
            if isinstance(files, EvidenceFolder) and files.lost:
                raise FilesLostError("the files of this decision were not written: assess the study again")
            return Receipt("nothing to send: this output does not apply to the decision", asked=False)
        content = output.render(document, evidence)
        if taken.shadow:
            of = f" of {taken.shadow_of}" if taken.shadow_of else ""
            return Receipt(f"not sent: shadow mode{of}", len(content), asked=False)
        receipt = self._destination.send(taken, output.file_name, output.media_type, content)
        return replace(receipt, size_bytes=receipt.size_bytes or len(content))

    def _made(self, taken: Delivery) -> Mapping[str, Callable[[], bytes]]:
        """What only this side knows (workers.outputs.beside)."""

        def gone() -> bytes:
            found = self._parts.deliveries.listed(study_instance_uid=taken.decided.study_instance_uid, limit=MOST)
            return went_out_json(what_went_out(found, taken.decided, taken.destination))

        return {WENT_OUT: gone, SITE_ZONE: self._parts.zone.encode}

    def _ended(self, taken: Delivery, receipt: Receipt) -> Delivery:
        state = DeliveryState.SHADOW if taken.shadow else DeliveryState.DONE
        said = receipt.text[:LONGEST_TEXT]
        return replace(taken, state=state, answer=said, size_bytes=receipt.size_bytes, failure=None, error_class=None)

    def _again(self, taken: Delivery, error: Exception) -> tuple[Delivery, bool | None]:
        """Images that are on their way, or our own side: the index, or files that are not there yet. The attempt does
        not count. What we cannot read for too long waits for a human, too."""
        now = self._parts.clock.now()
        if isinstance(error, MoreToSendError):
            on_the_way = replace(taken, state=DeliveryState.PLANNED, answer=str(error), failure=None, error_class=None)
            return replace(on_the_way, due_at=AT_ONCE), True
        if self._is_too_old(taken, now):
            return _dead(taken, brief(error), "transient"), None
        return _waiting(taken, brief(error), self._not_ready(taken)), None

    def _is_too_old(self, taken: Delivery, now: datetime) -> bool:
        return (now - (taken.planned_at or now)).total_seconds() >= self._parts.results.give_up_after_s

    def _failed(self, taken: Delivery, error: Unreachable, *, alone: bool) -> Delivery:
        """Wait, or be dead: when it was not taken for too long, or fails again and again while others succeed.

        What failed while the destination takes nothing says nothing about this delivery: an outage of a night uses up
        none of its attempts. A pause that the receiver asks for is one of the destination; what grows is that of this
        delivery alone.
        """
        now, results, asked_s = self._parts.clock.now(), self._parts.results, error.again_after_s
        # a longer pause than any of ours would count as one of before the clock was set back
        asked = None if asked_s is None else now + timedelta(seconds=min(asked_s, results.longest_pause_s))
        self._asked_until = asked
        failed = self._failures.more_since_answer(taken, alone=alone)
        if self._is_too_old(taken, now) or failed >= results.max_attempts:
            return _dead(taken, str(error), "transient")
        own = self._later(taken.attempts)
        return _waiting(taken, str(error), own if asked is None else max(own, asked))

    def _not_ready(self, taken: Delivery) -> datetime:
        now = self._parts.clock.now()
        waited_s = (now - (taken.planned_at or now)).total_seconds()
        return now + timedelta(seconds=min(max(NOT_READY_SHARE * waited_s, NOT_READY_S), NOT_READY_MOST_S))

    def _later(self, attempts: int) -> datetime:
        """After a growing pause, shortened by chance by up to a half: many senders must not come at once."""
        results = self._parts.results
        pause_s = Backoff(results.first_pause_s, results.longest_pause_s).pause_s(max(attempts - 1, 0))
        return self._parts.clock.now() + timedelta(seconds=pause_s * (1 - self._parts.chance() / 2))

    def _settle(self, ended: Delivery, answered: bool | None, failures: int) -> None:
        deliveries, most = self._parts.deliveries, self._parts.results.failures_until_pause
        deliveries.settle(ended, now=self._parts.clock.now())
        if answered is False:
            more, self._known = failures + 1, None
            own = self._later(more - most + 1) if more >= most else None
            until = max((one for one in (own, self._asked_until) if one is not None), default=None)
            deliveries.pause(self._name, failures=more, until=until)
            if more >= most:
                self._expire(ended.failure or "")
        elif answered and failures:
            self._known = None
            deliveries.pause(self._name, failures=0, until=None)
        names = {"study": study_hash(ended.decided.study_instance_uid), "output": ended.output, "to": self._name}
        if ended.failure is None and ended.state is DeliveryState.PLANNED:
            log.info("delivery.continues", said=ended.answer, **names)
        elif ended.failure is None:
            log.info("delivery.done", state=ended.state.value, bytes=ended.size_bytes, **names)
        elif answered is None and ended.state is DeliveryState.PLANNED:
            log.info("delivery.not_ready", error=ended.failure, **names)  # nobody was asked
        else:
            said = {"state": ended.state.value, "attempt": ended.attempts, "error": ended.failure}
            log.warning("delivery.failed", **said, **names)

    def _expire(self, why: str) -> None:
        """The destination is away just now: what it did not take for too long is dead, tried or not."""
        now = self._parts.clock.now()
        before = now - timedelta(seconds=self._parts.results.give_up_after_s)
        number = self._parts.deliveries.expire(self._name, before=before, why=why, now=now)
        if number:
            log.warning("delivery.given_up", to=self._name, number=number)


def _waiting(taken: Delivery, text: str, due: datetime) -> Delivery:
    said = text[:LONGEST_TEXT]
    return replace(taken, state=DeliveryState.PLANNED, failure=said, error_class="transient", due_at=due)


def _dead(taken: Delivery, text: str, error_class: str) -> Delivery:
    return replace(taken, state=DeliveryState.DEAD, failure=text[:LONGEST_TEXT], error_class=error_class)
