"""No text of a DICOM result holds a control or bidirectional character, whatever its sources and its document hold."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.multival import MultiValue

from tests.test_hidden_characters import DIRTY, dirty, hidden_in
from tests.workers.outputs.dicom.result_builders import a_decision
from workers.output_kinds import DICOM_KINDS
from workers.outputs.all import OUTPUTS
from workers.outputs.dicom.objects import finished, result_of
from workers.outputs.output import Output
from workers.outputs.sources import FILE_NAME

TEXTS = ("PN", "LO", "SH", "LT", "ST", "UT", "UC", "CS")
STATED = ("PatientName", "PatientID", "IssuerOfPatientID", "AccessionNumber", "StudyDescription", "StudyID")
DICOM = [output for output in OUTPUTS if output.kind in DICOM_KINDS]


def spoiled() -> tuple[dict[str, Any], dict[str, bytes]]:
    document, evidence = a_decision()
    sources = json.loads(evidence[FILE_NAME])
    for study in (sources["followup"], sources["baseline"]):
        study["header"] |= {name: f"{study['header'].get(name, '')}{DIRTY}\n" for name in STATED}
        for series in study["series"]:
            series["description"] += DIRTY
    return dirty(document), evidence | {FILE_NAME: json.dumps(sources).encode()}


def texts_of(ds: Dataset) -> Iterator[str]:
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                yield from texts_of(item)
        elif element.VR in TEXTS:
            values = element.value if isinstance(element.value, (list, MultiValue)) else [element.value]
            yield from map(str, values)


@pytest.mark.parametrize("output", DICOM, ids=lambda output: output.kind)
def test_every_text_of_every_object(output: Output) -> None:
    document, evidence = spoiled()
    ds = dcmread(io.BytesIO(output.render(document, evidence)))
    found = list(texts_of(ds))
    assert not [text for text in found if hidden_in(text) or "\n" in text]
    assert "[31m" in str(ds.PatientID), "the rest of the text is there"


def test_the_words_of_the_pdf() -> None:
    document, evidence = spoiled()
    ds = dcmread(io.BytesIO(next(one for one in DICOM if one.kind == "pdf").render(document, evidence)))
    words = re.findall(rb"\(((?:[^()\\]|\\.)*)\) ?Tj", bytes(ds.EncapsulatedDocument))
    assert not [word for word in words if re.search(rb"[\x00-\x1f\x7f]", word)]


def test_noop_a_plain_decision() -> None:
    document, evidence = a_decision()
    ds = dcmread(io.BytesIO(next(one for one in DICOM if one.kind == "sr").render(document, evidence)))
    assert not [text for text in texts_of(ds) if hidden_in(text)]


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        pytest.param("SoftwareVersions", ["1.0", "2"], ["1.0", "2"], id="no-op: several"),
        pytest.param("StudyDescription", "Brain", "Brain", id="no-op: one"),
        pytest.param("StudyDescription", None, None, id="empty"),
        pytest.param("SoftwareVersions", ["a\u202eb", "c"], ["ab", "c"], id="several, bidirectional"),
        pytest.param("ImageType", ["A", "B\x07C"], ["A", "BC"], id="several, a control"),
        pytest.param("OtherPatientNames", ["X^Y\u202e", "Z^W"], ["X^Y", "Z^W"], id="several names"),
        pytest.param("PatientName", "X^Y\u202e", "X^Y", id="one name"),
        pytest.param("ImageComments", "a\u202e\nb", "a\nb", id="a long text keeps its lines"),
    ],
)
def test_each_item_of_a_value(keyword: str, value: Any, expected: Any) -> None:
    document, evidence = a_decision()
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3"
    inner = Dataset()
    setattr(inner, keyword, value)
    ds.ReferencedImageSequence = [inner]
    read = dcmread(io.BytesIO(finished(ds, result_of(document, evidence), "sr"))).ReferencedImageSequence[0]
    found = read[keyword].value or None
    assert ([*map(str, found)] if isinstance(found, MultiValue) else found and str(found)) == expected
