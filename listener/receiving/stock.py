"""C-STORE through pynetdicom's public event handler: the slower path, kept as the switch back (`receive_path: stock`).

The whole data set is in memory before the handler runs; the object size cap is applied after that.
"""

from __future__ import annotations

import time
from typing import Any

from pynetdicom import evt

from listener.receiving.reception import Reception, Tally
from workers.files.part10 import Announced


def store_handler(reception: Reception, tally_of: Any) -> tuple[Any, Any]:
    """The (event, handler) pair for C-STORE. ``tally_of(association)`` gives the association's tally."""

    def on_store(event: Any) -> int:
        request, context, assoc = event.request, event.context, event.assoc
        calling_ae = assoc.requestor.ae_title.strip()
        announced = Announced(
            sop_class_uid=str(request.AffectedSOPClassUID or ""),
            sop_instance_uid=str(request.AffectedSOPInstanceUID or ""),
            transfer_syntax_uid=str(context.transfer_syntax),
            calling_ae=calling_ae,
        )
        tally: Tally = tally_of(assoc)
        since = time.monotonic()
        try:
            with reception.begin(announced, str(context.abstract_syntax)) as spool:
                data = request.DataSet.getbuffer()
                if len(data):
                    spool.write([data], len(data))
                received = reception.finish(spool, since=since)
            reception.note(received, tally)
            return received.stored.status
        except Exception as error:  # whatever it is: answer this request and keep the association
            return reception.refused(error, tally, calling_ae=calling_ae)

    return evt.EVT_C_STORE, on_store
