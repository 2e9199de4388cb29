"""Which earlier study the follow-up is compared with, and why; every candidate that is not chosen gets its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, time

from triage.identity import SameId, compare_identity
from triage.infusions import Infusion, earlier_infusion, infusion_of
from triage.model import BaselineChoice, Basis, RejectedBaseline, SameAcquisition, Study


@dataclass(frozen=True)
class Candidate:
    """An earlier study and whether it can be measured.

    problem: why not, e.g. "no FLAIR"; None when assessable. acute: patterns that its current decision found
    (``possible`` or ``neurotoxicity_suspected``).
    judged: whether its current decision says anything about its images; what nobody could judge may show anything.
    left_open: patterns that the comparison with its own baseline could not judge.
    """

    study: Study
    assessable: bool
    problem: str | None = None
    acute: tuple[str, ...] = ()
    judged: bool = True
    left_open: tuple[str, ...] = ()

    @property
    def clear(self) -> bool:
        """Known to show no acute pattern."""
        return self.judged and not self.acute and not self.left_open


def choose_baseline(
    study: Study,
    candidates: Sequence[Candidate],
    *,
    infusions: Sequence[Infusion],
    latest_days_before_infusion: int,
    same_id: SameId = SameId.CONFIRMED,
) -> BaselineChoice:
    """What the follow-up is compared with (docs/method.md, Baseline).

    The baseline is the latest assessable study before the infusion that the follow-up belongs to (its day included):
    whatever that study shows was there before treatment. One of that very day which is not known to be clear may lie
    after the infusion: it gives way to an earlier one. While no infusion date is known, it is the latest earlier study
    without an acute finding. When only other studies exist (after the infusion, or with an acute finding) there is no
    baseline: the latest of them shows the course since its date (``Basis.COURSE_ONLY``).

    A study that holds the images of the follow-up is no prior. Of several candidates with the same images the one
    dated as its acquisition is a prior, else the latest: a copy with an earlier date may hide what came between. A copy
    of the same day that cannot be used takes no place, and neither does one that is dated after the follow-up.

    Args:
        study: the follow-up.
        candidates: other studies of the same patient, in any order; the follow-up itself may be among them.
        infusions: all known infusions of the patient, in any order; empty when none is known.
        latest_days_before_infusion: a study older than this many days before the infusion (or, when its date is
            unknown, before the follow-up) is too old to compare with.
        same_id: when two spellings of a patient ID are one (``triage.identity``).

    Returns:
        The choice; ``rejected`` holds every other candidate, in the order given.
    """
    infusion = infusion_of(study.study_date, infusions)
    limit = _Limit(None if infusion is None else infusion.day, latest_days_before_infusion, same_id)
    persons = [c for c in candidates if compare_identity(study.patient, c.study.patient, same_id).mismatch is None]
    problems = _problems(study, candidates, persons, limit)
    usable = [c for c, problem in zip(candidates, problems, strict=True) if problem is None]
    choice = _choose(study, usable, infusion, infusions)
    rejected: list[RejectedBaseline] = []
    taken = False
    for candidate, problem in zip(candidates, problems, strict=True):
        if not taken and choice.compared is not None and candidate is choice.compared and choice.is_baseline:
            taken = True
            continue
        why = problem or _not_best(candidate, choice, infusion)
        rejected.append(RejectedBaseline(candidate.study.study_instance_uid, why))
    stated = _stated(choice, tuple(rejected), infusion, infusions)
    return replace(stated, same=_same_acquisition(study, persons))


@dataclass(frozen=True)
class _Choice:
    """The candidate compared with (None: none), why, and on what basis."""

    compared: Candidate | None
    reason: str
    basis: Basis

    @property
    def is_baseline(self) -> bool:
        return self.basis in (Basis.BEFORE_INFUSION, Basis.DATE_UNKNOWN)


def _stated(
    choice: _Choice, rejected: tuple[RejectedBaseline, ...], infusion: Infusion | None, infusions: Sequence[Infusion]
) -> BaselineChoice:
    compared = choice.compared
    if compared is None or compared.study.study_date is None:
        return BaselineChoice(None, None, choice.reason, rejected)
    uid, day = compared.study.study_instance_uid, compared.study.study_date
    if choice.is_baseline:
        after = _after_an_earlier_infusion(day, infusion, infusions)
        carried, left_open = (compared.acute, compared.left_open) if after else ((), ())
        return BaselineChoice(uid, day, choice.reason, rejected, choice.basis, None, carried, left_open)
    return BaselineChoice(None, None, choice.reason, rejected, choice.basis, (uid, day), compared.acute)


def _after_an_earlier_infusion(day: date, infusion: Infusion | None, infusions: Sequence[Infusion]) -> bool:
    """Whether a study of ``day`` before ``infusion`` belongs to an earlier one: what it shows is not before
    treatment."""
    earlier = None if infusion is None else earlier_infusion(infusion, infusions)
    return earlier is not None and day >= earlier.day


@dataclass(frozen=True)
class _Limit:
    infusion_date: date | None
    days: int
    same_id: SameId

    def too_old(self, study_date: date, followup_date: date) -> str | None:
        reference, name = (self.infusion_date, "infusion") if self.infusion_date else (followup_date, "follow-up")
        if self.infusion_date and followup_date < self.infusion_date:
            reference, name = followup_date, "follow-up"
        age = (reference - study_date).days
        return f"{age} days before the {name}, more than the {self.days} allowed" if age > self.days else None


def _problems(
    study: Study, candidates: Sequence[Candidate], persons: Sequence[Candidate], limit: _Limit
) -> list[str | None]:
    """Of each candidate."""
    own = [_problem(study, candidate, limit) for candidate in candidates]
    fit = [c for c, problem in zip(candidates, own, strict=True) if problem is None]
    return [
        problem or _copied(c, [other for other in persons if _counts_for(other, c, study, fit)])
        for c, problem in zip(candidates, own, strict=True)
    ]


def _problem(study: Study, candidate: Candidate, limit: _Limit) -> str | None:  # noqa: PLR0911 - one return per reason
    """The first reason why the candidate cannot be the baseline; None when it can."""
    other = candidate.study
    if other.study_instance_uid == study.study_instance_uid:
        return "the follow-up itself"
    mismatch = compare_identity(study.patient, other.patient, limit.same_id).mismatch
    if mismatch is not None:
        return f"identity mismatch: {mismatch}"
    if study.acquisition & other.acquisition:
        return "the same acquisition as the follow-up, under other UIDs"
    if other.study_date is None:
        return "its study date is unknown"
    if study.study_date is None:
        return "the follow-up's study date is unknown, so the order cannot be told"
    if not is_earlier(other, study):
        return "not earlier than the follow-up"
    if not candidate.assessable:
        return f"not assessable: {candidate.problem or 'no reason given'}"
    return limit.too_old(other.study_date, study.study_date)


def _same_acquisition(study: Study, persons: Sequence[Candidate]) -> SameAcquisition | None:
    """The copy, among candidates of the patient, whose findings count for the follow-up. Only an earlier one does: two
    copies would wait for each other's decision."""
    copies = [
        c
        for c in persons
        if study.acquisition & c.study.acquisition
        and c.study.study_instance_uid != study.study_instance_uid
        and is_earlier(c.study, study)
    ]
    named = max(copies, key=lambda c: (bool(c.acute), *_key(c), c.study.study_instance_uid), default=None)
    return None if named is None else SameAcquisition(named.study.study_instance_uid, _day(named), named.acute)


