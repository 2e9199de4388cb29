"""The evidence picture as pages, and in a PDF."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from tests.workers.outputs.dicom.result_builders import CUTS, a_decision
from workers.outputs.dicom.pages import ROWS_ON_A_PAGE, SC_PAGES
from workers.outputs.dicom.pdf import PDF

ROWS = CUTS["rows"]


def test_every_line_of_the_picture_is_on_a_page() -> None:
    document, evidence = a_decision()
    found = dcmread(io.BytesIO(SC_PAGES.render(document, evidence)))
    pages = found.pixel_array
    picture = np.asarray(Image.open(io.BytesIO(evidence["evidence.png"])))
    assert (found.NumberOfFrames, list(found.PageNumberVector)) == (2, [1, 2])
    for number, page in enumerate(pages):
        rows = [range(*one) for one in ROWS[number * ROWS_ON_A_PAGE : (number + 1) * ROWS_ON_A_PAGE]]
        lines = [n for part in (range(*CUTS["header"][0]), *rows, range(*CUTS["footer"][0])) for n in part]
        assert (page[: len(lines)] == picture[lines]).all()
        assert (page[len(lines) :] == picture[-1, 0]).all()


def test_a_decision_without_rows_has_one_page() -> None:
    found = dcmread(io.BytesIO(SC_PAGES.render(*a_decision(compared=False, assessable=False))))
    assert found.NumberOfFrames == 1
    assert "FrameIncrementPointer" not in found


def test_results_of_an_older_version_have_no_pages() -> None:
    document, evidence = a_decision()
    del evidence["pages.json"]
    assert not SC_PAGES.applies(document, evidence)
    assert not PDF.applies(document, evidence)


CASES = [
    pytest.param({}, "Neurotoxicity suspected", 3, id="words and two pages"),
    pytest.param({"compared": False, "assessable": False}, "Not assessable", 2, id="not assessable"),
]


@pytest.mark.parametrize(("case", "said", "pages"), CASES)
def test_the_report_is_read_back(case: Any, said: str, pages: int, tmp_path: Path) -> None:
    document, evidence = a_decision(**case)
    (tmp_path / "report.dcm").write_bytes(PDF.render(document, evidence))
    subprocess.run(["/usr/bin/dcm2pdf", tmp_path / "report.dcm", tmp_path / "report.pdf"], check=True)
    text = subprocess.run(
        ["/usr/bin/pdftotext", "-layout", tmp_path / "report.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout
    assert said in text
    assert document["disclaimer"][:40] in " ".join(text.split())
    assert text.count("\f") == pages
    for row in document["measurements"]:
        if row["value"] is None:
            assert "not measured" in text
