"""Filters, orders, windows and marks of the worklist: in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from tests.fake_index import InMemoryIndex
from tests.fake_worklist import InMemoryWorklist
from tests.fakes import NOON
from tests.listener.web.stored import StoredStudy, a_document, store
from workers.delivery_ports import Acknowledgement
from workers.index.deliveries import SqlDeliveries
from workers.index.order_priorities import SqlOrderPriorities
from workers.index.schema import open_engine
from workers.index.sql import SqlIndex
from workers.index.worklist import WorklistTable
from workers.ports import StudyIndex
from workers.worklist_ports import Deadlines, Group, ListOrder, ScannerDay, Wanted, Worklist

NOTHING = {"category": "no_pattern", "priority": "unchanged", "reasons": ()}
REFUSED = {"category": "not_assessable", "priority": "unchanged", "reasons": ("no_flair: there is no FLAIR",)}
CLEAR = {"judged": {"before_treatment": True}}
STUDIES = (
    StoredStudy("1.1", "A", minutes=5, row={"patient_name": "Müller^Änne", "accession_number": "ACC_1"}),
    StoredStudy("1.2", "B", minutes=50),
    StoredStudy("1.3", "C", minutes=500, category="possible", priority="P3"),
    StoredStudy("1.4", "D", minutes=1, category="possible", priority="P2", day=date(2026, 2, 1)),
    StoredStudy("1.5", "E", minutes=9, **REFUSED),  # type: ignore[arg-type]
    StoredStudy("1.6", "F", minutes=8, category=None, row={"patient_name": "王^小东"}),
    StoredStudy("1.7", "G", minutes=90, **NOTHING),  # type: ignore[arg-type]
    StoredStudy("1.8", "A", minutes=95, **NOTHING),  # type: ignore[arg-type]
)
LIMITS = Deadlines({Group.P1: 60.0, Group.P2: 30.0, Group.NOT_ASSESSABLE: 180.0}, urgent_order=20.0)
READING = ["1.2", "1.1", "1.4", "1.3", "1.5", "1.6", "1.8", "1.7"]


@dataclass(frozen=True)
class Listed:
    index: StudyIndex
    worklist: Worklist
    engine: Engine | None = None

    def acknowledge(self, uid: str, by: str, at: datetime) -> None:
        if isinstance(self.worklist, InMemoryWorklist):
            self.worklist.acknowledged[uid] = (by, at)
        else:
            assert self.engine is not None
            SqlDeliveries(self.engine).acknowledge(Acknowledgement(uid, by, at))

    def order(self, uid: str, priority: str) -> None:
        """The modality worklist says this of the study's order."""
        if isinstance(self.worklist, InMemoryWorklist):
            self.worklist.orders[uid] = priority
        else:
            assert self.engine is not None
            SqlOrderPriorities(self.engine).put_priority(uid, priority, now=NOON)

    def uids(self, **wanted: object) -> list[str]:
        return [row.study_instance_uid for row in self.worklist.window(Wanted(**wanted)).rows]  # type: ignore[arg-type]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def listed(request: pytest.FixtureRequest, engine_of: Callable[[str], Engine]) -> Iterator[Listed]:
    yield from made_list(request, engine_of, Deadlines())


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def listed_with_deadlines(request: pytest.FixtureRequest, engine_of: Callable[[str], Engine]) -> Iterator[Listed]:
    yield from made_list(request, engine_of, LIMITS)


