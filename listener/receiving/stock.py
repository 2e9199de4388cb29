"""C-STORE through pynetdicom's public interface alone: the slower path, chosen by `receive_path: stock`.

pynetdicom writes each data set to a temporary file while it arrives (its documented option STORE_RECV_CHUNKED_DATASET),
so that no data set is in memory as a whole. The handler copies that file into the store. The object size cap is applied
after the object has arrived.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pynetdicom import _config, evt

from listener.receiving.reception import Reception, Tally
from workers.files import part10
from workers.files.part10 import Announced
from workers.files.store import Spool

COPY_BYTES = 256 << 10  # read and written at once

Handlers = tuple[tuple[Any, Any], ...]


def store_handlers(reception: Reception, tally_of: Callable[[Any], Tally], incoming: Path) -> Handlers:
    """(event, handler) pairs for C-STORE. Changes pynetdicom's options and the folder of this process's temporary
    files.

    Args:
        reception: takes the objects.
        tally_of: association -> its tally.
        incoming: folder for objects while they arrive; each process has a folder of its own in it.
    """
    _config.STORE_RECV_CHUNKED_DATASET = True
    tempfile.tempdir = str(_own_folder(incoming))

    def on_store(event: Any) -> int:
        request, context, assoc = event.request, event.context, event.assoc
        calling_ae = assoc.requestor.ae_title.strip()
        announced = Announced(
            sop_class_uid=str(request.AffectedSOPClassUID or ""),
            sop_instance_uid=str(request.AffectedSOPInstanceUID or ""),
            transfer_syntax_uid=str(context.transfer_syntax),
            calling_ae=calling_ae,
        )
        tally = tally_of(assoc)
        since = time.monotonic()
        try:
            with reception.begin(announced, str(context.abstract_syntax)) as spool:
                if event.dataset_path is not None:  # None: the request said that no data set follows
                    _copy(event.dataset_path, spool)
                received = reception.finish(spool, since=since)
            reception.note(received, tally)
            return received.stored.status
        except Exception as error:  # whatever it is: answer this request and keep the association
            return reception.refused(error, tally, calling_ae=calling_ae)

    return (evt.EVT_C_STORE, on_store), (evt.EVT_CONN_CLOSE, _forget_unfinished)


def _copy(path: Path, spool: Spool) -> None:
    """The data set in the library's temporary file, without the file's header."""
    with path.open("rb") as file:
        start, _ = part10.read_meta(file.fileno())
        file.seek(start)
        while chunk := file.read(COPY_BYTES):
            spool.write([chunk], len(chunk))


def _forget_unfinished(event: Any) -> None:
    """Remove the temporary file of an object whose sender went away; pynetdicom removes only those of whole objects."""
    message = event.assoc.dimse.message
    # no documented way leads to this file; without the name it stays until the next start
    path = getattr(message, "_data_set_path", None)
    if isinstance(path, Path):
        path.unlink(missing_ok=True)


def _own_folder(incoming: Path) -> Path:
    """A new folder for this process. Those of processes that are gone are removed, with what they left behind."""
    incoming.mkdir(parents=True, exist_ok=True)
    for folder in incoming.iterdir():
        if folder.name == str(os.getpid()) or not Path("/proc", folder.name).exists():
            shutil.rmtree(folder, ignore_errors=True)
    own = incoming / str(os.getpid())
    own.mkdir(exist_ok=True)
    return own
