"""Storage Commitment Push Model as SCP (PS3.4 Annex J): N-ACTION in, N-EVENT-REPORT out, to the configured address of
the requester or on its own association.

The request is on disk before it is answered with 0x0000. The report is repeated until the requester has confirmed it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from listener.services.service import Service
from triage.errors import IcanseeError
from workers.dicom_status import INVALID_ARGUMENT, NO_SUCH_ACTION, RESOURCE_LIMITATION, SUCCESS
from workers.files import commitments
from workers.files.commitment_reports import AwaitedReports, failed_in
from workers.files.commitments import GivenCommitments, Reference, Request, RequestFolder, Verdict
from workers.files.store import FileStore
from workers.files.uid_paths import valid_uid
from workers.log import brief, get_logger
from workers.remote import tls
from workers.remote.reactor import reactor_paused
from workers.remote.watch import stalled_after
from workers.settings import CommitmentSettings, NodeSettings, ReportTarget

if TYPE_CHECKING:
    from pydicom import Dataset

log = get_logger(__name__)

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"  # PS3.4 section J.3.5
REQUEST_COMMITMENT = 1  # action type, PS3.4 section J.3.2
ALL_SAFE, SOME_FAILED = 1, 2  # event types, PS3.4 section J.3.3


LOOK_EVERY_S = 1.0
CONNECT_S, ACSE_S, DIMSE_S = 10.0, 15.0, 60.0
WAIT_STEP_S = 0.05


def service(settings: NodeSettings, store: FileStore) -> Service:
    """The service as the receiver offers it; requests are only written down here, Reporter answers them."""
    from pynetdicom import evt

    folder, given = RequestFolder(settings.store.state_dir), GivenCommitments(settings.store.files_dir)
    targets = {target.ae_title: target for target in settings.commitment.report_to}

    def on_action(event: Any) -> tuple[int, None]:
        if event.action_type != REQUEST_COMMITMENT:
            return NO_SUCH_ACTION, None
        requester = str(event.assoc.requestor.ae_title).strip()
        target = targets.get(requester)
        afterwards = getattr(event.assoc, "afterwards", None)
        here = afterwards is not None and (target is None or target.same_association)
        request = _request(event.action_information, requester, here=here)
        if request is None:
            log.warning("commitment.refused", reason="no transaction UID or no instance", calling_ae=requester)
            return INVALID_ARGUMENT, None
        try:
            folder.put(request)
        except (commitments.TooManyWaiting, OSError) as error:
            log.error("commitment.refused", reason=type(error).__name__, calling_ae=requester)
            return RESOURCE_LIMITATION, None
        log.info("commitment.requested", instances=len(request.references), calling_ae=requester)
        if here and afterwards is not None:
            afterwards.append(lambda: _report_here(event.assoc, request, folder, store, given))
        return SUCCESS, None

    return Service((PUSH_MODEL,), ((evt.EVT_N_ACTION, on_action),))


def reports(settings: NodeSettings) -> Service:
    """What a PACS says about results of ours, on an association of its own (PS3.4 section J.3.3): kept for the delivery
    process when it waits for it."""
    from pynetdicom import evt

    awaited = AwaitedReports(settings.store.files_dir)

    def on_report(event: Any) -> tuple[int, None]:
        information = event.event_information
        failed = failed_in(information)
        try:
            taken = awaited.take(str(information.get("TransactionUID", "")), failed)
        except OSError as error:
            log.error("commitment.report_not_kept", error=type(error).__name__)
            return RESOURCE_LIMITATION, None
        log.info("commitment.report_came", failed=len(failed), awaited=taken)
        return (SUCCESS if taken else INVALID_ARGUMENT), None

    return Service((PUSH_MODEL,), ((evt.EVT_N_EVENT_REPORT, on_report),))


def _request(information: Dataset, requester: str, *, here: bool) -> Request | None:
    transaction = str(information.get("TransactionUID", ""))
    references = tuple(
        Reference(str(item.get("ReferencedSOPClassUID", "")), str(item.get("ReferencedSOPInstanceUID", "")))
        for item in information.get("ReferencedSOPSequence") or ()
    )
    if not valid_uid(transaction) or not references:
        return None
    now = datetime.now(UTC)
    return Request(
        transaction, requester, references, now, now + timedelta(seconds=commitments.HERE_GRACE_S if here else 0.0)
    )


def report(request: Request, verdict: Verdict) -> tuple[int, Dataset]:
    """(event type, event information) of the N-EVENT-REPORT, PS3.4 table J.3-2."""
    from pydicom import Dataset
    from pydicom.sequence import Sequence

    information = Dataset()
    information.TransactionUID = request.transaction_uid
    if verdict.committed:
        information.ReferencedSOPSequence = Sequence([_item(one) for one in verdict.committed])
    if verdict.failed:
        failures = [_item(one) for one, _ in verdict.failed]
        for item, (_, reason) in zip(failures, verdict.failed, strict=True):
            item.FailureReason = reason
        information.FailedSOPSequence = Sequence(failures)
    return SOME_FAILED if verdict.failed else ALL_SAFE, information


def _item(one: Reference) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = one.sop_class_uid
    item.ReferencedSOPInstanceUID = one.sop_instance_uid
    return item


class Reporter:
    """Tells requesters at their configured address what became of their requests, again and again until they answer."""

    def __init__(
        self,
        settings: NodeSettings,
        store: FileStore,
        *,
        send: Callable[[ReportTarget, str, int, Dataset], bool] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings: CommitmentSettings = settings.commitment
        self._own_ae = settings.listener.ae_title
        self._folder = RequestFolder(settings.store.state_dir)
        self._store = store
        self._given = GivenCommitments(settings.store.files_dir)
        self._targets = {target.ae_title: target for target in settings.commitment.report_to}
        self._send = send or send_report
        self._now = now

    def run_due(self) -> int:
        """One attempt for every request that is due; how many were settled. A failing one does not stop the others."""
        return sum(self._try(request) for request in self._folder.due(self._now(), retry_s=self._settings.retry_s))

    def _try(self, request: Request) -> bool:
        try:
            return self._settle(request)
        except OSError as error:  # its file cannot be written or removed: it stays due
            log.error("commitment.attempt_failed", error=brief(error), calling_ae=request.requester)
            return False

    def _settle(self, request: Request) -> bool:
        target, facts = self._targets.get(request.requester), {"calling_ae": request.requester}
        if target is None:
            log.error("commitment.not_reported", reason="no address under commitment.report_to", **facts)
            self._folder.done(request)
            return True
        if self._told(target, request):
            self._folder.done(request)
            return True
        now = self._now()
        if (now - request.received_at).total_seconds() > self._settings.give_up_after_s:
            log.error("commitment.not_reported", reason="given up", attempts=request.attempts + 1, **facts)
            self._folder.done(request)
            return True
        again = commitments.later(request, now, retry_s=self._settings.retry_s)
        log.warning("commitment.requester_away", attempts=again.attempts, **facts)
        self._folder.put(again)
        return False

    def _told(self, target: ReportTarget, request: Request) -> bool:
        """Whether the requester has heard. Whatever goes wrong, also a host without an address or a certificate that is
        gone, means: not yet."""
        try:
            verdict = commitments.judge(self._store, request.references)
            self._given.add(verdict)  # before it is reported
            if not self._send(target, self._own_ae, *report(request, verdict)):
                return False
        except (OSError, IcanseeError) as error:
            log.error("commitment.attempt_failed", error=brief(error), calling_ae=request.requester)
            return False
        except Exception:
            log.exception("commitment.attempt_failed", calling_ae=request.requester)
            return False
        _log_reported(request, verdict)
        return True


def send_report(target: ReportTarget, own_ae: str, event_type: int, information: Dataset) -> bool:
    """One N-EVENT-REPORT on an association of our own; True: the requester answered 0x0000."""
    from pynetdicom import AE, build_role

    ae = AE(ae_title=own_ae)
    ae.connection_timeout, ae.acse_timeout, ae.dimse_timeout, ae.network_timeout = CONNECT_S, ACSE_S, DIMSE_S, DIMSE_S
    ae.add_requested_context(PUSH_MODEL)
    # we call, and yet we are the SCP (PS3.4 section J.3.1)
    role = build_role(PUSH_MODEL, scu_role=False, scp_role=True)
    secured = None if target.tls is None else (tls.client_context(target.tls), target.host)
    association = ae.associate(
        target.host,
        target.port,
        ae_title=target.ae_title,
        ext_neg=[role],
        tls_args=secured,
        evt_handlers=[stalled_after(DIMSE_S)],
    )
    if not association.is_established:
        return False
    try:
        with reactor_paused(association):
            status, _ = association.send_n_event_report(information, event_type, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    except (RuntimeError, ValueError):
        return False
    finally:
        if association.is_established:
            association.release()
    return getattr(status, "Status", None) == SUCCESS


def _report_here(
    association: Any, request: Request, folder: RequestFolder, store: FileStore, given: GivenCommitments
) -> None:
    """Report on the requester's association, in the thread that serves it. It may release at any moment: then the
    reporter goes on."""
    try:
        verdict = commitments.judge(store, request.references)
        given.add(verdict)
    except OSError as error:
        log.error("commitment.attempt_failed", error=brief(error), calling_ae=request.requester)
        return
    if _send_here(association, *report(request, verdict)):
        folder.done(request)
        _log_reported(request, verdict)
        return
    log.info("commitment.not_here", calling_ae=request.requester)
    folder.put(replace(request, not_before=datetime.now(UTC)))


def _send_here(association: Any, event_type: int, information: Dataset) -> bool:
    from io import BytesIO

    from pynetdicom.dimse_primitives import N_EVENT_REPORT
    from pynetdicom.dsutils import encode

    context = next((one for one in association.accepted_contexts if one.abstract_syntax == PUSH_MODEL), None)
    if context is None:
        return False
    syntax = context.transfer_syntax[0]
    message = N_EVENT_REPORT()
    message.MessageID = 1
    message.AffectedSOPClassUID, message.AffectedSOPInstanceUID = PUSH_MODEL, PUSH_MODEL_INSTANCE
    message.EventTypeID = event_type
    message.EventInformation = BytesIO(encode(information, syntax.is_implicit_VR, syntax.is_little_endian) or b"")
    association.dimse.send_msg(message, context.context_id)
    deadline = time.monotonic() + commitments.HERE_GRACE_S / 2
    # not pynetdicom's own waiting: a requester that releases now must get its answer, not wait for our timeout
    open_still = True
    while open_still and time.monotonic() < deadline:
        # looked at before the queue: an answer that came just before the release counts
        open_still = association.is_established and association.dul.peek_next_pdu() is None
        _, answer = association.dimse.get_msg(block=False)
        if isinstance(answer, N_EVENT_REPORT):
            return bool(answer.Status == SUCCESS)
        if answer is not None:
            log.warning("commitment.interrupted", by=type(answer).__name__)
            return False
        time.sleep(WAIT_STEP_S)
    return False


def _log_reported(request: Request, verdict: Verdict) -> None:
    facts = {"committed": len(verdict.committed), "failed": len(verdict.failed), "calling_ae": request.requester}
    (log.warning if verdict.failed else log.info)("commitment.reported", **facts)
