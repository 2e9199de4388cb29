"""Storage commitment by a second independent DICOM library, dcmjs-dimse from npm: it reports on an association of its
own, and our port hears it."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pynetdicom import AE

from listener.associations.contexts import supported_contexts
from listener.services.commitment import PUSH_MODEL, reports
from tests import npm
from tests.workers.deliveries.test_to_dicom import an_object, send, sender_to
from workers.config import parse
from workers.deliveries.errors import Unreachable
from workers.deliveries.to_dicom import DicomSender
from workers.files.commitment_reports import AwaitedReports

pytestmark = pytest.mark.server

PACKAGE = "dcmjs-dimse@0.3.3"
PROGRAM = Path(__file__).with_name("commit.cjs")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The peer's program beside its package, which npm installs here."""
    return npm.beside(tmp_path_factory.mktemp("npm"), PACKAGE, PROGRAM)


@contextmanager
def peer(program: Path, ours: int, *, fails: bool) -> Iterator[int]:
    """Its port. ours: where it reports to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["node", str(program), str(port), "127.0.0.1", str(ours), str(int(fails))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "listening" in process.stdout.readline()
            yield port
        finally:
            process.terminate()


@pytest.mark.parametrize("fails", [False, True], ids=["committed", "not committed"])
def test_its_report_is_heard(program: Path, tmp_path: Path, *, fails: bool) -> None:
    settings = parse({"store": {"state_dir": str(tmp_path)}}).node()
    awaited, ae = AwaitedReports(settings.store.files_dir), AE(ae_title="ICANSEE")
    ae.supported_contexts = supported_contexts({PUSH_MODEL: ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]})
    listening = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(reports(settings).handlers))
    try:
        with peer(program, listening.socket.getsockname()[1], fails=fails) as port:
            to = DicomSender(sender_to(port, commitment=True, commitment_wait_s=60)._settings, "ICANSEE", awaited)
            if fails:
                with pytest.raises(Unreachable, match="does not commit itself"):
                    send(to, an_object())
            else:
                assert send(to, an_object()) == "C-STORE 0x0000; committed"
    finally:
        listening.shutdown()