def made_list(
    request: pytest.FixtureRequest, engine_of: Callable[[str], Engine], deadlines: Deadlines
) -> Iterator[Listed]:
    if request.param == "memory":
        index = InMemoryIndex()
        made = Listed(index, InMemoryWorklist(index, deadlines))
    else:
        engine = engine_of(request.param)
        url = engine.url.render_as_string(hide_password=False)
        another = open_engine(url)
        path = request.getfixturevalue("tmp_path") / "index.db" if request.param == "sqlite" else None
        made = Listed(SqlIndex(engine), WorklistTable(another, path, deadlines), engine)
    for study in STUDIES:
        store(made.index, study, now=NOON)
    yield made
    made.worklist.close()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param({}, READING, id="noop: reading order"),
        pytest.param(
            {"order": ListOrder.NEWEST}, ["1.4", "1.1", "1.6", "1.5", "1.2", "1.7", "1.8", "1.3"], id="newest"
        ),
        pytest.param(
            {"order": ListOrder.OLDEST}, ["1.3", "1.8", "1.7", "1.2", "1.5", "1.6", "1.1", "1.4"], id="oldest"
        ),
        pytest.param(
            {"order": ListOrder.STUDY_DATE}, ["1.1", "1.2", "1.3", "1.5", "1.6", "1.7", "1.8", "1.4"], id="date"
        ),
        pytest.param(
            {"order": ListOrder.PATIENT}, ["1.1", "1.8", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7"], id="patient"
        ),
        pytest.param({"groups": frozenset({Group.P1})}, ["1.2", "1.1"], id="one group"),
        pytest.param({"groups": frozenset({Group.P3, Group.WAITING})}, ["1.3", "1.6"], id="two groups"),
        pytest.param({"groups": frozenset({Group.FAILED})}, [], id="nothing is in the group"),
        pytest.param({"since": NOON - timedelta(minutes=8)}, ["1.1", "1.4", "1.6"], id="arrived since, the edge too"),
        pytest.param({"find": "müller"}, ["1.1"], id="a name"),
        pytest.param({"find": "MÜLLER, Änne"}, ["1.1"], id="a name as the page writes it, in capitals"),
        pytest.param({"find": "mu\u0308ller"}, ["1.1"], id="a letter in two characters"),
        pytest.param({"find": "小东"}, ["1.6"], id="a Chinese name"),
        pytest.param({"find": "王小东"}, ["1.6"], id="a Chinese name as the page writes it"),
        pytest.param({"find": "acc_1"}, ["1.1"], id="an accession number"),
        pytest.param({"find": "acc%1"}, [], id="a wildcard is a character"),
        pytest.param({"find": "A Müll"}, ["1.1"], id="each word"),
        pytest.param({"find": "  "}, READING, id="noop: blanks"),
        pytest.param({"limit": 3}, READING[:3], id="cut"),
        pytest.param({"limit": 1}, READING[:2], id="cut: every P1 is there"),
        pytest.param({"limit": 1, "order": ListOrder.OLDEST}, ["1.3"], id="cut in another order"),
        pytest.param({"after": "9.9"}, READING, id="a place that is gone: from the beginning"),
    ],
)
def test_which_rows(listed: Listed, wanted: dict[str, object], expected: list[str]) -> None:
    assert listed.uids(**wanted) == expected


@pytest.mark.parametrize("order", ListOrder)
def test_windows_one_after_the_other_hold_every_row_once(listed: Listed, order: ListOrder) -> None:
    found, after = [], None
    while True:
        window = listed.worklist.window(Wanted(order=order, after=after, limit=3))
        found += [row.study_instance_uid for row in window.rows]
        assert (window.matching, window.total) == (8, 8)
        if not window.more:
            break
        after = found[-1]
    assert found == listed.uids(order=order)


def test_a_list_says_what_it_does_not_show(listed: Listed) -> None:
    window = listed.worklist.window(Wanted(groups=frozenset({Group.P3})))
    assert (window.matching, window.total, window.urgent_elsewhere) == (1, 8, 2)
    assert window.tallies[Group.P1] == 2
    assert window.tallies[Group.NOT_ASSESSABLE] == 1
    assert listed.worklist.window(Wanted()).urgent_elsewhere == 0


def test_a_row_says_what_its_document_says(listed: Listed) -> None:
    row = listed.worklist.window(Wanted(find="Müller")).rows[0]
    assert row.patient_name == "Müller^Änne"
    assert (row.finding, row.days_after_infusion) == ("bithalamic and brain stem FLAIR rise (suspected, worse)", 7)
    assert (row.baseline_date, row.stage, row.decided_at) == (date(2026, 2, 20), "full", NOON)
    waiting = listed.worklist.window(Wanted(groups=frozenset({Group.WAITING}))).rows[0]
    assert (waiting.finding, waiting.stage, waiting.category) == (None, None, None)


