"""What may go and what must stay; and that a removal leaves the decisions and nothing else."""

from __future__ import annotations

import errno
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fake_index import InMemoryIndex
from tests.fakes import NOON, an_instance
from tests.workers.reading.data_sets import STUDY, a_data_set, put
from triage.infusions import Infusion
from workers.config import Settings, parse
from workers.files.commitments import GivenCommitments, Verdict
from workers.files.store import FileStore
from workers.operations.retention import Facts, Retention, choose, keeps, possible_baselines, results_written
from workers.ports import ConflictRow, PatientKey, StudyIndex, StudyRow, StudyState
from workers.settings import StoreSettings


def a_study(uid: str = "1.2.3", days_ago: float = 100, **changes: Any) -> StudyRow:
    index = InMemoryIndex()
    index.record_instances([an_instance(uid, received_at=NOON - timedelta(days=days_ago))])
    row = index.study(uid)
    assert row is not None
    return replace(row, **{"state": StudyState.ASSESSED, "decided_revision": 1, **changes})


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        pytest.param(Facts(a_study(), True), None, id="noop: assessed, delivered, nobody needs it"),
        pytest.param(Facts(a_study(state=StudyState.READY), True), "not_assessed", id="waits for a worker"),
        pytest.param(Facts(a_study(state=StudyState.FAILED), True), "not_assessed", id="failed"),
        pytest.param(Facts(a_study(revision=2), True), "not_assessed", id="newer images are not assessed"),
        pytest.param(Facts(a_study(), False), "not_delivered", id="outputs are not delivered"),
        pytest.param(Facts(a_study(), True, is_baseline=True), "baseline", id="a chosen baseline"),
        pytest.param(Facts(a_study(), True, may_become_baseline=True), "may_become_baseline", id="the next baseline"),
        pytest.param(Facts(a_study(), True, committed=True), "committed", id="promised to be safe"),
        pytest.param(Facts(a_study(), True, conflicts=1), "conflict", id="two contents under one UID"),
        pytest.param(Facts(a_study(days_ago=0.9), True), "young", id="of today"),
    ],
)
def test_what_must_stay(facts: Facts, why: str | None) -> None:
    assert keeps(facts, now=NOON, settings=StoreSettings(retention_days=1)) == why


def test_promises_may_be_broken_when_the_site_says_so() -> None:
    settings = StoreSettings(retention_days=1, delete_committed=True)
    assert keeps(Facts(a_study(), True, committed=True), now=NOON, settings=settings) is None


@pytest.mark.parametrize(
    ("settings", "gone"),
    [
        pytest.param({}, [], id="noop: nothing is asked for"),
        pytest.param({"retention_days": 30}, ["1.90", "1.60"], id="older than thirty days"),
        pytest.param({"clean_below_bytes": 100}, [], id="enough is free"),
        pytest.param({"clean_below_bytes": 1001}, ["1.90"], id="the oldest is enough"),
        pytest.param({"clean_below_bytes": 1300}, ["1.90", "1.60", "1.20"], id="oldest first until enough is free"),
    ],
)
def test_choice(settings: dict[str, int], gone: list[str]) -> None:
    studies = [Facts(a_study(f"1.{days}", days), True) for days in (20, 90, 5, 60)]
    chosen = choose(
        studies, sizes=lambda _: 100, free_bytes=1000, now=NOON, settings=StoreSettings.model_validate(settings)
    )
    assert [one.study_instance_uid for one in chosen] == gone


JANUARY, FEBRUARY, MARCH, APRIL = (date(2026, month, 1) for month in (1, 2, 3, 4))
COURSE = [
    a_study("1.1", study_date=JANUARY),
    a_study("1.2", study_date=FEBRUARY),
    a_study("1.3", study_date=MARCH, category="possible"),
    a_study("1.4", study_date=APRIL),
]


@pytest.mark.parametrize(
    ("rows", "infusions", "kept"),
    [
        pytest.param([], [], set(), id="noop"),
        pytest.param(COURSE, [], {"1.1", "1.2", "1.4"}, id="no infusion known: every study before the first finding"),
        pytest.param(COURSE, [date(2026, 2, 10)], {"1.2", "1.4"}, id="the one before the infusion, and the latest"),
        pytest.param(
            COURSE, [date(2026, 1, 10), date(2026, 3, 10)], {"1.1", "1.3", "1.4"}, id="one before each infusion"
        ),
        pytest.param(COURSE, [date(2025, 1, 1)], {"1.4"}, id="all after the infusion"),
        pytest.param([a_study("1.6", patient_id="")], [], set(), id="nobody's"),
        pytest.param([a_study("1.7", study_date=None)], [], set(), id="undated"),
    ],
)
def test_possible_baselines(rows: list[StudyRow], infusions: list[date], kept: set[str]) -> None:
    known = {PatientKey("P1"): [Infusion(day) for day in infusions]}
    assert possible_baselines(rows, known) == kept


