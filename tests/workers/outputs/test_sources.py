"""Headers in, ``sources.json`` out, and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, FileMetaDataset, dcmread, dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from tests.builders_dicom import a_series, an_enhanced_object, planes, write
from tests.workers.outputs.dicom.result_builders import FORMS
from tests.workers.outputs.sources_builders import some_sources
from tests.workers.reading.test_other_heads import OTHER, OWN
from workers.outputs.source_headers import UsedSeries, source_study
from workers.outputs.sources import FILE_NAME, sources_from_json, sources_of, sources_to_json
from workers.reading.study import read_study

DOCUMENT = {"study": {"study_instance_uid": "1.2.3", "patient_id": None, "study_date": "2026-03-04"}}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("Yamada^Tarou=山田^太郎=やまだ^たろう", id="Asian"),
        pytest.param("כהן^דוד", id="right to left"),
        pytest.param("", id="no-op: no name"),
    ],
)
@pytest.mark.parametrize("compared", [True, False])
def test_there_and_back(name: str, compared: bool) -> None:
    sources = some_sources(name, compared=compared)
    assert sources_from_json(sources_to_json(sources)) == sources
    assert sources_of(DOCUMENT, {FILE_NAME: sources_to_json(sources)}) == sources


def test_without_the_file_the_document_says_what_it_knows() -> None:
    found = sources_of(DOCUMENT, {}).followup
    assert found.header == {"PatientID": "", "StudyInstanceUID": "1.2.3", "StudyDate": "20260304"}
    assert found.series == ()


def a_file(path: Path, series: str, name: str = "Li^Ming\x1b\x07") -> Path:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = MRImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"{series}.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality = "1.2.3", series, "MR"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.Rows, ds.Columns, ds.PixelSpacing = name, 4, 5, [1, 2]
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [1, 2, 3], [1, 0, 0, 0, 1, 0]
    dcmwrite(path, ds, enforce_file_format=True)
    return path


def test_headers_are_read_of_the_series_that_count(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"no DICOM")
    paths = [broken, a_file(tmp_path / "a", "1.2.3.1"), a_file(tmp_path / "b", "1.2.3.2")]
    found = source_study(paths, {"1.2.3.1": UsedSeries("flair", 1), "1.2.3.9": UsedSeries("t1", 1)})
    assert found.header["PatientName"] == "Li^Ming"
    assert [one.series_instance_uid for one in found.series] == ["1.2.3.1"]
    flair = found.first("flair")
    assert flair is not None
    assert (flair.instances[0].position, flair.instances[0].spacing) == ((1, 2, 3), (1, 2))
    assert found.first("t1") is None


def test_dates_of_other_forms_are_repeated_in_the_form_of_the_standard(tmp_path: Path) -> None:
    """DICOM results and HL7 messages would be refused with them."""

    def change(_k: int, ds: Dataset) -> None:
        for keyword, value in {"PatientBirthDate": "1970.01.02", "StudyTime": "15:14:00", "StudyDate": ""}.items():
            ds[keyword]._value = value

    paths = a_series(tmp_path, change=change, AcquisitionDate="20240311")
    header = source_study(paths, {}).header
    assert (header["StudyDate"], header["StudyTime"], header["PatientBirthDate"]) == ("20240311", "151400", "19700102")


def test_of_several_values_there_is_one_or_all_and_never_a_list(tmp_path: Path) -> None:
    several = {
        "PatientName": "Doe^Jane\\X", "AccessionNumber": "A1\\A2", "StudyID": "1\\2", "PatientID": "47\\11",
        "PlacerOrderNumberImagingServiceRequest": "P1\\P2", "StudyDescription": "MRT Kopf\\Hals",
    }  # fmt: skip

    def change(_k: int, ds: Dataset) -> None:
        for keyword, value in several.items():
            setattr(ds, keyword, value)

    paths = a_series(tmp_path, change=change)
    header = source_study(paths, {}).header
    first = {"PatientName": "Doe^Jane", "AccessionNumber": "A1", "StudyID": "1"}
    first |= {"PlacerOrderNumberImagingServiceRequest": "P1"}
    assert {keyword: header[keyword] for keyword in several} == several | first
    study = read_study(paths).study
    assert (study.patient.patient_id, study.study_description) == ("47\\11", "MRT Kopf\\Hals")


def test_frames_of_an_enhanced_object_say_where_they_lie(tmp_path: Path) -> None:
    path = write(an_enhanced_object(planes(5), rescale=(2.0, 1.0), SeriesInstanceUID="1.2.7"), tmp_path / "enhanced")
    flair = source_study([path], {"1.2.7": UsedSeries("flair", 1)}).series[0]
    assert flair.placed
    assert [(one.frame, one.plane.position[2]) for one in flair.pictures] == [(n + 1, -30.0 + 5 * n) for n in range(5)]
    assert {(one.plane.spacing, one.plane.rescale) for one in flair.pictures} == {((1.0, 1.0), (2.0, 1.0))}


def test_noop_a_classic_image_is_its_own_picture() -> None:
    flair = some_sources().followup.series[0]
    assert [(one.number, one.frame) for one in flair.pictures] == [(n, None) for n in range(12)]
    assert flair.placed


def test_one_slice_of_a_series_whose_slices_have_uids_of_their_own_is_no_volume() -> None:
    flair = some_sources().followup.series[0]
    assert not replace(flair, instances=flair.instances[:1]).placed


@pytest.mark.parametrize(
    ("form", "plain", "parallel"),
    [
        pytest.param("classic", True, 12, id="no-op: classic"),
        pytest.param("enhanced", True, 12, id="one object"),
        pytest.param("slabs", False, 12, id="slabs"),
        pytest.param("a frame each", False, 12, id="a frame each"),
        pytest.param("a UID each", False, 12, id="a UID each"),
        pytest.param("a turned frame", False, 12, id="a turned frame"),
    ],
)
def test_which_images_can_be_referred_to(form: str, plain: bool, parallel: int) -> None:
    series = FORMS[form](some_sources().followup.series[0])
    assert (series.placed, series.is_plain, len(series.parallel)) == (True, plain, parallel)


def test_not_measured_images_of_which_most_do_not_say_where_they_lie_are_no_volume() -> None:
    flair = some_sources().followup.series[0]
    bare = [replace(one, position=()) for one in flair.instances]
    assert not replace(flair, instances=(*bare[:7], *flair.instances[7:])).placed
    assert replace(flair, instances=(*bare[:5], *flair.instances[5:])).placed


def own_uid(k: int, ds: Dataset) -> None:
    ds.SeriesInstanceUID = f"1.2.7.{k}"


@pytest.mark.parametrize(
    ("objects", "found"),
    [pytest.param(12, 12, id="all"), pytest.param(1, 1, id="no-op: measured alone"), pytest.param(11, 1, id="others")],
)
def test_slices_with_a_uid_each_are_one_series(tmp_path: Path, objects: int, found: int) -> None:
    used = {"1.2.7.0": UsedSeries("flair", objects)}
    (flair,) = source_study(a_series(tmp_path, change=own_uid), used).series
    assert [one.series_instance_uid for one in flair.instances].count("") == 1
    assert (len(flair.instances), flair.placed) == (found, found > 1)


T2 = {"InversionTime": None, "RepetitionTime": 4000.0, "SeriesDescription": "T2", "ScanningSequence": "SE"}


def sop_uids(paths: list[Path]) -> set[str]:
    return {dcmread(path).SOPInstanceUID for path in paths}


@pytest.mark.parametrize(
    ("elements", "part", "kind"),
    [
        pytest.param(T2, "1.2.7", "flair", id="the FLAIR keeps the UID"),
        pytest.param(T2, "1.2.7.2", "t2", id="the T2"),
        pytest.param({"ContrastBolusAgent": "Gd"}, "1.2.7", "flair", id="before the contrast agent"),
        pytest.param({"ContrastBolusAgent": "Gd"}, "1.2.7.2", "flair", id="after the contrast agent"),
    ],
)
def test_only_the_images_of_a_part_of_a_series_are_referred_to(
    tmp_path: Path, elements: dict[str, Any], part: str, kind: str
) -> None:
    """Two series at the same places under one UID: outlines on the other would be on the wrong image."""
    first = a_series(tmp_path / "a", SeriesInstanceUID="1.2.7")
    second = a_series(tmp_path / "b", SeriesInstanceUID="1.2.7", **elements)
    (found,) = source_study(second + first, {part: UsedSeries(kind, 12)}).series
    assert {one.sop_instance_uid for one in found.instances} == sop_uids(first if part == "1.2.7" else second)
    assert (found.series_instance_uid, found.is_plain) == ("1.2.7", True), "the UID that the images state"
    assert {one.series_instance_uid for one in found.instances} == {""}


OWN_HEAD = {"DeviceSerialNumber": "11", "FrameOfReferenceUID": "1.2.9"}


@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize(
    ("only", "elements", "measured"),
    [
        pytest.param([7], {"FrameOfReferenceUID": "1.2.8"}, 16, id="another frame of reference"),
        pytest.param([6, 7], {"DeviceSerialNumber": "77"}, 16, id="another scanner"),
        pytest.param([7], {"origin": (-10.0, -8.0, -28.0)}, 17, id="between the slices"),
        pytest.param([7], {}, 17, id="at the same place"),
        pytest.param([], {}, 16, id="no-op: none"),
    ],
)
def test_no_image_of_another_head_is_referred_to(
    tmp_path: Path, only: list[int], elements: dict[str, Any], measured: int, *, first: bool
) -> None:
    own = a_series(tmp_path / "own", pixels=OWN, SeriesInstanceUID="1.2.7", **OWN_HEAD)
    other = a_series(tmp_path / "other", pixels=OTHER, only=only, SeriesInstanceUID="1.2.7", **{**OWN_HEAD, **elements})
    (counted,) = read_study(own + other).study.series
    assert counted.header.instance_count == measured
    (found,) = source_study(other + own if first else own + other, {"1.2.7": UsedSeries("flair", measured)}).series
    assert {one.sop_instance_uid for one in found.instances} == sop_uids(own)
    assert (found.frame_of_reference_uid, found.is_plain) == ("1.2.9", True)


def test_not_measured_a_series_of_other_images_than_those_measured_is_not_referred_to(tmp_path: Path) -> None:
    assert source_study(a_series(tmp_path, SeriesInstanceUID="1.2.7"), {"1.2.7": UsedSeries("flair", 11)}).series == ()


def test_what_a_human_restored_is_referred_to(tmp_path: Path) -> None:
    own = a_series(tmp_path / "own", pixels=OWN, only=[n for n in range(16) if n != 7], SeriesInstanceUID="1.2.7")
    again = a_series(tmp_path / "b", pixels=OWN, only=[7], SeriesInstanceUID="1.2.7", FrameOfReferenceUID="1.2.8")
    (found,) = source_study(again + own, {"1.2.7": UsedSeries("flair", 16)}, vouched=again).series
    assert {one.sop_instance_uid for one in found.instances} == sop_uids(own + again)
    assert found.frame_of_reference_uid != "1.2.8", "that of most images"


def test_only_the_frames_of_a_part_of_an_object_are_referred_to() -> None:
    """Every second frame is of another series."""
    (one,) = FORMS["enhanced"](some_sources().followup.series[0]).instances
    planes = tuple(replace(plane, used=n % 2 == 0) for n, plane in enumerate(one.planes))
    series = replace(some_sources().followup.series[0], instances=(replace(one, planes=planes),))
    assert [picture.frame for picture in series.pictures] == [1, 3, 5, 7, 9, 11]
    assert (series.placed, series.is_plain) == (True, False)
