"""Outlines on the originals: a checker of dcmtk finds them valid, and their lines enclose the voxels of the masks."""

from __future__ import annotations

import io
import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.path import Path as Line
from pydicom import dcmread
from pydicom.multival import MultiValue

from tests.workers.outputs.dicom.result_builders import FORMS, a_decision, labels, lesions
from tests.workers.outputs.sources_builders import SHAPE, some_sources
from workers.outputs.dicom.presentation import GSPS
from workers.outputs.sources import FILE_NAME, sources_from_json, sources_to_json

MASKS = {"thalamus_left": labels() == 9, "thalamus_right": labels() == 10, "pons": labels() == 2}
MASKS |= {"new_lesions": lesions() > 0}


def rendered(form: str = "classic", **changes: Any) -> Any:
    """changes: of each FLAIR image of the follow-up. The name is plain: the checker knows no Unicode."""
    document, evidence = a_decision(form=form)
    row = json.loads(evidence[FILE_NAME])
    row["followup"]["header"]["PatientName"] = "Doe^Jane"
    for instance in row["followup"]["series"][0]["instances"]:
        instance.update(changes)
    evidence[FILE_NAME] = json.dumps(row).encode()
    assert GSPS.applies(document, evidence)
    return dcmread(io.BytesIO(GSPS.render(document, evidence)))


def enclosed(state: Any, per_object: int = 1) -> dict[str, Any]:
    """per_object: frames. Tracking ID -> pixels whose centre lies within a line, (k, j, i)."""
    rows, columns = SHAPE[1:]
    centres = np.stack(np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5), axis=-1).reshape(-1, 2)
    found: dict[str, Any] = {}
    for annotation in state.GraphicAnnotationSequence:
        image = annotation.ReferencedImageSequence[0]
        frame = image.get("ReferencedFrameNumber", 1)
        number = int(image.ReferencedSOPInstanceUID.rsplit(".", 1)[1])
        k = 0 if isinstance(frame, MultiValue) else (number - 1) * per_object + int(frame) - 1  # the note: on several
        for one in annotation.get("GraphicObjectSequence", ()):
            inside = Line(np.reshape(one.GraphicData, (-1, 2))).contains_points(centres).reshape(rows, columns)
            found.setdefault(one.TrackingID, np.zeros(SHAPE, bool))[k] |= inside
    return found


@pytest.mark.parametrize("form", FORMS)
def test_the_lines_enclose_the_masks_with_left_on_the_left(form: str) -> None:
    found = enclosed(rendered(form), 4 if form == "slabs" else 1)
    assert set(found) == set(MASKS)
    for name, mask in MASKS.items():
        assert (found[name] == mask).all(), name


def test_images_that_are_turned_get_turned_lines() -> None:
    """Rows and columns exchanged: the lines follow."""
    found = enclosed(rendered(orientation=[0.0, 1.0, 0.0, 1.0, 0.0, 0.0], spacing=[7.0, 6.0]))
    assert (found["new_lesions"] == MASKS["new_lesions"].transpose(0, 2, 1)).all()


@pytest.mark.parametrize("form", FORMS)
def test_a_checker_finds_it_valid(tmp_path: Path, form: str) -> None:
    path = tmp_path / "state.dcm"
    rendered(form).save_as(path)
    done = subprocess.run(["/usr/bin/dcmpschk", path], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Test passed" in said
    assert "E:" not in said


WINDOWS = [
    pytest.param({}, [(300.0, 600.0, 12)], (1.0, 0.0), id="of the originals"),
    pytest.param({"window": []}, [], (1.0, 0.0), id="not measured: the originals have none"),
    pytest.param({"rescale": []}, [(300.0, 600.0, 12)], None, id="noop: values are not rescaled"),
]


@pytest.mark.parametrize(("changes", "windows", "rescaling"), WINDOWS)
def test_grey_values_are_shown_as_in_the_originals(changes: Any, windows: Any, rescaling: Any) -> None:
    state = rendered(**changes)
    shown = len({one.ReferencedSOPInstanceUID for one in state.ReferencedSeriesSequence[0].ReferencedImageSequence})
    found = [
        (float(one.WindowCenter), float(one.WindowWidth), 12 if len(one.ReferencedImageSequence) == shown else 0)
        for one in state.get("SoftcopyVOILUTSequence", ())
    ]
    assert found == windows
    assert (state.get("RescaleSlope"), state.get("RescaleIntercept")) == (rescaling or (None, None))


def test_a_decision_without_regions_has_no_outlines() -> None:
    assert not GSPS.applies(*a_decision(compared=False, assessable=False))


def test_sources_of_an_older_version_say_no_window() -> None:
    row = json.loads(sources_to_json(some_sources()))
    for instance in row["followup"]["series"][0]["instances"]:
        del instance["window"], instance["rescale"]
    found = sources_from_json(json.dumps(row).encode()).followup.series[0].instances[0]
    assert asdict(found) | {"window": (), "rescale": ()} == asdict(found)
