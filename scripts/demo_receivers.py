"""The hospital around the demonstration: a PACS that takes DICOM results, and a RIS that takes HL7 messages.

Both are written with libraries that the node's senders do not use for this, or in a few lines, and keep what came.
"""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pynetdicom import AE, AllStoragePresentationContexts, evt

PACS_TITLE = "DEMO-PACS"
START, END = b"\x0b", b"\x1c\r"


@dataclass(frozen=True)
class Arrival:
    """One thing that came. study: Study Instance UID. at: seconds since 1970."""

    where: str
    what: str
    study: str
    size_bytes: int
    at: float


@dataclass
class Receivers:
    """What came to either, in order. lines: the newest HL7 message of each study, decoded."""

    pacs_port: int = 0
    ris_port: int = 0
    arrivals: list[Arrival] = field(default_factory=list)
    lines: dict[str, list[str]] = field(default_factory=dict)

    def destinations(self) -> list[dict[str, Any]]:
        """As `results.destinations` has them."""
        return [
            {
                "name": "pacs", "kind": "dicom", "ae_title": PACS_TITLE, "host": "127.0.0.1", "port": self.pacs_port,
                "outputs": ["sr", "seg", "sc", "kos"], "stages": "full",
            },
            {"name": "ris", "kind": "mllp", "host": "127.0.0.1", "port": self.ris_port, "outputs": ["oru"]},
        ]  # fmt: skip

    def take_object(self, event: Any) -> int:
        content = event.encoded_dataset()
        dataset = dcmread(DicomBytesIO(content), stop_before_pixels=True, force=True)
        what = f"{dataset.SOPClassUID.name}: {dataset.get('SeriesDescription', '')}"
        self.arrivals.append(Arrival("PACS", what, str(dataset.StudyInstanceUID), len(content), time.time()))
        return 0x0000

    def take_message(self, content: bytes) -> bytes:
        """The acknowledgement of one message."""
        segments = [line.split("|") for line in content.decode("utf-8").split("\r") if line]
        head = segments[0]
        study = next(row[5] for row in segments if row[0] == "OBX" and row[3].startswith("110180^"))
        self.arrivals.append(Arrival("RIS", head[8], study, len(content), time.time()))
        self.lines[study] = [f"{row[3].split('^')[1]}: {row[5]} {row[8]}".rstrip() for row in segments if _told(row)]
        answer = f"MSH|^~\\&|DEMO-RIS||ICANSEE||{time.strftime('%Y%m%d%H%M%S')}||ACK^R01^ACK|1|P|2.5.1\r"
        return START + f"{answer}MSA|AA|{head[9]}\r".encode() + END


def _told(row: list[str]) -> bool:
    """Observations that a reader of the list sees: texts and codes, no single figures."""
    return row[0] == "OBX" and row[2] in ("CWE", "TX", "ST") and "/" not in row[3]


@contextmanager
def receiving() -> Iterator[Receivers]:
    """Both, on free ports of this machine, until the block ends."""
    found = Receivers()
    ae = AE(ae_title=PACS_TITLE)
    ae.supported_contexts = AllStoragePresentationContexts
    pacs = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, found.take_object)])

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            received = b""
            while part := self.request.recv(65536):
                received += part
                while END in received:
                    message, _, received = received.partition(END)
                    self.request.sendall(found.take_message(message.removeprefix(START)))

    ris = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    ris.daemon_threads = True
    threading.Thread(target=ris.serve_forever, daemon=True).start()
    found.pacs_port, found.ris_port = pacs.socket.getsockname()[1], ris.server_address[1]
    try:
        yield found
    finally:
        ris.shutdown()
        ris.server_close()
        pacs.shutdown()
