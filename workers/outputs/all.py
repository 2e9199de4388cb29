"""The outputs that a decision can be delivered as. A new one is a file of its own and a line here."""

from __future__ import annotations

from workers.outputs.alerts.fhir import FHIR
from workers.outputs.alerts.mail import MAIL
from workers.outputs.alerts.oru import ORU
from workers.outputs.alerts.webhook import WEBHOOK
from workers.outputs.document_json import DOCUMENT_JSON
from workers.outputs.output import Output

OUTPUTS: tuple[Output, ...] = (DOCUMENT_JSON, ORU, FHIR, WEBHOOK, MAIL)
