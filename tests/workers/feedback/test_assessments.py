"""Accepted and rejected findings, as IHE AIRA asks for them."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes import NOON
from workers.act_ports import Act, ActKind
from workers.feedback.assessments import as_assessments


def said(kind: ActKind, pattern: str, minutes: int, *, by: str = "mina", note: str = "", revision: int = 1) -> Act:
    return Act("1.2.3", revision, "full", kind, by, NOON + timedelta(minutes=minutes), (pattern,), note)


def test_noop_nothing_was_accepted_or_rejected() -> None:
    whole = [said(ActKind.AGREED, "A", 1), said(ActKind.ACKNOWLEDGED, "A", 2)]
    assert as_assessments([]) == as_assessments(whole) == {"format": 1, "assessments": []}


def test_the_last_word_on_a_result_counts_and_the_earlier_ones_stay() -> None:
    acts = [
        said(ActKind.ACCEPTED, "A", 1),
        said(ActKind.REJECTED, "B", 2, note="old gliosis"),
        said(ActKind.REJECTED, "A", 3, by="omar", note="field"),
    ]
    first, second = as_assessments(acts)["assessments"]
    assert first["result"] == {"study_instance_uid": "1.2.3", "revision": 1, "stage": "full", "pattern": "A"}
    assert (first["assessment"], first["assessor"], first["reason"]) == ("rejected", "omar", "field")
    assert [(one["assessment"], one["assessor"]) for one in first["earlier"]] == [("accepted", "mina")]
    assert (second["assessment"], second["reason"], second["earlier"]) == ("rejected", "old gliosis", [])
    assert second["assessed_at"] == (NOON + timedelta(minutes=2)).isoformat()


def test_another_decision_is_another_result() -> None:
    acts = [said(ActKind.ACCEPTED, "A", 1), said(ActKind.ACCEPTED, "A", 2, revision=2)]
    assert [one["result"]["revision"] for one in as_assessments(acts)["assessments"]] == [1, 2]
