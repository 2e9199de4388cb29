"""C-STORE to nodes that really answer: pynetdicom with scripted answers, and dcmtk's storescp."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE, acse, evt

from tests.fakes import NOON
from tests.listener import certificates
from tests.patience import PATIENCE_S
from tests.workers.reading.data_sets import a_data_set, as_file
from workers.config import parse
from workers.deliveries.associations import COMMITMENT_CLASS, COMMITMENT_INSTANCE
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.to_dicom import RESULT_CLASSES, VERIFICATION, DicomSender
from workers.delivery_ports import Decided, Delivery
from workers.image_ports import ImageFile
from workers.remote import tls
from workers.result_settings import DicomDestinationSettings
from workers.sections import TlsSettings

SC = "1.2.840.10008.5.1.4.1.1.7"
ONE = Delivery(Decided("1.2.3", 1, "full"), "sc", "pacs", due_at=NOON)
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def an_object(number: int = 1, sop_class: str = SC) -> bytes:
    return as_file(a_data_set(number, SOPClassUID=sop_class))


class Node:
    """A DICOM node on loopback. status: its answer to every C-STORE; None: it says nothing and ends."""

    def __init__(self) -> None:
        self.status: int | None = 0x0000
        self.stored: list[tuple[str, str]] = []  # SOP Instance UID, transfer syntax
        self.associations = 0
        self.identity: list[bytes] = []
        self.commits: bool | None = True
        self.action_status: int | None = 0x0000  # None: it breaks off
        self.accepted_user = b"icansee"

    def store(self, event: Any) -> int:
        if self.status is None:
            event.assoc.abort()
            return 0xC000
        self.stored.append((event.request.AffectedSOPInstanceUID, event.context.transfer_syntax))
        return self.status

    def opened(self, _event: Any) -> None:
        self.associations += 1

    def user(self, event: Any) -> tuple[bool, bytes | None]:
        self.identity = [event.primary_field, event.secondary_field]
        return event.primary_field == self.accepted_user, None

    def action(self, event: Any) -> tuple[int, None]:
        import threading

        request, association = event.action_information, event.assoc
        if self.action_status != 0x0000:
            if self.action_status is None:
                association.abort()
            return self.action_status or 0x0000, None
        if self.commits is not None:
            threading.Thread(target=self._report, args=(association, request), daemon=True).start()
        return 0x0000, None

    def _report(self, association: Any, request: Dataset) -> None:
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        if self.commits:
            report.ReferencedSOPSequence = request.ReferencedSOPSequence
        else:
            failed = request.ReferencedSOPSequence[0]
            failed.FailureReason = 0x0112
            report.FailedSOPSequence = [failed]
        time.sleep(0.1)  # after the answer to the request
        association.send_n_event_report(report, 1 if self.commits else 2, COMMITMENT_CLASS, COMMITMENT_INSTANCE)


@contextmanager
def serving(
    node: Node,
    *,
    classes: list[str] | None = None,
    syntaxes: tuple[str, ...] = (EXPLICIT, IMPLICIT),
    identity: bool = False,
    secured: TlsSettings | None = None,
    commitment: bool = True,
) -> Iterator[int]:
    ae = AE("PACS")
    ae.require_called_aet = True
    for uid in classes if classes is not None else [*RESULT_CLASSES]:
        ae.add_supported_context(uid, list(syntaxes))
    if commitment:
        ae.add_supported_context(COMMITMENT_CLASS)
    ae.add_supported_context(VERIFICATION)
    handlers = [(evt.EVT_C_STORE, node.store), (evt.EVT_ESTABLISHED, node.opened), (evt.EVT_N_ACTION, node.action)]
    if identity:
        handlers.append((evt.EVT_USER_ID, node.user))
    context = None if secured is None else tls.server_context(secured)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=context)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def sender_to(port: int, **changes: Any) -> DicomSender:
    one = {"name": "pacs", "kind": "dicom", "ae_title": "PACS", "host": "127.0.0.1", "port": port, "outputs": ["sc"]}
    settings = parse({"results": {"destinations": [{**one, "timeout_s": 10, **changes}]}}).results.destinations[0]
    assert isinstance(settings, DicomDestinationSettings)
    return DicomSender(settings, "ICANSEE")


def send(sender: DicomSender, content: bytes) -> str:
    try:
        return sender.send(ONE, "sc.dcm", "application/dicom", content).text
    finally:
        sender.close()


def test_the_objects_of_a_study_go_over_one_association() -> None:
    node = Node()
    with serving(node) as port:
        sender = sender_to(port)
        for number in (1, 2, 3):
            assert sender.send(ONE, "sc.dcm", "application/dicom", an_object(number)).text == "C-STORE 0x0000"
        sender.close()
        sender.close()
    assert len({uid for uid, _ in node.stored}) == 3
    assert node.associations == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param(0x0000, "C-STORE 0x0000", id="success"),
        pytest.param(0xB000, "C-STORE 0xB000 (stored, with a warning)", id="coerced"),
        pytest.param(0xB006, "C-STORE 0xB006 (stored, with a warning)", id="elements are gone"),
        pytest.param(0xB007, "C-STORE 0xB007 (stored, with a warning)", id="does not match"),
        pytest.param(0x0111, "C-STORE 0x0111 (it was there already)", id="duplicate"),
        pytest.param(0xA700, Unreachable, id="out of resources"),
        pytest.param(0x0110, Unreachable, id="processing failure"),
        pytest.param(0xA900, DeliveryRejected, id="does not match its class"),
        pytest.param(0xC123, DeliveryRejected, id="cannot understand"),
        pytest.param(0x0124, Unreachable, id="not authorised"),
        pytest.param(None, Unreachable, id="ends without an answer"),
    ],
)
def test_every_answer_is_understood(status: int | None, said: str | type[Exception]) -> None:
    node = Node()
    node.status = status
    with serving(node) as port:
        if isinstance(said, str):
            assert send(sender_to(port), an_object()) == said
        else:
            with pytest.raises(said):
                send(sender_to(port), an_object())


def test_a_class_that_the_node_does_not_accept_is_refused_by_name() -> None:
    refused = pytest.raises(DeliveryRejected, match="accepts no Secondary Capture")
    with serving(Node(), classes=["1.2.840.10008.5.1.4.1.1.88.34"]) as port, refused:
        send(sender_to(port), an_object())


@pytest.mark.parametrize("every", [True, False], ids=["every context", "of the object"])
@pytest.mark.parametrize(
    ("result", "of_results", "of_images"),
    [
        pytest.param(1, Unreachable, Unreachable, id="the user rejects it"),
        pytest.param(2, Unreachable, Unreachable, id="no reason"),
        pytest.param(3, DeliveryRejected, DeliveryRejected, id="abstract syntax not supported"),
        pytest.param(4, DeliveryRejected, DeliveryRejected, id="transfer syntaxes not supported"),
    ],
)
def test_only_a_class_that_is_not_supported_is_refused_for_good(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    result: int,
    of_results: type[Exception],
    of_images: type[Exception],
    *,
    every: bool,
) -> None:
    """A node that takes nothing at all gets results when it does; images need one class, and it does not take that."""
    negotiated = acse.negotiate_as_acceptor

    def rejecting(*args: Any) -> Any:
        found, roles = negotiated(*args)
        for one in found:
            if every or one.abstract_syntax == SC:
                one.result = result
        return found, roles

    monkeypatch.setattr(acse, "negotiate_as_acceptor", rejecting)
    path = tmp_path / "a.dcm"
    path.write_bytes(an_object())
    image = ImageFile(path, "1.2.3", SC, "1.2.3.1", EXPLICIT, path.stat().st_size)
    with serving(Node()) as port:
        sender = sender_to(port)
        with pytest.raises(Unreachable if every else of_results):
            send(sender, an_object())
        with pytest.raises(of_images):
            sender.send_images([image], lambda _one: None)


@pytest.mark.parametrize(
    ("accepts", "wants", "used"),
    [
        pytest.param((EXPLICIT, IMPLICIT), ["explicit", "implicit"], EXPLICIT, id="explicit"),
        pytest.param((IMPLICIT,), ["explicit", "implicit"], IMPLICIT, id="the node knows implicit only"),
        pytest.param((EXPLICIT, IMPLICIT), ["implicit"], IMPLICIT, id="implicit is wanted"),
    ],
)
def test_transfer_syntaxes(accepts: tuple[str, ...], wants: list[str], used: str) -> None:
    node = Node()
    with serving(node, syntaxes=accepts) as port:
        send(sender_to(port, transfer_syntaxes=wants), an_object())
    assert [syntax for _, syntax in node.stored] == [used]


def test_nobody_there_and_a_wrong_title_pass() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match="cannot be reached"):
            send(sender_to(free.getsockname()[1]), an_object())
    with serving(Node()) as port, pytest.raises(Unreachable, match="rejects the association"):
        send(sender_to(port, ae_title="OTHER"), an_object())


def test_user_and_passcode() -> None:
    node = Node()
    with serving(node, identity=True) as port:
        send(sender_to(port, user="icansee", passcode="secret"), an_object())
        assert node.identity == [b"icansee", b"secret"]
        with pytest.raises(Unreachable):
            send(sender_to(port, user="somebody"), an_object())


def test_tls_with_certificates_of_both_sides(tmp_path: Path) -> None:
    certificates.make(tmp_path, "server", "us")
    server = TlsSettings(
        certificate=tmp_path / "server.pem", private_key=tmp_path / "server.key", client_ca=tmp_path / "ca.pem"
    )
    ours = {"ca": str(tmp_path / "ca.pem"), "check_hostname": False}
    own = {"certificate": str(tmp_path / "us.pem"), "private_key": str(tmp_path / "us.key")}
    node = Node()
    with serving(node, secured=server) as port:
        assert send(sender_to(port, tls={**ours, **own}), an_object()) == "C-STORE 0x0000"
        with pytest.raises(Unreachable):
            send(sender_to(port, tls=ours), an_object())
        with pytest.raises(Unreachable):
            send(sender_to(port, timeout_s=2), an_object())
    assert len(node.stored) == 1


def test_the_probe_names_what_is_refused() -> None:
    with serving(Node(), classes=["1.2.840.10008.5.1.4.1.1.88.34"]) as port:
        said = sender_to(port).probe()
    assert said[0] == "C-ECHO 0x0000"
    assert "accepts Comprehensive 3D SR" in said
    assert f"REFUSES Secondary Capture ({SC})" in said
    assert any(text.startswith("does not accept (and need not) Segmentation") for text in said)
    assert any(text.startswith("does not accept (results cannot be retracted there) Key Object") for text in said)


@pytest.mark.server
def test_dcmtk_stores_it(tmp_path: Path) -> None:
    assert Path("/usr/bin/storescp").exists(), "storescp is not installed: run scripts/test-peers.sh"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(["/usr/bin/storescp", "-od", str(tmp_path), str(port)])
    try:
        _until(lambda: sender_to(port).probe()[0] == "C-ECHO 0x0000")
        assert send(sender_to(port), an_object()) == "C-STORE 0x0000"
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
    (file,) = tmp_path.iterdir()
    assert dcmread(file).SOPInstanceUID == dcmread(BytesIO(an_object())).SOPInstanceUID


def _until(there: Callable[[], bool]) -> None:
    for _ in range(6000):
        try:
            if there():
                return
        except Unreachable:
            time.sleep(0.05)
    raise AssertionError("the node did not start")
