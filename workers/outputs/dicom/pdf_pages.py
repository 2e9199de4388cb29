"""A decision in, the pages of its PDF report out. Only who makes a PDF loads this: the library that draws is large."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from triage.report.headline import was_compared
from workers.outputs.dicom import codes
from workers.outputs.dicom.objects import MANUFACTURER, DicomResult
from workers.outputs.dicom.pages import pages_of
from workers.outputs.evidence.picture import Words, wrap

TITLE = "ICANSee report (unverified)"
DPI = 100  # of the pictures; they are not resampled
WIDTH_PX, HEIGHT_PX, MARGIN_PX = 827, 1169, 60  # A4 at DPI
SIZE_PX, LINE_PX, TABLE_PX = 15, 21, 13


def pdf_report(result: DicomResult) -> bytes:
    """The PDF: a page of words and figures, more when they need it, then the pages of the evidence picture."""
    target = io.BytesIO()
    # no time in it: the same decision gives the same bytes
    with PdfPages(target, metadata={"Title": TITLE, "Creator": MANUFACTURER, "CreationDate": None}) as pdf:
        lines = list(_lines(result))
        fit = (HEIGHT_PX - 2 * MARGIN_PX) // LINE_PX
        for first in range(0, len(lines), fit):
            pdf.savefig(_words(lines[first : first + fit]))
        for page in pages_of(result.evidence):
            height, width, _ = page.shape
            figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
            figure.figimage(page, resize=False)
            pdf.savefig(figure)
    return target.getvalue()


def _lines(result: DicomResult) -> Iterator[Words]:
    document, header = result.document, result.sources.followup.header
    decision, study = document["decision"], document["study"]
    paragraphs = [
        Words(TITLE, size_px=SIZE_PX, bold=True),
        Words(str(document["disclaimer"])),
        Words(f"Patient {header.get('PatientID', '')}, accession number {header.get('AccessionNumber', '')}"),
        Words(f"Study of {study['study_date'] or 'unknown date'}; baseline {_baseline(document)}"),
        *(
            []
            if study["days_after_infusion"] is None
            else [Words(f"Day {study['days_after_infusion']} after infusion")]
        ),
        Words(
            f"{codes.CATEGORIES[decision['category']].code.meaning}; suggested priority: {decision['priority']}",
            bold=True,
        ),
        *(Words(reason) for reason in decision["reasons"]),
        Words(""),
    ]
    for words in paragraphs:
        for line in wrap(words, WIDTH_PX - 2 * MARGIN_PX):
            yield Words(line, size_px=SIZE_PX, bold=words.bold)
    for row in document["measurements"]:
        region, quantity = row["region"].replace("_", " "), codes.quantity_code(row["quantity"]).meaning
        value = "not measured" if row["value"] is None else f"{row['value']:.4g} {row['unit']}"
        spread = "" if row["uncertainty"] is None or row["value"] is None else f" (1 sd {row['uncertainty']:.2g})"
        yield Words(f"{region}: {quantity}: {value}{spread}", size_px=TABLE_PX)


def _baseline(document: Mapping[str, Any]) -> str:
    baseline = document["baseline"] or {}
    if not baseline.get("study_instance_uid"):
        return "none"
    return f"{baseline['study_date'] or 'of unknown date'}{'' if was_compared(document) else ' (not compared)'}"


def _words(lines: list[Words]) -> Figure:
    figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI)
    for number, words in enumerate(lines):
        figure.text(
            MARGIN_PX / WIDTH_PX, 1 - (MARGIN_PX + number * LINE_PX) / HEIGHT_PX, words.text,
            fontsize=words.size_px * 72 / DPI, fontweight="bold" if words.bold else "normal", va="top",
            parse_math=False,
        )  # fmt: skip
    return figure
