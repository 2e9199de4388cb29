"""A single scan and the day of the infusion in: whether it is the scan before treatment without a pattern."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.builders import prepared_from, raised, scanned, some_images
from triage.anatomy import THALAMI
from triage.assessment import full
from triage.draft import Context
from triage.model import Atlas, Category, Volume
from triage.preparation import PreparedBaseline
from triage.settings import TriageSettings
from triage.signal.change import MeasurementLimits

# coarser than the default, for speed
SETTINGS = TriageSettings(measuring_spacing_mm=2.5, measurement=MeasurementLimits(pseudo_regions=12))


@pytest.fixture(scope="module")
def prepared(head: Volume, atlas: Atlas) -> PreparedBaseline:
    return prepared_from(scanned(head, seed=21), atlas)


@pytest.mark.parametrize(
    ("days", "percent", "expected"),
    [
        pytest.param(-3, 0.0, True, id="before the infusion"),
        pytest.param(-3, 40.0, False, id="a pattern before the infusion is for a human to see"),
        pytest.param(0, 0.0, False, id="noop: on its day"),
    ],
)
def test_a_scan_before_treatment(
    days: int, percent: float, expected: bool, prepared: PreparedBaseline, atlas: Atlas
) -> None:
    images = some_images(raised(prepared.flair, prepared.labels.voxels, atlas, THALAMI, percent))
    taken = images.study.study_date
    assert taken is not None
    context = Context(taken - timedelta(days=days), None, {})
    assessment = full(images, None, context, atlas, SETTINGS).assessment
    assert assessment.days_after_infusion == days
    assert assessment.is_before_treatment is expected
    if days < 0:
        assert assessment.decision.category is Category.NOT_ASSESSABLE
        assert assessment.baseline_report is not None
        assert any("belongs to the baseline" in f.explanation for f in assessment.findings) is not expected
        shown = "no_baseline: shows pattern A, before treatment; "
        assert assessment.decision.reasons[0].startswith(shown) is not expected, "the date may be wrong, or planned"
