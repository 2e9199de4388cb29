"""The benches of a running node wait for what comes, and say at once what never comes."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from bench.delivery_latency import all_done
from bench.time_to_flag import THIS, Node, wait_for_baseline
from listener.commands.send import Target

STUDY = "1.2.3"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    index = sqlite3.connect(":memory:")
    index.execute("CREATE TABLE assessments (study_instance_uid, revision, stage, stage_rank, document)")
    index.execute("CREATE TABLE deliveries (study_instance_uid, stage, state, destination, output, failure, answer)")
    return Node(THIS, Target("127.0.0.1", 1, "A", "B"), index, tmp_path)


def deliver(node: Node, stage: str, state: str) -> None:
    node.index.execute("INSERT INTO deliveries VALUES (?, ?, ?, 'pacs', 'sr', 'refused', NULL)", (STUDY, stage, state))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([("full", "done"), ("first_look", "superseded")], True, id="no-op: all of it is there"),
        pytest.param([("full", "done"), ("full", "planned")], False, id="one waits"),
        pytest.param([("first_look", "done")], False, id="not measured: the full decision is not there yet"),
    ],
)
def test_whether_all_is_done(node: Node, rows: list[tuple[str, str]], *, expected: bool) -> None:
    for row in rows:
        deliver(node, *row)
    assert all_done(node, STUDY) is expected


@pytest.mark.parametrize("state", ["dead", "held", "discarded"])
def test_what_waits_for_a_person_ends_the_bench(node: Node, state: str) -> None:
    deliver(node, "full", "done")
    deliver(node, "full", state)
    with pytest.raises(SystemExit, match=f"full {state} pacs sr refused"):
        all_done(node, STUDY)


@pytest.mark.parametrize("category", ["possible", "neurotoxicity_suspected"])
def test_a_baseline_that_is_not_prepared_ahead_because_of_what_it_shows(node: Node, category: str) -> None:
    document = json.dumps({"decision": {"category": category}})
    node.index.execute("INSERT INTO assessments VALUES (?, 1, 'full', 1, ?)", (STUDY, document))
    assert not wait_for_baseline(node, STUDY)


def test_not_measured_a_baseline_that_is_refused(node: Node) -> None:
    (node.prepared / STUDY / "key").mkdir(parents=True)
    (node.prepared / STUDY / "key" / "refused.txt").touch()
    assert not wait_for_baseline(node, STUDY)


def test_noop_a_baseline_that_is_prepared(node: Node) -> None:
    (node.prepared / STUDY / "key").mkdir(parents=True)
    (node.prepared / STUDY / "key" / "prepared.json").touch()
    assert wait_for_baseline(node, STUDY)
