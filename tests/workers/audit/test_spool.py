"""Audit messages: their structure, their way to a TLS syslog server, and a server that is away."""

from __future__ import annotations

import errno
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest

from tests.listener import certificates
from tests.listener.harness import eventually, running
from tests.listener.rawscu import Raw
from tests.workers.reading.data_sets import MR, STUDY, a_data_set, encoded
from triage.errors import Misconfigured
from workers.audit import messages
from workers.audit.messages import AuditSource, RemoteNode, Transfer, UserSign, Viewing
from workers.audit.spool import AuditSpool, Sender, SpoolingAuditor, frame
from workers.config import Settings, parse
from workers.settings import AuditSettings

AT = datetime(2026, 3, 1, 12, 0, 0, 5000, UTC)
SITE, PEER = AuditSource("ICANSEE", 77, "node-1"), RemoteNode("MR1", "10.1.2.3")
TRANSFER = Transfer("1.2.3", 'P<1>&"', "A77", {MR: 3, "1.2.840.10008.5.1.4.1.1.7": 1})
VIEWING = Viewing("mina", "10.1.2.9", "GET /studies/{uid}", "1.2.3", "P<1>", "A77")

CODE = {"csd-code", "codeSystemName", "originalText"}
# PS3.15 section A.5.1: element -> (attributes that must be there, attributes that may be, children in their order)
SCHEMA: dict[str, tuple[set[str], set[str], list[str]]] = {
    "AuditMessage": (
        set(),
        set(),
        ["EventIdentification", "ActiveParticipant", "AuditSourceIdentification", "ParticipantObjectIdentification"],
    ),
    "EventIdentification": (
        {"EventDateTime", "EventOutcomeIndicator"},
        {"EventActionCode"},
        ["EventID", "EventTypeCode", "EventOutcomeDescription"],
    ),
    "EventID": (CODE, {"displayName"}, []),
    "EventTypeCode": (CODE, {"displayName"}, []),
    "EventOutcomeDescription": (set(), set(), []),
    "ActiveParticipant": (
        {"UserID", "UserIsRequestor"},
        {"AlternativeUserID", "UserName", "NetworkAccessPointID", "NetworkAccessPointTypeCode"},
        ["RoleIDCode", "MediaIdentifier"],
    ),
    "RoleIDCode": (CODE, {"displayName"}, []),
    "AuditSourceIdentification": ({"AuditSourceID"}, {"AuditEnterpriseSiteID"}, ["AuditSourceTypeCode"]),
    "AuditSourceTypeCode": ({"csd-code"}, {"codeSystemName", "originalText", "displayName"}, []),
    "ParticipantObjectIdentification": (
        {"ParticipantObjectID", "ParticipantObjectTypeCode"},
        {"ParticipantObjectTypeCodeRole", "ParticipantObjectDataLifeCycle", "ParticipantObjectSensitivity"},
        [
            "ParticipantObjectIDTypeCode",
            "ParticipantObjectName",
            "ParticipantObjectQuery",
            "ParticipantObjectDetail",
            "ParticipantObjectDescription",
        ],
    ),
    "ParticipantObjectIDTypeCode": (CODE, {"displayName"}, []),
    "ParticipantObjectQuery": (set(), set(), []),
    "ParticipantObjectDescription": (set(), set(), ["MPPS", "Accession", "SOPClass", "ParticipantObjectContainsStudy"]),
    "Accession": ({"Number"}, set(), []),
    "SOPClass": ({"NumberOfInstances"}, {"UID"}, ["Instance"]),
}  # fmt: skip


def faults(element: Xml.Element) -> list[str]:
    """What of a message is against the schema."""
    if element.tag not in SCHEMA:
        return [f"{element.tag} is no element"]
    must, may, children = SCHEMA[element.tag]
    found = [f"{element.tag} lacks {name}" for name in must - set(element.attrib)]
    found += [f"{element.tag} has {name}" for name in set(element.attrib) - must - may]
    order = [children.index(child.tag) if child.tag in children else -1 for child in element]
    if order != sorted(order) or -1 in order:
        found.append(f"{element.tag} contains {[child.tag for child in element]}")
    return found + [fault for child in element for fault in faults(child)]


