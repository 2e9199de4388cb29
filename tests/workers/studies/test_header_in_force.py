"""Whose name and order the results of a decision carry: of the patient in force, whatever the stored images state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from tests.builders_dicom import a_series
from tests.fake_index import InMemoryIndex
from tests.fakes import NOON, FakeFiles, FakeReader, an_instance
from workers.delivery_ports import Decided
from workers.identity_events import Change, IdentityEvent
from workers.outputs.sources import FILE_NAME, Header, sources_from_json, with_headers
from workers.ports import ConflictRow, InstanceRow, PatientKey
from workers.studies.reconsider import inputs_now
from workers.studies.sources import ImageParts, files_of_sources, repaired_sources

STUDY, AT = "1.2.3", datetime(2026, 3, 11, tzinfo=UTC)
OLD, NEW, NEWEST = PatientKey("P1"), PatientKey("P2", "HOSP"), PatientKey("P3", "HOSP")
STATED = {"PatientName": "Wrong^Wilma", "AccessionNumber": "ACC-1", "PatientBirthDate": "19500101", "PatientSex": "F"}
SHOWN = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber")
AS_STATED = ("P1", "", "Wrong^Wilma", "19500101", "F", "ACC-1")


def one_image(folder: Path, **elements: Any) -> Path:
    """A file with these elements."""

    def change(_k: int, ds: Dataset) -> None:
        for keyword, value in elements.items():
            setattr(ds, keyword, value)

    return a_series(folder, change=change, only=[0])[0]


def a_node(folder: Path, *objects: tuple[str, dict[str, Any]]) -> ImageParts:
    """A study of one object each, in that order of arrival. Without elements an object cannot be read."""
    files, index = FakeFiles(), InMemoryIndex()
    files.root = folder
    for number, (patient_id, elements) in enumerate(objects, 1):
        path = one_image(folder / STUDY / str(number), PatientID=patient_id, **elements)
        if not elements:
            path.write_bytes(b"no DICOM")
        birth_date = date(1950, 1, 1) if elements.get("PatientBirthDate") else None
        facts = {"patient_id": patient_id, "birth_date": birth_date, "sex": elements.get("PatientSex", "")}
        name = path.relative_to(folder / STUDY).as_posix()
        index.record_instances([an_instance(STUDY, number, path=name, **facts)])
    return ImageParts(index, files, FakeReader())


def comes_again(parts: ImageParts, folder: Path, key: PatientKey, *, readable: bool = True) -> None:
    """The same image with the headers of another patient."""
    path = one_image(
        folder / STUDY / "again", PatientID=key.patient_id, PatientName="Right^Rita", AccessionNumber="ACC-2",
        PatientBirthDate="19800229", PatientSex="",
    )  # fmt: skip
    if not readable:
        path.unlink()
    row = ConflictRow(
        path.relative_to(folder / STUDY).as_posix(), f"{STUDY}.1.1", f"{STUDY}.1", STUDY, NOON, "PACS",
        patient_id=key.patient_id, issuer=key.issuer, birth_date=date(1980, 2, 29), same_images=True,
    )  # fmt: skip
    parts.index.record_conflicts([row])


def event(change: Change, old: PatientKey, new: PatientKey, **more: Any) -> IdentityEvent:
    return IdentityEvent(change, old, new, "test", AT, **more)


CORRECTED = event(Change.CORRECT, OLD, NEW, study_instance_uid=STUDY, birth_date=date(1980, 2, 29))
BIRTH_DATE = event(Change.CORRECT, OLD, OLD, study_instance_uid=STUDY, birth_date=date(1951, 1, 1))
MERGED = event(Change.MERGE, OLD, NEW)
MERGED_ON = event(Change.MERGE, NEW, NEWEST)
SPLIT = event(Change.SPLIT, OLD, NEW)
REJECTED = event(Change.REJECT, OLD, NEW, study_instance_uid=STUDY)
RIGHT = ("P2", "HOSP", "Right^Rita", "19800229", "", "ACC-2")


def header_of(parts: ImageParts, *, reasons: tuple[str, ...] = (), patient: Any = None) -> Header:
    row = parts.index.study(STUDY)
    assert row is not None
    inputs = inputs_now(row, parts.index)
    document = {
        "series": [], "baseline": None, "decision": {"reasons": list(reasons)},
        "study": {"study_instance_uid": STUDY, "patient_id": row.patient_id},
        "inputs": inputs | ({} if patient is None else {"patient": patient}),
    }  # fmt: skip
    made = files_of_sources(Decided(STUDY, 1, "full"), document, parts)
    return sources_from_json(made[FILE_NAME]).followup.header


def shown(header: Header) -> tuple[str, ...]:
    return tuple(header.get(name, "") for name in SHOWN)


@pytest.mark.parametrize(
    ("events", "copy", "expected"),
    [
        pytest.param((), None, AS_STATED, id="no-op: nothing was said"),
        pytest.param((), NEW, AS_STATED, id="no-op: it came again, and nobody has accepted it"),
        pytest.param((REJECTED,), NEW, AS_STATED, id="no-op: rejected"),
        pytest.param((CORRECTED,), NEW, RIGHT, id="corrected"),
        pytest.param((CORRECTED, MERGED_ON), NEW, ("P3", *RIGHT[1:]), id="corrected, then merged on"),
        pytest.param((CORRECTED,), None, ("P2", "HOSP", "", "19800229", "", ""), id="the copy is not there any more"),
        pytest.param((BIRTH_DATE,), None, (*AS_STATED[:3], "19510101", *AS_STATED[4:]), id="the birth date alone"),
        pytest.param((MERGED,), None, ("P2", "HOSP", *AS_STATED[2:]), id="merged: the order stays"),
        pytest.param((MERGED, SPLIT), None, AS_STATED, id="no-op: merged and split"),
    ],
)
def test_whose_it_is(
    tmp_path: Path, events: tuple[IdentityEvent, ...], copy: PatientKey | None, expected: tuple[str, ...]
) -> None:
    parts = a_node(tmp_path, ("P1", STATED))
    if copy is not None:
        comes_again(parts, tmp_path, copy)
    for one in events:
        parts.index.record_identity(one)
    assert shown(header_of(parts)) == expected


def test_a_copy_that_cannot_be_read_says_no_name(tmp_path: Path) -> None:
    parts = a_node(tmp_path, ("P1", STATED))
    comes_again(parts, tmp_path, NEW, readable=False)
    parts.index.record_identity(CORRECTED)
    assert shown(header_of(parts)) == ("P2", "HOSP", "", "19800229", "", "")


def test_headers_that_are_read_later_keep_the_identity_of_the_decision(tmp_path: Path) -> None:
    """A retraction goes where the result went."""
    parts = a_node(tmp_path, ("P1", STATED))
    parts.index.record_identity(CORRECTED)
    assert shown(header_of(parts, patient=["P1", "", "1950-01-01", "F"])) == AS_STATED


MIXED = ("assessed again: 1 of its objects are rejected", "mixed_patients: one study carries 2 patient IDs")


@pytest.mark.parametrize("turned", [False, True], ids=["A first", "B first"])
def test_a_study_of_two_patients_names_neither(tmp_path: Path, *, turned: bool) -> None:
    objects = [("A", STATED | {"PatientName": "A^A"}), ("B", STATED | {"PatientName": "B^B", "AccessionNumber": "B"})]
    parts = a_node(tmp_path, *(objects[::-1] if turned else objects))
    header = header_of(parts, reasons=MIXED)
    assert shown(header) == ("A", "", "", "", "", "")
    assert header["StudyInstanceUID"] != ""


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([("P1", {}), ("P1", STATED)], AS_STATED, id="the first cannot be read"),
        pytest.param([("", {"PatientName": "No^Body"}), ("P1", STATED)], AS_STATED, id="the first states no ID"),
        pytest.param([("P1", {})], ("",) * 6, id="not measured: none can be read"),
        pytest.param([("P1", STATED), ("P1", {})], AS_STATED, id="no-op: the first says all"),
    ],
)
def test_the_first_object_alone_decides_nothing(
    tmp_path: Path, objects: list[tuple[str, dict[str, Any]]], expected: tuple[str, ...]
) -> None:
    assert shown(header_of(a_node(tmp_path, *objects))) == expected


def away(parts: ImageParts, patch: pytest.MonkeyPatch) -> None:
    def path(_row: InstanceRow) -> Path:
        raise OSError("away")

    patch.setattr(parts.files, "path", path)


def no_images(parts: ImageParts, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(parts.index, "instances", lambda _uid: [])


@pytest.mark.parametrize("fault", [away, no_images])
def test_without_headers_it_says_which_decision_it_is_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[ImageParts, pytest.MonkeyPatch], None]
) -> None:
    parts = a_node(tmp_path, ("P1", STATED))
    versions = [{"revision": number, "stage": "full"} for number in (1, 2)]
    monkeypatch.setattr(parts.index, "assessments", lambda _uid: versions)
    fault(parts, monkeypatch)
    document = {"series": [], "baseline": None, "study": {"study_instance_uid": STUDY}, "decision": {"reasons": []}}
    made = repaired_sources(Decided(STUDY, 2, "full"), document, parts, tmp_path / "results")
    assert made is not None
    assert not with_headers(made)
    found = sources_from_json(made)
    assert (found.revision, found.previous) == (2, (1, "full"))
    assert not (tmp_path / "results").exists(), "it is tried again"


def test_of_several_copies_the_latest_counts(tmp_path: Path) -> None:
    parts = a_node(tmp_path, ("P1", STATED))
    comes_again(parts, tmp_path, NEW)
    (first,) = parts.index.conflicts()
    late = one_image(tmp_path / STUDY / "late", PatientID="P2", PatientName="Right^Rita^Maria", PatientSex="")
    path = late.relative_to(tmp_path / STUDY).as_posix()
    parts.index.record_conflicts([replace(first, path=path, received_at=AT)])
    parts.index.record_identity(CORRECTED)
    assert header_of(parts)["PatientName"] == "Right^Rita^Maria"