class Node:
    """A store with two assessed studies of one patient; the earlier one is not needed any more."""

    def __init__(self, tmp_path: Path) -> None:
        self.settings: Settings = parse({"store": {"state_dir": str(tmp_path), "retention_days": 30}})
        self.index: StudyIndex = InMemoryIndex()
        self.store = FileStore(tmp_path)
        self.state_dir = tmp_path
        # both studies lie after it: only the later one could be a baseline, of a further infusion
        self.index.add_infusion(PatientKey("P1"), Infusion(date(2025, 1, 1)), now=NOON)
        for number, (uid, day) in enumerate([(f"{STUDY}.8", date(2026, 1, 1)), (f"{STUDY}.9", date(2026, 2, 1))]):
            stored = put(self.store, a_data_set(number, StudyInstanceUID=uid, PatientID="P1"))
            row = replace(stored.row, received_at=NOON - timedelta(days=50 - number), study_date=day)
            self.index.record_instances([row])
            self.assess(uid)

    def assess(self, uid: str, baseline: str | None = None) -> None:
        self.index.mark_ready(uid, now=NOON, reason="test")
        claim = self.index.claim(uid, owner="w", now=NOON, lease_s=30)
        assert claim is not None
        document = {"decision": {"category": "no_pattern", "priority": "unchanged"}}
        self.index.save_assessment(
            claim, stage="full", document={**document, "baseline": {"study_instance_uid": baseline}}, now=NOON
        )
        self.index.complete(claim, now=NOON)
        written = self.state_dir / "results" / uid / f"r{claim.revision}-full"
        written.mkdir(parents=True)
        (written / "document.json").write_text("{}", encoding="utf-8")

    def clean(self) -> list[str]:
        delivered = results_written(self.state_dir / "results")
        retention = Retention(self.settings, self.index, self.store, delivered=delivered, now=lambda: NOON)
        planned = retention.plan()
        assert retention.run() == planned
        return [one.study_instance_uid for one in planned]

    def files(self) -> int:
        return len(list(self.store.all_files()))


OLD, NEW = f"{STUDY}.8", f"{STUDY}.9"


def test_a_removal_leaves_the_decision(tmp_path: Path) -> None:
    node = Node(tmp_path)
    (tmp_path / "prepared" / OLD).mkdir(parents=True)
    assert node.clean() == [OLD]
    row = node.index.study(OLD)
    assert row is not None
    assert (row.state, node.files(), node.index.instances(OLD)) == (StudyState.REMOVED, 1, [])
    assert not (tmp_path / "prepared" / OLD).exists()
    assert (tmp_path / "results" / OLD).exists()
    assert node.index.assessment(OLD) is not None
    assert node.clean() == []


@pytest.mark.parametrize("reason", ["baseline", "committed", "conflict", "not written"])
def test_a_study_that_is_needed_stays(tmp_path: Path, reason: str) -> None:
    node = Node(tmp_path)
    if reason == "baseline":
        node.index.requeue(NEW, now=NOON)
        claim = node.index.claim(NEW, owner="w", now=NOON, lease_s=30)
        assert claim is not None
        node.index.save_assessment(
            claim, stage="full", document={"decision": {}, "baseline": {"study_instance_uid": OLD}}, now=NOON
        )
    elif reason == "committed":
        GivenCommitments(tmp_path).add(Verdict((), (), frozenset({OLD})))
    elif reason == "conflict":
        node.index.record_conflicts([ConflictRow("1.a.dcm", "1", "2", OLD, NOON, "MR1")])
    else:
        (tmp_path / "results" / OLD / "r1-full" / "document.json").unlink()
    assert node.clean() == []
    assert node.files() == 2


def test_what_a_crash_interrupted_is_finished(tmp_path: Path) -> None:
    node = Node(tmp_path)
    assert node.index.begin_removal(OLD, revision=1)
    [row] = node.index.instances(OLD)
    node.store.path(row).unlink()
    assert node.clean() == []
    found = node.index.study(OLD)
    assert found is not None
    assert (found.state, found.instance_count) == (StudyState.REMOVED, 0)


def test_what_the_disk_does_not_let_go_costs_no_other_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(tmp_path)
    stuck = put(node.store, a_data_set(7, StudyInstanceUID=f"{STUDY}.7", PatientID="P2"))
    node.index.record_instances(
        [replace(stuck.row, received_at=NOON - timedelta(days=60), study_date=date(2025, 1, 1))]
    )
    node.assess(f"{STUDY}.7")
    node.index.add_infusion(PatientKey("P2"), Infusion(date(2024, 1, 1)), now=NOON)
    later = put(node.store, a_data_set(6, StudyInstanceUID=f"{STUDY}.6", PatientID="P2"))  # so that the other may go
    node.index.record_instances([replace(later.row, received_at=NOON, study_date=date(2025, 2, 1))])
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path == stuck.path:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        real(path, missing_ok=missing_ok)

    delivered = results_written(node.state_dir / "results")
    retention = Retention(node.settings, node.index, node.store, delivered=delivered, now=lambda: NOON)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        for _ in range(2):  # also when it stands in removal already
            retention.run()
        assert state_of(node, f"{STUDY}.7") is StudyState.REMOVING
        assert state_of(node, OLD) is StudyState.REMOVED
    retention.run()
    assert state_of(node, f"{STUDY}.7") is StudyState.REMOVED
    assert not stuck.path.exists()


def state_of(node: Node, uid: str) -> StudyState:
    row = node.index.study(uid)
    assert row is not None
    return row.state
