"""Addresses in, lists out: what a row says, which filters are shown, where the text of a search stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient

from listener.web.app import create_app
from listener.web.asked import KEPT_SEARCHES, ListAddress, Searches, active_filters, asked, from_query
from listener.web.lines import age_words, day_words, line_of, name_words, state_words
from listener.web.site import Site
from tests.fake_index import InMemoryIndex
from tests.fake_worklist import InMemoryWorklist
from tests.fakes import NOON
from tests.listener.web.stored import StoredStudy, store
from tests.listener.web.test_pages import Elements, check_nothing_runs
from tests.listener.web.visible import content, words
from workers.announcements import SeriesCount, StudyCount
from workers.config import Settings
from workers.outputs.results import ResultFolder
from workers.ports import StudyState
from workers.settings import StoreSettings
from workers.worklist_ports import Group, ListOrder, Wanted, WorklistRow

SECRET = "Müller Änne"


class Listing:
    """A worklist of given studies, and a browser of this machine that looks at it."""

    def __init__(self, tmp_path: Path, *studies: StoredStudy) -> None:
        self.index = InMemoryIndex()
        for study in studies:
            store(self.index, study, now=NOON)
        settings = Settings(store=StoreSettings(state_dir=tmp_path, min_free_bytes=0))
        self.worklist = InMemoryWorklist(self.index)
        site = Site(
            settings,
            self.index,
            ResultFolder(tmp_path / "results"),
            lambda: "",
            worklist=self.worklist,
            now=lambda: NOON,
        )
        self.client = TestClient(
            create_app(site), base_url="http://127.0.0.1", headers={"Origin": "http://127.0.0.1", "Accept": "text/html"}
        )

    def uids(self, path: str) -> list[str]:
        answer = self.client.get(path)
        assert answer.status_code == 200
        return [str(a["data-uid"]) for tag, a in Elements(answer.text).found if tag == "tr" and "data-uid" in a]

    def search(self, text: str, back: str = "") -> Any:
        fields = [
            a for tag, a in Elements(self.client.get("/").text).found if tag == "input" and a.get("name") == "csrf"
        ]
        data = {"find": text, "back": back, "csrf": str(fields[0]["value"])}
        return self.client.post("/search", data=data, follow_redirects=False)

    def row(self, uid: str) -> WorklistRow:
        return next(row for row in self.worklist.window(Wanted()).rows if row.study_instance_uid == uid)


NOTHING: dict[str, Any] = {"category": "no_pattern", "priority": "unchanged", "reasons": ()}


BEFORE_TREATMENT = StoredStudy(
    "1.5",
    "E",
    category="not_assessable",
    priority="unchanged",
    reasons=("no_baseline: no earlier study was given",),
    changes={
        "judged": {"before_treatment": True},
        "baseline": None,
        "baseline_report": {
            "study_date": "2026-03-10",
            "abnormal": True,
            "statements": ["No old bright lesion was found.", "A cavity of 2.0 mL: prior injury."],
            "found": ["A cavity of 2.0 mL: prior injury."],
        },
    },
)


def test_a_scan_before_treatment_is_no_alarm_and_says_what_it_shows(tmp_path: Path) -> None:
    refused = replace(BEFORE_TREATMENT, uid="1.6", changes={})
    listing = Listing(tmp_path, BEFORE_TREATMENT, refused, StoredStudy("1.3", "C", minutes=3000, **NOTHING))
    assert listing.uids("/") == ["1.6", "1.3", "1.5"]
    assert listing.uids("/?g=baseline") == ["1.5"]
    assert listing.uids("/?g=failed&g=not_assessable") == ["1.6"], "the view of what needs a human"
    line = line_of(listing.row("1.5"), now=NOON, zone=UTC)
    assert (line.badge, line.call, line.baseline) == ("baseline", "Baseline, before treatment", "")
    assert line.finding == "Abnormal: A cavity of 2.0 mL: prior injury."
    said = " ".join(words(content(listing.client.get("/").text)))
    assert "not assessable 1" in said
    assert "baseline 1" in said
    page = " ".join(words(content(listing.client.get("/studies/1.5").text)))
    assert "Baseline, before treatment Priority unchanged" in page
    assert "A cavity of 2.0 mL: prior injury." in page
    patient = " ".join(words(content(listing.client.get("/studies/1.5/patient").text)))
    assert "Baseline, before treatment abnormal: A cavity of 2.0 mL" in patient
    (entry,) = [one for one in listing.client.get("/api/studies").json() if one["study_instance_uid"] == "1.5"]
    assert (entry["category"], entry["before_treatment"]) == ("not_assessable", True)
    token = listing.client.get("/api/session").json()["csrf"]
    headers = {"X-CSRF-Token": token}
    rows = listing.client.post("/api/worklist", json={"groups": ["baseline"]}, headers=headers).json()
    assert [(row["study_instance_uid"], row["group"], row["deadline"]) for row in rows["rows"]] == [
        ("1.5", "baseline", None)
    ]
    assert rows["tallies"]["baseline"] == 1
    assert listing.client.get("/api/studies/1.5").json()["decision"]["category"] == "not_assessable"


@pytest.fixture
def listing(tmp_path: Path) -> Listing:
    return Listing(
        tmp_path,
        StoredStudy("1.1", "A", row={"patient_name": "Müller^Änne"}),
        StoredStudy("1.2", "B", category="possible", priority="P2"),
        StoredStudy("1.3", "C", minutes=3000, **NOTHING),
        StoredStudy("1.4", "D", category=None),
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/", ["1.1", "1.2", "1.4", "1.3"], id="noop: reading order"),
        pytest.param("/?g=p1&g=p2", ["1.1", "1.2"], id="groups"),
        pytest.param("/?arrived=24h", ["1.1", "1.2", "1.4"], id="arrived"),
        pytest.param("/?sort=patient&after=1.2", ["1.3", "1.4"], id="second window"),
        pytest.param("/?g=nothing&sort=nothing&arrived=nothing", ["1.1", "1.2", "1.4", "1.3"], id="nobody offers it"),
        pytest.param("/rows?g=p2", ["1.2"], id="the rows alone"),
    ],
)
def test_the_address_says_what_is_listed(listing: Listing, path: str, expected: list[str]) -> None:
    assert listing.uids(path) == expected


def test_the_filters_and_how_many_of_how_many_are_always_in_sight(listing: Listing) -> None:
    said = " ".join(words(content(listing.client.get("/?g=failed").text)))
    assert "0 of 4 studies" in said
    assert "failed × remove this filter" in said
    assert "No study matches: 0 of 4. Show all" in said
    assert "1 P1 study is not in this window" in said
    assert "no filter" in " ".join(words(content(listing.client.get("/").text)))


def test_noop_an_empty_list(tmp_path: Path) -> None:
    assert "No study has arrived yet." in Listing(tmp_path).client.get("/").text


def test_the_text_of_a_search_is_in_no_address(listing: Listing) -> None:
    answer = listing.search(SECRET, "g=p1")
    assert answer.status_code == 303
    address = answer.headers["location"]
    assert address.startswith("/?g=p1&find=")
    assert "ller" not in address
    assert listing.uids(address) == ["1.1"]
    page = listing.client.get(address).text
    assert f"“{SECRET}”" in page
    assert all("ller" not in (a.get("href") or "") for _, a in Elements(page).found)


def test_a_search_of_an_earlier_process_is_said_to_be_unknown(listing: Listing) -> None:
    page = listing.client.get("/?find=0123456789abcdef01234567").text
    assert "not known any more" in page
    assert "a search that is no longer known" in page
    assert listing.uids("/?find=0123456789abcdef01234567") == ["1.1", "1.2", "1.4", "1.3"]


@pytest.mark.parametrize("text", ["", "   "])
def test_an_empty_search_shows_everything(listing: Listing, text: str) -> None:
    answer = listing.search(text)
    assert answer.headers["location"] == "/"


def test_a_search_without_end_is_refused(listing: Listing) -> None:
    assert listing.search("a" * 10_000).status_code == 413


def test_searches_are_forgotten_in_their_order() -> None:
    searches = Searches()
    first = searches.put("first")
    assert searches.put(" first ") == first
    for number in range(KEPT_SEARCHES):
        searches.put(str(number))
    assert searches.get(first) is None
    assert searches.get(searches.put("again")) == "again"


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(ListAddress(), id="noop"),
        pytest.param(
            ListAddress((Group.P1, Group.FAILED), "7d", ListOrder.NEWEST, "1.2.3", "ab", gone=True, unread=True),
            id="everything",
        ),
    ],
)
def test_an_address_is_read_as_it_was_written(one: ListAddress) -> None:
    assert from_query(one.query) == one
    assert asked([]) == ListAddress()


def test_each_filter_can_be_taken_away_alone() -> None:
    one = ListAddress((Group.P1, Group.P2), "24h", find="ab", after="1.2")
    found = {
        one_filter.words: from_query(one_filter.without.removeprefix("/?")) for one_filter in active_filters(one, "x")
    }
    rest = replace(one, after="")
    assert found == {
        "P1": replace(rest, groups=(Group.P2,)),
        "P2": replace(rest, groups=(Group.P1,)),
        "arrived in the last 24 hours": replace(rest, arrived=""),
        "“x”": replace(rest, find=""),
    }
    assert active_filters(ListAddress(), None) == []


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        ("Müller^Änne", "Müller, Änne"),
        ("Wang^XiaoDong=王^小东", "王小东 (Wang, XiaoDong)"),
        ("=山田^太郎", "山田太郎"),
        ("Doe^John^Q^Dr^Jr", "Doe, John"),
        ("DOE", "DOE"),
        ("", ""),
        ("^^", ""),
        ("Nizar^Qabbani=نزار^قباني", "نزار, قباني (Nizar, Qabbani)"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田太郎 (Yamada, Tarou)"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "洪吉洞 (Hong, Gildong)"),
        ("Ivanov^Ivan=Иванов^Иван", "Иванов, Иван (Ivanov, Ivan)"),
        ("Ivanov=Иванов", "Иванов (Ivanov)"),
        ("=^", ""),
    ],
)
def test_a_name_is_written_as_people_write_it(stated: str, shown: str) -> None:
    assert name_words(stated) == shown


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [(-5, "0 min"), (0, "0 min"), (59.9, "59 min"), (60, "1 h 00"), (185, "3 h 05"), (2879, "47 h 59"), (2880, "2 d")],
)
def test_an_age(minutes: float, shown: str) -> None:
    assert age_words(timedelta(minutes=minutes)) == shown


@pytest.mark.parametrize(("day", "shown"), [(None, "day unknown"), (0, "day 0"), (7, "day 7"), (-3, "3 d before")])
def test_a_day_after_infusion(day: int | None, shown: str) -> None:
    assert day_words(day) == shown


FULL = StudyCount((SeriesCount("1", 37, 40),))


@pytest.mark.parametrize(
    ("changes", "count", "shown"),
    [
        pytest.param({}, None, "final", id="noop: decided"),
        pytest.param({"stage": "first_look"}, None, "first look", id="first look"),
        pytest.param({"state": StudyState.RECEIVING}, FULL, "receiving 37 of 40", id="announced"),
        pytest.param({"state": StudyState.RECEIVING}, None, "receiving, 2 images", id="nothing was announced"),
        pytest.param({"state": StudyState.FAILED}, None, "failed: needs a human", id="failed"),
        pytest.param({"decided_revision": None, "state": StudyState.READY}, None, "not looked at", id="waiting"),
        pytest.param(
            {"decided_revision": None, "state": StudyState.READY, "lease_until": NOON + timedelta(seconds=9)},
            None,
            "being looked at",
            id="at work",
        ),
        pytest.param({"revision": 2, "state": StudyState.READY}, None, "newer images not looked at", id="newer"),
        pytest.param(
            {"revision": 2, "stage": "first_look", "state": StudyState.READY},
            None,
            "first look, newer images not looked at",
            id="newer than the first look",
        ),
        pytest.param({"state": StudyState.REMOVED}, None, "images deleted", id="deleted"),
    ],
)
def test_how_far_the_program_is(listing: Listing, changes: dict[str, Any], count: StudyCount, shown: str) -> None:
    assert state_words(replace(listing.row("1.1"), **changes), count, NOON) == shown


def test_times_are_those_of_the_site(listing: Listing) -> None:
    row = replace(listing.row("1.1"), first_received_at=datetime(2026, 3, 9, 23, 30, tzinfo=UTC))
    line = line_of(row, now=NOON, zone=ZoneInfo("Europe/Berlin"))
    assert line.arrived.words == "2026-03-10 00:30"
    assert datetime.fromisoformat(line.arrived.iso) == row.first_received_at


def test_a_row_says_who_when_what_and_how_sure(listing: Listing) -> None:
    line = line_of(listing.row("1.1"), now=NOON, zone=UTC)
    assert (line.badge, line.name, line.patient_id, line.day) == ("P1", "Müller, Änne", "A", "day 7")
    assert (line.call, line.finding) == ("Suspected", "Bithalamic and brain stem FLAIR rise (suspected, worse)")
    assert (line.baseline, line.study_date, line.state) == ("2026-02-20", date(2026, 3, 10).isoformat(), "final")
    waiting = line_of(listing.row("1.4"), now=NOON, zone=UTC)
    assert (waiting.badge, waiting.call, waiting.finding, waiting.day, waiting.version) == (
        "not looked at",
        "",
        "",
        "",
        "",
    )


def test_the_page_runs_nothing_of_its_own_and_names_nobody_in_its_title(listing: Listing) -> None:
    page = listing.client.get("/").text
    check_nothing_runs(page)
    assert "<title>Worklist – ICANSee</title>" in page
