"""What every implementation of prior_ports.PriorSearches must do: the one in SQL on both databases, and the fake."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.engine import Engine

from tests.fakes_priors import FakePriorSearches
from workers.index.prior_searches import SqlPriorSearches
from workers.ports import PatientKey
from workers.prior_ports import PriorSearch, PriorSearches, SearchState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FIRST = PriorSearch("1.2.3", "pacs", 0, PatientKey("P1"), NOW)
SECOND = replace(FIRST, source="vna", position=1)
LATER_STUDY = replace(FIRST, study_instance_uid="1.2.4")
STRANGER = replace(FIRST, study_instance_uid="1.2.5", patient=PatientKey("P2"))


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def searches(request: pytest.FixtureRequest, engine_of: Callable[[str], Engine]) -> PriorSearches:
    if request.param == "fake":
        return FakePriorSearches()
    return SqlPriorSearches(engine_of(request.param))


def taken(searches: PriorSearches, seconds: float = 0, owner: str = "node") -> tuple[str, str] | None:
    found = searches.take(owner=owner, now=later(seconds), for_s=100)
    return None if found is None else (found.study_instance_uid, found.source)


def test_one_search_of_a_patient_at_a_time_in_the_order_of_the_archives(searches: PriorSearches) -> None:
    assert taken(searches) is None
    searches.plan([SECOND, FIRST, LATER_STUDY, STRANGER])
    searches.plan([replace(FIRST, position=9)])  # planned before: stays as it is
    assert taken(searches) == ("1.2.3", "pacs")
    assert taken(searches) == ("1.2.5", "pacs")  # of another patient
    assert taken(searches) is None
    searches.finish(FIRST, SearchState.NOTHING, {"studies": 0}, now=later(1))
    assert taken(searches, 1) == ("1.2.4", "pacs")
    searches.finish(LATER_STUDY, SearchState.NOTHING, {}, now=later(2))
    assert taken(searches, 2) == ("1.2.3", "vna")
    found = searches.of_studies(["1.2.3", "1.2.4", "1.9"])
    assert {uid: [one.source for one in some] for uid, some in found.items()} == {
        "1.2.3": ["pacs", "vna"],
        "1.2.4": ["pacs"],
    }


@pytest.mark.parametrize(
    ("due_s", "without", "first"),
    [
        pytest.param(0.0, (), ("1.2.3", "pacs"), id="of one study the first archive"),
        pytest.param(-9.0, (), ("1.2.5", "vna"), id="what waits for longer"),
        pytest.param(0.0, ("pacs",), ("1.2.3", "vna"), id="but for an archive that is away"),
        pytest.param(0.0, ("pacs", "vna"), None, id="all are"),
    ],
)
def test_who_is_asked_first(
    searches: PriorSearches, due_s: float, without: tuple[str, ...], first: tuple[str, str] | None
) -> None:
    searches.plan(
        [SECOND, FIRST, replace(SECOND, study_instance_uid="1.2.5", patient=PatientKey("P2"), due_at=later(due_s))]
    )
    found = searches.take(owner="node", now=NOW, for_s=100, without=without)
    assert (found and (found.study_instance_uid, found.source)) == first


def test_found_ends_the_search_elsewhere(searches: PriorSearches) -> None:
    searches.plan([FIRST, SECOND, LATER_STUDY])
    taken(searches)
    searches.finish(FIRST, SearchState.FOUND, {"studies": 1}, now=later(1))
    assert [one.state for one in searches.of_study("1.2.3")] == [SearchState.FOUND, SearchState.NOT_NEEDED]
    assert searches.of_study("1.2.3")[0].answer == {"studies": 1}
    assert [one.state for one in searches.of_study("1.2.4")] == [SearchState.WAITING]
    assert searches.of_study("1.9") == []


def test_a_failure_is_tried_again_later_and_the_next_archive_first(searches: PriorSearches) -> None:
    searches.plan([FIRST, SECOND])
    taken(searches)
    searches.put_off(FIRST, failure="away", answer={}, due_at=later(30))
    assert taken(searches, 1) == ("1.2.3", "vna")
    searches.give_up(SECOND, failure="away for ever", answer={}, now=later(2))
    assert taken(searches, 2) is None
    assert taken(searches, 30) == ("1.2.3", "pacs")
    first, second = searches.of_study("1.2.3")
    assert (first.attempts, first.failure, first.state) == (2, "away", SearchState.WAITING)
    assert (second.failure, second.state, second.finished_at) == ("away for ever", SearchState.GAVE_UP, later(2))


def test_what_a_killed_process_left_is_taken_up(searches: PriorSearches) -> None:
    searches.plan([FIRST, STRANGER])
    assert taken(searches) == ("1.2.3", "pacs")
    assert taken(searches, owner="another host") == ("1.2.5", "pacs")
    assert searches.release("node", now=later(1)) == 1
    assert taken(searches, 1) == ("1.2.3", "pacs")
    assert searches.release("nobody", now=later(1)) == 0
    assert taken(searches, 99) is None
    assert taken(searches, 101) == ("1.2.5", "pacs")  # its lease is over


def test_of_many_processes_one_takes_the_patient(searches: PriorSearches) -> None:
    if isinstance(searches, FakePriorSearches):
        return
    searches.plan([replace(FIRST, study_instance_uid=f"1.2.{number}") for number in range(20)])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: taken(searches, owner=str(number)), range(8)))
    assert len([one for one in found if one is not None]) == 1


@pytest.mark.parametrize(
    ("seconds", "free"),
    [
        pytest.param(50.0, False, id="noop: it waits"),
        pytest.param(300.0, True, id="its time has come"),
        pytest.param(-3600.0, True, id="the clock was set back by an hour"),
    ],
)
def test_a_pause_from_before_the_clock_was_set_back(searches: PriorSearches, seconds: float, free: bool) -> None:
    searches.plan([FIRST])
    assert taken(searches) is not None
    searches.put_off(FIRST, failure="away", answer={}, due_at=later(300))
    assert (taken(searches, seconds) is not None) is free


@pytest.mark.parametrize(
    ("seconds", "free"),
    [
        pytest.param(50.0, False, id="noop: somebody asks"),
        pytest.param(101.0, True, id="nobody does any more"),
        pytest.param(-3600.0, True, id="the clock was set back by an hour"),
    ],
)
def test_a_lease_from_before_the_clock_was_set_back(searches: PriorSearches, seconds: float, free: bool) -> None:
    searches.plan([FIRST])
    assert taken(searches) is not None
    assert (taken(searches, seconds) is not None) is free


def test_a_search_that_nobody_ran_yet_has_nothing_to_wait_for(searches: PriorSearches) -> None:
    searches.plan([FIRST])
    assert taken(searches, -3600.0) is not None


@pytest.mark.parametrize(
    ("state", "seconds", "planned"),
    [
        pytest.param(SearchState.NOTHING, 1.0, True, id="it ended"),
        pytest.param(SearchState.WAITING, 1.0, False, id="noop: it is being asked"),
        pytest.param(SearchState.WAITING, 101.0, True, id="who asked is gone"),
    ],
)
def test_a_search_that_is_planned_again(
    searches: PriorSearches, state: SearchState, seconds: float, planned: bool
) -> None:
    searches.plan([replace(FIRST, asked_for="2023-01-01/2024-01-01")])
    assert taken(searches) is not None
    if state is not SearchState.WAITING:
        searches.finish(FIRST, state, {"studies": 3}, now=later(1))
    wanted = replace(FIRST, patient=PatientKey("P9", "HOSP"), asked_for="2023-02-01/2024-02-01", due_at=later(seconds))
    assert searches.plan_again(wanted, now=later(seconds)) is planned
    assert not searches.plan_again(replace(wanted, source="nowhere"), now=later(seconds))
    (found,) = searches.of_study("1.2.3")
    assert (found.patient == wanted.patient, found.asked_for == wanted.asked_for) == (planned, planned)
    if planned:
        assert (found.state, found.attempts, found.answer, found.finished_at) == (SearchState.WAITING, 0, {}, None)
        assert taken(searches, seconds) == ("1.2.3", "pacs")
