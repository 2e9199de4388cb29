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
from workers.index.deliveries import SqlDeliveries
from workers.operations import retention as retention_files
from workers.operations.needed import Fitness
from workers.operations.retention import Facts, Retention, choose, keeps, results_delivered, results_written
from workers.ports import ConflictRow, PatientKey, StudyIndex, StudyRow, StudyState
from workers.settings import StoreSettings
from workers.studies import prepared
from workers.studies.prepared_baselines import REFUSAL_FORM, REFUSED


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


OLD, NEW = f"{STUDY}.8", f"{STUDY}.9"


class Node:
    """A store with two assessed studies of one patient; the earlier one has no FLAIR, so nobody needs it."""

    def __init__(self, tmp_path: Path) -> None:
        self.settings: Settings = parse({"store": {"state_dir": str(tmp_path), "retention_days": 30}})
        self.index: StudyIndex = InMemoryIndex()
        self.store = FileStore(tmp_path)
        self.state_dir = tmp_path
        # both studies lie after it, so that only what comes later could need them
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
        document: dict[str, Any] = {"decision": {"category": "no_pattern", "priority": "unchanged"}}
        if uid != NEW:
            document |= {"series": [{"kind": "t1"}]}
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


@pytest.mark.parametrize("reason", ["baseline", "since", "committed", "conflict", "not written"])
def test_a_study_that_is_needed_stays(tmp_path: Path, reason: str) -> None:
    node = Node(tmp_path)
    if reason in ("baseline", "since"):
        node.index.requeue(NEW, now=NOON)
        claim = node.index.claim(NEW, owner="w", now=NOON, lease_s=30)
        assert claim is not None
        node.index.save_assessment(
            claim, stage="full", document={"decision": {}, reason: {"study_instance_uid": OLD}}, now=NOON
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


FACTS = [
    pytest.param({}, [], Fitness.UNKNOWN, id="noop: nothing is known"),
    pytest.param({"series": [{"kind": "t1"}]}, [], Fitness.UNFIT, id="no FLAIR"),
    pytest.param({"series": [{"kind": "flair"}]}, [], Fitness.UNKNOWN, id="not prepared yet"),
    pytest.param({}, ["key-r1/prepared.json"], Fitness.FIT, id="prepared"),
    pytest.param({"judged": {"from": "comparison"}, "findings": [{"pattern": "A", "presence": "indeterminate"}]},
        ["key-r1/prepared.json"], Fitness.LEFT_OPEN, id="prepared, and a pattern left open"),
    pytest.param({}, ["key-r1/refused.txt"], Fitness.UNFIT, id="refused"),
    pytest.param({}, ["faulty-r1/refused.txt"], Fitness.UNKNOWN, id="refused by a program that knew no faults"),
    pytest.param({}, ["old-r1/refused.txt", "key-r1/prepared.json"], Fitness.FIT, id="accepted by one program"),
    pytest.param({}, ["key-r2/prepared.json"], Fitness.UNKNOWN, id="another revision was prepared"),
    pytest.param({}, [".key-r1/prepared.json"], Fitness.UNKNOWN, id="half written"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "files", "fitness"), FACTS)
def test_what_is_known_of_a_study(tmp_path: Path, document: dict[str, Any], files: list[str], fitness: Fitness) -> None:
    node = Node(tmp_path)
    row = node.index.study(NEW)
    assert row is not None
    for name in files:
        (tmp_path / "prepared" / NEW / name).parent.mkdir(parents=True)
        text = "{}" if name.startswith("faulty") else f"{retention_files.REFUSAL_FORM}\nmotion\n"
        (tmp_path / "prepared" / NEW / name).write_text(text, encoding="utf-8")
    retention = Retention(node.settings, node.index, node.store, delivered=lambda _: True, now=lambda: NOON)
    assert retention.fitness(row, document) is fitness
    assert retention.fitness(replace(row, revision=2), document) is Fitness.UNKNOWN, "newer images are not assessed"


def test_the_names_in_prepared_baselines() -> None:
    """The receiving process deletes, and must not import what measures."""
    assert REFUSED == "refused.txt"
    assert retention_files.REFUSAL_FORM == REFUSAL_FORM
    assert prepared._FILE == "prepared.json"


def test_with_destinations_what_has_not_arrived_is_not_delivered(tmp_path: Path) -> None:
    node = Node(tmp_path)
    row = node.index.study(OLD)
    assert row is not None
    answers: list[tuple[str, int]] = []

    class Table(SqlDeliveries):
        def __init__(self, said: bool) -> None:
            self.said = said

        def delivered(self, study_instance_uid: str, revision: int) -> bool:
            answers.append((study_instance_uid, revision))
            return self.said

    results = node.state_dir / "results"
    assert results_delivered(results, Table(said=True))(row)
    assert not results_delivered(results, Table(said=False))(row)
    assert not results_delivered(results / "elsewhere", Table(said=True))(row), "its files are not written"
    assert answers == [(OLD, row.decided_revision)] * 2


@pytest.mark.parametrize("steady", [True, False], ids=["noop: it goes evenly", "it has leapt"])
def test_nothing_is_deleted_after_a_leap_of_the_clock(tmp_path: Path, *, steady: bool) -> None:
    node = Node(tmp_path)
    retention = Retention(
        node.settings, node.index, node.store, delivered=lambda _: True, now=lambda: NOON, is_steady=lambda: steady
    )
    assert bool(retention.run()) is steady
    assert node.files() == (1 if steady else 2)
