"""Files into studies: kinds, duplicates, mixed patients, broken headers, folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.builders_dicom import (
    STUDY_UID,
    T1_PHYSICS,
    a_series,
    an_enhanced_object,
    an_object,
    planes,
    with_pixels,
    write,
)
from tests.effort import within
from tests.workers.reading.reading import (
    FLAIR,
    SECRETS,
    T1,
    only_refusal,
    private_element,
)
from triage.errors import Misconfigured, NotAssessable, Transient
from triage.model import SequenceKind
from workers.reading.folder import read_folder
from workers.reading.patient import patient_of, study_without_series
from workers.reading.series import series_header
from workers.reading.study import read_header, read_study


def test_study_with_two_kinds(tmp_path: Path) -> None:
    paths = a_series(tmp_path, series=1) + a_series(tmp_path, series=2, InversionTime=None, **T1_PHYSICS)
    images = read_study(paths)
    assert images.used == {FLAIR: f"{STUDY_UID}.1", T1: f"{STUDY_UID}.2"}
    assert images.study.patient.patient_id == "SECRET-ID"
    assert images.skipped == ()


def test_only_the_kinds_wanted_are_loaded(tmp_path: Path) -> None:
    seen: list[Path] = []
    paths = a_series(tmp_path, series=1) + a_series(tmp_path, series=2, InversionTime=None, **T1_PHYSICS)
    images = read_study(paths, kinds={T1}, on_file=seen.append)
    assert set(images.volumes) == {T1}
    assert len(images.study.series) == 2
    assert seen == paths


def test_no_flair_is_left_to_the_caller(tmp_path: Path) -> None:
    images = read_study(a_series(tmp_path, InversionTime=None, **T1_PHYSICS), kinds={FLAIR})
    assert images.volumes == {}
    assert images.skipped == ()


def test_other_objects_are_no_volumes(tmp_path: Path) -> None:
    report = an_object(
        Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", SeriesInstanceUID="1.9", ImageType=None
    )
    images = read_study([*a_series(tmp_path / "a"), write(report, tmp_path / "sr")])
    assert [s.identification.kind for s in images.study.series] == [FLAIR, SequenceKind.NOT_IMAGE]
    assert set(images.volumes) == {FLAIR}


def test_identical_duplicates_count_once(tmp_path: Path) -> None:
    paths = a_series(tmp_path / "a")
    again = Path(shutil.copy(paths[3], tmp_path / "again"))
    other_meta = dcmread(paths[4])
    other_meta.file_meta.ImplementationVersionName = "OTHER"
    other_meta.save_as(tmp_path / "other_meta")
    images = read_study([*paths, again, tmp_path / "other_meta"])
    assert images.volumes[FLAIR].voxels.shape[0] == 12
    assert images.skipped == ()


def test_same_instance_uid_with_other_content_is_refused(tmp_path: Path) -> None:
    paths = a_series(tmp_path / "a")
    ds = dcmread(paths[3])
    ds.PixelData = bytes(len(ds.PixelData))
    write(ds, tmp_path / "other")
    images = read_study([*paths, tmp_path / "other"])
    assert only_refusal(images)[0] == "duplicate_sop_instance_uids"
    assert images.skipped[0].series_instance_uid == f"{STUDY_UID}.1"


def test_files_that_are_not_dicom_are_counted_without_their_names(tmp_path: Path) -> None:
    for name in ("Secret^Name.txt", "empty"):
        (tmp_path / name).write_text("hello" if name.endswith("txt") else "")
    images = read_study([*a_series(tmp_path / "a"), tmp_path / "Secret^Name.txt", tmp_path / "empty"])
    assert FLAIR in images.volumes
    assert [(s.code, s.message) for s in images.skipped] == [("not_dicom", "2 files: not a DICOM object")]


def test_objects_without_uids_are_counted(tmp_path: Path) -> None:
    nameless = write(with_pixels(an_object(SeriesInstanceUID=None), planes(1)[0]), tmp_path / "x")
    assert [s.code for s in read_study([*a_series(tmp_path / "a"), nameless]).skipped] == ["incomplete_header"]


def test_nothing_readable(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    for paths in ([], [tmp_path / "x"]):
        with pytest.raises(NotAssessable) as refused:
            read_study(paths)
        assert refused.value.code == "no_images"


def test_two_studies_are_a_wrong_request(tmp_path: Path) -> None:
    other = a_series(tmp_path / "b", count=10, StudyInstanceUID="1.2.9", SeriesInstanceUID="1.2.9.1")
    with pytest.raises(Misconfigured, match=r"2 studies \(12 files and 10 files\)"):
        read_study(a_series(tmp_path / "a") + other)


@pytest.mark.parametrize(
    "changed", [{"PatientID": "SECRET-2"}, {"PatientBirthDate": "19710102"}], ids=["id", "birth-date"]
)
def test_one_study_of_two_patients_is_refused(tmp_path: Path, changed: dict[str, str]) -> None:
    paths = a_series(tmp_path, series=1) + a_series(tmp_path, series=2, **changed)
    with pytest.raises(NotAssessable) as refused:
        read_study(paths)
    assert refused.value.code == "mixed_patients"
    assert not any(secret in str(refused.value) for secret in (*SECRETS, "1971"))


def test_objects_without_identity_do_not_mix_patients(tmp_path: Path) -> None:
    paths = a_series(tmp_path, series=1) + a_series(tmp_path, series=2, PatientID="", PatientBirthDate="")
    assert read_study(paths).study.patient.patient_id == "SECRET-ID"


@pytest.mark.parametrize(
    ("changed", "why"),
    [({"PatientID": "SECRET-2"}, "another patient ID"), ({"PatientBirthDate": "19710102"}, "another birth date")],
    ids=["id", "birth-date"],
)
@pytest.mark.parametrize("first", [True, False], ids=["stray first", "stray last"])
def test_a_stray_object_is_set_aside(tmp_path: Path, changed: dict[str, str], why: str, *, first: bool) -> None:
    own, strays = a_series(tmp_path, series=1), a_series(tmp_path, series=2, count=1, **changed)
    images = read_study(strays + own if first else own + strays)
    assert images.study.patient.patient_id == "SECRET-ID"
    assert FLAIR in images.volumes
    assert len(images.study.series) == 1
    assert images.set_aside == (f"1 of 13 objects carry {why} than the rest of the study; the rest is assessed",)


def test_a_stray_that_is_the_only_flair_is_not_measured_until_it_is_restored(tmp_path: Path) -> None:
    own = a_series(
        tmp_path,
        series=1,
        count=30,
        SeriesDescription="t1 mprage",
        InversionTime=None,
        EchoTime="3",
        RepetitionTime="8",
    )
    stray = a_series(tmp_path, series=2, PatientID="SECRET-2")
    alone = read_study(own + stray)
    assert FLAIR not in alone.volumes
    assert len(alone.set_aside) == 1
    restored = read_study(own + stray, vouched=stray)
    assert FLAIR in restored.volumes
    assert (restored.set_aside, restored.study.patient.patient_id) == ((), "SECRET-ID")


def test_half_and_half_is_read_once_a_human_vouches(tmp_path: Path) -> None:
    own, others = a_series(tmp_path, series=1), a_series(tmp_path, series=2, PatientID="SECRET-2")
    assert read_study(own + others, vouched=others).study.patient.patient_id == "SECRET-ID"
    assert read_study(own + others, vouched=own).study.patient.patient_id == "SECRET-2"


def test_the_study_is_what_most_objects_say(tmp_path: Path) -> None:
    odd = a_series(tmp_path, series=2, count=1, StudyDate="19990101", PatientSex="O", AccessionNumber="other")
    plain = read_study(a_series(tmp_path, series=1))
    images = read_study(odd + a_series(tmp_path, series=1))
    study = images.study
    assert (study.study_date, study.patient) == (plain.study.study_date, plain.study.patient)
    assert plain.notices == ()
    assert any("study date" in said for said in images.notices)


def test_broken_header_values_are_absent_and_quoted_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    paths = a_series(tmp_path)
    uid = STUDY_UID.encode()
    swaps = ((b"19700102", b"SECRETBD"), (b"20240105", b"SECRETSD"), (uid, b"SECRET" + uid[6:]))
    for path in paths:  # same lengths, so that the file stays well formed
        for good, bad in swaps:
            assert good in path.read_bytes()
            path.write_bytes(path.read_bytes().replace(good, bad))
    header = read_header(paths[0])
    assert patient_of(header).birth_date is None
    assert study_without_series(header).study_date is None
    images = read_study(paths)
    assert FLAIR in images.volumes
    assert images.study.study_date is None
    told = caplog.text + "".join(str(warning.message) for warning in recwarn)
    assert "SECRET" not in told


@pytest.mark.parametrize(
    ("keyword", "field"),
    [
        ("EchoTime", "echo_time_ms"),
        ("RepetitionTime", "repetition_time_ms"),
        ("InversionTime", "inversion_time_ms"),
        ("SliceThickness", "slice_thickness_mm"),
        ("SeriesNumber", "series_number"),
    ],
)
def test_a_value_that_does_not_fit_its_vr_counts_as_absent(tmp_path: Path, keyword: str, field: str) -> None:
    paths = a_series(tmp_path, **{keyword: 777})
    vr = b"IS" if keyword == "SeriesNumber" else b"DS"
    swaps = ((vr + b"\x04\x00777 ", vr + b"\x04\x00x!x "), (vr + b"\x06\x00777.0 ", vr + b"\x06\x00x!x!x "))
    for path in paths:
        raw = path.read_bytes()
        broken = raw.replace(*swaps[0]).replace(*swaps[1])
        assert broken != raw
        path.write_bytes(broken)
    images = read_study(paths)
    (series,) = images.study.series
    assert getattr(series.header, field) is None
    assert FLAIR in images.volumes


def test_a_malformed_object_does_not_lose_the_study(tmp_path: Path) -> None:
    ds = an_enhanced_object(planes(14), SeriesInstanceUID="1.2.7")
    ds.PerFrameFunctionalGroupsSequence = [Dataset() for _ in range(14)]
    del ds.SharedFunctionalGroupsSequence
    images = read_study([*a_series(tmp_path / "a"), write(ds, tmp_path / "x")], kinds={FLAIR})
    assert images.used == {FLAIR: f"{STUDY_UID}.1"}


def test_series_header_of_a_classic_series(tmp_path: Path) -> None:
    paths = a_series(tmp_path, ContrastBolusAgent="Gadovist", AcquisitionTime="101500.250", SequenceName="*tir2d1rr16")
    found = series_header([read_header(p) for p in paths])
    assert (found.repetition_time_ms, found.echo_time_ms, found.inversion_time_ms) == (9000.0, 125.0, 2500.0)
    assert (found.instance_count, found.frame_count, found.rows, found.columns) == (12, 12, 16, 20)
    assert (found.contrast_agent, found.sequence_name, found.orientation) == ("Gadovist", "*tir2d1rr16", "axial")
    assert found.acquisition_time is not None
    assert found.acquisition_time.isoformat() == "10:15:00.250000"


def test_ge_pulse_sequence_name_reaches_the_header(tmp_path: Path) -> None:
    ds = with_pixels(an_object(InversionTime=None), planes(1)[0])
    private_element(ds, 0x0019, "GEMS_ACQU_01", 0x9C, "LO", "CubeT2flair")
    for n, syntax in enumerate((ExplicitVRLittleEndian, ImplicitVRLittleEndian)):
        assert (
            series_header([read_header(write(ds, tmp_path / str(n), syntax=syntax))]).vendor["ge_pulse_sequence"]
            == "CubeT2flair"
        )


def test_read_folder_groups_by_study(tmp_path: Path) -> None:
    first = a_series(tmp_path / "in" / "deep" / "er")
    second = a_series(tmp_path / "in", count=3, StudyInstanceUID="1.2.9")
    (tmp_path / "in" / "notes.txt").write_text("x" * 400)
    found = read_folder(tmp_path / "in")
    assert {uid: sorted(paths) for uid, paths in found.items()} == {STUDY_UID: sorted(first), "1.2.9": sorted(second)}


def test_read_folder_follows_no_link_outside(tmp_path: Path) -> None:
    outside = a_series(tmp_path / "outside")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "file").symlink_to(outside[0])
    (inside / "folder").symlink_to(tmp_path / "outside")
    assert read_folder(inside) == {}


def test_read_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="not a folder"):
        read_folder(tmp_path / "absent")


def test_a_3d_series_costs_little_beside_its_pixels(tmp_path: Path) -> None:
    """``python -m bench.reading.speed`` says how long it takes."""
    paths = a_series(tmp_path, pixels=planes(180, 256, 256), spacing_mm=1.0)
    images = within(180 * 20_000, lambda: read_study(paths))
    assert images.volumes[FLAIR].voxels.shape == (180, 256, 256)


@pytest.mark.parametrize("kinds", [None, frozenset()], ids=["images", "headers"])
def test_a_file_that_is_away_says_nothing(tmp_path: Path, kinds: frozenset[SequenceKind] | None) -> None:
    with pytest.raises(Transient, match="cannot be read now"):
        read_study([tmp_path / "gone.dcm"], kinds=kinds)
    folder = tmp_path / "folder.dcm"
    folder.mkdir()
    with pytest.raises(Transient):
        read_study([folder], kinds=kinds)
