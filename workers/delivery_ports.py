"""The ports of the way out: what is planned for whom, and who takes it. A fake of Destination stands in
tests/fakes_deliveries.py; tests use the deliveries of the index themselves, on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from workers.identities import PatientKey
from workers.output_kinds import KINDS


class DeliveryState(StrEnum):
    """PLANNED waits for its time; SENDING is being tried under a lease; DONE: the receiver has it; SUPERSEDED: a newer
    decision of the study goes to this destination instead; DEAD needs a human; DISCARDED: a human gave it up; SHADOW:
    it would have been sent; HELD: it is held back until a human releases it: a rule wants it, the alert budget is
    spent, or the index was restored and nobody knows whether it was sent; UNPLANNED: the destination is one of another
    node with the same index, which has still to say what goes there."""

    PLANNED = "planned"
    SENDING = "sending"
    DONE = "done"
    SUPERSEDED = "superseded"
    DEAD = "dead"
    DISCARDED = "discarded"
    SHADOW = "shadow"
    HELD = "held"
    UNPLANNED = "unplanned"


class ShadowKind(StrEnum):
    """What can be in shadow mode by itself: the whole site, a destination, a scanner, a pattern, or a rule."""

    SITE = "site"
    DESTINATION = "destination"
    SCANNER = "scanner"
    PATTERN = "pattern"
    RULE = "rule"


# what a person released from shadow mode, by its kind and name; the name of the site is empty
Released = frozenset[tuple[ShadowKind, str]]
# the receiver still lacks these
OPEN = (
    DeliveryState.PLANNED,
    DeliveryState.SENDING,
    DeliveryState.DEAD,
    DeliveryState.HELD,
    DeliveryState.UNPLANNED,
)
RETRIED = (DeliveryState.DEAD, DeliveryState.DISCARDED, DeliveryState.PLANNED)  # what a person can send again
WAITS = (DeliveryState.PLANNED, DeliveryState.DEAD, DeliveryState.HELD)  # for its time, or for a person
GIVEN_UP = (*WAITS, DeliveryState.UNPLANNED)  # what a person can give up
PLAN = "plan"  # output of a row that is UNPLANNED: it stands for whatever goes there
# Outputs that no newer decision makes needless: a retraction concerns the old objects, images are no decision.
STANDING_OUTPUTS = (*(kind.name for kind in KINDS if kind.says_wrong), "images", PLAN)
# what a rejection note may name
DICOM_OUTPUTS = tuple(kind.name for kind in KINDS if kind.dicom is not None and not kind.says_wrong)

# alert -> what takes it back
TAKEN_BACK_BY = {kind.name.removeprefix("retract_"): kind.name for kind in KINDS if kind.name.startswith("retract_")}
REJECTION_NOTE = "retract"  # takes back everything else
TAKES_BACK = (REJECTION_NOTE, *TAKEN_BACK_BY.values())


@dataclass(frozen=True)
class Decided:
    """The key of one stored decision."""

    study_instance_uid: str
    revision: int
    stage: str

    @property
    def sequence(self) -> int:
        """Its place among the decisions of the study: the higher is the newer word."""
        return 2 * self.revision + (self.stage != "first_look")


@dataclass(frozen=True)
class Delivery:
    """One output of one decision for one destination; the first three fields are its key. Times are UTC.

    urgency: 1 to 3 for P1 to P3, 4 otherwise; the lower goes first. shadow: it is computed and not sent; shadow_of:
    because of what, e.g. "pattern B". escalates: it calls somebody because nobody has acknowledged the study, so that
    an acknowledgement stops it. attempts: how often it was tried. error_class: "transient" or "permanent", of the last
    failure. number: what a person calls it by; 0 before it is stored. released_by: who let it go that a rule held back,
    and why.
    """

    decided: Decided
    output: str
    destination: str
    due_at: datetime
    urgency: int = 4
    shadow: bool = False
    shadow_of: str | None = None
    state: DeliveryState = DeliveryState.PLANNED
    attempts: int = 0
    failure: str | None = None
    error_class: str | None = None
    answer: str | None = None
    size_bytes: int | None = None
    planned_at: datetime | None = None
    done_at: datetime | None = None
    number: int = 0
    released_by: str | None = None
    lease_owner: str | None = None
    lease_until: datetime | None = None
    escalates: bool = False


def delivery_facts(one: Delivery) -> dict[str, Any]:
    """A delivery as JSON has it; times are still times."""
    facts = {name: value for name, value in asdict(one).items() if name != "decided"}
    return {"number": one.number, **asdict(one.decided), **facts, "state": one.state.value}


@dataclass(frozen=True)
class Receipt:
    """What the receiver said about something that it took.

    text: for the row, without patient data. asked: False when there was nothing to send: the receiver said nothing.
    """

    text: str
    size_bytes: int = 0
    asked: bool = True


@dataclass(frozen=True)
class Unplanned:
    """A stored decision for which nobody has planned deliveries yet.

    restored: it came back after the index was lost; what was sent of it is not known. retracted: a person took it back;
    nobody gets it any more.
    """

    decided: Decided
    created_at: datetime
    priority: str
    restored: bool = False
    retracted: bool = False


@dataclass(frozen=True)
class Known:
    """A destination as the table has it, whoever runs.

    since: it was first configured then. failures: in a row, up to now. paused_until: nothing is tried before; None: the
    way is free. owner: which process serves it; owner_until: it said so last, and that long before.
    """

    name: str
    since: datetime
    failures: int = 0
    paused_until: datetime | None = None
    owner: str | None = None
    owner_until: datetime | None = None


@dataclass(frozen=True)
class Release:
    """Who took something out of shadow mode (or back into it), when and why. name: of a destination, scanner, pattern
    or rule; empty for the site."""

    name: str
    promoted: bool
    by: str
    why: str
    at: datetime
    kind: ShadowKind = ShadowKind.DESTINATION


def released_by(records: Sequence[Release]) -> Released:
    """What is released after all of these; the last word about each counts.

    Args:
        records: oldest first.
    """
    last = {(one.kind, one.name): one.promoted for one in records}
    return frozenset(key for key, promoted in last.items() if promoted)


NOTHING_SEEN = -1  # below every Decided.sequence


@dataclass(frozen=True)
class Acknowledgement:
    """Somebody has seen what was decided of a study by then.

    by: a person, or the message that says so. sequence: of the newest decision that was seen (``Decided.sequence``; a
    decision can get its time before it is stored, so that the time alone tells too little); NOTHING_SEEN: there was
    none. None: whoever says so names none; stored, it is the newest one, and of an older program the time alone tells.
    """

    study_instance_uid: str
    by: str
    at: datetime
    sequence: int | None = None

    def covers(self, sequence: int, decided_at: datetime) -> bool:
        """Whether it is about this decision too."""
        return self.at >= decided_at and (self.sequence is None or self.sequence >= sequence)


@dataclass(frozen=True)
class Call:
    """A delivery to a destination of escalation. seen: somebody acknowledged the study before it was given up for
    another reason."""

    delivery: Delivery
    seen: bool = False


class Deliveries(Protocol):
    """What goes where, and what has arrived there. Every method is one transaction and may raise errors.Transient."""

    def register(self, destinations: Sequence[str], *, since: datetime) -> dict[str, Known]:
        """The rows of these destinations; one that is new is known since ``since``."""

    def unplanned(self, *, study_instance_uid: str | None = None, limit: int) -> list[Unplanned]:
        """Decisions without a plan, of one study or of all, the oldest first."""

    def plan(
        self, decided: Decided, deliveries: Sequence[Delivery], *, now: datetime, corrections: Sequence[Delivery] = ()
    ) -> None:
        """Insert the deliveries and note that the decision has its plan, together. What is there stays as it is.

        corrections: each becomes SUPERSEDED, unless its destination may hold something older of the study.

        Of the study, waiting and dead ones for the same destination that belong to an older decision become superseded.
        An escalation that an acknowledgement covers becomes DISCARDED, here and wherever one would wait again.
        """

    def mark_retracted(self, wrong: Sequence[Decided], *, now: datetime) -> None:
        """Note that decisions were retracted, and give up what waits of them: now, and whenever it would wait again."""

    def add(self, deliveries: Sequence[Delivery], *, now: datetime, corrections: Sequence[Delivery] = ()) -> None:
        """Insert further deliveries of decisions that have their plan; one that is there stays as it is. corrections:
        as in ``plan``."""

    def unplanned_for(self, destinations: Sequence[str], *, images: bool, limit: int) -> list[Delivery]:
        """The UNPLANNED rows of these destinations, of images or of decisions, older decisions first."""

    def stored_decision(self, decided: Decided) -> Unplanned | None:
        """What planning needs of a decision; None: it is not there any more."""

    def untold(self, destination: str, *, since: datetime, images: bool) -> list[Decided]:
        """Decisions, and images if asked for, that were planned from ``since`` on without a row for a destination."""

    def end_unplanned(self, numbers: Sequence[int]) -> None:
        """Delete UNPLANNED rows: what they stand for is planned."""

    def hold(self, destination: str, *, owner: str, now: datetime, for_s: float) -> bool:
        """Compare-and-set: only one sender at a time serves a destination, over all hosts."""

    def take(
        self,
        destination: str,
        *,
        owner: str,
        now: datetime,
        for_s: float,
        longest_s: float,
        escalate_s: float = 0.0,
        least_tried: bool = False,
    ) -> Delivery | None:
        """Lease the next one that is due, the most urgent first; attempts + 1. None: nothing is due.

        least_tried: one that was tried less often goes first, whatever its urgency.

        None is taken while another of the same study is being sent there. longest_s: no honest pause is longer, and no
        escalation waits for longer than ``escalate_s``; one that seems so was written before the clock was set back,
        and counts as over.
        """

    def settle(self, delivery: Delivery, *, now: datetime) -> bool:
        """Store how a taken one ended (its state, due_at, failure, error_class, answer, size_bytes) and drop its lease.

        A PLANNED one becomes SUPERSEDED when a newer decision of the study is planned for its destination, and
        DISCARDED when its decision was retracted there. False: the lease was lost meanwhile, and nothing is stored;
        what is DONE is stored all the same.
        """

    def free(self, *, now: datetime, owner: str | None = None, for_s: float = 0.0) -> int:
        """Give back what is being sent: all of ``owner`` (at its start), or what has lost its lease; how many."""

    def expire(self, destination: str, *, before: datetime, why: str, now: datetime) -> int:
        """Waiting ones that were planned before ``before`` become DEAD; how many."""

    def pause(self, destination: str, *, failures: int, until: datetime | None) -> None:
        """Store the state of the circuit breaker."""

    def release(self, release: Release) -> None:
        """Record who promoted something or took that back."""

    def is_fetched(self, study_instance_uid: str) -> bool:
        """Whether this node retrieved the study only to compare with it: nobody else sent an image of it."""

    def releases(self) -> list[Release]:
        """All of them, oldest first."""

    def acknowledge(self, one: Acknowledgement) -> int:
        """Keep it (an earlier one of the study stays), and discard what waits of its escalation; how many."""

    def acknowledged(self, study_instance_uid: str) -> list[Acknowledgement]:
        """All of a study, oldest first."""

    def calls(self, study_instance_uid: str, destinations: Sequence[str]) -> list[Call]:
        """What is planned, or was, of the decisions of a study for these destinations."""

    def studies_meant(
        self, study_instance_uid: str, accession_numbers: Sequence[str], patients: Sequence[PatientKey]
    ) -> list[str]:
        """The study of this UID; when none has it, those with one of the numbers and one of the patients.

        An accession number alone says too little: two hospitals may give the same one.
        """

    def known(self, destination: str) -> Known | None:
        """The row of a destination; None: nobody ever sent to it."""

    def all_known(self) -> list[Known]:
        """Every destination that was ever configured, by name."""

    def one(self, number: int) -> Delivery | None: ...

    def listed(
        self,
        *,
        states: Sequence[DeliveryState] = (),
        destination: str | None = None,
        study_instance_uid: str | None = None,
        shadow: bool | None = None,
        limit: int = 200,
    ) -> list[Delivery]:
        """Newest first; empty states: of every state."""

    def tallies(self, *, ended: bool = True) -> dict[tuple[str, str], int]:
        """(destination, state) -> number. ended: False leaves out what is done or superseded, which is most of it."""

    def oldest_open(self) -> dict[str, datetime]:
        """Destination -> when the oldest one was planned that waits or is being sent."""

    def sent(self, destination: str, *, since: datetime, until: datetime) -> int:
        """How many outputs a destination took from ``since`` to ``until``."""

    def retry(self, numbers: Sequence[int], *, now: datetime) -> int:
        """DEAD, DISCARDED or PLANNED -> PLANNED, due now, with no attempts; its destination has no pause. How many:
        an escalation that was acknowledged, and what was retracted, is DISCARDED, what is older than a decision that
        went there SUPERSEDED, here and by ``let_go``."""

    def discard(self, numbers: Sequence[int], *, why: str, now: datetime) -> int:
        """PLANNED, HELD or DEAD -> DISCARDED."""

    def let_go(self, numbers: Sequence[int], *, by: str, now: datetime, behind: Sequence[Delivery] = ()) -> int:
        """HELD -> PLANNED, due now; ``by`` is kept. behind: inserted where something of the study is let go for their
        destinations."""

    def delivered(self, study_instance_uid: str, revision: int) -> bool:
        """Whether the full decision of that revision and all images of the study have their plan, and nothing of the
        study is open."""


class Destination(Protocol):
    """Takes rendered outputs. A process may die between sending and noting it: the same delivery may come twice, with
    the same bytes."""

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:
        """Return when the other side has it.

        Raises:
            DeliveryRejected: the receiver says no to this object; it is not tried again.
            Unreachable: it is tried again.
        """

    def close(self) -> None:
        """Nothing more comes for the study at hand: let go of connections. ``send`` may be called again."""