def _counts_for(other: Candidate, candidate: Candidate, study: Study, fit: Sequence[Candidate]) -> bool:
    """Whether the candidate may yield to another one with its images. One of its own day has to be usable itself. One
    of another day, usable or not, tells that the candidate's day may be wrong; not when it is dated after the
    follow-up, unless its images were acquired then."""
    if other.study.study_date == candidate.study.study_date:
        return other in fit
    return is_earlier(other.study, study) or other.study.acquired == other.study.study_date


def _copied(candidate: Candidate, others: Sequence[Candidate]) -> str | None:
    """Why a candidate yields to another one with the same images; None: it does not."""
    own = candidate.study
    if not own.acquisition:
        return None
    same = (
        c.study
        for c in others
        if c.study.study_instance_uid != own.study_instance_uid
        and own.acquisition & c.study.acquisition
        and c.study.study_date is not None
    )
    better = max(same, key=_true_date, default=None)
    if better is None or _true_date(better) < _true_date(own):
        return None
    return f"the same acquisition as the study of {better.study_date}, under other UIDs"


def _true_date(study: Study) -> tuple[bool, date, time, str]:
    """Of two studies with the same images, the larger is the one whose date is believed."""
    day = study.study_date or date.min
    return study.acquired == day, day, study.study_time or time.min, study.study_instance_uid


def is_earlier(other: Study, study: Study) -> bool:
    """Whether ``other`` was acquired strictly before ``study``.

    False also when the order is not known: one of them has no date, or both are of one day and one has no time.
    """
    if other.study_date is None or study.study_date is None:
        return False
    if other.study_date != study.study_date:
        return other.study_date < study.study_date
    if other.study_time is None or study.study_time is None:
        return False
    return other.study_time < study.study_time


def _choose(
    study: Study, usable: Sequence[Candidate], infusion: Infusion | None, infusions: Sequence[Infusion]
) -> _Choice:
    """The candidate and the sentence that explains it; usable candidates are earlier, assessable and recent enough."""
    latest = max(usable, key=_key, default=None)
    clear = max((c for c in usable if c.clear), key=_key, default=None)
    if infusion is None:
        return _without_a_date(latest, clear)
    if study.study_date is not None and study.study_date < infusion.day:
        return _before_infusion(study, latest, clear, infusion.day)
    before = _before(usable, infusion.day)
    if before is not None:
        return _against(before, infusion, infusions)
    said = f"no study before the infusion of {infusion.day}"
    if latest is None:
        return _Choice(None, f"{said} and no other earlier study can serve as baseline", Basis.NONE)
    return _Choice(latest, f"{said}; the study of {_day(latest)} shows the course since then only", Basis.COURSE_ONLY)


