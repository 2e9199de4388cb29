"""What an independent MLLP client sends changes the decisions that it concerns."""

from __future__ import annotations

from pathlib import Path

from hl7.client import MLLPClient

from tests.listener.harness import eventually
from tests.listener.mllp.test_process import running, settings_in
from tests.workers.feeds.test_hl7_messages import message
from tests.workers.studies.test_merging import LATE, PRE
from tests.workers.studies.test_reconsider import BEFORE, History
from triage.model import Basis
from workers.feeds.folders import open_inbox
from workers.studies.reported import ReportedFacts

ORDER = message("OMP^O09", "PID|1||P1", "ORC|NW|77", "TQ1|||||||20240304", "RXO|X1^axicabtagene ciloleucel")
MERGE = message("ADT^A40", "PID|1||P2", "MRG|P1")
BACK = message("ADT^A40", "PID|1||P1", "MRG|P2")
AWAY = message("ADT^A40", "PID|1||P3", "MRG|P1")


def test_an_order_and_a_merge_change_the_decisions_concerned(tmp_path: Path) -> None:
    node, settings = History(tmp_path / "node"), settings_in(tmp_path)
    node.come(PRE, LATE)
    node.settle()
    assert node.compared("1.7") == (Basis.NONE, None)
    with running(settings, ReportedFacts(node.index)) as port, MLLPClient("127.0.0.1", port) as client:
        assert b"MSA|AA|" in client.send_message(ORDER)
        assert b"MSA|AA|" in client.send_message(MERGE)
        eventually(lambda: node.index.identity_events("P1"))
        node.settle()
        assert node.compared("1.7") == (Basis.BEFORE_INFUSION, BEFORE)
        first = node.document("1.7")["decision"]["reasons"][0]
        assert "the patient's identity was merged on" in first
        assert "infusion of 2024-03-04 became known" in first
        assert b"MSA|AE|" in client.send_message(message("ADT^A40", "PID|1||P2", "MRG|"))
        assert b"MSA|AA|" in client.send_message(AWAY), "well formed: it is kept"
        eventually(lambda: open_inbox(settings).waiting() == (0, 1))
        assert len(node.index.identity_events("P1")) == 1, "a second target is set aside for a human"
        assert b"MSA|AA|" in client.send_message(BACK)
        eventually(lambda: len(node.index.identity_events("P1")) == 2)
        node.settle()
        assert node.compared("1.7") == (Basis.BEFORE_INFUSION, BEFORE), "whatever the direction: one person"
