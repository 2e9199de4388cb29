"""Settings of a destination in, what sends to it out. A new kind is a file of its own and a line here."""

from __future__ import annotations

from workers.alert_settings import (
    AlertKind,
    FhirDestinationSettings,
    MailDestinationSettings,
    MllpDestinationSettings,
    UpsDestinationSettings,
    UpsRsDestinationSettings,
    WebhookDestinationSettings,
)
from workers.deliveries.to_dicom import DicomSender
from workers.deliveries.to_fhir import FhirSender
from workers.deliveries.to_folder import FolderSender
from workers.deliveries.to_mail import MailSender
from workers.deliveries.to_mllp import MllpSender
from workers.deliveries.to_s3 import S3Sender
from workers.deliveries.to_stow import StowSender
from workers.deliveries.to_ups import UpsSender
from workers.deliveries.to_ups_rs import UpsRsSender
from workers.deliveries.to_webhook import WebhookSender
from workers.delivery_ports import Destination
from workers.files.commitment_reports import AwaitedReports
from workers.result_settings import (
    DicomDestinationSettings,
    FolderDestinationSettings,
    Kind,
    S3DestinationSettings,
    StowDestinationSettings,
)
from workers.settings import NodeSettings


def open_destinations(node: NodeSettings) -> dict[str, Destination]:
    """By name. Nothing is connected yet.

    Raises:
        Misconfigured: a file that the settings name cannot be read.
    """
    return {one.name: _opened(one, node) for one in node.results.destinations}


def _opened(settings: Kind, node: NodeSettings) -> Destination:
    match settings:
        case DicomDestinationSettings():
            return DicomSender(settings, node.listener.ae_title, AwaitedReports(node.store.files_dir))
        case StowDestinationSettings():
            return StowSender(settings)
        case FolderDestinationSettings():
            return FolderSender(settings)
        case S3DestinationSettings():
            return S3Sender(settings)
        case _:
            return _opened_alerts(settings, node)


def _opened_alerts(settings: AlertKind, node: NodeSettings) -> Destination:
    match settings:
        case MllpDestinationSettings():
            return MllpSender(settings)
        case FhirDestinationSettings():
            return FhirSender(settings)
        case WebhookDestinationSettings():
            return WebhookSender(settings)
        case MailDestinationSettings():
            return MailSender(settings)
        case UpsDestinationSettings():
            return UpsSender(settings, node.listener.ae_title)
        case UpsRsDestinationSettings():
            return UpsRsSender(settings)
