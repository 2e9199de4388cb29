"""Settings in, a Receiver with the receive path that they name out."""

from __future__ import annotations

from collections.abc import Callable

from listener import receive_stock, receive_stream
from listener.receiver import OpenAssociation, ReceivePath, Receiver, TallyOf
from listener.reception import Reception
from workers.config import ListenerSettings
from workers.log import get_logger

log = get_logger(__name__)


def build_receiver(
    settings: ListenerSettings, reception: Reception, on_end: Callable[[OpenAssociation], None] | None = None
) -> Receiver:
    """A receiver for one process. ``on_end`` hears of every connection that is over."""
    return Receiver(settings, lambda tally_of: receive_path(settings, reception, tally_of), on_end)


def receive_path(settings: ListenerSettings, reception: Reception, tally_of: TallyOf) -> ReceivePath:
    """The receive path that is wanted; the stock one when the library is not the one the other was made for."""
    if settings.receive_path == "stream":
        missing = receive_stream.missing_names()
        if not missing:
            door = receive_stream.Door(
                reception=reception,
                tally_of=tally_of,
                max_pdu_bytes=settings.max_pdu_bytes,
                max_object_bytes=settings.max_object_bytes,
                acse_timeout_s=settings.acse_timeout_s,
                pdu_timeout_s=settings.pdu_timeout_s,
            )
            return ReceivePath("stream", request_handler=receive_stream.request_handler(door))
        log.warning("listener.stock_path", reason="pynetdicom has changed", missing=missing)
    return ReceivePath("stock", handlers=(receive_stock.store_handler(reception, tally_of),))
