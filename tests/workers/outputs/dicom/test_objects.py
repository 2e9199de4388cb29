"""A stored decision in, DICOM objects out that independent programs find valid and read back exactly."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.sr._concepts_dict import concepts

from tests.workers.outputs.dicom.result_builders import FORMS, a_decision, labels, lesions
from workers.outputs.all import ON_REQUEST, OUTPUTS
from workers.outputs.beside import WENT_OUT, WentOut, went_out_json
from workers.outputs.dicom import codes
from workers.outputs.dicom.objects import derived_uid
from workers.outputs.output import Output
from workers.outputs.sources import FILE_NAME, sources_from_json

BIN = Path(sys.executable).parent
DICOM = {output.kind: output for output in (*OUTPUTS, *ON_REQUEST) if output.media_type == "application/dicom"}
CASES = {
    "compared": {"compared": True},
    "enhanced": {"form": "enhanced"},
    **{form: {"form": form} for form in list(FORMS)[2:]},
    "single scan": {"compared": False},
    "not assessable": {"compared": False, "assessable": False},
    "diffusion alone": {"compared": False, "diffusion": True},
    "no FLAIR": {"compared": False, "assessable": False, "diffusion": None},
}
MADE = {
    "compared": {"sr", "seg", "sc", "sc_pages", "kos", "gsps", "pm", "reg", "pdf", "retract", "outdated"},
    "single scan": {"sr", "seg", "sc", "sc_pages", "kos", "gsps", "pdf", "retract", "outdated"},
    "not assessable": {"sr", "sc", "sc_pages", "kos", "pdf", "retract", "outdated"},
    "diffusion alone": {"sr", "sc", "sc_pages", "kos", "pdf", "retract", "outdated"},
    "no FLAIR": {"sr", "sc", "sc_pages", "pdf", "retract", "outdated"},
}


@cache
def rendered(case: str) -> Mapping[str, bytes]:
    document, evidence = a_decision(**CASES[case])
    return {kind: one.render(document, evidence) for kind, one in DICOM.items() if one.applies(document, evidence)}


def read(content: bytes) -> Any:
    return dcmread(io.BytesIO(content))


@pytest.mark.parametrize("case", CASES)
def test_each_case_has_its_objects(case: str) -> None:
    assert set(rendered(case)) == MADE[case if case in MADE else "compared"]


def test_without_sources_only_the_picture_goes_out() -> None:
    document, evidence = a_decision()
    del evidence[FILE_NAME]
    assert {kind for kind, one in DICOM.items() if one.applies(document, evidence)} == {
        "sc",
        "sc_pages",
        "pdf",
        "retract",
        "outdated",
    }
    picture = read(DICOM["sc"].render(document, evidence))
    assert (picture.StudyInstanceUID, picture.PatientID) == (document["study"]["study_instance_uid"], "SECRET-4711")


def test_enhanced_images_that_do_not_say_where_they_lie_get_all_but_what_lies_on_them(tmp_path: Path) -> None:
    """As sources that were stored by an older version."""
    document, evidence = a_decision()
    row = json.loads(evidence[FILE_NAME])
    for study in (row["followup"], row["baseline"]):
        one = study["series"][0]["instances"][0]
        one |= {"frames": 12, "position": [], "orientation": [], "spacing": [], "thickness_mm": None}
        study["series"][0]["instances"] = [one | {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.4.1"}]
    evidence[FILE_NAME] = json.dumps(row).encode()
    found = {kind: one.render(document, evidence) for kind, one in DICOM.items() if one.applies(document, evidence)}
    assert set(found) == {"sr", "sc", "sc_pages", "kos", "reg", "pdf", "retract", "outdated"}
    for kind, content in found.items():
        (tmp_path / kind).write_bytes(content)
        assert subprocess.run(["/usr/bin/dciodvfy", "-new", tmp_path / kind], check=False).returncode == 0, kind


@pytest.mark.parametrize("output", DICOM.values(), ids=list(DICOM))
def test_the_same_decision_gives_the_same_bytes(output: Output) -> None:
    assert output.render(*a_decision()) == rendered("compared")[output.kind]


@pytest.mark.parametrize("case", CASES)
def test_objects_are_valid(case: str, tmp_path: Path) -> None:
    for kind, content in rendered(case).items():
        path = tmp_path / f"{kind}.dcm"
        path.write_bytes(content)
        done = subprocess.run(["/usr/bin/dciodvfy", "-new", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (kind, done.stderr)
        assert not [line for line in done.stderr.splitlines() if line.startswith("Error")], kind


@pytest.mark.parametrize("case", CASES)
def test_objects_lie_in_the_study_in_series_of_their_own(case: str) -> None:
    found = [read(content) for content in rendered(case).values()]
    header = sources_from_json(a_decision()[1][FILE_NAME]).followup.header
    assert {ds.StudyInstanceUID for ds in found} == {header["StudyInstanceUID"]}
    assert {str(ds.PatientName) for ds in found} == {header["PatientName"]}
    assert {ds.AccessionNumber for ds in found} == {header["AccessionNumber"]}
    for unique in ("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription"):
        assert len({str(ds[unique].value) for ds in found}) == len(found)


def test_another_version_has_other_uids() -> None:
    sources = sources_from_json(a_decision()[1][FILE_NAME])
    versions = [(1, "first_look"), (1, "full"), (2, "full")]
    uids = {derived_uid(sources, *version, kind, "object") for version in versions for kind in ("sr", "seg")}
    assert len(uids) == 6
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)


def test_the_report_is_preliminary_and_unverified() -> None:
    report = read(rendered("compared")["sr"])
    assert (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag) == (
        "COMPLETE",
        "PRELIMINARY",
        "UNVERIFIED",
    )
    assert "PredecessorDocumentsSequence" not in report


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        pytest.param(WentOut(report=(1, "full")), (1, "full"), id="the newest that somebody has"),
        pytest.param(WentOut(report=(1, "first_look")), (1, "first_look"), id="an older one"),
        pytest.param(WentOut(kinds=frozenset(("sr",))), None, id="no-op: no earlier report went out"),
        pytest.param(None, None, id="not measured: nobody knows what went out"),
    ],
)
def test_the_report_names_the_one_that_it_supersedes(sent: WentOut | None, named: tuple[int, str] | None) -> None:
    """An earlier decision alone is no predecessor: its report may never have been made or sent."""
    document, evidence = a_decision()
    evidence[FILE_NAME] = json.dumps(json.loads(evidence[FILE_NAME]) | {"previous": [1, "full"]}).encode()
    evidence |= {} if sent is None else {WENT_OUT: went_out_json(sent)}
    found = [
        one.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for one in read(DICOM["sr"].render(document, evidence)).get("PredecessorDocumentsSequence", ())
    ]
    sources = sources_from_json(evidence[FILE_NAME])
    assert found == ([] if named is None else [derived_uid(sources, *named, "sr", "object")])


def said_of_the_report(path: Path) -> list[str]:
    """Lines of PixelMed's validator."""
    limits = [f"-Djdk.xml.xpath{what}Limit=0" for what in ("TotalOp", "ExprOp", "ExprGrp")]
    quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]  # it runs once: the optimising compiler does not pay
    program = ["-cp", "/usr/share/java/pixelmed.jar", "com.pixelmed.validate.DicomSRValidator"]
    done = subprocess.run(["java", *quick, *limits, *program, path], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()
    assert any("Root Template Validation Complete" in line for line in said), said
    return said


@pytest.mark.parametrize(
    "case", ["compared", "enhanced", "a UID each", "not assessable", "diffusion alone", "no FLAIR"]
)
def test_an_independent_validator_finds_no_error_in_the_report(case: str, tmp_path: Path) -> None:
    path = tmp_path / "sr.dcm"
    path.write_bytes(rendered(case)["sr"])
    assert [line for line in said_of_the_report(path) if "Error" in line] == []


@pytest.mark.parametrize("case", ["compared", *list(FORMS)[1:]])
def test_the_report_dumps_clean(tmp_path: Path, case: str) -> None:
    path = tmp_path / "sr.dcm"
    path.write_bytes(rendered(case)["sr"])
    done = subprocess.run(["/usr/bin/dsrdump", path], capture_output=True, text=True, check=True)
    known = "W: The VR checker does not support this Specific Character Set: ISO_IR 192"
    assert [line for line in done.stderr.splitlines() if line and line != known] == []
    assert "Neurotoxicity suspected" in done.stdout


@pytest.mark.parametrize("case", ["compared", *list(FORMS)[1:]])
def test_every_figure_is_read_back(tmp_path: Path, case: str) -> None:
    (tmp_path / "sr.dcm").write_bytes(rendered(case)["sr"])
    found = tmp_path / "sr.json"
    subprocess.run(
        [BIN / "tid1500reader", "--inputDICOM", tmp_path / "sr.dcm", "--outputMetadata", found],
        capture_output=True,
        check=True,
    )
    groups = json.loads(found.read_text())["Measurements"]
    read_back = {
        group["TrackingIdentifier"]: sorted(_item(item) for item in group["measurementItems"]) for group in groups
    }
    document = a_decision()[0]
    placed = {"thalamus_left", "thalamus_right", "pons"}
    expected: dict[str, list[tuple[str, str, float]]] = {"pons": [], "brain": [("CARTDAYS", "", 7.0)]}
    for row in (row for row in document["measurements"] if row["value"] is not None):
        found_in = expected.setdefault(row["region"] if row["region"] in placed else "brain", [])
        quantity = codes.quantity_code(row["quantity"]).value
        found_in.append((quantity, "", row["value"]))
        if row["uncertainty"] is not None:
            found_in.append((quantity, "UNCERTAINTY", row["uncertainty"]))
    assert {name: sorted(some) for name, some in expected.items()} == {**read_back, "pons": read_back.get("pons", [])}
    assert sum(derivation != "" for some in read_back.values() for _, derivation, _ in some) > 5
    sides = {group["TrackingIdentifier"]: group.get("Laterality", {}).get("CodeMeaning") for group in groups}
    assert (sides["thalamus_left"], sides["thalamus_right"]) == ("Left", "Right")


def _item(item: Mapping[str, Any]) -> tuple[str, str, float]:
    """Quantity, derivation, value, as dcmqi reads them."""
    derivation = item.get("derivationModifier", {}).get("CodeValue", "")
    return item["quantity"]["CodeValue"], derivation, float(item["value"])


def test_what_was_not_measured_is_said() -> None:
    text = str(read(rendered("compared")["sr"]))
    # four with their uncertainty, and the pons, which is undetermined
    assert text.count("FLAIR change, near reference") == 9
    assert "Undetermined" in text


@pytest.mark.parametrize("case", ["compared", *list(FORMS)[1:]])
def test_every_mask_is_read_back_with_left_on_the_left(tmp_path: Path, case: str) -> None:
    (tmp_path / "seg.dcm").write_bytes(rendered(case)["seg"])
    subprocess.run(
        [
            BIN / "segimage2itkimage", "--inputDICOM", tmp_path / "seg.dcm", "--outputDirectory", tmp_path,
            "-t", "nifti", "--prefix", "x",
        ],
        capture_output=True, check=True,
    )  # fmt: skip
    meta = json.loads((tmp_path / "x-meta.json").read_text())["segmentAttributes"]
    expected = {"brain": labels() > 0, "new_lesions": lesions() > 0}
    expected |= {"thalamus_left": labels() == 9, "thalamus_right": labels() == 10, "pons": labels() == 2}
    expected |= {"white_matter_left": labels() == 13, "white_matter_right": labels() == 14}
    assert {one[0]["SegmentLabel"] for one in meta} == set(expected)
    for (one,) in meta:
        image = sitk.ReadImage(str(tmp_path / f"x-{one['labelID']}.nii.gz"))
        points = {tuple(np.round(image.TransformIndexToPhysicalPoint([int(n) for n in index[::-1]]), 3))
                  for index in np.argwhere(sitk.GetArrayFromImage(image))}  # fmt: skip
        assert points == _points(expected[one["SegmentLabel"]]), one["SegmentLabel"]


def _points(mask: Any) -> set[tuple[float, ...]]:
    """LPS mm of the voxels of a mask on the grid of the small study."""
    from tests.workers.outputs.sources_builders import ORIGIN_MM, SPACING_MM

    index = np.argwhere(mask)[:, ::-1]
    return {tuple(row) for row in np.round(index * SPACING_MM + np.array(ORIGIN_MM), 3)}


def test_the_transform_takes_the_baseline_to_the_follow_up() -> None:
    document, _ = a_decision()
    there = np.array(document["registration"]["followup_to_baseline_lps_mm"])
    items = read(rendered("compared")["reg"]).RegistrationSequence
    transform = items[1].MatrixRegistrationSequence[0].MatrixSequence[0].FrameOfReferenceTransformationMatrix
    np.testing.assert_allclose(np.array(transform, dtype=float).reshape(4, 4) @ there, np.eye(4), atol=1e-6)


def test_the_picture_keeps_its_pixels() -> None:
    picture = read(rendered("compared")["sc"])
    assert picture.pixel_array.shape == (24, 40, 3)
    assert picture.pixel_array[3, 5].tolist() == [255, 10, 20]


def test_key_images_are_the_slices_of_what_is_shown() -> None:
    kos = read(rendered("compared")["kos"])
    found = {
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID.rsplit(".", 1)[1]
        for item in kos.ContentSequence
        if "ReferencedSOPSequence" in item
    }
    assert found == {"3", "6", "7"}  # pons; thalami; the larger lesion


def test_without_a_flair_key_images_are_the_diffusion_images_of_the_same_planes() -> None:
    items = [item for item in read(rendered("diffusion alone")["kos"]).ContentSequence if item.ValueType == "IMAGE"]
    found = {item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID.partition(".5.")[2] for item in items}
    assert found == {"3", "3.0", "6", "6.0", "7", "7.0"}


def test_key_images_of_an_enhanced_series_are_its_frames() -> None:
    items = [item for item in read(rendered("enhanced")["kos"]).ContentSequence if item.ValueType == "IMAGE"]
    assert [list(item.ReferencedSOPSequence[0].ReferencedFrameNumber) for item in items] == [[3, 6, 7]]


@pytest.mark.parametrize("case", list(FORMS)[1:])
@pytest.mark.parametrize("kind", ["seg", "pm"])
def test_each_frame_refers_to_the_image_that_it_lies_on(kind: str, case: str) -> None:
    found = read(rendered(case)[kind])
    pictures = sources_from_json(a_decision(**CASES[case])[1][FILE_NAME]).followup.series[0].pictures
    by_object = {one.instance.sop_instance_uid: one.instance for one in pictures}
    by_name = {(one.instance.sop_instance_uid, one.frame or 1): one for one in pictures}
    for frame in found.PerFrameFunctionalGroupsSequence:
        (source,) = frame.DerivationImageSequence[0].SourceImageSequence
        named = by_object[source.ReferencedSOPInstanceUID]
        assert ("ReferencedFrameNumber" in source) is (named.frames > 1)
        of_it = by_name[source.ReferencedSOPInstanceUID, int(source.get("ReferencedFrameNumber", 1))]
        assert source.ReferencedSOPClassUID == of_it.instance.sop_class_uid
        assert tuple(frame.PlanePositionSequence[0].ImagePositionPatient) == of_it.plane.position


@pytest.mark.parametrize("case", list(FORMS))
@pytest.mark.parametrize("kind", ["seg", "pm", "gsps", "reg"])
def test_every_reference_is_to_an_image_of_the_study(kind: str, case: str) -> None:
    """By its class, and listed under the series that it is really in."""
    sources = sources_from_json(a_decision(form=case)[1][FILE_NAME])
    flair = sources.followup.series[0]
    real = {
        one.sop_instance_uid: (one, one.series_instance_uid or flair.series_instance_uid) for one in flair.instances
    }
    assert sources.baseline is not None
    baseline = {one.sop_instance_uid for one in sources.baseline.series[0].instances}
    ds = read(rendered("compared" if case == "classic" else case)[kind])
    named = {one.ReferencedSOPInstanceUID: one.ReferencedSOPClassUID for one in _references(ds)}
    assert named.keys() <= real.keys() | baseline
    assert all(sop_class == real[uid][0].sop_class_uid for uid, sop_class in named.items() if uid in real)
    listed = [
        (one.ReferencedSOPInstanceUID, item.SeriesInstanceUID)
        for item in ds.ReferencedSeriesSequence
        for one in item.get("ReferencedInstanceSequence") or item.ReferencedImageSequence
    ]
    assert len(listed) == len(set(listed)) > 0
    assert all(real[uid][1] == series for uid, series in listed)


def _references(ds: Any) -> Iterator[Any]:
    """Every item of an object that refers to another one."""
    for element in ds:
        for item in element.value if element.VR == "SQ" else ():
            if "ReferencedSOPInstanceUID" in item:
                yield item
            yield from _references(item)


@pytest.mark.parametrize("case", list(FORMS)[1:])
def test_the_voxels_do_not_depend_on_the_form(case: str) -> None:
    for kind in ("pm", "seg"):
        assert (read(rendered(case)[kind]).pixel_array == read(rendered("compared")[kind]).pixel_array).all()


def test_key_images_name_the_frames_of_each_object() -> None:
    items = [item for item in read(rendered("slabs")["kos"]).ContentSequence if item.ValueType == "IMAGE"]
    found = [item.ReferencedSOPSequence[0] for item in items]
    assert [(one.ReferencedSOPInstanceUID[-1], one.ReferencedFrameNumber) for one in found] == [("1", 3), ("2", [2, 3])]


def test_a_segment_of_slices_with_a_uid_each_names_its_images() -> None:
    """No series holds them all."""
    text = str(read(rendered("a UID each")["sr"]))
    assert "Source Series for Segmentation" not in text
    assert text.count("Source Image for Segmentation") % 12 == 0 < text.count("Source Image for Segmentation")
    assert "Source Series for Segmentation" in str(read(rendered("slabs")["sr"]))


def _table() -> list[codes.Verified]:
    found = [one for one in vars(codes).values() if isinstance(one, codes.Verified)]
    for table in vars(codes).values():
        if isinstance(table, dict):
            found += [one for one in table.values() if isinstance(one, codes.Verified)]
    return found


@pytest.mark.parametrize("verified", _table(), ids=lambda one: f"{one.code.scheme_designator} {one.code.value}")
def test_codes_are_where_they_were_verified(verified: codes.Verified) -> None:
    code = verified.code
    if verified.source == codes.PYDICOM:
        assert any(code.value in meanings for meanings in concepts[code.scheme_designator].values())
    else:
        assert (verified.source == codes.OWN) == (code.scheme_designator == codes.PRIVATE)
    assert len(code.value) <= 16


def test_private_codes_are_defined_in_the_docs() -> None:
    text = (Path(__file__).parents[4] / "docs" / "dicom-results.md").read_text(encoding="utf-8")
    private = {one.code.value for one in _table() if one.source == codes.OWN}
    assert {value for value in private if f"`{value}`" not in text} == set()


def test_a_region_that_nobody_coded_keeps_its_name() -> None:
    assert codes.region_code("thalamus_left")[0].value == "42695009"
    code, laterality = codes.region_code("somewhere_new")
    # as a tuple: codes compare without their meaning
    assert (tuple(code), laterality) == (("REGION", codes.PRIVATE, "somewhere new", None), None)
