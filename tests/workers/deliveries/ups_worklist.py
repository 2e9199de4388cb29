"""A worklist of unified procedure steps by the rules of PS3.4 CC.2: over DICOM (pynetdicom) and over HTTP (PS3.18 11).

It knows nothing of the program: what it wants of a workitem stands in the standard.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import UnifiedProcedureStepPull, UnifiedProcedureStepPush  # type: ignore[attr-defined]

NEVER_CREATED = ("SOPInstanceUID", "SOPClassUID", "ScheduledProcedureStepModificationDateTime")
NEVER_SET = (*NEVER_CREATED, "ProcedureStepState", "PatientName", "PatientID", "ReferencedRequestSequence")
WANTED = ("ProcedureStepLabel", "WorklistLabel", "ScheduledProcedureStepPriority", "InputReadinessState")


class Worklist:
    """Workitems by UID. answers: what it says instead, before anything else; None: it ends the connection."""

    def __init__(self) -> None:
        self.items: dict[str, Dataset] = {}
        self.answers: list[int | None] = []
        self.updates = 0

    def create(self, uid: str, item: Dataset) -> int:
        if uid in self.items:
            return 0x0111
        if any(name in item for name in NEVER_CREATED) or item.TransactionUID:
            return 0x0105
        if not all(item.get(name) for name in WANTED):
            return 0x0120
        if item.ProcedureStepState != "SCHEDULED":
            return 0xC309
        self.items[uid] = item
        return 0x0000

    def change(self, uid: str, changes: Dataset) -> int:
        if uid not in self.items:
            return 0xC307
        if self.items[uid].ProcedureStepState in ("COMPLETED", "CANCELED"):
            return 0xC300
        if self.items[uid].ProcedureStepState == "IN PROGRESS":
            return 0xC301  # only whoever has its Transaction UID
        if any(name in changes for name in NEVER_SET):
            return 0x0105
        self.items[uid].update(changes)
        self.updates += 1
        return 0x0000

    def cancel(self, uid: str, reason: Dataset) -> int:
        """Request UPS Cancel of somebody who is not its performer."""
        if uid not in self.items:
            return 0xC307
        item = self.items[uid]
        if item.ProcedureStepState == "CANCELED":
            return 0xB304
        if item.ProcedureStepState != "SCHEDULED":
            return 0xC312  # the performer cannot be contacted
        item.ProcedureStepState = "CANCELED"
        item.update(reason)
        return 0x0000


@contextlib.contextmanager
def over_dicom(worklist: Worklist, *, classes: bool = True) -> Iterator[int]:
    """The port."""

    def answered(event: Any, work: Any) -> tuple[int, Dataset | None]:
        if worklist.answers:
            said = worklist.answers.pop(0)
            if said is None:
                event.assoc.abort()
            return said or 0x0110, None
        return work(), None

    def created(event: Any) -> tuple[int, Dataset | None]:
        uid = str(event.request.AffectedSOPInstanceUID)
        return answered(event, lambda: worklist.create(uid, event.attribute_list))

    def changed(event: Any) -> tuple[int, Dataset | None]:
        uid = str(event.request.RequestedSOPInstanceUID)
        return answered(event, lambda: worklist.change(uid, event.modification_list))

    def acted(event: Any) -> tuple[int, Dataset | None]:
        uid = str(event.request.RequestedSOPInstanceUID)
        assert event.action_type == 2
        return answered(event, lambda: worklist.cancel(uid, event.action_information))

    ae = AE("UPS")
    ae.add_supported_context("1.2.840.10008.1.1")
    if classes:
        ae.add_supported_context(UnifiedProcedureStepPush)
        ae.add_supported_context(UnifiedProcedureStepPull)
    handlers = [(evt.EVT_N_CREATE, created), (evt.EVT_N_SET, changed), (evt.EVT_N_ACTION, acted)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


HTTP_OF = {
    0x0000: 200,
    0x0105: 400,
    0x0120: 400,
    0xC309: 400,
    0xC307: 404,
    0xC300: 410,
    0xC301: 409,
    0x0111: 409,
    0xC312: 409,
    0xB304: 409,
}


@contextlib.contextmanager
def over_http(worklist: Worklist) -> Iterator[str]:
    """The base address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(self._status(body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _status(self, body: Any) -> int:
            if worklist.answers:
                return worklist.answers.pop(0) or 503
            if self.headers["Content-Type"] != "application/dicom+json":
                return 415
            if not isinstance(body, list) or len(body) != 1:
                return 400
            item, address = Dataset.from_json(json.dumps(body[0])), urlsplit(self.path)
            if address.path == "/rs/workitems":
                uid = parse_qs(address.query)["AffectedSOPInstanceUID"][0]
                status = HTTP_OF[worklist.create(uid, item)]
                return 201 if status == 200 else status
            if address.path.endswith("/cancelrequest"):
                status = HTTP_OF[worklist.cancel(address.path.split("/")[-2], item)]
                return 202 if status == 200 else status
            return HTTP_OF[worklist.change(address.path.rsplit("/", 1)[1], item)]

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/rs"
        server.shutdown()
