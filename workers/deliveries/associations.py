"""Settings of a DICOM destination in, an association with it out; its answers in words."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from typing import Any

from workers import dicom_status
from workers.alert_settings import UpsDestinationSettings
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.destination_settings import IdentifiedDicomTarget
from workers.remote import tls
from workers.remote.reactor import reports_beside
from workers.remote.watch import stalled_after
from workers.result_settings import DicomDestinationSettings

COMMITMENT_CLASS, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
# answers to a presentation context (PS3.8 table 9-18): abstract syntax, transfer syntaxes. The others tell nothing.
NOT_SUPPORTED = {3, 4}
USER_NAME, USER_AND_PASSCODE = 1, 2  # PS3.7 D.3.3.7
Reports = queue.Queue[Any]  # data sets: reports of storage commitment


class NothingTakenError(Unreachable):
    """The node answers, and takes nothing of what we have."""


def associated(
    settings: DicomDestinationSettings | UpsDestinationSettings,
    own_ae: str,
    contexts: Iterable[tuple[str, str | None]],
    reports: Reports,
) -> Any:
    """An association.

    Args:
        contexts: SOP class and one transfer syntax, or None for the usual ones. One context for each: the acceptor
            may choose among several, and we prefer.
        reports: gets the reports of storage commitment.

    Raises:
        NothingTakenError: the node takes none of the contexts.
        Unreachable: it cannot be called, or does not want us.
    """
    from pynetdicom import AE, evt

    ae = AE(ae_title=own_ae)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = settings.timeout_s
    for sop_class, syntax in contexts:
        ae.add_requested_context(sop_class, syntax) if syntax else ae.add_requested_context(sop_class)
    if isinstance(settings, DicomDestinationSettings) and settings.commitment:
        ae.add_requested_context(COMMITMENT_CLASS)

    def reported(event: Any) -> tuple[int, None]:
        reports.put(event.event_information)
        return 0x0000, None

    association = ae.associate(
        settings.host,
        settings.port,
        ae_title=settings.ae_title,
        tls_args=None if settings.tls is None else (tls.client_context(settings.tls), settings.host),
        ext_neg=_identity(settings),
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, reported), stalled_after(settings.timeout_s)],
    )
    reports_beside(association)
    if not association.is_established:
        refused = [] if association.is_rejected or association.accepted_contexts else association.rejected_contexts
        if refused and all(one.result in NOT_SUPPORTED for one in refused):
            raise NothingTakenError(f"{settings.ae_title} takes none of these objects in these transfer syntaxes")
        raise Unreachable(_why_not(association, settings.ae_title))
    return association


def not_accepted(association: Any, sop_class: str, said: str) -> DeliveryRejected | Unreachable:
    """Why an object of a class cannot be sent: the node does not support it, or rejects it for now.

    Args:
        said: the reason for a person.
    """
    results = {one.result for one in association.rejected_contexts if str(one.abstract_syntax) == sop_class}
    return DeliveryRejected(said) if results <= NOT_SUPPORTED else Unreachable(f"{said}, without a reason")


def dropped(association: Any) -> None:
    """Let go of an association that is of no more use."""
    if association is not None and association.is_established:
        # abort() waits for the connection to end; nothing of ours depends on that
        threading.Thread(target=association.abort, daemon=True).start()


def store_answer(status: int, ae_title: str) -> str:
    """The answer to a C-STORE in words.

    Raises:
        DeliveryRejected, Unreachable: the object is not stored.
    """
    text = f"C-STORE 0x{status:04X}"
    if status == dicom_status.SUCCESS:
        return text
    if dicom_status.is_warning(status):
        return f"{text} (stored, with a warning)"
    if status == dicom_status.DUPLICATE_INSTANCE:
        return f"{text} (it was there already)"
    if dicom_status.is_refusal_for_good(status):
        raise DeliveryRejected(f"{ae_title} refuses the object: {text}")
    raise Unreachable(f"{ae_title} cannot store it now: {text}")


def _identity(settings: IdentifiedDicomTarget) -> list[Any]:
    if settings.user is None:
        return []
    from pynetdicom.pdu_primitives import UserIdentityNegotiation

    identity = UserIdentityNegotiation()
    identity.user_identity_type = USER_NAME if settings.passcode is None else USER_AND_PASSCODE
    identity.primary_field = settings.user.encode()
    if settings.passcode is not None:
        identity.secondary_field = settings.passcode.encode()
    return [identity]


def _why_not(association: Any, ae_title: str) -> str:
    if association.is_rejected:
        reason = getattr(association.acceptor.primitive, "reason_str", "") if association.acceptor.primitive else ""
        return f"{ae_title} rejects the association" + (f": {reason}" if reason else "")
    if association.rejected_contexts:
        return f"{ae_title} takes no objects now, and gives no reason"
    return f"{ae_title} cannot be reached"