ALL = [
    pytest.param(messages.application_activity(SITE, AT, started=True), "110100", "0", 0, id="start"),
    pytest.param(messages.application_activity(SITE, AT, started=False), "110100", "0", 0, id="stop"),
    pytest.param(
        messages.instances_transferred(SITE, PEER, TRANSFER, AT, complete=True), "110104", "0", 2, id="transferred"
    ),
    pytest.param(
        messages.instances_transferred(SITE, RemoteNode("", "::1"), Transfer("1.2", "", "", {MR: 1}), AT,
            complete=False),
        "110104", "4", 2, id="cut off, and nothing known",
    ),
    pytest.param(messages.instances_accessed(SITE, VIEWING, AT), "110103", "0", 2, id="seen"),
    pytest.param(
        messages.instances_accessed(SITE, Viewing("", "", "", "1.2.3", "", ""), AT), "110103", "0", 2,
        id="seen, and nothing known",
    ),
    pytest.param(messages.user_authentication(SITE, UserSign("reader", "::1"), AT), "110114", "0", 0, id="sign-in"),
    pytest.param(
        messages.user_authentication(SITE, UserSign("", "", succeeded=False), AT), "110114", "4", 0, id="no sign-in"
    ),
    pytest.param(
        messages.user_authentication(SITE, UserSign("reader", "::1", signs_in=False), AT), "110114", "0", 0,
        id="sign-out",
    ),
    pytest.param(messages.security_alert(SITE, PEER, "certificate_not_listed", AT), "110113", "8", 1, id="alert"),
    pytest.param(messages.query(SITE, PEER, "1.2.840.10008.5.1.4.1.2.2.1", b"\0\1", AT, answered=True), "110112", "0",
        1,
        id="query"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "event", "outcome", "objects"), ALL)
def test_structure(text: str, event: str, outcome: str, objects: int) -> None:
    message = Xml.fromstring(text)  # noqa: S314 - our own
    assert faults(message) == []
    identification = message.find("EventIdentification")
    assert identification is not None
    assert identification[0].attrib["csd-code"] == event
    assert identification.attrib["EventOutcomeIndicator"] == outcome
    assert identification.attrib["EventDateTime"] == "2026-03-01T12:00:00.005+00:00"
    assert len(message.findall("ActiveParticipant")) >= 1
    assert len(message.findall("AuditSourceIdentification")) == 1
    assert len(message.findall("ParticipantObjectIdentification")) == objects


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda m: m.append(Xml.Element("Remark")), "contains", id="unknown element"),
        pytest.param(lambda m: m[0].attrib.pop("EventDateTime"), "lacks EventDateTime", id="attribute missing"),
        pytest.param(lambda m: m.insert(0, m[2]), "contains", id="order"),
    ],
)
def test_the_check_can_fail(spoil: Any, said: str) -> None:
    message = Xml.fromstring(messages.security_alert(SITE, PEER, "x", AT))  # noqa: S314 - our own
    spoil(message)
    assert any(said in fault for fault in faults(message))


def test_what_a_transfer_tells() -> None:
    message = Xml.fromstring(messages.instances_transferred(SITE, PEER, TRANSFER, AT, complete=True))  # noqa: S314
    study, patient = message.findall("ParticipantObjectIdentification")
    assert (study.attrib["ParticipantObjectID"], patient.attrib["ParticipantObjectID"]) == ("1.2.3", 'P<1>&"')
    classes = {one.attrib["UID"]: one.attrib["NumberOfInstances"] for one in study.iter("SOPClass")}
    assert classes == {MR: "3", "1.2.840.10008.5.1.4.1.1.7": "1"}
    roles = [one.find("RoleIDCode") for one in message.findall("ActiveParticipant")]
    assert [role.attrib["csd-code"] for role in roles if role is not None] == ["110153", "110152"]


def test_who_saw_whom() -> None:
    message = Xml.fromstring(messages.instances_accessed(SITE, VIEWING, AT))  # noqa: S314 - our own
    person, node = message.findall("ActiveParticipant")
    assert (person.attrib["UserID"], person.attrib["NetworkAccessPointID"]) == ("mina", "10.1.2.9")
    assert (person.attrib["UserIsRequestor"], node.attrib["UserID"]) == ("true", "ICANSEE")
    study, patient = message.findall("ParticipantObjectIdentification")
    assert (study.attrib["ParticipantObjectID"], patient.attrib["ParticipantObjectID"]) == ("1.2.3", "P<1>")
    assert message.attrib.get("EventActionCode") is None
    identification = message.find("EventIdentification")
    assert identification is not None
    assert identification.attrib["EventActionCode"] == "R"


def test_frame() -> None:
    framed = frame("<a>ü</a>", AT, "host", 7)
    length, _, body = framed.partition(b" ")
    assert int(length) == len(body)
    assert body == b"<85>1 2026-03-01T12:00:00.005+00:00 host ICANSEE 7 DICOM+RFC3881 - \xef\xbb\xbf<a>\xc3\xbc</a>"


# --- on the way


