"""What could become a baseline stays: named courses, and whatever the choice of the baseline could ask for later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fake_index import InMemoryIndex
from tests.fakes import NOON, an_instance
from triage.baseline import Candidate, choose_baseline
from triage.infusions import CORRECTION_DAYS, Infusion
from workers.operations.needed import Fitness, possible_baselines
from workers.ports import ACUTE_CATEGORIES, PatientKey, StudyRow
from workers.studies.identity import study_of
from workers.studies.person import infusions_of_person, studies_of_person

DAY_0 = date(2026, 1, 1)


def a_row(uid: str, day: int | None, category: str | None = "no_pattern", **said: object) -> StudyRow:
    index = InMemoryIndex()
    when = None if day is None else DAY_0 + timedelta(days=day)
    index.record_instances([an_instance(uid, study_date=when, **said)])
    row = index.study(uid)
    assert row is not None
    return replace(row, category=category)


COURSE = [a_row("0", 0), a_row("30", 30), a_row("60", 60, "possible"), a_row("90", 90), a_row("120", 120)]
FIT = Fitness.FIT
CASES = [
    pytest.param([], [], {}, "", id="noop"),
    pytest.param(COURSE, [], {}, "0 30 60 90 120",
        id="no infusion known: all before the first finding, and the latest"),
    pytest.param(COURSE, [15], {}, "0 30 90 120", id="before the infusion and a month after it, and the latest"),
    pytest.param(COURSE, [65], {}, "0 30 60 90 120", id="the one before the infusion shows a finding"),
    pytest.param(COURSE, [-100], {}, "90 120", id="all after the infusion"),
    pytest.param(COURSE, [-100], {"120": Fitness.UNKNOWN}, "30 60 90 120", id="the latest is not known to be fit"),
    pytest.param(COURSE, [-100], dict.fromkeys(("90", "120"), Fitness.LEFT_OPEN), "0 30 90 120",
        id="the two latest leave a pattern open; two that exclude it"),
    pytest.param(COURSE, [-100], {"120": Fitness.UNFIT}, "30 60 90", id="the latest is unfit; two without a finding"),
    pytest.param(COURSE, [-100], dict.fromkeys(("90", "120"), Fitness.UNKNOWN), "0 30 60 90 120",
        id="the two latest are not known to be fit"),
    pytest.param([*COURSE[:2], *(a_row(str(n), n, "possible") for n in (40, 50, 60))], [-100], {}, "0 30 50 60",
        id="the latest without a finding, should the infusion be removed"),
    pytest.param([*COURSE[:2], *(a_row(str(n), n, "not_assessable") for n in (40, 50, 60))], [-100], {},
        "0 30 40 50 60", id="whether those that could not be assessed show a finding is not known"),
    pytest.param([a_row(str(n), n) for n in (0, 1, 2, 15, 20, 80, 90)], [40], {}, "1 2 15 20 80 90",
        id="the date may be corrected by a month"),
    pytest.param([a_row("0", 0, patient_id="")], [], {}, "", id="nobody's"),
    pytest.param([a_row("0", None)], [], {}, "", id="undated"),
    pytest.param([a_row("0", 0), *(a_row(f"B{n}", n, issuer="B") for n in (1, 2, 3))], [-100], {}, "0 B2 B3",
        id="two groups that may be one person"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "infusions", "fitness", "kept"), CASES)
def test_what_stays(rows: list[StudyRow], infusions: list[int], fitness: dict[str, Fitness], kept: str) -> None:
    known = {PatientKey("P1"): [Infusion(DAY_0 + timedelta(days=day)) for day in infusions]}
    found = possible_baselines(rows, known, lambda row: fitness.get(row.study_instance_uid, FIT))
    assert sorted(found) == sorted(kept.split())


OF_B = [replace(row, issuer="B") for row in COURSE]


@pytest.mark.parametrize(
    ("rows", "issuers", "dated"),
    [
        pytest.param(COURSE, [""], True, id="noop: nobody states one"),
        pytest.param(OF_B, ["b "], True, id="the same issuer"),
        pytest.param(OF_B, [""], True, id="the infusion states none"),
        pytest.param(COURSE, ["B"], True, id="the studies state none"),
        pytest.param(OF_B, ["HOSP"], False, id="of an issuer whom no study names: it is not used"),
        pytest.param(COURSE, ["B", "HOSP"], False, id="of two issuers: nobody knows whose"),
        pytest.param(COURSE, [], False, id="not measured: no infusion"),
    ],
)
def test_an_infusion_that_is_not_used_is_as_good_as_none(rows: list[StudyRow], issuers: list[str], dated: bool) -> None:
    """Then every study before the first finding stays: an infusion may be reported yet."""
    known = {PatientKey("P1", issuer): [Infusion(DAY_0 - timedelta(days=100))] for issuer in issuers}
    found = possible_baselines(rows, known, lambda _: FIT)
    assert ({"0", "30"} <= found) is not dated


@dataclass(frozen=True)
class Past:
    """A stored study. usable: whether the choice of the baseline finds it assessable."""

    day: int
    at: str
    category: str
    fitness: Fitness
    usable: bool
    judged: bool
    issuer: str
    birth_date: date | None


# weighted: with every value as likely as another, nearly everything would stay for many reasons at once
FEW_DAYS = st.sampled_from([0, 10, 11, 50, 80, 81, 82, 83, 90])
TIMES = st.sampled_from(["080000", "080000", "160000", ""])
ISSUERS = st.sampled_from(["", "", "A", "A", "B"])
BIRTHS = st.sampled_from([None, None, None, date(1970, 1, 1), date(1980, 1, 1)])
PASTS = st.builds(
    Past,
    FEW_DAYS,
    TIMES,
    st.sampled_from(["no_pattern"] * 4 + ["possible", "neurotoxicity_suspected", "not_assessable"]),
    st.sampled_from([FIT] * 5 + [Fitness.UNFIT, Fitness.UNKNOWN, Fitness.LEFT_OPEN]),
    st.booleans(),
    st.booleans(),
    ISSUERS,
    BIRTHS,
)
ONE_PERSON = PASTS.map(lambda past: replace(past, issuer="", birth_date=None))
INFUSION_DAYS = st.sampled_from([-60, -20, 5, 20, 38, 40, 60, 85])
GIVEN = st.lists(st.tuples(ISSUERS, INFUSION_DAYS), max_size=2)


def stored(pasts: list[Past], infusions: list[tuple[str, int]]) -> InMemoryIndex:
    index = InMemoryIndex()
    for number, past in enumerate(pasts):
        arrive(index, str(number), DAY_0 + timedelta(days=past.day), past.at, past.issuer, past.birth_date)
    for issuer, day in infusions:
        index.add_infusion(PatientKey("P1", issuer), Infusion(DAY_0 + timedelta(days=day)), now=NOON)
    return index


def arrive(index: InMemoryIndex, uid: str, day: date, at: str, issuer: str, birth_date: date | None) -> StudyRow:
    index.record_instances(
        [an_instance(uid, study_date=day, study_time=at, issuer=issuer, birth_date=birth_date, patient_id="P1")]
    )
    row = index.study(uid)
    assert row is not None
    return row


def a_candidate(row: StudyRow, past: Past) -> Candidate:
    usable = past.usable if past.fitness is Fitness.UNKNOWN else past.fitness is not Fitness.UNFIT
    acute = ("A",) if past.category in ACUTE_CATEGORIES else ()
    judged = past.category != "not_assessable" or past.judged
    left_open = ("B",) if past.fitness is Fitness.LEFT_OPEN else ()
    return Candidate(study_of(row), usable, None if usable else "unfit", acute, judged=judged, left_open=left_open)


@settings(max_examples=max(1000, settings().max_examples))
@given(
    pasts=st.one_of(st.lists(ONE_PERSON, min_size=3, max_size=8), st.lists(PASTS, min_size=1, max_size=8)),
    infusions=GIVEN,
    later=st.tuples(st.sampled_from([0, 0, 1, 60]), TIMES, ISSUERS, BIRTHS),
    shift=st.sampled_from([0, -CORRECTION_DAYS, CORRECTION_DAYS, -10, 10]),
    further=st.sampled_from([False, False, True]),
    removed=st.sampled_from([False, False, True]),
    reported=INFUSION_DAYS,
)
def test_nothing_is_deleted_that_a_later_study_would_be_compared_with(
    pasts: list[Past],
    infusions: list[tuple[str, int]],
    later: tuple[int, str, str, date | None],
    shift: int,
    further: bool,
    removed: bool,
    reported: int,
) -> None:
    """Whatever identity the later study states, and whatever is then reported of infusions: one that is corrected, all
    removed, a further one after all studies, or the first one, which lies before the first finding."""
    index = stored(pasts, infusions)
    categories = {str(number): past.category for number, past in enumerate(pasts)}
    rows = [replace(row, category=categories[row.study_instance_uid]) for row in index.studies_with_id("P1")]
    fitness = {str(number): past.fitness for number, past in enumerate(pasts)}
    kept = possible_baselines(rows, index.infusions(), lambda row: fitness[row.study_instance_uid])

    known_before = {one for some in index.infusions().values() for one in some}
    last = max(past.day for past in pasts)
    followup = arrive(index, "later", DAY_0 + timedelta(days=last + later[0]), *later[1:])
    known = list(infusions_of_person(followup, index)[0])
    if known_before and known:
        known[-1] = Infusion(known[-1].day + timedelta(days=shift))
    elif not known_before:
        first = min((past.day for past in pasts if past.category in ACUTE_CATEGORIES), default=reported)
        known = [Infusion(DAY_0 + timedelta(days=min(first, reported)))]
    if removed and known_before:
        known = []
    elif further:
        known.append(Infusion(DAY_0 + timedelta(days=last)))
    theirs = [row for row in studies_of_person(followup, index) if row.study_instance_uid != "later"]
    candidates = [a_candidate(row, pasts[int(row.study_instance_uid)]) for row in theirs]
    choice = choose_baseline(study_of(followup), candidates, infusions=known, latest_days_before_infusion=365)
    chosen = choice.study_instance_uid or (choice.since[0] if choice.since is not None else None)
    assert chosen is None or chosen in kept


def test_times_of_a_day_that_cannot_be_read_have_an_order_all_the_same() -> None:
    """noop: the walk goes on to an earlier day, so that the order within a day does not matter."""
    rows = [a_row("a", 10, study_time=""), a_row("b", 10, study_time="080000"), a_row("c", 5)]
    assert study_of(rows[1]).study_time == time(8)
    known = {PatientKey("P1"): [Infusion(DAY_0 - timedelta(days=100))]}
    assert possible_baselines(rows, known, lambda _: FIT) == {"a", "b", "c"}
