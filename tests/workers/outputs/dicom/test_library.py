"""The image library says of each image what highdicom's own library says, in fewer items."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from highdicom import sr

from tests.workers.outputs.dicom.result_builders import enhanced
from tests.workers.outputs.sources_builders import some_sources
from workers.outputs.dicom.library import image_library
from workers.outputs.dicom.objects import stubs
from workers.outputs.sources import SourceSeries, SourceStudy


def said(library: Any) -> dict[str, set[tuple[str, str]]]:
    """Image -> what the library says of it, at the image or at its group: (concept, value)."""
    found: dict[str, set[tuple[str, str]]] = {}
    for group in library.ContentSequence:
        shared = {_fact(item) for item in group.ContentSequence if item.ValueType != "IMAGE"}
        for item in (one for one in group.ContentSequence if one.ValueType == "IMAGE"):
            own = {_fact(one) for one in item.ContentSequence}
            found[item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID] = shared | own
    return found


def _fact(item: Any) -> tuple[str, str]:
    if item.ValueType == "NUM":
        measured = item.MeasuredValueSequence[0]
        unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
        value = f"{float(measured.NumericValue):g} {unit}"
    else:
        value = item.UID if item.ValueType == "UIDREF" else item.ConceptCodeSequence[0].CodeValue
    return item.ConceptNameCodeSequence[0].CodeMeaning, value


def _tilted(series: SourceSeries) -> SourceSeries:
    first = replace(series.instances[0], orientation=(0.0, 1.0, 0.0, -1.0, 0.0, 0.0))
    return replace(series, instances=(first, *series.instances[1:]))


CASES = {"all alike": lambda series: series, "one turned": _tilted}


def _changed(study: SourceStudy | None, case: str) -> tuple[SourceStudy, SourceSeries]:
    assert study is not None
    return study, CASES[case](study.series[0])


@pytest.mark.parametrize("case", CASES)
def test_it_says_what_the_full_library_says(case: str) -> None:
    sources = some_sources()
    series = [_changed(sources.followup, case), _changed(sources.baseline, case)]
    full = sr.ImageLibrary([ds for study, one in series for ds in stubs(study, one)])[0]
    library = image_library(series)
    assert said(library) == said(full)
    assert len(said(library)) == 24


def test_frames_of_an_enhanced_object_stand_as_the_images_of_a_classic_series() -> None:
    study = some_sources().followup
    classic, frames = (image_library([(study, one)]) for one in (study.series[0], enhanced(study.series[0])))
    assert classic is not None
    assert frames is not None
    of_frames = [item for item in frames.ContentSequence[0].ContentSequence if item.ValueType == "IMAGE"]
    numbers = [int(item.ReferencedSOPSequence[0].ReferencedFrameNumber) for item in of_frames]
    assert numbers == list(range(1, 13))
    of_images = [item for item in classic.ContentSequence[0].ContentSequence if item.ValueType == "IMAGE"]
    for one, other in zip(of_frames, of_images, strict=True):
        assert list(map(_fact, one.ContentSequence)) == list(map(_fact, other.ContentSequence))


def test_images_that_do_not_say_where_they_lie_are_left_out() -> None:
    study = some_sources().followup
    series = study.series[0]
    nowhere = replace(series, instances=tuple(replace(one, position=()) for one in series.instances))
    assert image_library([(study, nowhere)]) is None
    assert image_library([]) is None
