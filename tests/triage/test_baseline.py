"""Studies of one patient in, the baseline out: named cases, and what must hold for any set of candidates."""

from __future__ import annotations

from datetime import date, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.baseline import Candidate, choose_baseline, identity_mismatch
from triage.model import BaselineChoice, Patient, Study

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
    return choose_baseline(study, candidates, infusion_date=infusion, latest_days_before_infusion=days)


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
        "d",
        "no study before the infusion of 2024-03-10; comparing with the latest earlier study",
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
    assert chosen(a_candidate("morning", INFUSION + 9 * DAY, time(8))).study_instance_uid == "morning"


def test_followup_before_the_infusion_needs_no_baseline() -> None:
    choice = chosen(study=a_study("pre", INFUSION - 4 * DAY))
    assert choice == BaselineChoice(
        None, None, "study precedes the infusion: 2024-03-06 is before 2024-03-10; it can itself serve as baseline"
    )


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
    assert identity_mismatch(one, other) is None
    assert identity_mismatch(other, one) is None


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
    choice = choose_baseline(study, candidates, infusion_date=infusion, latest_days_before_infusion=days)
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
    assert any(c.assessable and identity_mismatch(study.patient, c.study.patient) is None for c in of_that_uid)
