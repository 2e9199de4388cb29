"""One study in, its stored decisions out: claim, read, choose the baseline, first look, full assessment. No queue in
here.

The order matters: the decision is saved before its pictures, and the work that can be repeated is done before the mark
that it is done.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from triage.errors import NotAssessable, Transient
from triage.model import SequenceKind, Stage, StudyImages
from triage.report.contents import Assessment
from workers import announcements
from workers.backoff import Backoff
from workers.log import bind, brief, get_logger, study_hash
from workers.ports import Bell, Claim, StudyIndex, StudyRow, StudyState
from workers.studies import earlier_attempt, quarantine, unreadable_files
from workers.studies.attempts import attempts_counted, blamed, transient
from workers.studies.baselines import Comparison, compare_with, context_of
from workers.studies.cohort import require_cohort
from workers.studies.deps import Deps, with_outside_facts
from workers.studies.identity import images_in_force, with_visit
from workers.studies.images import images_of_revision
from workers.studies.inputs import PATIENT_ATTEMPTS, Inputs
from workers.studies.lease import Lease, LeaseLost, hold
from workers.studies.over_time import over_time
from workers.studies.prepare_ahead import prepare_afterwards
from workers.studies.reconsider import inputs_now
from workers.studies.rejections import rejected_words
from workers.studies.undecided import store_undecided, undecided_outcome, write_files
from workers.studies.unread_notes import saying_what_is_unread, with_notes, with_unread
from workers.studies.whole_files import FilesDamaged, read_whole

if TYPE_CHECKING:
    from triage.assessment import Assessed

log = get_logger(__name__)

T = TypeVar("T")

LONGEST_RETRY_S = 300.0
TAKE_ATTEMPTS = 5


class Result(StrEnum):
    """What became of one ring."""

    NOTHING_TO_DO = "nothing_to_do"  # somebody else has it, or it is done
    DECIDED = "decided"
    REOPENED = "reopened"  # decided, but newer images are there: the next ring goes on
    LEASE_LOST = "lease_lost"
    RETRY = "retry"
    FAILED = "failed"


def assess_study(study_instance_uid: str, deps: Deps, *, owner: str) -> Result:
    """Take the study if it is due, and decide. Safe to call at any time, any number of times, from any number of
    workers.

    Never raises for a fault of the study: that becomes a stored decision, a retry, or a visible failure.

    Args:
        owner: name of the caller in the lease, unique per task.

    Raises:
        Transient: the index is away; the caller may drop the message, since the beat sends it again.
    """
    with bind(study=study_hash(study_instance_uid), task=owner):
        before = deps.index.study(study_instance_uid)
        claim = _take(before, deps, owner)
        if claim is None or before is None:
            log.info("study.not_taken")
            return Result.NOTHING_TO_DO
        log.info("study.taken", revision=claim.revision, attempt=claim.attempt)
        queue = deps.settings.queue
        if attempts_counted(claim.attempt, before.failure) > queue.max_killed_attempts:
            return _give_up(
                claim, before, deps, tried=claim.attempt - 1, reason="the worker died or hung in the last one"
            )
        with hold(claim, deps.index, deps.clock, lease_s=queue.lease_s, limit_s=queue.task_wall_limit_s) as lease:
            return _guarded(lease, before, deps)


def task_lost(study_instance_uid: str, deps: Deps, *, owner: str, reason: str) -> None:
    """The process working for ``owner`` was ended (time limit). Record it, so that the study is tried again at once or
    fails visibly."""
    row = deps.index.study(study_instance_uid)
    if row is None or row.lease_owner != owner or row.lease_until is None:
        return
    claim = Claim(study_instance_uid, row.revision, owner, row.lease_until, row.attempts)
    with bind(study=study_hash(study_instance_uid), task=owner):
        log.error("study.task_lost", reason=reason, attempt=row.attempts)
        _limit_exceeded(claim, row, deps, reason)


def _limit_exceeded(claim: Claim, row: StudyRow, deps: Deps, reason: str, inputs: Inputs | None = None) -> Result:
    """Try once more after the first overrun, quarantine after the second: the same images would exceed it again."""
    overruns = quarantine.overruns_of(row.failure) + 1
    tried_out = attempts_counted(claim.attempt, row.failure) >= deps.settings.queue.max_attempts
    if overruns >= quarantine.MOST_OVERRUNS or tried_out:
        return _give_up(claim, row, deps, tried=claim.attempt, reason=reason, code=quarantine.CODE, inputs=inputs)
    return _try_again(claim, deps, blamed(quarantine.failure(overruns, reason), row.failure))


def _take(row: StudyRow | None, deps: Deps, owner: str) -> Claim | None:
    """Claim the study. When images that came after the message reopened it, take it as it is now: under a steady stream
    of T1 images no worker would find it free otherwise."""
    if row is None:
        return None
    for _ in range(TAKE_ATTEMPTS):
        now = deps.clock.now()
        claim = deps.index.claim(row.study_instance_uid, owner=owner, now=now, lease_s=deps.settings.queue.lease_s)
        if claim is not None:
            return claim
        current = deps.index.study(row.study_instance_uid)
        if current is None or _leased(current, deps) or not _reopened_before_taken(current):
            return None
        deps.index.mark_ready(row.study_instance_uid, now=now, reason="reopened before a worker came")
    return None


def _reopened_before_taken(row: StudyRow) -> bool:
    """A revision above the first means that it was ready once."""
    return row.state is StudyState.RECEIVING and row.revision > 1 and row.decided_revision is None


def _leased(row: StudyRow, deps: Deps) -> bool:
    latest = deps.clock.now() + 2 * timedelta(seconds=deps.settings.queue.lease_s)  # no honest clock wrote a later one
    return row.lease_until is not None and deps.clock.now() < row.lease_until <= latest


def _guarded(lease: Lease, row: StudyRow, deps: Deps) -> Result:  # noqa: PLR0911 - a table of endings
    """Run the assessment; every way it can end has a row here, and stores what was known at the start."""
    inputs: Inputs | None = None
    try:
        if unreadable_files.waits(lease.claim, row, deps):
            return _look_again(lease, row, deps)
        row, unread = with_notes(row, deps, waits=lease.claim.attempt < PATIENT_ATTEMPTS)
        inputs = inputs_now(row, deps.index)  # before anything is chosen by them: what changes meanwhile is found later
        return _assess(lease, row, deps, inputs, unread)
    except LeaseLost:
        log.warning("study.lease_lost")
        return Result.LEASE_LOST
    except NotAssessable as refusal:
        return _store_refusal(lease, row, deps, refusal, inputs)
    except MemoryError:
        # the process has its own limit, queue.worker_memory_bytes
        return _limit_exceeded(lease.claim, row, deps, "more memory than an assessment may take", inputs)
    except FilesDamaged as damage:
        return _wait_for_files(lease, row, deps, damage, inputs)
    except (Transient, OSError) as error:
        return _try_again(lease.claim, deps, transient(lease.claim.attempt, brief(error)))
    except Exception as error:
        # the traceback goes to the log; the message could quote a header, so the index gets the type only
        log.exception("study.attempt_failed", attempt=lease.claim.attempt)
        if attempts_counted(lease.claim.attempt, row.failure) >= deps.settings.queue.max_attempts:
            reason = f"a fault of the program ({type(error).__name__})"
            return _give_up(lease.claim, row, deps, tried=lease.claim.attempt, reason=reason, inputs=inputs)
        text = f"bug (attempt {lease.claim.attempt}): {type(error).__name__}"
        return _try_again(lease.claim, deps, blamed(text, row.failure))


def _assess(lease: Lease, row: StudyRow, deps: Deps, inputs: Inputs, unread: Sequence[str]) -> Result:
    uid, claim = row.study_instance_uid, lease.claim
    if earlier_attempt.put_back_if_overtaken(claim, inputs, deps):
        return _finish(lease, deps)
    waits, inputs = claim.attempt < PATIENT_ATTEMPTS, with_unread(inputs, unread)
    require_cohort(row, deps.index, deps.settings.triage.cohort)
    waited = _waiting_times(row, deps)
    stored = deps.index.assessments(uid)
    comparison: Comparison | None = None
    if not any(_has_decision(version) for version in stored):
        images, read_s = _timed(lambda: _read(uid, deps, frozenset({SequenceKind.FLAIR})))
        row, inputs = _dated(images, row, inputs, deps)
        images = images_in_force(images, row)
        comparison = compare_with(images.study, row, deps, waits=waits)
        inputs = unreadable_files.with_away(inputs, comparison.away, deps.index)
        lease.check()
        outcome = deps.engine.first_look(images, comparison.prepared, context_of(comparison, row, deps))
        _save(lease, outcome, Stage.FIRST_LOOK, waited | {"read": read_s}, inputs, deps)
        del images
    if earlier_attempt.has_newer_revision(claim, deps):
        # the rest of the study is arriving: what there is of it now would be measured in vain
        return _finish(lease, deps)
    images, read_s = _timed(lambda: _read(uid, deps))
    row, inputs = _dated(images, row, inputs, deps)
    images = images_in_force(images, row)
    comparison = comparison or compare_with(images.study, row, deps, waits=waits)
    inputs = unreadable_files.with_away(inputs, comparison.away, deps.index)
    lease.check()
    outcome = deps.engine.full(images, comparison.prepared, context_of(comparison, row, deps))
    outcome = _with_order_hint(outcome, row, comparison, deps)
    _save(lease, outcome, Stage.FULL, waited | {"read": read_s}, inputs, deps)
    result = _wait_for_others(lease, deps) if comparison.away or unread else _finish(lease, deps)
    prepare_afterwards(row, images, comparison.infusion_date, deps)
    return result


def _dated(images: StudyImages, row: StudyRow, inputs: Inputs, deps: Deps) -> tuple[StudyRow, Inputs]:
    """The study and what its decision rests on, by the day of the visit that is assessed (``with_visit``)."""
    dated = with_visit(images.study, row, deps.index, now=deps.clock.now())
    return (row, inputs) if dated is row else (dated, {**inputs, **inputs_now(dated, deps.index)})


def _read(uid: str, deps: Deps, kinds: frozenset[SequenceKind] | None = None) -> StudyImages:
    filled = len(deps.index.blank_filled(uid))
    images = read_whole(uid, deps.index, deps.files, partial(deps.reader.read, kinds=kinds))
    said = f"{filled} blank or cut images came again with content under the same UIDs: the content is measured"
    images = dataclasses.replace(images, notices=(*images.notices, said)) if filled else images
    rejected = rejected_words(deps.index.object_answers(uid))
    return dataclasses.replace(images, set_aside=(*images.set_aside, *rejected)) if rejected else images


def _wait_for_others(lease: Lease, deps: Deps) -> Result:
    """Decided, but without files beside its own that cannot be read now: it stays in the queue until they can be."""
    _try_again(lease.claim, deps, transient(lease.claim.attempt, unreadable_files.REASON))
    return Result.DECIDED


def _wait_for_files(lease: Lease, row: StudyRow, deps: Deps, damage: FilesDamaged, inputs: Inputs | None) -> Result:
    """After some attempts a decision names the files; the study stays in the queue until they are whole."""
    own = damage.study_instance_uid == row.study_instance_uid
    if own and lease.claim.attempt >= PATIENT_ATTEMPTS:
        inputs = unreadable_files.with_damage(inputs or inputs_now(row, deps.index), damage)
        said = f"{damage}; it is assessed when they are whole again"
        store_undecided(lease.claim, row, deps, code=unreadable_files.CODE, message=said, inputs=inputs)
    return _try_again(lease.claim, deps, transient(lease.claim.attempt, brief(damage)))


def _look_again(lease: Lease, row: StudyRow, deps: Deps) -> Result:
    """Nothing is measured while files stay away; when they are back, or a fact changed, a new revision is
    decided."""
    if not unreadable_files.to_decide_again(row, deps):
        _try_again(lease.claim, deps, transient(lease.claim.attempt, unreadable_files.REASON))
        return Result.RETRY
    deps.index.requeue(row.study_instance_uid, now=deps.clock.now())
    return _finish(lease, deps)


def _save(
    lease: Lease, outcome: Assessed, stage: Stage, timings_s: Mapping[str, float], inputs: Inputs, deps: Deps
) -> None:
    """Decision first, then its files. A file that cannot be written is logged; the decision stands. A decision that is
    stored already is not replaced (workers.studies.earlier_attempt)."""
    from triage.report.document import to_document

    claim = lease.claim
    assessment = over_time(outcome.assessment, claim, inputs, deps)
    assessment = dataclasses.replace(assessment, timings_s={**timings_s, **assessment.timings_s})
    assessment = saying_what_is_unread(_with_missing_images(assessment, deps.index), inputs)
    lease.check()
    document = to_document(assessment) | {"inputs": inputs} | images_of_revision(claim, deps.index)
    document = with_outside_facts(document, deps, claim.study_instance_uid)
    now = deps.clock.now()
    document["decided_at"] = now.isoformat(timespec="seconds")
    stored = earlier_attempt.store_once(lease, stage, document, deps, now=now)
    if stored is None:
        log.info("decision.changed", stage=stage.value)
        return
    decision = assessment.decision
    log.info("decision.made", stage=stage.value, category=decision.category.value, priority=decision.priority.value)
    write_files(claim, dataclasses.replace(outcome, assessment=assessment), stored, deps)


def _with_missing_images(assessment: Assessment, index: StudyIndex) -> Assessment:
    """The same assessment, saying how many of the announced images it saw when some are missing."""
    uid = assessment.study.study_instance_uid
    text = announcements.sentence(index.study_counts([uid]).get(uid, announcements.StudyCount()))
    return assessment if text is None else dataclasses.replace(assessment, notices=(*assessment.notices, text))


def _with_order_hint(outcome: Assessed, row: StudyRow, comparison: Comparison, deps: Deps) -> Assessed:
    """The same outcome, with what the order hints about an infusion among its notices."""
    text = None if deps.order_hint is None else deps.order_hint(row, comparison.infusion_date)
    if text is None:
        return outcome
    assessment = dataclasses.replace(outcome.assessment, notices=(*outcome.assessment.notices, text))
    return dataclasses.replace(outcome, assessment=assessment)


def _store_refusal(lease: Lease, row: StudyRow, deps: Deps, refusal: NotAssessable, inputs: Inputs | None) -> Result:
    """``not_assessable`` is a result like any other: stored, shown, complete."""
    log.info("study.not_assessable", code=refusal.code)
    inputs = inputs or inputs_now(row, deps.index)
    outcome = undecided_outcome(row, deps, refusal.code, refusal.message)
    try:
        _save(lease, outcome, Stage.FULL, {}, inputs, deps)
    except LeaseLost:
        return Result.LEASE_LOST
    return _finish(lease, deps)


def _finish(lease: Lease, deps: Deps) -> Result:
    """Mark it done, unless newer images came; if those are ready too, ring for them now rather than at the next
    sweep."""
    if deps.index.complete(lease.claim, now=deps.clock.now()):
        return Result.DECIDED
    row = deps.index.study(lease.claim.study_instance_uid)
    if row is not None and row.state is StudyState.READY:
        ring_quietly(deps.bell, row.study_instance_uid)
    return Result.REOPENED


def ring_quietly(bell: Bell, study_instance_uid: str) -> None:
    """Ring; a broker that is away only costs the time until the sweeper rings."""
    try:
        bell.ring(study_instance_uid)
    except Transient as error:
        log.warning("bell.not_rung", error=str(error))


def _try_again(claim: Claim, deps: Deps, reason: str) -> Result:
    log.warning("study.retry", attempt=claim.attempt, reason=reason)
    deps.index.fail(claim, reason=reason, retry_at=_retry_at(claim, deps), now=deps.clock.now())
    return Result.RETRY


def _retry_at(claim: Claim, deps: Deps) -> datetime:
    delay_s = Backoff(deps.settings.queue.retry_delay_s, LONGEST_RETRY_S).pause_s(claim.attempt - 1)
    return deps.clock.now() + timedelta(seconds=delay_s)


def _give_up(
    claim: Claim,
    row: StudyRow,
    deps: Deps,
    *,
    tried: int,
    reason: str,
    code: str = "processing_failed",
    inputs: Inputs | None = None,
) -> Result:
    """Attempts used up: a visible ``processing_failed`` or ``quarantined``, then FAILED for a human.

    A first look of this very revision stays on top: it was measured, and nothing learnt since says otherwise.
    """
    log.error("study.failed", reason=reason, attempts=tried)
    now = deps.clock.now()
    message = f"the program could not process this study in {tried} attempts: {reason}"
    store_undecided(claim, row, deps, code=code, message=message, inputs=inputs or inputs_now(row, deps.index))
    failure = reason if code != quarantine.CODE else f"{quarantine.CODE}: {reason}"
    deps.index.fail(claim, reason=failure, retry_at=None, now=now)
    return Result.FAILED


def _has_decision(version: Mapping[str, Any]) -> bool:
    return bool(version["document"]["decision"]["category"] != "not_assessable")


def _waiting_times(row: StudyRow, deps: Deps) -> dict[str, float]:
    """Seconds before the work began: from the last image to ready, and from ready to a worker."""
    if row.ready_at is None:
        return {}
    return {
        "arrival_to_ready": max(0.0, (row.ready_at - row.last_received_at).total_seconds()),
        "ready_to_start": max(0.0, (deps.clock.now() - row.ready_at).total_seconds()),
    }


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started
