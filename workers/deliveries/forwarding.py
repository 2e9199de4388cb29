"""Images that came in, deliveries of them out: as they arrive, before any decision, and again when a decision says so.

A pass over images in no batch, and over batches without a plan: neither the receiving process nor a worker has a part
in it, so a triage that fails stops no image. The images of one series that came together are one delivery for each
destination; a batch is planned once for a destination, whoever asks for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from triage.errors import Transient
from workers.deliveries.escalation import AT_ONCE as LONG_AGO
from workers.deliveries.other_nodes import by_key, left_to_others, narrowed, numbers_of, served_elsewhere
from workers.deliveries.plan import LEAST_URGENT
from workers.deliveries.postponed import Postponed
from workers.deliveries.staging import shadow_at
from workers.delivery_ports import Decided, Deliveries, Delivery, Known, Unplanned, released_by
from workers.image_ports import IMAGES, ImageBatch, ImageBatches, Tag
from workers.log import brief, get_logger, study_hash
from workers.ports import Clock, InstanceRow, StudyIndex, StudyRow
from workers.result_settings import ResultsSettings
from workers.rules.rule import Forward, Scope

if TYPE_CHECKING:  # the language is only loaded where there are rules
    from workers.rules.answer import RulesAnswer

log = get_logger(__name__)

QUIET_S = 2.0  # without a new image of the study: what came so far is a batch
LONGEST_S = 10.0  # a study that comes slowly is forwarded in several batches
AT_ONCE = 100  # studies in one pass
MOST_LEFT = 10_000  # rows that are looked through when the first ones have to wait
Asked = Callable[[StudyRow | None, Sequence[InstanceRow], Sequence[str]], "RulesAnswer"]


@dataclass(frozen=True)
class Forwarding:
    """What forwarding needs.

    asked: what the rules want of one series of a study; None: there are no rules. meant: UIDs of the series that a
    decision rests on, as its images state them (None while they are not known); None: no rule asks for them.
    owner: this node, as it holds destinations. postponed: studies whose images could not be planned just now.
    """

    batches: ImageBatches
    deliveries: Deliveries
    index: StudyIndex
    clock: Clock
    results: ResultsSettings
    asked: Asked | None = None
    meant: Callable[[Decided], Sequence[str] | None] | None = None
    owner: str = ""
    postponed: Postponed = field(default_factory=Postponed)


@dataclass
class _Wanted:
    """Destinations of images. series: of what is new in it only; study: of everything of the study."""

    study: set[str] = field(default_factory=set)
    series: dict[str, set[str]] = field(default_factory=dict)

    def add(self, forwards: Iterable[Forward], series: str) -> None:
        for one in forwards:
            target = self.study if one.images is Scope.STUDY else self.series.setdefault(series, set())
            target |= set(one.to)

    def of(self, batch: ImageBatch) -> set[str]:
        return self.study | self.series.get(batch.series_instance_uid, set())


def forward_new(parts: Forwarding) -> int:
    """Make batches of what came and plan them; how many studies that were. One whose images cannot be planned is tried
    again after a growing pause; it keeps no other waiting.

    Raises:
        Transient: the index is away.
    """
    now, later = parts.clock.now(), parts.postponed.waiting(parts.clock.elapsed_s())
    quiet, longest = now - timedelta(seconds=QUIET_S), now - timedelta(seconds=LONGEST_S)
    for uid in parts.batches.to_batch(quiet_since=quiet, older_than=longest, now=now):
        if uid not in later:
            _tried(parts, uid, partial(parts.batches.make_batches, uid))
    own = [one.name for one in parts.results.destinations]
    waiting = [uid for uid in parts.batches.without_plan(limit=AT_ONCE + len(later)) if uid not in later]
    left = _left(parts, own, later)
    known = {one.name: one for one in parts.deliveries.all_known()} if waiting or left else {}
    elsewhere = served_elsewhere(known.values(), own, parts.owner, now)
    work = [(uid, partial(_plan_study, parts, uid, known, elsewhere)) for uid in waiting]
    for rows in by_key(left, lambda one: (one.decided.study_instance_uid, one.destination)):
        work.append((rows[0].decided.study_instance_uid, partial(_plan_left, parts, rows, known)))
    done = [_tried(parts, uid, plan) for uid, plan in work]
    for uid in {uid for uid, _ in work} - parts.postponed.waiting(parts.clock.elapsed_s()):
        parts.postponed.end(uid)
    return sum(done)


def _left(parts: Forwarding, own: Sequence[str], later: Collection[Hashable]) -> list[Delivery]:
    """Rows of images that another node left to us, without those of studies that wait by themselves."""
    if not own:
        return []
    rows = parts.deliveries.unplanned_for(own, images=True, limit=AT_ONCE)
    if later and all(one.decided.study_instance_uid in later for one in rows):
        rows = parts.deliveries.unplanned_for(own, images=True, limit=MOST_LEFT)
    return [one for one in rows if one.decided.study_instance_uid not in later]


def _tried(parts: Forwarding, uid: str, work: Callable[[], object]) -> bool:
    """Whether it was done."""
    try:
        work()
    except Exception as error:
        known = isinstance(error, Transient)
        log.warning("images.not_planned", study=study_hash(uid), error=brief(error), exc_info=not known)
        parts.postponed.put(uid, parts.clock.elapsed_s())
        return False
    return True


def _plan_left(parts: Forwarding, rows: Sequence[Delivery], known: Mapping[str, Known]) -> None:
    """Plan the images of a study for a destination of ours, which another node left to us."""
    mine = replace(parts, results=narrowed(parts.results, {rows[0].destination}))
    _plan_study(mine, rows[0].decided.study_instance_uid, known, new={one.decided.revision for one in rows})
    parts.deliveries.end_unplanned(numbers_of(rows))


def forward_decided(
    parts: Forwarding,
    decision: Unplanned,
    document: Mapping[str, Any],
    answer: RulesAnswer,
    known: Mapping[str, Known],
) -> None:
    """Plan the images that a decision sends further, and store its tags.

    Raises:
        Transient: the index is away.
    """
    uid, now = decision.decided.study_instance_uid, parts.clock.now()
    parts.batches.put_tags([Tag(uid, tag, rule, now) for tag, rule in answer.tags])
    if not answer.forwards and not answer.would_forward:
        return
    parts.batches.make_batches(uid)  # what came a moment ago
    rows = parts.index.instances(uid)
    really, would = _Wanted(), _Wanted()
    for series in ["", *(_rests_on(parts, decision.decided, document, rows) or ())]:
        really.add(answer.forwards or (), series)
        would.add(answer.would_forward, series)
    some = [
        one
        for batch in parts.batches.batches(uid)
        for one in _deliveries(
            parts, batch, rows, known, really.of(batch), _named(answer, would.of(batch)), at=decision.created_at
        )
    ]
    parts.batches.plan_images([], some, now=now)


def knows_its_images(parts: Forwarding, decided: Decided, document: Mapping[str, Any]) -> bool:
    """Whether ``forward_decided`` can tell the images that a decision rests on; the files of it are written after it.

    Raises:
        Transient: the index is away.
    """
    return _rests_on(parts, decided, document, parts.index.instances(decided.study_instance_uid)) is not None


def _rests_on(
    parts: Forwarding, decided: Decided, document: Mapping[str, Any], rows: Sequence[InstanceRow]
) -> list[str] | None:
    """UIDs of the series that a decision rests on, as the images state them; None: they are not known yet.

    The document names a part of a series by a UID that is made, and slices with a UID each by that of the first. Which
    images are meant is asked only when a series has not the objects that were measured.
    """
    named = [one for one in document["series"] if one["used_as"] is not None]
    uids = [one["series_instance_uid"] for one in named]
    held = Counter(one.series_instance_uid for one in rows)
    if parts.meant is None or all(
        held[uid] == one.get("objects", held[uid]) for uid, one in zip(uids, named, strict=True)
    ):
        return uids
    meant = parts.meant(decided)
    return None if meant is None else list(dict.fromkeys([*uids, *meant]))


def _plan_study(
    parts: Forwarding,
    uid: str,
    known: Mapping[str, Known],
    elsewhere: Sequence[str] = (),
    *,
    new: Collection[int] | None = None,
) -> None:
    """Plan what is new of the images of a study.

    Args:
        elsewhere: destinations that other nodes plan for.
        new: numbers of the batches; None: those without a plan.
    """
    row, rows, now = parts.index.study(uid), parts.index.instances(uid), parts.clock.now()
    batches = parts.batches.batches(uid)
    fresh = [one for one in batches if (not one.planned if new is None else one.number in new)]
    tags = {one.tag: one.rule for one in parts.batches.tags([uid]).get(uid, [])}
    found: dict[str, str] = {}
    really, would, rules = _Wanted(), _Wanted(), dict[str, str]()
    for series in dict.fromkeys(one.series_instance_uid for one in batches):
        some = [one for one in rows if one.series_instance_uid == series]
        answer = _answer(parts, row, some, [*tags, *found]) if some else None
        found |= {tag: rule for tag, rule in (answer.tags if answer else ()) if tag not in tags}
        forwards = answer.forwards if answer is not None else None
        really.add(_as_configured(parts.results) if forwards is None else forwards, series)
        would.add(answer.would_forward if answer is not None else (), series)
        rules |= answer.would_forward_rules if answer is not None else {}
    planned = [
        one
        for batch in batches
        for one in _deliveries(
            parts,
            batch,
            rows,
            known,
            really.of(batch) if batch in fresh else really.study,
            {name: rules[name] for name in (would.of(batch) if batch in fresh else would.study)},
            at=batch.received_at,
        )
    ]
    parts.batches.put_tags([Tag(uid, tag, rule, now) for tag, rule in found.items()])
    left = [one for batch in fresh for one in left_to_others(batch.key, elsewhere, now=now)]
    parts.batches.plan_images([] if new is not None else fresh, [*planned, *left], now=now)
    names = sorted({one.destination for one in planned if not one.shadow})
    log.info("images.planned", study=study_hash(uid), series=len({one.series_instance_uid for one in fresh}), to=names)


def _named(answer: RulesAnswer, would: set[str]) -> dict[str, str]:
    """Destination -> the rules in shadow mode that would send it images."""
    return {name: answer.would_forward_rules[name] for name in would}


def _answer(
    parts: Forwarding, row: StudyRow | None, rows: Sequence[InstanceRow], tags: Sequence[str]
) -> RulesAnswer | None:
    """What the rules want. None, as without rules, after a fault of the program: no image is lost by it."""
    if parts.asked is None:
        return None
    try:
        return parts.asked(row, rows, tags)
    except Transient:
        raise
    except Exception:
        log.exception("images.rules_fault", study=study_hash(rows[0].study_instance_uid))
        return None


def _as_configured(results: ResultsSettings) -> list[Forward]:
    names = tuple(one.name for one in results.destinations if IMAGES in one.outputs)
    return [Forward(Scope.SERIES, names)] if names else []


def _deliveries(
    parts: Forwarding,
    batch: ImageBatch,
    rows: Sequence[InstanceRow],
    known: Mapping[str, Known],
    really: set[str],
    would: Mapping[str, str],
    *,
    at: datetime,
) -> list[Delivery]:
    """Nothing goes back to the node that it came from, and nothing of before a destination was known goes there;
    nothing goes on that this node retrieved itself."""
    if parts.deliveries.is_fetched(batch.study_instance_uid):
        return []
    released = released_by(parts.deliveries.releases())
    senders = {one.calling_ae for one in rows if one.series_instance_uid == batch.series_instance_uid}
    some = []
    for destination in parts.results.destinations:
        name = destination.name
        if name not in {*really, *would} or name not in known or at < known[name].since:
            continue
        if destination.kind == "dicom" and senders == {destination.ae_title}:
            continue
        why = shadow_at(destination, parts.results, released) + ([] if name in really else [would[name]])
        one = Delivery(batch.key, IMAGES, name, due_at=LONG_AGO, urgency=LEAST_URGENT, shadow=bool(why))
        some.append(replace(one, shadow_of=", ".join(why) or None))
    return some
