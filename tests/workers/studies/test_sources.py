"""The images behind a decision: slices that a gateway gave a series UID each are found again."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from tests.builders_dicom import a_series
from tests.fake_index import InMemoryIndex
from tests.fakes import FakeFiles, FakeReader, an_instance
from workers.delivery_ports import Decided
from workers.outputs.sources import FILE_NAME, sources_from_json
from workers.reading.reader import DicomReader
from workers.studies.sources import ImageParts, files_of_sources

SLICES = 12
STUDY = "1.2.3"


def a_document(*series: dict[str, object]) -> dict[str, object]:
    study = {"study_instance_uid": STUDY, "patient_id": "P1"}
    return {"series": list(series), "baseline": None, "study": study, "decision": {"reasons": []}}


def own_uid(k: int, ds: Dataset) -> None:
    ds.SeriesInstanceUID = f"1.2.7.{k}"


def a_node(folder: Path, stored: int) -> ImageParts:
    index, files = InMemoryIndex(), FakeFiles()
    files.root = folder
    (folder / STUDY).mkdir()
    paths = a_series(folder / STUDY, change=own_uid)
    assert len(paths) >= SLICES
    for k, path in enumerate(paths[:stored]):
        name = path.relative_to(folder / STUDY).as_posix()
        index.record_instances([an_instance(STUDY, k, path=name, series_instance_uid=f"1.2.7.{k}")])
    return ImageParts(index, files, FakeReader())


@pytest.mark.parametrize(
    ("stored", "objects", "found"),
    [
        pytest.param(SLICES, SLICES, SLICES, id="all are found"),
        pytest.param(SLICES - 1, SLICES, 1, id="one is gone: no wrong reference"),
        pytest.param(SLICES, 1, 1, id="no-op: it was measured alone"),
        pytest.param(3, SLICES, 1, id="not measured: too few are here to be joined"),
    ],
)
def test_slices_with_a_uid_each(tmp_path: Path, stored: int, objects: int, found: int) -> None:
    parts = a_node(tmp_path, stored)
    row = {"series_instance_uid": "1.2.7.0", "kind": "flair", "used_as": "flair", "objects": objects}
    made = files_of_sources(Decided(STUDY, 1, "full"), a_document(row), parts)
    (flair,) = sources_from_json(made[FILE_NAME]).followup.series
    assert (flair.series_instance_uid, len(flair.instances)) == ("1.2.7.0", found)
    assert flair.placed is (found > 1)


AFTER = {"ContrastBolusAgent": "Gd", "AcquisitionTime": "103000"}
DOCUMENT = {"kind": "flair", "used_as": "flair", "objects": SLICES}


@pytest.mark.parametrize(
    ("used", "agent"),
    [
        pytest.param("1.2.7.2", "Gd", id="the second part, whose UID no image has"),
        pytest.param("1.2.7", "", id="no-op: the first part"),
    ],
)
def test_a_part_of_a_series(tmp_path: Path, used: str, agent: str) -> None:
    """Before and after the contrast agent under one UID; another series has no part in it."""
    index, files = InMemoryIndex(), FakeFiles()
    files.root = tmp_path
    paths = a_series(tmp_path / STUDY / "a", SeriesInstanceUID="1.2.7", **AFTER)
    paths += a_series(tmp_path / STUDY / "b", SeriesInstanceUID="1.2.7", AcquisitionTime="100000")
    paths += a_series(tmp_path / STUDY / "c", SeriesInstanceUID="1.2.6", InversionTime=None, ScanningSequence="SE")
    for k, path in enumerate(paths):
        name, series = path.relative_to(tmp_path / STUDY).as_posix(), str(dcmread(path).SeriesInstanceUID)
        index.record_instances([an_instance(STUDY, k, path=name, series_instance_uid=series)])
    parts, row = ImageParts(index, files, FakeReader()), DOCUMENT | {"series_instance_uid": used}
    made = files_of_sources(Decided(STUDY, 1, "full"), a_document(row), parts)
    (flair,) = sources_from_json(made[FILE_NAME]).followup.series
    meant = {
        str(ds.SOPInstanceUID) for ds in map(dcmread, paths[: 2 * SLICES]) if ds.get("ContrastBolusAgent", "") == agent
    }
    assert (flair.series_instance_uid, flair.is_plain) == ("1.2.7", True)
    assert {one.sop_instance_uid for one in flair.instances} == meant


BASELINE = "1.2.4"


@pytest.mark.parametrize(
    ("decided", "described"),
    [
        pytest.param([{"kind": "flair", "used_as": "flair"}], 0, id="its decision names what was measured"),
        pytest.param([{"kind": "flair", "used_as": None}], 1, id="not measured: the images are looked at"),
        pytest.param(None, 1, id="not decided: the images are looked at"),
    ],
)
def test_the_images_of_the_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decided: list[dict[str, object]] | None, described: int
) -> None:
    index, files, reader, asked = InMemoryIndex(), FakeFiles(), DicomReader(), []
    files.root = tmp_path
    for k, path in enumerate(a_series(tmp_path / BASELINE, SeriesInstanceUID="1.2.8", StudyInstanceUID=BASELINE)):
        name = path.relative_to(tmp_path / BASELINE).as_posix()
        index.record_instances([an_instance(BASELINE, k, path=name, series_instance_uid="1.2.8")])
    series = None if decided is None else [row | {"series_instance_uid": "1.2.8", "objects": k + 1} for row in decided]
    monkeypatch.setattr(index, "assessment", lambda uid: None if series is None else {"series": series})
    describe = reader.describe
    monkeypatch.setattr(reader, "describe", lambda *a, **more: asked.append(1) or describe(*a, **more))
    document = a_document() | {"baseline": {"study_instance_uid": BASELINE}}
    parts = ImageParts(index, files, reader)
    made = sources_from_json(files_of_sources(Decided(STUDY, 1, "full"), document, parts)[FILE_NAME])
    assert made.baseline is not None
    (flair,) = made.baseline.series
    assert (flair.series_instance_uid, len(flair.instances), len(asked)) == ("1.2.8", k + 1, described)
