"""A comparison that cannot judge a pattern, in: what the single scan says beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.builders import prepared_from, scanned
from tests.triage.test_assessment import CONTEXT, SETTINGS, a_followup, assert_judged_alike
from triage.anatomy import BRAIN_STEM, THALAMI
from triage.assessment import full
from triage.measurements import lookup
from triage.model import Atlas, Category, Presence, Priority, Volume
from triage.preparation import PreparedBaseline
from triage.report.contents import JudgedFrom


@pytest.fixture(scope="module")
def prepared(head: Volume, atlas: Atlas) -> PreparedBaseline:
    return prepared_from(scanned(head, seed=21), atlas)


@pytest.mark.parametrize(
    ("percent", "presence", "category"),
    [
        pytest.param(45.0, Presence.PRESENT, (Category.POSSIBLE, Category.NEUROTOXICITY_SUSPECTED), id="shows it"),
        pytest.param(0.0, Presence.INDETERMINATE, (Category.NO_PATTERN,), id="noop: shows nothing"),
    ],
)
def test_a_baseline_that_cannot_tell_hides_no_more_than_none(
    percent: float, presence: Presence, category: tuple[Category, ...], prepared: PreparedBaseline, atlas: Atlas
) -> None:
    """The thalami of the baseline are in doubt, so that the comparison says nothing about pattern A."""
    doubtful = replace(prepared, doubts=dict.fromkeys((*THALAMI, *BRAIN_STEM), "region_fit: around the thalami"))
    found = full(a_followup(atlas, percent), doubtful, CONTEXT, atlas, SETTINGS).assessment
    assert {f.pattern: f.presence for f in found.findings}["A"] is presence
    assert found.decision.category in category, found.decision
    assert found.decision.priority is not Priority.P1, "as without a baseline"
    assert found.judged.source is JudgedFrom.COMPARISON
    shown = lookup(found.measurements, "thalamus_left", "flair_excess_percent")
    assert shown.assessable is (presence is Presence.PRESENT), "the figures that say it are stored"
    assert_judged_alike(found)
