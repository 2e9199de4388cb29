"""The running feeds: what a client sends over MLLP reaches the index, with TLS, and only from listed peers."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hl7.client import MLLPClient

from listener.mllp import process
from tests.fakes import FakePatientFacts
from tests.listener import certificates
from tests.listener.harness import eventually, settings_for
from tests.patience import PATIENCE_S
from tests.workers.deliveries.delivering import Site
from tests.workers.feeds.test_fhir_poll import Server, on_day
from tests.workers.feeds.test_hl7_messages import PID, message
from tests.workers.index.test_acknowledgements import study_row
from triage.errors import Misconfigured, Transient
from workers.config import Settings, parse
from workers.deliveries.readings import StopsEscalation
from workers.delivery_ports import DeliveryState
from workers.feeds.apply import Readings
from workers.feeds.folders import open_inbox
from workers.heartbeat import heartbeat_file
from workers.index.schema import studies
from workers.ports import PatientKey

ORDER = message("OMP^O09", PID, "ORC|NW|77", "TQ1|||||||20240304", "RXO|X1^axicabtagene ciloleucel")
MERGE = message("ADT^A40", PID, "MRG|OLD^^^HOSP")
P7, OLD = PatientKey("P7", "HOSP"), PatientKey("OLD", "HOSP")


def settings_in(tmp_path: Path, **hl7: Any) -> Settings:
    return parse(settings_for(tmp_path) | {"feeds": {"hl7": {"port": 0, **hl7}}})


@contextmanager
def running(settings: Settings, index: FakePatientFacts, readings: Readings | None = None) -> Iterator[int]:
    """The process body in a thread; its port."""
    stop, up, port = threading.Event(), threading.Event(), [0]

    def ready(found: int | None) -> None:
        port[0] = found or 0
        up.set()

    def body() -> None:
        process.run(settings, stop=stop, ready=ready, index=lambda: index, readings=lambda: readings)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    assert up.wait(PATIENCE_S)
    try:
        yield port[0]
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_messages_reach_the_index(tmp_path: Path) -> None:
    settings, index = settings_in(tmp_path), FakePatientFacts()
    with running(settings, index) as port, MLLPClient("127.0.0.1", port) as client:
        assert b"MSA|AA|42" in client.send_message(ORDER)
        assert b"MSA|AA|42" in client.send_message(MERGE)
        eventually(lambda: index.merged and index.infusions)
        assert b"MSA|AE|42" in client.send_message(message("ADT^A40", PID))
        alive = heartbeat_file(settings.store.state_dir, "feeds")
        assert alive.exists()
    assert index.infusions[P7, date(2024, 3, 4)].source == "HL7 OMP^O09"
    assert index.merged == [(OLD, P7, "HL7 ADT^A40")]
    assert open_inbox(settings).waiting() == (0, 0)
    assert not alive.exists(), "an orderly end is no silence"


def test_a_final_report_stops_the_escalation_of_its_study(tmp_path: Path) -> None:
    site = Site(tmp_path, ("call",), own={"escalate_after_s": 600})
    site.decide()
    of_feeds = settings_in(tmp_path)
    settings = of_feeds.model_copy(update={"results": site.results})
    ends = StopsEscalation(site.deliveries, site.clock.now)
    uid = "OBX|1|HD|113014^DICOM Study^DCM||1.2.3^APP^DICOM||||||"
    with running(settings, FakePatientFacts(), ends) as port, MLLPClient("127.0.0.1", port) as client:
        preliminary, final = (message("ORU^R01", PID, f"OBR|1||ACC1|X{21 * '|'}{status}", uid) for status in "PF")
        assert b"MSA|AA|42" in client.send_message(preliminary)
        assert site.row("call").state is DeliveryState.PLANNED
        with site.deliveries._engine.begin() as connection:
            connection.execute(studies.insert().values(study_row("1.2.3")))
        assert b"MSA|AA|42" in client.send_message(final)
        eventually(lambda: site.row("call").state is DeliveryState.DISCARDED)
    assert site.row("call").answer == "given up: acknowledged by HL7 ORU^R01 (ORU, OBR-25 F)"
    site.clock.advance(700)
    site.step("call")
    assert site.got("call") == []


def test_an_index_that_is_away_delays_and_loses_nothing(tmp_path: Path) -> None:
    index = FakePatientFacts(Transient("index: away"))
    with running(settings_in(tmp_path), index) as port, MLLPClient("127.0.0.1", port) as client:
        assert b"MSA|AA|42" in client.send_message(ORDER)
        eventually(lambda: index.infusions)


def test_what_waited_is_applied_at_the_next_start(tmp_path: Path) -> None:
    settings, index = settings_in(tmp_path), FakePatientFacts()
    open_inbox(settings).take(ORDER)
    with running(settings, index):
        eventually(lambda: index.infusions)


def test_a_fhir_server_is_polled(tmp_path: Path) -> None:
    server = Server()
    server.put(on_day(4), 1)
    fhir = {"url": server.url, "codes": ["CART1"], "issuers": {"urn:oid:1.2.3": "HOSP"}, "every_s": 0.1}
    settings, index = parse(settings_for(tmp_path) | {"feeds": {"fhir": fhir}}), FakePatientFacts()
    with running(settings, index):
        eventually(lambda: index.infusions)
        server.put(on_day(5), 2)
        eventually(lambda: len(index.infusions) == 2)
    server.http.shutdown()


def test_tls(tmp_path: Path) -> None:
    folder = tmp_path / "certificates"
    certificates.make(folder, "ours")
    tls = {"certificate": str(folder / "ours.pem"), "private_key": str(folder / "ours.key")}
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.check_hostname = False
    index = FakePatientFacts()
    with (
        running(settings_in(tmp_path, tls=tls), index) as port,
        context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10)) as secured,
    ):
        secured.sendall(b"\x0b" + ORDER + b"\x1c\r")
        assert b"MSA|AA|42" in secured.recv(4096)
        eventually(lambda: index.infusions)


@pytest.mark.parametrize(
    ("peers", "address", "allowed"),
    [
        pytest.param([], "127.0.0.1", True, id="this machine"),
        pytest.param([], "10.1.2.3", False, id="nobody else unless listed"),
        pytest.param(["10.1.0.0/16"], "10.1.2.3", True, id="a listed network"),
        pytest.param(["10.1.2.4"], "10.1.2.3", False, id="another address"),
    ],
)
def test_who_may_connect(tmp_path: Path, peers: list[str], address: str, allowed: bool) -> None:
    settings = settings_in(tmp_path, peers=peers)
    door = process.door_of(settings.feeds.hl7, open_inbox(settings).take)
    assert any(ipaddress.ip_address(address) in network for network in door.networks) is allowed


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = settings_in(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(Misconfigured, match=r"feeds\.hl7\.port"):
            process.run(settings, stop=threading.Event(), ready=lambda _: None, index=FakePatientFacts)


@pytest.mark.parametrize("wrong", [{"peers": ["10.1"]}, {"port": 70000}, {"words": []}])
def test_wrong_settings_are_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match=r"feeds\.hl7"):
        settings_in(tmp_path, **wrong)
