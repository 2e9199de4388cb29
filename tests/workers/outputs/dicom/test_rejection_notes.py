"""A rejection note names the objects of a decision: all of them, or those that its receiver has."""

from __future__ import annotations

import pytest

from tests.workers.outputs.dicom.result_builders import a_decision
from tests.workers.outputs.dicom.test_objects import DICOM, read, rendered
from workers.outputs.beside import WENT_OUT, WentOut, went_out_json


@pytest.mark.parametrize(("kind", "kept"), [("retract", set()), ("outdated", {"sr"})])
def test_a_rejection_note_names_every_object(kind: str, kept: set[str]) -> None:
    """An outdated decision keeps its report: the newer report names it as its predecessor."""
    note = read(rendered("compared")[kind])
    assert note.ConceptNameCodeSequence[0].CodeValue == "113001"
    named = {item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in note.ContentSequence
             if "ReferencedSOPSequence" in item}  # fmt: skip
    sent = {one: read(content).SOPInstanceUID for one, content in rendered("compared").items()}
    assert named == {uid for one, uid in sent.items() if one not in {"retract", "outdated", *kept}}


@pytest.mark.parametrize(
    ("kind", "there", "named"),
    [
        pytest.param("retract", {"sc", "sr"}, {"sc", "sr"}, id="two kinds"),
        pytest.param("retract", {"sc", "oru", "images"}, {"sc"}, id="messages and images are no objects of it"),
        pytest.param("retract", set(), None, id="nothing went out"),
        pytest.param("outdated", {"sc", "sr"}, {"sc"}, id="the report stays"),
        pytest.param("outdated", {"sr"}, None, id="there is only the report"),
    ],
)
def test_a_rejection_note_names_what_the_receiver_has(kind: str, there: set[str], named: set[str] | None) -> None:
    """An archive may refuse a note that names an object that it has not."""
    document, evidence = a_decision()
    evidence[WENT_OUT] = went_out_json(WentOut(frozenset(there)))
    assert DICOM[kind].applies(document, evidence) is (named is not None)
    if named is None:
        return
    note = read(DICOM[kind].render(document, evidence))
    listed = [one for series in note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
              for one in series.ReferencedSOPSequence]  # fmt: skip
    sent = {one: read(content).SOPInstanceUID for one, content in rendered("compared").items()}
    assert {one.ReferencedSOPInstanceUID for one in listed} == {sent[one] for one in named}
    assert note.SOPInstanceUID != sent[kind], "another object than the note that names all"
    assert note.SeriesInstanceUID == read(rendered("compared")[kind]).SeriesInstanceUID
