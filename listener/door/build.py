"""NodeSettings in, a Receiver with the receive path and the services that they name out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from listener.associations.receiver import OpenAssociation, ReceivePath, Receiver, TallyOf
from listener.meters import Meter
from listener.receiving import stock as receive_stock
from listener.receiving import stream_association
from listener.receiving.library_names import missing_names
from listener.receiving.reception import Reception
from listener.receiving.stream import Shared
from listener.services import commitment, notifications
from listener.services.notifications import Notices
from listener.services.service import Service, combine
from workers.audit.spool import auditor_of
from workers.files.store import FileStore
from workers.log import get_logger
from workers.ports import InstanceRow
from workers.settings import ListenerSettings, NodeSettings

log = get_logger(__name__)


def reception_of(
    settings: NodeSettings,
    store: FileStore,
    record: Callable[[InstanceRow], None],
    meter: Meter,
    on_loss: Callable[[], None] = lambda: None,
) -> Reception:
    """What takes objects in one process; ``record`` and ``on_loss`` as for Reception."""
    return Reception(
        store,
        record,
        meter,
        settings.listener.peers,
        audited=settings.audit.host is not None,
        on_loss=on_loss,
    )


def build_receiver(
    settings: NodeSettings,
    store: FileStore,
    index: Notices,
    reception: Reception,
    on_end: Callable[[OpenAssociation], None] | None = None,
) -> Receiver:
    """A receiver for one process. ``on_end`` is called for every connection that has ended."""
    services: list[Service] = []
    if settings.arrival.mpps or settings.arrival.availability_notices:
        wanted = {
            notifications.MPPS: settings.arrival.mpps,
            notifications.AVAILABILITY: settings.arrival.availability_notices,
        }
        services += [one for one in notifications.services(index) if wanted[one.classes[0]]]
    if settings.commitment.enabled:
        services.append(commitment.service(settings, store))
    if any(one.kind == "dicom" and one.commitment for one in settings.results.destinations):
        services.append(commitment.reports(settings))
    listener, run_dir = settings.listener, settings.store.state_dir.absolute() / "run"
    return Receiver(
        listener,
        lambda tally_of: receive_path(listener, reception, tally_of, run_dir / "incoming"),
        combine(services),
        on_end,
        reception.meter,
        run_dir / "places",
        auditor_of(settings),
    )


def receive_path(settings: ListenerSettings, reception: Reception, tally_of: TallyOf, incoming: Path) -> ReceivePath:
    """The receive path of the settings; the stock one when pynetdicom lacks what the fast one needs.

    incoming: folder for temporary files of the stock path.
    """
    if settings.receive_path == "stream":
        missing = missing_names()
        if not missing:
            shared = Shared(
                reception=reception,
                tally_of=tally_of,
                max_pdu_bytes=settings.max_pdu_bytes,
                max_object_bytes=settings.max_object_bytes,
                acse_timeout_s=settings.acse_timeout_s,
                pdu_timeout_s=settings.pdu_timeout_s,
            )
            return ReceivePath("stream", request_handler=stream_association.request_handler(shared))
        log.warning("listener.stock_path", reason="pynetdicom has changed", missing=missing)
    return ReceivePath("stock", handlers=receive_stock.store_handlers(reception, tally_of, incoming))
