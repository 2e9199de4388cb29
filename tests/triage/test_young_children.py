"""Children below two years: old lesions of their baseline, and what it shows by itself, are not told by adults."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from tests.builders import labels_on, prepared_from, raised, scanned, some_images
from triage.alignment.placement import Placement
from triage.anatomy import THALAMI
from triage.assessment import _shown_before, first_look
from triage.draft import Context, Draft
from triage.lesions.burden import burden_unknown
from triage.measurements import lookup
from triage.model import Atlas, BaselineChoice, Found, Stage, Volume
from triage.preparation import prepare_baseline
from triage.settings import TriageSettings
from triage.signal.change import MeasurementLimits

SETTINGS = TriageSettings(measuring_spacing_mm=2.5, measurement=MeasurementLimits(pseudo_regions=12))
CONTEXT = Context(date(2026, 3, 3), BaselineChoice("1.2.1", date(2026, 2, 20), "latest before the infusion"), {})
CHILD = "too_young: below 2 years intensities are not compared with those of adults (PatientAge 12 months)"


def where_it_lies(*_: object) -> Placement:
    """The small head lies as the atlas does."""
    return Placement(np.eye(4), None, None)


@pytest.mark.parametrize(
    ("age", "reason"), [pytest.param(30.0, None, id="noop: an adult"), pytest.param(1.0, CHILD, id="a child")]
)
def test_old_lesions_of_a_young_child_are_not_told_by_the_measure_of_adults(
    age: float, reason: str | None, head: Volume, atlas: Atlas
) -> None:
    images = some_images(scanned(head, seed=21), uid="1.2.1")
    images = replace(images, study=replace(images.study, stated_ages=(age,)))
    found = prepare_baseline(images, atlas, SETTINGS.preparation, where_it_lies)
    count = lookup(found.burden.measurements, "brain", "chronic_lesion_count")
    assert (count.value is None, count.reason) == (reason is not None, reason)
    assert ("chronic_lesions" in found.burden.masks) is (reason is None)
    outcome = first_look(some_images(scanned(head, seed=22)), found, CONTEXT, atlas, SETTINGS).assessment
    assert outcome.baseline_report is not None
    told = f"Old lesions could not be measured ({reason})."
    assert (told in outcome.baseline_report.statements) is (reason is not None)


@pytest.mark.parametrize(
    ("burden", "shown"),
    [
        pytest.param(Found(), True, id="noop: an adult"),
        pytest.param(burden_unknown(CHILD), False, id="a child then, no longer now"),
    ],
)
def test_what_a_childs_baseline_shows_by_itself_is_not_told(
    burden: Found, head: Volume, atlas: Atlas, *, shown: bool
) -> None:
    """Otherwise the same in the follow-up would be no news."""
    bright = raised(head, labels_on(head, atlas), atlas, THALAMI, 60.0)
    draft = Draft(some_images(head), CONTEXT, Stage.FULL)
    found = _shown_before(draft, replace(prepared_from(bright, atlas), burden=burden), SETTINGS)
    assert ("A" in found) is shown
