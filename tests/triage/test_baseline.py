"""Studies of one patient in, the baseline out: named cases, and what must hold for any set of candidates."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.baseline import Candidate, choose_baseline
from triage.identity import compare_identity
from triage.infusions import Infusion
from triage.model import BaselineChoice, Basis, Patient, Study

INFUSION = date(2024, 3, 10)
DAY = timedelta(days=1)
PATIENT = Patient("P1", birth_date=date(1970, 1, 2), sex="F")


def a_study(uid: str, when: date | None, at: time | None = time(10), patient: Patient = PATIENT) -> Study:
    return Study(uid, patient, when, at)


def a_candidate(
    uid: str, when: date | None, at: time | None = time(10), *, problem: str | None = None, patient: Patient = PATIENT
) -> Candidate:
    return Candidate(a_study(uid, when, at, patient), problem is None, problem)


FOLLOWUP = a_study("followup", INFUSION + 9 * DAY)


def chosen(
    *candidates: Candidate, study: Study = FOLLOWUP, infusion: date | None = INFUSION, days: int = 365
) -> BaselineChoice:
    infusions = () if infusion is None else (Infusion(infusion),)
    return choose_baseline(study, candidates, infusions=infusions, latest_days_before_infusion=days)


CASES = [
    pytest.param([], INFUSION, None, "no study before the infusion", id="no-candidate"),
    pytest.param([], None, None, "infusion date is not known", id="no-candidate-no-infusion-date"),
    pytest.param(
        [a_candidate("a", INFUSION - 20 * DAY), a_candidate("b", INFUSION - 5 * DAY)],
        INFUSION,
        "b",
        "before the infusion",
        id="latest-before",
    ),
    pytest.param(
        [a_candidate("b", INFUSION - 5 * DAY), a_candidate("c", INFUSION + 3 * DAY)],
        INFUSION,
        "b",
        "before the infusion",
        id="not-after",
    ),
    pytest.param([a_candidate("b", INFUSION)], INFUSION, "b", "before the infusion", id="on-the-day-of-infusion"),
    pytest.param(
        [a_candidate("c", INFUSION + 3 * DAY), a_candidate("d", INFUSION + 5 * DAY)],
        INFUSION,
        None,
        "no study before the infusion of 2024-03-10; the study of 2024-03-15 shows the course since then only",
        id="only-after-infusion",
    ),
    pytest.param(
        [a_candidate("a", INFUSION - 20 * DAY), a_candidate("c", INFUSION + 3 * DAY)],
        None,
        "c",
        "infusion date is not known",
        id="no-infusion-date",
    ),
    pytest.param(
        [a_candidate("a", INFUSION - 20 * DAY), a_candidate("b", INFUSION - 5 * DAY, problem="no FLAIR")],
        INFUSION,
        "a",
        "before the infusion",
        id="latest-not-assessable",
    ),
    pytest.param(
        [a_candidate("b", INFUSION - 5 * DAY, problem="no FLAIR")],
        INFUSION,
        None,
        "no study before",
        id="none-assessable",
    ),
    pytest.param([a_candidate("z", INFUSION + 20 * DAY)], INFUSION, None, "no study before", id="only-later-studies"),
    pytest.param([a_candidate("a", INFUSION - 366 * DAY)], INFUSION, None, "no study before", id="too-old"),
    pytest.param(
        [a_candidate("a", INFUSION - 365 * DAY)], INFUSION, "a", "before the infusion", id="just-recent-enough"
    ),
    pytest.param([a_candidate("a", None)], INFUSION, None, "no study before", id="date-unknown"),
    pytest.param([a_candidate("followup", INFUSION - 5 * DAY)], INFUSION, None, "no study before", id="never-itself"),
    pytest.param(
        [a_candidate("a", INFUSION - 5 * DAY, time(8)), a_candidate("b", INFUSION - 5 * DAY, time(15))],
        INFUSION,
        "b",
        "before",
        id="same-day-by-time",
    ),
]


@pytest.mark.parametrize(("candidates", "infusion", "uid", "reason"), CASES)
def test_choose_baseline(candidates: list[Candidate], infusion: date | None, uid: str | None, reason: str) -> None:
    choice = chosen(*candidates, infusion=infusion)
    assert choice.study_instance_uid == uid
    assert reason in choice.reason


REJECTED = [
    pytest.param(a_candidate("x", INFUSION - DAY, problem="no FLAIR"), "not assessable: no FLAIR", id="not-assessable"),
    pytest.param(
        a_candidate("x", INFUSION - 400 * DAY), "400 days before the infusion, more than the 365 allowed", id="too-old"
    ),
    pytest.param(a_candidate("x", INFUSION + 30 * DAY), "not earlier than the follow-up", id="later"),
    pytest.param(a_candidate("x", INFUSION + 9 * DAY, time(11)), "not earlier than the follow-up", id="same-day-later"),
    pytest.param(
        a_candidate("x", INFUSION + 9 * DAY, None), "not earlier than the follow-up", id="same-day-order-unknown"
    ),
    pytest.param(a_candidate("followup", INFUSION - DAY), "the follow-up itself", id="itself"),
    pytest.param(a_candidate("x", None), "its study date is unknown", id="no-date"),
    pytest.param(
        a_candidate("x", INFUSION - DAY, patient=Patient("P1", birth_date=date(1971, 1, 2))),
        "another birth date",
        id="birth-date",
    ),
    pytest.param(a_candidate("x", INFUSION - DAY, patient=Patient("P1", sex="M")), "another sex", id="sex"),
    pytest.param(a_candidate("x", INFUSION - DAY, patient=Patient("P2")), "another patient ID", id="patient-id"),
    pytest.param(a_candidate("x", INFUSION + 2 * DAY), "after the infusion of 2024-03-10", id="after-infusion"),
    pytest.param(
        a_candidate("x", INFUSION - 30 * DAY), "a later study is closer to the infusion: 2024-03-07", id="superseded"
    ),
]


@pytest.mark.parametrize(("candidate", "reason"), REJECTED)
def test_every_rejected_candidate_has_its_reason(candidate: Candidate, reason: str) -> None:
    choice = chosen(a_candidate("best", INFUSION - 3 * DAY), candidate)
    assert choice.study_instance_uid == "best"
    assert [r.study_instance_uid for r in choice.rejected] == [candidate.study.study_instance_uid]
    assert reason in choice.rejected[0].reason


def test_same_day_earlier_study_is_used() -> None:
    morning = a_candidate("morning", INFUSION + 9 * DAY, time(8))
    assert chosen(morning, infusion=INFUSION + 9 * DAY).study_instance_uid == "morning"


SECOND = INFUSION + 90 * DAY
TWICE = (Infusion(INFUSION), Infusion(SECOND, "retreatment"))


def acute(uid: str, when: date, *patterns: str) -> Candidate:
    return replace(a_candidate(uid, when), acute=patterns or ("A",))


def open_at(uid: str, when: date) -> Candidate:
    return replace(a_candidate(uid, when), left_open=("A",))


BEFORE, KNOWN = a_candidate("before", INFUSION - 5 * DAY), (Infusion(INFUSION),)
COMPARED = [
    pytest.param([acute("d5", INFUSION + 5 * DAY)], KNOWN, Basis.COURSE_ONLY, "d5", ("A",),
        id="no-scan-before-infusion"),
    pytest.param([acute("d5", INFUSION + 5 * DAY, "A", "D")], (), Basis.COURSE_ONLY, "d5", ("A", "D"),
        id="no-roster-positive"),
    pytest.param([BEFORE, acute("d5", INFUSION + 5 * DAY)], (), Basis.DATE_UNKNOWN, "before", (), id="no-roster-clear"),
    pytest.param([BEFORE, acute("d5", INFUSION + 5 * DAY)], KNOWN, Basis.BEFORE_INFUSION, "before", (), id="known"),
    pytest.param([acute("b", INFUSION - 5 * DAY)], KNOWN, Basis.BEFORE_INFUSION, "b", (), id="shown-before-treatment"),
    pytest.param([a_candidate("d5", INFUSION + 5 * DAY)], KNOWN, Basis.COURSE_ONLY, "d5", (), id="clear-but-after"),
    pytest.param([BEFORE, open_at("d5", INFUSION + 5 * DAY)], (), Basis.DATE_UNKNOWN, "before", (),
        id="no-roster-one-left-open"),
    pytest.param([open_at("d5", INFUSION + 5 * DAY)], (), Basis.COURSE_ONLY, "d5", (), id="no-roster-only-left-open"),
    pytest.param([open_at("b", INFUSION - 5 * DAY)], KNOWN, Basis.BEFORE_INFUSION, "b", (), id="open-before-treatment"),
    pytest.param([], KNOWN, Basis.NONE, None, (), id="nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("candidates", "infusions", "basis", "compared", "carried"), COMPARED)
def test_what_is_no_baseline_shows_the_course(
    candidates: list[Candidate], infusions: tuple[Infusion, ...], basis: Basis, compared: str | None,
    carried: tuple[str, ...]
) -> None:  # fmt: skip
    choice = choose_baseline(FOLLOWUP, candidates, infusions=infusions, latest_days_before_infusion=365)
    found = choice.since[0] if choice.since else choice.study_instance_uid
    assert (choice.basis, found, choice.carried) == (basis, compared, carried)
    assert (choice.study_instance_uid is None) == (basis in (Basis.COURSE_ONLY, Basis.NONE))


RETREATED = [
    pytest.param([BEFORE, acute("d7", INFUSION + 7 * DAY)], "d7", ("A",), id="positive-since-the-first-infusion"),
    pytest.param([BEFORE, a_candidate("d40", INFUSION + 40 * DAY)], "d40", (), id="clear-before-the-second"),
    pytest.param([BEFORE], "before", (), id="only-before-the-first"),
    pytest.param([acute("before", INFUSION - 5 * DAY)], "before", (), id="before-any-treatment"),
]


@pytest.mark.parametrize(("candidates", "uid", "carried"), RETREATED)
def test_a_study_belongs_to_the_latest_infusion_before_it(
    candidates: list[Candidate], uid: str, carried: tuple[str, ...]
) -> None:
    study = a_study("second-course", SECOND + 5 * DAY)
    choice = choose_baseline(study, candidates, infusions=TWICE, latest_days_before_infusion=365)
    assert (choice.study_instance_uid, choice.carried, choice.basis) == (uid, carried, Basis.BEFORE_INFUSION)


def test_what_a_study_between_two_infusions_leaves_open_is_named() -> None:
    study, between = a_study("second-course", SECOND + 5 * DAY), open_at("d40", INFUSION + 40 * DAY)
    choice = choose_baseline(study, [BEFORE, between], infusions=TWICE, latest_days_before_infusion=365)
    assert (choice.study_instance_uid, choice.carried, choice.left_open) == ("d40", (), ("A",))


def test_a_second_infusion_changes_nothing_for_the_first_course() -> None:
    choice = choose_baseline(FOLLOWUP, [BEFORE], infusions=TWICE, latest_days_before_infusion=365)
    assert choice == choose_baseline(FOLLOWUP, [BEFORE], infusions=TWICE[:1], latest_days_before_infusion=365)


COPIED = replace(FOLLOWUP, acquisition=frozenset({"f", "g"}))


def a_copy(uid: str, when: date, *found: str, images: str = "f", acquired: date | None = None) -> Candidate:
    """A study that shares images; ``f``: those of the follow-up."""
    study = replace(a_study(uid, when), acquisition=frozenset({"e" + images, images}), acquired=acquired)
    return Candidate(study, True, acute=found)


COPIES = [
    pytest.param([BEFORE], "before", None, (), id="noop"),
    pytest.param([a_copy("x", INFUSION - DAY, images="other")], "x", None, (), id="other-images"),
    pytest.param([a_copy("x", INFUSION - DAY)], None, "x", (), id="before-the-infusion"),
    pytest.param([BEFORE, a_copy("x", INFUSION - DAY)], "before", "x", (), id="beside-a-baseline"),
    pytest.param([a_copy("x", INFUSION + 5 * DAY, "A")], None, "x", ("A",), id="what-was-found-is-carried"),
    pytest.param(
        [a_copy("x", INFUSION + 5 * DAY, "A"), a_copy("y", INFUSION + 6 * DAY)], None, "x", ("A",), id="found-in-one"
    ),
    pytest.param([a_copy("x", INFUSION + 20 * DAY, "A")], None, None, (), id="later-says-nothing"),
    pytest.param(
        [replace(a_copy("x", INFUSION - DAY), study=replace(a_copy("x", INFUSION - DAY).study, patient=Patient("P2")))],
        None, None, (), id="somebody-else",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("candidates", "uid", "same", "found"), COPIES)
def test_a_copy_is_no_prior(
    candidates: list[Candidate], uid: str | None, same: str | None, found: tuple[str, ...]
) -> None:
    for order in (candidates, candidates[::-1]):
        choice = chosen(*order, study=COPIED)
        assert choice.study_instance_uid == uid
        assert choice.since is None
        named = choice.same
        assert (None if named is None else named.study_instance_uid, () if named is None else named.found) == (
            same,
            found,
        )


def test_a_copy_is_named_also_when_it_is_later() -> None:
    choice = chosen(a_copy("x", INFUSION + 20 * DAY), study=COPIED)
    assert choice.rejected[0].reason == "the same acquisition as the follow-up, under other UIDs"


DAY_5 = INFUSION + 5 * DAY
AMONG_PRIORS = [
    pytest.param(None, None, "day5", id="no-acquisition-date: the later"),
    pytest.param(DAY_5, DAY_5, "day5", id="dated-as-acquired"),
    pytest.param(INFUSION - DAY, INFUSION - DAY, "early", id="imported-later"),
]


@pytest.mark.parametrize(("early", "late", "believed"), AMONG_PRIORS)
def test_of_two_priors_with_the_same_images_one_date_is_believed(
    early: date | None, late: date | None, believed: str
) -> None:
    """A copy of day 5 that is dated before the infusion would hide what day 5 shows."""
    pair = [
        a_copy("early", INFUSION - DAY, images="p", acquired=early), a_copy("day5", DAY_5, images="p", acquired=late)
    ]  # fmt: skip
    for order in (pair, pair[::-1]):
        choice = chosen(*order, study=COPIED)
        assert (choice.study_instance_uid or (choice.since and choice.since[0])) == believed
        said = {r.study_instance_uid: r.reason for r in choice.rejected}
        assert any("the same acquisition as the study of" in why for uid, why in said.items() if uid != believed)


def test_followup_before_the_infusion_needs_no_baseline() -> None:
    choice = chosen(study=a_study("pre", INFUSION - 4 * DAY))
    assert choice == BaselineChoice(
        None, None, "study precedes the infusion: 2024-03-06 is before 2024-03-10; it can itself serve as baseline"
    )


def test_followup_before_the_infusion_is_not_compared_with_an_acute_one_as_a_baseline() -> None:
    choice = chosen(acute("old", INFUSION - 60 * DAY), study=a_study("pre", INFUSION - 4 * DAY))
    assert (choice.study_instance_uid, choice.basis, choice.carried) == (None, Basis.COURSE_ONLY, ("A",))


def test_followup_before_the_infusion_still_compares_with_an_earlier_study() -> None:
    choice = chosen(a_candidate("old", INFUSION - 60 * DAY), study=a_study("pre", INFUSION - 4 * DAY))
    assert choice.study_instance_uid == "old"
    assert "precedes the infusion" in choice.reason


def test_followup_without_a_date_is_compared_with_nothing() -> None:
    choice = chosen(a_candidate("a", INFUSION - DAY), study=a_study("followup", None))
    assert choice.study_instance_uid is None
    assert "the follow-up's study date is unknown" in choice.rejected[0].reason


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(PATIENT, PATIENT, id="same"),
        pytest.param(PATIENT, Patient("P1"), id="unknown-on-one-side"),
        pytest.param(PATIENT, Patient("P1 ", sex="O"), id="sex-other-means-not-recorded"),
        pytest.param(PATIENT, Patient("P1", issuer="H"), id="issuer-on-one-side"),
    ],
)
def test_identities_that_agree(one: Patient, other: Patient) -> None:
    assert compare_identity(one, other).mismatch is None
    assert compare_identity(other, one).mismatch is None


def test_reasons_state_no_identity() -> None:
    other = Patient("SECRET", birth_date=date(1951, 7, 8), sex="M")
    for patient in (other, Patient("P1", birth_date=other.birth_date), Patient("P1", sex="M")):
        reason = chosen(a_candidate("x", INFUSION - DAY, patient=patient)).rejected[0].reason
        assert not any(word in reason for word in ("SECRET", "P1", "1951", "1970"))


patients = st.builds(
    Patient,
    st.sampled_from(["P1", "P2"]),
    birth_date=st.sampled_from([None, date(1970, 1, 2), date(1971, 1, 2)]),
    sex=st.sampled_from(["", "F", "M"]),
)
dates = st.none() | st.dates(INFUSION - 500 * DAY, INFUSION + 60 * DAY)
times = st.none() | st.sampled_from([time(8), time(10), time(12)])
studies = st.builds(Study, st.sampled_from(["a", "b", "c", "d", "followup"]), patients, dates, times)
candidates_of_any_kind = st.lists(
    st.builds(lambda s, ok: Candidate(s, ok, None if ok else "no FLAIR"), studies, st.booleans()), max_size=8
)


@given(
    study=studies, candidates=candidates_of_any_kind, infusion=st.none() | st.just(INFUSION), days=st.integers(1, 600)
)
def test_any_set_of_candidates(study: Study, candidates: list[Candidate], infusion: date | None, days: int) -> None:
    choice = chosen(*candidates, study=study, infusion=infusion, days=days)
    accounted = [r.study_instance_uid for r in choice.rejected] + (
        [choice.study_instance_uid] if choice.study_instance_uid else []
    )
    assert sorted(accounted) == sorted(c.study.study_instance_uid for c in candidates)
    assert choice.reason
    assert all(r.reason for r in choice.rejected)
    if choice.study_instance_uid is None:
        return
    assert choice.study_instance_uid != study.study_instance_uid
    assert choice.study_date is not None
    assert study.study_date is not None
    assert choice.study_date <= study.study_date
    of_that_uid = [
        c
        for c in candidates
        if c.study.study_instance_uid == choice.study_instance_uid and c.study.study_date == choice.study_date
    ]
    assert any(c.assessable and compare_identity(study.patient, c.study.patient).mismatch is None for c in of_that_uid)


UNJUDGED = [
    pytest.param(None, Basis.DATE_UNKNOWN, 20, id="date unknown: the latest that is known to be clear"),
    pytest.param(INFUSION, Basis.BEFORE_INFUSION, 5, id="noop: before the infusion it is the baseline"),
    pytest.param(INFUSION - 30 * DAY, Basis.COURSE_ONLY, 5, id="noop: after the infusion it shows the course anyway"),
]


@pytest.mark.parametrize(("infusion", "basis", "days"), UNJUDGED)
def test_a_study_that_nobody_could_judge(infusion: date | None, basis: Basis, days: int) -> None:
    """Whether it shows an acute pattern is not known: while the infusion date is not known, it is no baseline."""
    unjudged = replace(a_candidate("b", INFUSION - 5 * DAY), judged=False)
    choice = chosen(a_candidate("a", INFUSION - 20 * DAY), unjudged, infusion=infusion)
    compared = choice.since[1] if choice.since is not None else choice.study_date
    assert (choice.basis, compared) == (basis, INFUSION - days * DAY)
    alone = chosen(unjudged, infusion=infusion)
    if infusion is None:
        assert alone.basis is Basis.COURSE_ONLY
        assert "was not assessed" in alone.reason


def test_a_baseline_after_an_earlier_infusion_that_nobody_could_judge_shows_the_course() -> None:
    between = replace(a_candidate("b", INFUSION + 30 * DAY), judged=False)
    infusions = (Infusion(INFUSION), Infusion(INFUSION + 60 * DAY))
    choice = choose_baseline(
        a_study("f", INFUSION + 65 * DAY), [between], infusions=infusions, latest_days_before_infusion=365
    )
    assert (choice.basis, choice.study_instance_uid) == (Basis.COURSE_ONLY, None)
    assert "was not assessed" in choice.reason