def test_a_decision_is_read_when_somebody_acknowledged_it_and_no_earlier_one(listed: Listed) -> None:
    before = listed.worklist.marks(None)
    listed.acknowledge("1.1", "Dr. A", NOON)
    listed.acknowledge("1.2", "Dr. B", NOON - timedelta(seconds=1))
    rows = {row.study_instance_uid: row.read_by for row in listed.worklist.window(Wanted()).rows}
    assert {uid for uid, by in rows.items() if by} == {"1.1"}
    assert rows["1.1"] == "Dr. A"
    assert listed.uids(unread=True) == [uid for uid in READING if uid != "1.1"]
    if listed.engine is not None:
        assert listed.worklist.marks(before) != before


def test_how_long_the_first_decision_took(listed: Listed) -> None:
    found = listed.worklist.flag_times_s(limit=100)
    assert sorted(found) == sorted(60.0 * study.minutes for study in STUDIES if study.category is not None)
    assert len(listed.worklist.flag_times_s(limit=2)) == 2
    assert listed.index.requeue("1.2", now=NOON + timedelta(days=3))
    claim = listed.index.claim("1.2", owner="test", now=NOON + timedelta(days=3), lease_s=60)
    assert claim is not None
    document = a_document(StoredStudy("1.2"))
    assert listed.index.save_assessment(claim, stage="full", document=document, now=NOON + timedelta(days=3))
    assert listed.worklist.flag_times_s(limit=100)[0] == 3000.0, "decided again, from the same images"
    assert not listed.worklist.flags_since(NOON + timedelta(days=1)), "it was flagged three days ago"


def test_what_was_flagged_since(listed: Listed) -> None:
    judged = [study for study in STUDIES if study.category not in (None, "not_assessable")]
    found = listed.worklist.flags_since(NOON - timedelta(days=400))
    assert len(found) == len(judged)
    assert sum(flagged for _, flagged in found) == sum(study.priority in ("P1", "P2", "P3") for study in judged)
    assert listed.worklist.flags_since(NOON + timedelta(days=1)) == [], "noop: nothing was decided since"


def scanned(station: str, ratio: float | None) -> dict[str, object]:
    scanner = {"manufacturer": "", "model": "", "station": station, "field_strength_t": None}
    return {"series": [{"used_as": "flair", "scanner": scanner}], "tissue_ratio": ratio}


@pytest.mark.parametrize(
    "groups", [pytest.param(frozenset(), id="every study"), pytest.param(frozenset({Group.P2}), id="one group")]
)
def test_what_happens_to_the_last_study_of_a_window_moves_nothing_in_the_next_one(
    listed_with_deadlines: Listed, groups: frozenset[Group]
) -> None:
    listed = listed_with_deadlines
    for number in range(2, 8):
        store(
            listed.index, StoredStudy(f"2.{number}", minutes=20 - number, category="possible", priority="P2"), now=NOON
        )
    wanted = Wanted(groups, limit=3)
    first = listed.worklist.window(wanted)
    second = replace(wanted, after=first.end)
    before = [row.study_instance_uid for row in listed.worklist.window(second).rows]
    last = first.rows[-1].study_instance_uid
    listed.acknowledge(last, "Dr. A", NOON)
    if isinstance(listed.worklist, WorklistTable):
        assert [row.study_instance_uid for row in listed.worklist.window(second).rows] == before
        assert listed.index.requeue(last, now=NOON)
        store(listed.index, StoredStudy(last, **NOTHING), now=NOON)  # type: ignore[arg-type]
        now = listed.worklist.window(second)
        assert [row.study_instance_uid for row in now.rows] == before, "in another group now"
    assert listed.worklist.window(replace(wanted, after=last, limit=100)).end is None, "noop: no window behind"


