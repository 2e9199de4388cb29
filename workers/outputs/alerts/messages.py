"""The outputs that are alerts. What renders them loads no image library, so that an alert
does not wait for one."""

from __future__ import annotations

from workers.outputs.alerts.fhir import FHIR
from workers.outputs.alerts.mail import MAIL
from workers.outputs.alerts.oru import ORU
from workers.outputs.alerts.ups import UPS
from workers.outputs.alerts.webhook import WEBHOOK
from workers.outputs.output import Output

MESSAGES: tuple[Output, ...] = (ORU, FHIR, WEBHOOK, MAIL, UPS)