class Repository:
    """A TLS syslog server that wants a client certificate."""

    def __init__(self, keys: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(keys / "server.pem", keys / "server.key")
        self._context.load_verify_locations(keys / "ca.pem")
        self._context.verify_mode = ssl.CERT_REQUIRED
        self.received = b""

    @contextmanager
    def listening(self, port: int = 0) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", port)) as server:
            server.settimeout(0.1)
            stop = threading.Event()
            thread = threading.Thread(target=self._serve, args=(server, stop))
            thread.start()
            try:
                yield server.getsockname()[1]
            finally:
                stop.set()
                thread.join()

    def _serve(self, server: socket.socket, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                plain, _ = server.accept()
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    connection.settimeout(0.1)
                    while not stop.is_set():
                        try:
                            data = connection.recv(65536)
                        except TimeoutError:
                            continue
                        if not data:
                            break
                        self.received += data
            except OSError:
                continue

    def events(self) -> list[str]:
        """Event codes of the messages so far; every one is checked."""
        found, rest = [], self.received
        while rest:
            length, _, rest = rest.partition(b" ")
            body, rest = rest[: int(length)], rest[int(length) :]
            header, _, text = body.partition(b"\xef\xbb\xbf")
            assert re.fullmatch(rb"<85>1 \S+ \S+ ICANSEE \d+ DICOM\+RFC3881 - ", header)
            message = Xml.fromstring(text.decode())  # noqa: S314 - our own
            assert faults(message) == []
            found += [one.attrib["csd-code"] for one in message.iter("EventID")]
        return found


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    certificates.make(folder, "server", "node")
    return folder


def audit(keys: Path, port: int, **changes: Any) -> dict[str, Any]:
    files = {"ca": "ca.pem", "certificate": "node.pem", "private_key": "node.key"}
    tls = {**{name: str(keys / file) for name, file in files.items()}, "check_hostname": False}
    return {"audit": {"host": "127.0.0.1", "port": port, "tls": tls, **changes}}


def settings_of(tmp_path: Path, keys: Path, port: int, **changes: Any) -> Settings:
    return parse({"store": {"state_dir": str(tmp_path)}, **audit(keys, port, **changes)})


def test_what_the_door_reports(tmp_path: Path, keys: Path) -> None:
    repository = Repository(keys)
    with repository.listening() as port, running(tmp_path, sections=audit(keys, port)) as node:
        with Raw.connect(node.port) as raw:
            raw.associate()
            for number in range(3):
                assert raw.store(f"{STUDY}.1.{number}", encoded(a_data_set(number))) == 0
            raw.release()
        for _ in range(3):  # the same knock three times is one alert
            with pytest.raises(ConnectionError), Raw.connect(node.port) as raw:
                raw.associate(called="OTHER")
        eventually(lambda: len(repository.events()) == 3)
        node.stop.set()
        eventually(lambda: len(repository.events()) == 4)
    assert sorted(repository.events()) == ["110100", "110100", "110104", "110113"]


def test_a_server_that_was_away_gets_everything(tmp_path: Path, keys: Path) -> None:
    repository = Repository(keys)
    kept = socket.socket()  # bound and not listening: nobody is there, and nobody else gets the port
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    port = kept.getsockname()[1]
    settings = settings_of(tmp_path, keys, port)
    auditor, sender = SpoolingAuditor(settings), Sender(settings)
    auditor.activity(started=True)
    assert sender.run() == 0
    with repository.listening(port):
        auditor.alert(PEER, "address_not_listed")
        assert sender.run() == 2
        eventually(lambda: repository.events() == ["110100", "110113"])
    assert sender.run() == 0
    auditor.activity(started=False)
    with repository.listening(port):  # its end of the connection is noticed before something is lost in it
        eventually(lambda: sender.run() or not list((tmp_path / "audit").glob("*.msg")))
        eventually(lambda: repository.events()[2:] == ["110100"])
    sender.close()
    kept.close()


def test_a_server_that_cannot_prove_itself_gets_nothing(tmp_path: Path, keys: Path, tmp_path_factory: Any) -> None:
    strange = tmp_path_factory.mktemp("strange")
    certificates.make(strange, "server")
    repository = Repository(strange)
    with repository.listening() as port:
        settings = settings_of(tmp_path, keys, port)
        SpoolingAuditor(settings).activity(started=True)
        assert Sender(settings).run() == 0
    assert repository.received == b""


def test_a_full_spool_drops_the_oldest(tmp_path: Path, keys: Path) -> None:
    settings = settings_of(tmp_path, keys, 6514, spool_messages=3)
    spool = AuditSpool(tmp_path, settings.audit)
    for number in range(5):
        spool.put(str(number).encode())
    assert [path.read_bytes() for path in spool.waiting()] == [b"2", b"3", b"4"]
    assert spool.dropped == 2


def test_never_in_clear() -> None:
    assert AuditSettings().host is None
    with pytest.raises(Misconfigured, match=r"audit\.tls"):
        parse({"audit": {"host": "audit.hospital"}})


def test_a_message_that_the_disk_does_not_give_holds_up_no_other(
    tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = Repository(keys)
    with repository.listening() as port:
        settings = settings_of(tmp_path, keys, port)
        auditor, sender = SpoolingAuditor(settings), Sender(settings)
        auditor.activity(started=True)
        [first] = (tmp_path / "audit").glob("*.msg")
        auditor.alert(PEER, "address_not_listed")
        real = Path.read_bytes

        def read_bytes(path: Path) -> bytes:
            if path == first:
                raise OSError(errno.EIO, "Input/output error")
            return real(path)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", read_bytes)
            assert sender.run() == 1
        assert sender.run() == 1
        eventually(lambda: repository.events() == ["110113", "110100"])
    sender.close()