@pytest.mark.parametrize(
    ("wanted", "elsewhere"),
    [
        pytest.param({"limit": 1, "groups": frozenset({Group.P3})}, 1, id="not looked at by this filter"),
        pytest.param({}, 0, id="noop: all are here"),
        pytest.param({"unread": True}, 0, id="one that was read is not missed"),
        pytest.param({"unread": True, "groups": frozenset({Group.P3})}, 0, id="nor behind a filter"),
        pytest.param({"gone": True, "groups": frozenset({Group.P3})}, 2, id="a deleted one, where they are wanted"),
    ],
)
def test_a_p1_that_is_not_here_is_told_only_to_who_would_see_it(
    listed: Listed, wanted: dict[str, Any], elsewhere: int
) -> None:
    listed.acknowledge("1.1", "Dr. A", NOON)
    assert listed.index.begin_removal("1.2", revision=1)
    window = listed.worklist.window(Wanted(**wanted))
    assert window.urgent_elsewhere == elsewhere
    assert window.tallies[Group.P1] == (2 if wanted.get("gone") else 1)
    assert window.total == len(STUDIES)


def test_days_of_scanners(listed: Listed) -> None:
    day, later = date(2027, 1, 5), date(2027, 1, 6)
    for uid, study in (
        ("3.1", StoredStudy("3.1", day=day, changes=scanned("MR1", 1.25))),
        ("3.2", StoredStudy("3.2", day=day, changes=scanned("MR1", 1.5), **NOTHING)),  # type: ignore[arg-type]
        ("3.3", StoredStudy("3.3", day=day, changes=scanned("MR1", None), **REFUSED)),  # type: ignore[arg-type]
        ("3.4", StoredStudy("3.4", day=later, changes={"series": [], "tissue_ratio": None})),
        ("3.5", StoredStudy("3.5", day=later, category=None)),
    ):
        assert uid == study.uid
        store(listed.index, study, now=NOON)
    assert listed.worklist.scanners_since(day) == [
        ScannerDay("", later, 1, 1),
        ScannerDay("MR1", day, 2, 1, 2, 2.75, 1.25**2 + 1.5**2),
    ]
    assert listed.worklist.scanners_since(date(2028, 1, 1)) == [], "noop: nothing since"


def test_marks_change_with_the_list_and_only_then(listed: Listed) -> None:
    before = listed.worklist.marks(None)
    assert listed.worklist.marks(before) == before
    store(listed.index, StoredStudy("2.1", category=None), now=NOON)
    arrived = listed.worklist.marks(before)
    assert arrived.other != before.other
    assert arrived.decided == before.decided
    store(listed.index, StoredStudy("2.1"), now=NOON + timedelta(seconds=1))
    decided = listed.worklist.marks(arrived)
    assert decided.decided != arrived.decided
    assert listed.worklist.marks(decided) == decided


@pytest.mark.parametrize(
    ("group", "urgent", "minutes"),
    [
        pytest.param(Group.P1, False, 60.0, id="its group"),
        pytest.param(Group.P1, True, 20.0, id="the earlier one"),
        pytest.param(Group.NO_PATTERN, True, 20.0, id="an urgent order alone"),
        pytest.param(Group.NO_PATTERN, False, None, id="noop: no deadline"),
    ],
)
def test_the_earlier_deadline_counts(group: Group, urgent: bool, minutes: float | None) -> None:
    assert LIMITS.minutes(group, urgent=urgent) == minutes


def test_within_a_group_the_earliest_deadline_comes_first_and_what_was_read_last(
    listed_with_deadlines: Listed,
) -> None:
    listed = listed_with_deadlines
    listed.order("1.1", "STAT")  # in 15 min; the P1 of 50 minutes ago has 10 left
    listed.order("1.7", "HIGH")
    listed.order("1.8", "ROUTINE")
    rows = listed.worklist.window(Wanted()).rows
    due = {row.study_instance_uid: row.deadline for row in rows if row.deadline is not None}
    assert due == {
        "1.1": NOON + timedelta(minutes=15),
        "1.2": NOON + timedelta(minutes=10),
        "1.4": NOON + timedelta(minutes=29),
        "1.5": NOON + timedelta(minutes=171),
        "1.7": NOON - timedelta(minutes=70),
    }
    assert [row.study_instance_uid for row in rows] == ["1.2", "1.1", "1.4", "1.3", "1.5", "1.6", "1.7", "1.8"]
    listed.acknowledge("1.2", "Dr. A", NOON)
    listed.acknowledge("1.7", "Dr. A", NOON)
    assert listed.uids() == ["1.1", "1.2", "1.4", "1.3", "1.5", "1.6", "1.8", "1.7"]
    assert listed.uids(limit=1) == ["1.1", "1.2"], "a P1 that was read is not cut off either"


