"""Files of Key Object Selections in, what they reject out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage

from triage.errors import NotAssessable, Transient
from triage.sequences import computed
from workers.arrival.header_process import _answer
from workers.measured_classes import MEASURED_CLASSES, is_measured
from workers.output_kinds import KOS
from workers.reading import limits, rejection_note
from workers.reading.child import _LONGEST_ANSWER
from workers.reading.reader import DicomReader
from workers.reading.rejection_note import MOST_NAMED, read_rejection_note
from workers.reading.survey import survey
from workers.rejection_notes import TITLES, RejectionNote, note_from_json, note_to_json

STUDY = "1.2.3"
UIDS = ("1.2.3.1.1", "1.2.3.1.2")


def a_code(value: str, scheme: str = "DCM") -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, "a title"
    return code


def references(uids: Sequence[str]) -> list[Dataset]:
    found = []
    for uid in uids:
        one = Dataset()
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = MRImageStorage, uid
        found.append(one)
    return found


def evidence(study: str, uids: Sequence[str]) -> Dataset:
    series, found = Dataset(), Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = f"{STUDY}.1", references(uids)
    found.StudyInstanceUID, found.ReferencedSeriesSequence = study, [series]
    return found


def content(uids: Sequence[str]) -> list[Dataset]:
    found = []
    for one in references(uids):
        item = Dataset()
        item.RelationshipType, item.ValueType, item.ReferencedSOPSequence = "CONTAINS", "IMAGE", [one]
        found.append(item)
    return found


def a_note(title: Dataset | None, *studies: Dataset, said: Sequence[str] | None = UIDS) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = KOS, "1.2.3.9.1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality, ds.PatientID = STUDY, "1.2.3.9", "KO", "P1"
    ds.ValueType = "CONTAINER"
    if title is not None:
        ds.ConceptNameCodeSequence = [title]
    ds.CurrentRequestedProcedureEvidenceSequence = list(studies)
    if said is not None:
        ds.ContentSequence = content(said)
    return ds


def written(folder: Path, ds: Dataset, syntax: str = ExplicitVRLittleEndian, *, delimited: bool = False) -> Path:
    for element in ds.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = delimited
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    path = folder / "note.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


ALL = {STUDY: frozenset(UIDS)}


@pytest.mark.parametrize(
    ("ds", "named"),
    [
        pytest.param(a_note(a_code("113000"), evidence(STUDY, UIDS)), None, id="noop: of interest"),
        pytest.param(a_note(None, evidence(STUDY, UIDS)), None, id="not measured: no title"),
        pytest.param(a_note(a_code("113001", "99X"), evidence(STUDY, UIDS)), None, id="a code of another scheme"),
        *(pytest.param(a_note(a_code(code), evidence(STUDY, UIDS)), ALL, id=words) for code, words in TITLES.items()),
        pytest.param(a_note(a_code("113001"), evidence(STUDY, UIDS), said=None), ALL, id="evidence alone"),
        pytest.param(
            a_note(a_code("113001"), evidence(STUDY, UIDS), said=UIDS[:1]), {STUDY: frozenset(UIDS[:1])}, id="a part"
        ),
        pytest.param(
            a_note(a_code("113001"), evidence(STUDY, UIDS), evidence("1.2.4", ["1.2.4.1"]), said=[*UIDS, "1.2.4.1"]),
            {**ALL, "1.2.4": frozenset(["1.2.4.1"])},
            id="two studies",
        ),
        pytest.param(a_note(a_code("113001")), {}, id="nothing"),
        pytest.param(a_note(a_code("113001"), evidence("", UIDS)), {}, id="a study without a UID"),
    ],
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_what_it_names(tmp_path: Path, ds: Dataset, named: dict[str, frozenset[str]] | None, syntax: str) -> None:
    found = read_rejection_note(written(tmp_path, ds, syntax))
    assert (None if found is None else dict(found.objects)) == named
    assert note_from_json(note_to_json(found)) == found


@pytest.mark.parametrize("delimited", [False, True])
def test_one_that_is_cut_short_names_nothing_or_all(tmp_path: Path, *, delimited: bool) -> None:
    path = written(tmp_path, a_note(a_code("113001"), evidence(STUDY, UIDS)), delimited=delimited)
    whole, cut, ends = path.read_bytes(), tmp_path / "cut.dcm", set()
    for length in range(140, len(whole), 3):
        cut.write_bytes(whole[:length])
        try:
            found = read_rejection_note(cut)
        except NotAssessable:
            ends.add("refused")
        else:
            ends.add("nothing" if found is None or not any(found.objects.values()) else str(dict(found.objects) == ALL))
    assert "refused" in ends
    assert "False" not in ends


def test_thousands_of_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejection_note, "MOST_NAMED", 3)
    assert read_rejection_note(written(tmp_path, a_note(a_code("113001"), evidence(STUDY, UIDS)))) is not None, "noop"
    four = [f"1.2.3.1.{n}" for n in range(4)]
    with pytest.raises(NotAssessable, match="more than 3 objects"):
        read_rejection_note(written(tmp_path, a_note(a_code("113001"), evidence(STUDY, four), said=four)))
    longest = RejectionNote("113001", {"1" * 64: frozenset(f"{n:064}" for n in range(MOST_NAMED))})
    assert len(str(note_to_json(longest))) < _LONGEST_ANSWER, "the reading process answers with all of them"


def test_all_notes_of_a_patient_share_one_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, a_note(a_code("113001"), evidence(STUDY, UIDS)))
    with path.open("rb") as file:
        monkeypatch.setattr(limits, "STUDY_ELEMENTS", 2 * survey(file).elements)
    read = DicomReader().note_reader()
    assert [read(path) is not None for _ in range(2)] == [True, True], "noop: within the budget"
    with pytest.raises(NotAssessable, match="the headers of the study hold more"):
        read(path)
    assert DicomReader().note_reader()(path) is not None, "another patient's"


def test_the_answers_of_the_reading_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, a_note(a_code("113001"), evidence(STUDY, UIDS)))
    assert _answer({"note": str(path)})["objects"] == {STUDY: list(UIDS)}
    path.write_bytes(b"no DICOM object")
    assert _answer({"note": str(path)}) == {"refused": "not_dicom"}

    def away(_: Path) -> None:
        raise Transient("away")

    monkeypatch.setattr(rejection_note, "read_rejection_note", away)
    assert _answer({"note": str(path)}) == {"away": True}


def test_what_is_measured() -> None:
    assert set(MEASURED_CLASSES) == computed.MR_CLASSES
    assert is_measured(MRImageStorage)
    assert not is_measured(KOS)
