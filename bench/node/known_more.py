"""Known inputs that are described without a script, made and sent here; each returns what a script would print."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from bench.node.copies import Copy
from bench.node.known_node import QUIET_S, LiveNode

BASELINE, FOLLOWUP = "SIM-1/baseline", "SIM-1/followup"
INFUSION = "2024-03-04"


def _pixels_cut(ds: Dataset) -> bytes:
    return bytes(ds.PixelData[: len(ds.PixelData) // 4 * 2])


def second_infusion(node: LiveNode) -> str:
    """G1: day 5 of the first course, a second infusion, day 5 of the second course. The figures differ a little: no
    study is a copy of another."""
    node.infusion("G1", INFUSION)
    for name, of, day, slope in (
        ("g1b", BASELINE, "20240223", "1"),
        ("g1f", FOLLOWUP, "20240309", "1"),
        ("g1z", FOLLOWUP, "20240415", "1.25"),
    ):
        if name == "g1z":
            node.settled()
            node.infusion("G1", "2024-04-10")
        node.send(node.copy(name, of, "G1", StudyDate=day, AcquisitionDate=day, RescaleSlope=slope))
    return ""


def copy_as_prior(node: LiveNode) -> str:
    """G2: decided, then its own images come under other UIDs, dated the day before the infusion."""
    node.infusion("G2", INFUSION)
    node.send(node.copy("g2b", BASELINE, "G2"))
    node.send(node.copy("g2f", FOLLOWUP, "G2"))
    node.settled()
    node.send(node.copy("g2c", FOLLOWUP, "G2", StudyDate="20240303"))
    return ""


def two_issuers(node: LiveNode) -> str:
    """07: the issuer in one study only; then another person with the same ID from another issuer."""
    node.infusion("I7", INFUSION)
    node.send(node.copy("i7b", BASELINE, "I7"))
    node.send(node.copy("i7f", FOLLOWUP, "I7", IssuerOfPatientID="HOSPITAL_A"))
    node.settled()
    before = node.row("I7", "2024-03-11") or {}
    other = {"IssuerOfPatientID": "HOSPITAL_B", "PatientBirthDate": "19500101", "PatientName": "Other^One"}
    node.send(node.copy("i7o", "SIM-2/followup", "I7", StudyDate="20240320", **other))
    return f"{before.get('category')} {before.get('priority')}"


def cut_file(node: LiveNode) -> str:
    """A stored FLAIR file loses half of its bytes, the study is assessed again, the file becomes whole."""
    node.infusion("CUT", INFUSION)
    node.send(node.copy("cutb", BASELINE, "CUT"))
    study = node.send(node.copy("cutf", FOLLOWUP, "CUT"))
    node.settled()
    path = node.file_of(study, 10)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    try:
        node.command("replay", study.uid)
        time.sleep(12 * QUIET_S)
        row, health = node.row("CUT", "2024-03-11") or {}, node.api("/healthz")
        said = (
            f"{row.get('category')} {row.get('priority')} {row.get('state')} {row.get('failure')} {health['problems']}"
        )
    finally:
        path.write_bytes(whole)
    return said


def cut_pixels(node: LiveNode) -> str:
    """One FLAIR image is sent with half of its pixels."""

    def cut(ds: Dataset) -> None:
        if "dark" in ds.SeriesDescription and ds.InstanceNumber == 20:
            ds.PixelData = _pixels_cut(ds)

    node.infusion("T1", INFUSION)
    node.send(node.copy("t1b", BASELINE, "T1"))
    node.send(node.copy("t1f", FOLLOWUP, "T1", PixelData=cut))
    return ""


def rejected_baseline(node: LiveNode) -> str:
    """Decided against a baseline; then an archive rejects all images of the baseline (IHE IOCM, quality)."""
    node.infusion("RN", INFUSION)
    baseline = node.send(node.copy("rnb", BASELINE, "RN"))
    node.send(node.copy("rnf", FOLLOWUP, "RN"))
    node.settled()
    before = node.row("RN", "2024-03-11") or {}
    node.send(_rejection_note(node, baseline))
    return f"{before.get('category')} {before.get('priority')}"


def _rejection_note(node: LiveNode, study: Copy) -> Copy:
    """A folder with the note, made by highdicom."""
    images = [dcmread(path, stop_before_pixels=True) for path in sorted(study.folder.glob("*.dcm"))]
    content = KeyObjectSelection(codes.DCM.RejectedForQualityReasons, images)
    note = KeyObjectSelectionDocument(images, content, generate_uid(), 99, generate_uid(), 1, manufacturer="archive")
    place = node.work / "dcm" / f"{study.name}-note"
    place.mkdir()
    note.save_as(place / "note.dcm", enforce_file_format=True)
    return Copy(place.name, study.uid, study.patient_id, place)


MORE: Mapping[str, Callable[[LiveNode], str]] = {
    "G1": second_infusion,
    "G2": copy_as_prior,
    "07": two_issuers,
    "cut file": cut_file,
    "cut pixels": cut_pixels,
    "rejected": rejected_baseline,
}
