"""A roster from the browser and from a program: checked first, then taken over, by administrators only."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_index import InMemoryIndex
from tests.fakes import NOON
from tests.listener.web.signing import Browser, Secured
from triage.infusions import Infusion, corrected
from workers.access_ports import Role
from workers.ports import PatientKey
from workers.studies.roster import RosterLine, take_over, would_change

ROSTER = "patient_id;infusion_date\nP1;2026-03-01\nP2;2025-12-01\nP2;2026-02-28\n"


@pytest.fixture
def secured(tmp_path: Path) -> Secured:
    site = Secured(tmp_path)
    site.index.add_infusion(PatientKey("P1"), Infusion(date(2026, 3, 3)), now=NOON)
    return site


def days(site: Secured, patient: str) -> list[str]:
    return [one.day.isoformat() for one in site.index.infusions_of(PatientKey(patient))]


def asked(browser: Browser, **body: object) -> tuple[int, dict[str, object]]:
    headers = {"X-CSRF-Token": browser.get("/api/session").json()["csrf"], "Origin": browser.own}
    answer = browser.post("/api/roster", json=body, headers=headers)
    return answer.status_code, answer.json()


def test_a_program_checks_and_takes_over(secured: Secured) -> None:
    browser = secured.signed_in(Role.ADMINISTRATOR)
    would = {"patients": 2, "first": 1, "further": 1, "corrected": 1, "known": 0}
    assert asked(browser, csv=ROSTER) == (200, would | {"dry_run": True})
    assert (days(secured, "P1"), days(secured, "P2")) == (["2026-03-03"], [])
    assert asked(browser, csv=ROSTER, dry_run=False) == (200, would | {"dry_run": False})
    assert (days(secured, "P1"), days(secured, "P2")) == (["2026-03-01"], ["2025-12-01", "2026-02-28"])
    again = {"patients": 2, "first": 0, "further": 0, "corrected": 0, "known": 3, "dry_run": True}
    assert asked(browser, csv=ROSTER) == (200, again), "noop: the same roster again"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "column patient_id, infusion_date is missing"),
        ("patient_id,infusion_date\nP1,yesterday\n", "line 2"),
        ("patient_id,infusion_date\n,2026-03-01\n", "line 2: patient_id is empty"),
        ('patient_id,infusion_date\n"P1\n', "line"),
        ("patient_id\nP1\n", "infusion_date is missing"),
    ],
)
def test_a_wrong_roster_changes_nothing(secured: Secured, text: str, why: str) -> None:
    browser = secured.signed_in(Role.ADMINISTRATOR)
    status, said = asked(browser, csv=text, dry_run=False)
    assert (status, why in str(said["detail"])) == (422, True)
    page = browser.submit("/operations/roster", {"csv": text, "do": "import"})
    assert (page.status_code, why in page.text) == (422, True)
    assert days(secured, "P1") == ["2026-03-03"]


@pytest.mark.parametrize("role", [Role.READER, Role.SERVICE])
def test_only_an_administrator(secured: Secured, role: Role) -> None:
    browser = secured.signed_in(role)
    assert asked(browser, csv=ROSTER, dry_run=False)[0] == 403
    assert browser.submit("/operations/roster", {"csv": ROSTER, "do": "import"}).status_code == 403
    assert days(secured, "P1") == ["2026-03-03"]


def test_the_page_checks_unless_somebody_says_import(secured: Secured) -> None:
    browser = secured.signed_in(Role.ADMINISTRATOR)
    page = browser.submit("/operations/roster", {"csv": ROSTER})
    assert "This would change: 2 patients, 1 first dates, 1 further infusions, 1 corrected dates" in page.text
    assert days(secured, "P1") == ["2026-03-03"]
    assert "Stored: 2 patients" in browser.submit("/operations/roster", {"csv": ROSTER, "do": "import"}).text
    assert days(secured, "P1") == ["2026-03-01"]
    hostile = browser.submit("/operations/roster", {"csv": "</textarea><script>alert(1)</script>"})
    assert "<script>alert" not in hostile.text


LINES = st.lists(
    st.builds(
        RosterLine,
        st.sampled_from([PatientKey("P1"), PatientKey("P2")]),
        st.builds(Infusion, st.dates(date(2026, 3, 1), date(2026, 6, 1))),
    ),
    max_size=8,
)


def as_a_file_says(lines: list[RosterLine]) -> list[RosterLine]:
    """Two dates of one patient that are so near that one corrects the other are refused as a mistake."""
    kept: list[RosterLine] = []
    for line in lines:
        above = [one.infusion for one in kept if one.patient == line.patient]
        if corrected(line.infusion, above) is None:
            kept.append(line)
    return kept


@given(known=LINES, lines=LINES.map(as_a_file_says))
def test_what_is_told_before_is_what_happens(known: list[RosterLine], lines: list[RosterLine]) -> None:
    index = InMemoryIndex()
    for minutes, one in enumerate(known):
        index.add_infusion(one.patient, one.infusion, now=NOON - timedelta(minutes=60 - minutes))
    assert would_change(index, lines) == take_over(index, lines, now=NOON)
