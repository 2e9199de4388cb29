"""A draft in, the Assessment out: what a copy of the study brings with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from tests.builders import some_images
from triage.draft import Context, Draft
from triage.model import BaselineChoice, Basis, Category, Presence, SameAcquisition, Stage
from triage.report.document import to_document
from triage.report.stored import from_document
from triage.settings import TriageSettings

DAY = date(2024, 3, 9)
COPIES = [
    pytest.param(None, (), id="noop"),
    pytest.param(SameAcquisition("1.9", DAY), (), id="nothing-found"),
    pytest.param(SameAcquisition("1.9", DAY, ("A", "D")), ("A", "D"), id="found"),
]


@pytest.mark.parametrize(("same", "found"), COPIES)
def test_what_was_found_in_a_copy_is_carried(same: SameAcquisition | None, found: tuple[str, ...]) -> None:
    """Nothing could be compared: the same images still show what they showed, and the result says where."""
    choice = BaselineChoice(None, None, "no study before the infusion", (), Basis.NONE, same=same)
    draft = Draft(some_images(None), Context(None, choice, {}), Stage.FULL, refusal="no_baseline: none")
    assessment = draft.finish({}, None, TriageSettings())
    assert {f.pattern for f in assessment.findings if f.presence is Presence.PRESENT} == set(found)
    decision = assessment.decision
    assert decision.category is (Category.POSSIBLE if found else Category.NOT_ASSESSABLE)
    named = [reason for reason in decision.reasons if reason.startswith("same_acquisition: the study of 2024-03-09")]
    assert len(named) == (same is not None)
    assert all(("carried on" in reason) is bool(found) for reason in named)
    assert (assessment.judged.carried, assessment.judged.carried_on) == (found, DAY if found else None)
    document = to_document(assessment)
    assert to_document(from_document(document)) == document
    assert ("same_acquisition" in document["baseline"]) is (same is not None)


def test_noop_without_a_choice() -> None:
    draft = Draft(some_images(None), Context(None, None, {}), Stage.FULL, refusal="no_baseline: none")
    assert replace(draft).finish({}, None, TriageSettings()).judged.carried == ()
