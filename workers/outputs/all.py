"""The outputs that a decision can be delivered as. A new one is a file of its own and a line here; an alert has
its line in workers/outputs/alerts/messages.py."""

from __future__ import annotations

from workers.outputs.alerts.messages import MESSAGES
from workers.outputs.alerts.retraction import RETRACTIONS
from workers.outputs.dicom.change_map import PM
from workers.outputs.dicom.keys import KOS
from workers.outputs.dicom.pages import SC_PAGES
from workers.outputs.dicom.pdf import PDF
from workers.outputs.dicom.picture import SC
from workers.outputs.dicom.presentation import GSPS
from workers.outputs.dicom.report import SR
from workers.outputs.dicom.retraction import OUTDATED, RETRACT
from workers.outputs.dicom.segments import SEG
from workers.outputs.dicom.spatial import REG
from workers.outputs.document_json import DOCUMENT_JSON
from workers.outputs.output import Output

OUTPUTS: tuple[Output, ...] = (
    *(DOCUMENT_JSON, SC, SC_PAGES, SEG, SR, KOS, GSPS, PM, REG, PDF),
    *MESSAGES,
)
# Made by a command, or when a newer decision says something else: what says that a decision was wrong.
ON_REQUEST: tuple[Output, ...] = (RETRACT, OUTDATED, *RETRACTIONS)