@pytest.mark.parametrize(
    ("study", "failed", "group"),
    [
        pytest.param(StoredStudy("2.1", changes=CLEAR, **REFUSED), False, Group.BASELINE, id="a clear one"),  # type: ignore[arg-type]
        pytest.param(StoredStudy("2.1", **REFUSED), False, Group.NOT_ASSESSABLE, id="noop: not one"),  # type: ignore[arg-type]
        pytest.param(StoredStudy("2.1", changes=CLEAR, **REFUSED), True, Group.FAILED, id="failed since"),  # type: ignore[arg-type]
        pytest.param(
            StoredStudy("2.1", changes=CLEAR, **{**REFUSED, "priority": "P1"}),  # type: ignore[arg-type]
            False,
            Group.P1,
            id="a priority counts, whatever else is said",
        ),
        pytest.param(StoredStudy("2.1", changes=CLEAR, **NOTHING), False, Group.NO_PATTERN, id="of another category"),  # type: ignore[arg-type]
    ],
)
def test_a_scan_before_treatment_is_last_and_has_no_deadline(
    listed_with_deadlines: Listed, study: StoredStudy, failed: bool, group: Group
) -> None:
    listed = listed_with_deadlines
    store(listed.index, study, now=NOON)
    if failed:
        listed.index.requeue("2.1", now=NOON)
        claim = listed.index.claim("2.1", owner="test", now=NOON, lease_s=60)
        assert claim is not None
        listed.index.fail(claim, reason="bug", retry_at=None, now=NOON)
    window = listed.worklist.window(Wanted())
    row = next(row for row in window.rows if row.study_instance_uid == "2.1")
    assert row.group is group
    assert window.tallies[group] == sum(one.group is group for one in window.rows)
    assert listed.uids(groups=frozenset({group}), after=None)[-1:] == [
        [one.study_instance_uid for one in window.rows if one.group is group][-1]
    ]
    if group is Group.BASELINE:
        assert window.rows[-1] == row
        assert row.deadline is None
        assert row.category == "not_assessable"
        assert listed.uids(groups=frozenset({Group.BASELINE})) == ["2.1"]
        assert "2.1" not in listed.uids(groups=frozenset({Group.NOT_ASSESSABLE}))
        assert listed.uids(limit=8, after=window.rows[-3].study_instance_uid)[-1] == "2.1", "of the second window, too"
        listed.order("2.1", "STAT")
        urgent = listed.worklist.window(Wanted(groups=frozenset({Group.BASELINE}))).rows[0]
        assert urgent.deadline == urgent.first_received_at + timedelta(minutes=20), "an urgent order is a human's word"


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_windows_by_deadline_hold_every_row_once(listed_with_deadlines: Listed, limit: int) -> None:
    listed = listed_with_deadlines
    listed.order("1.1", "STAT")
    listed.order("1.8", "STAT")
    listed.acknowledge("1.2", "Dr. A", NOON)
    found: list[str] = []
    while len(found) < len(STUDIES):
        window = listed.worklist.window(Wanted(after=found[-1] if found else None, limit=limit))
        found += [row.study_instance_uid for row in window.rows]
        assert window.more == (len(found) < len(STUDIES))
    assert found == listed.uids()


def test_every_write_is_another_version(listed: Listed) -> None:
    if listed.engine is None:
        return
    before = listed.worklist.version()
    marks = listed.worklist.marks(None)
    if listed.engine.dialect.name == "sqlite":  # the other one may clean up by itself
        assert listed.worklist.version() == before, "noop: nothing was written"
    store(listed.index, StoredStudy("2.2"), now=NOON)
    assert listed.worklist.version() != before
    assert listed.worklist.marks(marks) != marks, "who asks for the version hides no change from the watcher"