def _against(before: Candidate, infusion: Infusion, infusions: Sequence[Infusion]) -> _Choice:
    """The choice of the latest study before the infusion."""
    day = _day(before)
    if not before.clear and day == infusion.day:
        said = f"the study of {day}, the day of the infusion, {_not_clear(before)}"
        return _Choice(before, f"{said} and may lie after it: it shows the course since then only", Basis.COURSE_ONLY)
    said = f"the latest study before the infusion of {infusion.day}, of {day}"
    if not before.judged and _after_an_earlier_infusion(day, infusion, infusions):
        said = f"{said}, lies after an earlier infusion and was not assessed: it shows the course since then only"
        return _Choice(before, said, Basis.COURSE_ONLY)
    return _Choice(before, said, Basis.BEFORE_INFUSION)


def _before(usable: Sequence[Candidate], infusion: date) -> Candidate | None:
    """The latest one before the infusion, whose time is not known: what lies on its day and is not clear only when
    there is no other."""
    before = [c for c in usable if _day(c) <= infusion]
    sure = [c for c in before if c.clear or _day(c) < infusion]
    return max(sure or before, key=_key, default=None)


def _without_a_date(latest: Candidate | None, clear: Candidate | None) -> _Choice:
    unknown = "the infusion date is not known"
    if clear is not None:
        which = "the latest earlier study" if clear is latest else "the latest earlier study without an acute finding"
        return _Choice(clear, f"{which}, of {_day(clear)}; {unknown}", Basis.DATE_UNKNOWN)
    if latest is None:
        return _Choice(None, f"no earlier study can serve as baseline; {unknown}", Basis.NONE)
    return _Choice(latest, f"{_unclear(latest)}: it shows the course since then only; {unknown}", Basis.COURSE_ONLY)


def _not_clear(candidate: Candidate) -> str:
    """Why it is not known to be clear."""
    if candidate.acute:
        return f"shows an acute pattern ({_letters(candidate)})"
    if candidate.judged:
        return f"does not exclude pattern{'s' * (len(candidate.left_open) > 1)} {', '.join(candidate.left_open)}"
    return "was not assessed"


def _unclear(latest: Candidate) -> str:
    """Why none of the earlier studies is known to be clear."""
    if latest.acute:
        return f"every earlier study shows an acute pattern, the latest ({_letters(latest)}) on {_day(latest)}"
    return f"no earlier study is known to show no acute pattern, the latest, of {_day(latest)}, {_not_clear(latest)}"


def _before_infusion(study: Study, latest: Candidate | None, clear: Candidate | None, infusion: date) -> _Choice:
    said = f"study precedes the infusion: {study.study_date} is before {infusion}"
    if latest is None:
        return _Choice(None, f"{said}; it can itself serve as baseline", Basis.NONE)
    if clear is not None:
        which = "the latest earlier study" if clear is latest else "the latest earlier study without an acute finding"
        return _Choice(clear, f"{said}; comparing with {which}, of {_day(clear)}", Basis.BEFORE_INFUSION)
    return _Choice(latest, f"{said}; {_unclear(latest)}: it shows the course since then only", Basis.COURSE_ONLY)


def _not_best(candidate: Candidate, choice: _Choice, infusion: Infusion | None) -> str:  # noqa: PLR0911 - as above
    day, compared = candidate.study.study_date, choice.compared
    if candidate is compared:
        return f"no baseline: {choice.reason}"
    if infusion is not None and day is not None and day > infusion.day:
        return f"after the infusion of {infusion.day}"
    if compared is not None and candidate.study.study_instance_uid == compared.study.study_instance_uid:
        return "listed twice"
    if candidate.acute and (compared is None or not compared.acute):
        return f"an acute pattern was found in it ({_letters(candidate)})"
    if not candidate.clear and choice.basis is Basis.DATE_UNKNOWN:
        return f"it {_not_clear(candidate)}: an acute pattern in it is not excluded"
    if compared is not None and infusion is not None:
        return f"a later study is closer to the infusion: {compared.study.study_date}"
    return "a later study is chosen"


def _letters(candidate: Candidate) -> str:
    return ", ".join(candidate.acute)


def _day(candidate: Candidate) -> date:
    assert candidate.study.study_date is not None  # noqa: S101 - usable candidates are dated
    return candidate.study.study_date


def _key(candidate: Candidate) -> tuple[date, time]:
    return candidate.study.study_date or date.min, candidate.study.study_time or time.min
