"""Which earlier study the follow-up is compared with, and why; every candidate that is not chosen gets its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time

from triage.model import BaselineChoice, Patient, RejectedBaseline, Study


@dataclass(frozen=True)
class Candidate:
    """An earlier study and whether it can be measured. problem: why not, e.g. "no FLAIR"; None when assessable."""

    study: Study
    assessable: bool
    problem: str | None = None


def choose_baseline(
    study: Study, candidates: Sequence[Candidate], *, infusion_date: date | None, latest_days_before_infusion: int
) -> BaselineChoice:
    """The latest assessable study before the infusion (its day included) and before the follow-up.

    Without an infusion date, or without a study before it, the latest earlier study stands in and ``reason`` says so.
    For a follow-up that itself precedes the infusion no comparison is needed; an earlier study is used when there is
    one.

    Args:
        study: the follow-up.
        candidates: other studies filed under the same patient, in any order; the follow-up itself may be among them.
        infusion_date: day of the CAR-T infusion, None when unknown.
        latest_days_before_infusion: a study older than this many days before the infusion (or, when its date is
            unknown, before the follow-up) is too old to compare with.

    Returns:
        The choice; ``rejected`` holds every other candidate, in the order given.
    """
    limit = _Limit(infusion_date, latest_days_before_infusion)
    problems = [_problem(study, candidate, limit) for candidate in candidates]
    usable = [c.study for c, problem in zip(candidates, problems, strict=True) if problem is None]
    chosen, reason = _choose(study, usable, infusion_date)
    rejected: list[RejectedBaseline] = []
    taken = False
    for candidate, problem in zip(candidates, problems, strict=True):
        if not taken and chosen is not None and candidate.study is chosen:
            taken = True
            continue
        why = problem or _not_best(candidate.study, chosen, infusion_date)
        rejected.append(RejectedBaseline(candidate.study.study_instance_uid, why))
    if chosen is None:
        return BaselineChoice(None, None, reason, tuple(rejected))
    return BaselineChoice(chosen.study_instance_uid, chosen.study_date, reason, tuple(rejected))


@dataclass(frozen=True)
class _Limit:
    infusion_date: date | None
    days: int

    def too_old(self, study_date: date, followup_date: date) -> str | None:
        reference, name = (self.infusion_date, "infusion") if self.infusion_date else (followup_date, "follow-up")
        if self.infusion_date and followup_date < self.infusion_date:
            reference, name = followup_date, "follow-up"
        age = (reference - study_date).days
        return f"{age} days before the {name}, more than the {self.days} allowed" if age > self.days else None


def _problem(study: Study, candidate: Candidate, limit: _Limit) -> str | None:  # noqa: PLR0911 - one return per reason, in order
    other = candidate.study
    if other.study_instance_uid == study.study_instance_uid:
        return "the follow-up itself"
    mismatch = identity_mismatch(study.patient, other.patient)
    if mismatch is not None:
        return f"identity mismatch: {mismatch}"
    if other.study_date is None:
        return "its study date is unknown"
    if study.study_date is None:
        return "the follow-up's study date is unknown, so the order cannot be told"
    if not _is_earlier(other, study):
        return "not earlier than the follow-up"
    if not candidate.assessable:
        return f"not assessable: {candidate.problem or 'no reason given'}"
    return limit.too_old(other.study_date, study.study_date)


def identity_mismatch(one: Patient, other: Patient) -> str | None:
    """Why two studies may not be compared, without stating any identity; None when nothing contradicts."""
    if one.patient_id.strip() != other.patient_id.strip():
        return "another patient ID"
    if one.issuer and other.issuer and one.issuer != other.issuer:
        return "another issuer of the patient ID"
    if one.birth_date and other.birth_date and one.birth_date != other.birth_date:
        return "same patient ID but another birth date"
    if _sex(one) and _sex(other) and _sex(one) != _sex(other):
        return "same patient ID but another sex"
    return None


def _sex(patient: Patient) -> str:
    """M or F; O (other) and anything else counts as not known, since sites use it for "not recorded"."""
    return patient.sex.strip().upper() if patient.sex.strip().upper() in ("M", "F") else ""


def _is_earlier(other: Study, study: Study) -> bool:
    assert other.study_date is not None  # noqa: S101 - both checked by the caller
    assert study.study_date is not None  # noqa: S101
    if other.study_date != study.study_date:
        return other.study_date < study.study_date
    if other.study_time is None or study.study_time is None:
        return False  # same day, order unknown
    return other.study_time < study.study_time


def _key(study: Study) -> tuple[date, time]:
    return study.study_date or date.min, study.study_time or time.min


def _choose(study: Study, usable: Sequence[Study], infusion: date | None) -> tuple[Study | None, str]:
    """The study and the sentence that explains it; usable studies are earlier, assessable and recent enough."""
    latest = max(usable, key=_key, default=None)
    if infusion is None:
        if latest is None:
            return None, "no earlier study can serve as baseline; the infusion date is not known"
        return latest, f"the latest earlier study, of {latest.study_date}; the infusion date is not known"
    if study.study_date is not None and study.study_date < infusion:
        return _before_infusion(study, latest, infusion)
    before = max((s for s in usable if s.study_date is not None and s.study_date <= infusion), key=_key, default=None)
    if before is not None:
        return before, f"the latest study before the infusion of {infusion}, of {before.study_date}"
    if latest is None:
        return None, f"no study before the infusion of {infusion} and no other earlier study can serve as baseline"
    return (
        latest,
        f"no study before the infusion of {infusion}; comparing with the latest earlier study, of {latest.study_date}",
    )


def _before_infusion(study: Study, latest: Study | None, infusion: date) -> tuple[Study | None, str]:
    said = f"study precedes the infusion: {study.study_date} is before {infusion}"
    if latest is None:
        return None, f"{said}; it can itself serve as baseline"
    return latest, f"{said}; comparing with the latest earlier study, of {latest.study_date}"


def _not_best(study: Study, chosen: Study | None, infusion: date | None) -> str:
    if infusion is not None and study.study_date is not None and study.study_date > infusion:
        return f"after the infusion of {infusion}"
    if chosen is not None and study.study_instance_uid == chosen.study_instance_uid:
        return "listed twice"
    return (
        f"a later study is closer to the infusion: {chosen.study_date}"
        if chosen and infusion
        else "a later study is chosen"
    )
