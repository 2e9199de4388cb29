"""Storage commitment with requesters that are not ours: pynetdicom and Orthanc."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, build_role, evt

from listener.associations.contexts import supported_contexts
from listener.services.commitment import PUSH_MODEL, PUSH_MODEL_INSTANCE, Reporter, reports
from tests.listener.harness import Node, eventually, running
from tests.listener.rawscu import Raw
from tests.patience import PATIENCE_S
from tests.workers.reading.data_sets import MR, STUDY, a_data_set, encoded
from triage.errors import Misconfigured
from workers.config import parse
from workers.files.commitment_reports import AwaitedReports
from workers.files.commitments import Reference, Request, RequestFolder
from workers.files.store import FileStore
from workers.remote.reactor import reactor_paused
from workers.settings import ReportTarget

TRANSACTION = "1.2.826.0.77"
HERE, MISSING = f"{STUDY}.1.1", f"{STUDY}.1.404"


@dataclass
class Requester:
    """Somebody who hears N-EVENT-REPORTs."""

    heard: list[tuple[int, Dataset]] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)

    def on_report(self, event: Any) -> tuple[int, None]:
        self.heard.append((event.event_type, event.event_information))
        self.came.set()
        return 0x0000, None

    @property
    def handlers(self) -> list[tuple[Any, Any]]:
        return [(evt.EVT_N_EVENT_REPORT, self.on_report)]

    @contextmanager
    def listening(self) -> Iterator[int]:
        ae = AE(ae_title="PACS")
        ae.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=self.handlers)
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()


def ask(
    port: int,
    uids: Sequence[str],
    requester: Requester | None = None,
    *,
    calling: str = "PACS",
    transaction: str = TRANSACTION,
    until: Callable[[], object] = lambda: None,
) -> int:
    """Status of an N-ACTION. until: returns when the association may be released."""
    ae = AE(ae_title=calling)
    ae.add_requested_context(PUSH_MODEL)
    association = ae.associate(
        "127.0.0.1", port, ae_title="ICANSEE", evt_handlers=requester.handlers if requester else []
    )
    assert association.is_established
    information = Dataset()
    information.TransactionUID = transaction
    information.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MR, uid
        information.ReferencedSOPSequence.append(item)
    with reactor_paused(association):
        status, _ = association.send_n_action(information, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    until()
    association.release()
    return int(status.Status)


def deliver(node: Node) -> None:
    with Raw.connect(node.port) as raw:
        assert raw.associate().store(HERE, encoded(a_data_set(1))) == 0


def outcome(report: tuple[int, Dataset]) -> tuple[int, list[str], list[tuple[str, int]]]:
    event_type, information = report
    assert information.TransactionUID == TRANSACTION
    return (
        event_type,
        [item.ReferencedSOPInstanceUID for item in information.get("ReferencedSOPSequence", [])],
        [(item.ReferencedSOPInstanceUID, item.FailureReason) for item in information.get("FailedSOPSequence", [])],
    )


def reports_to(port: int, **changes: Any) -> dict[str, Any]:
    target = {"ae_title": "PACS", "host": "127.0.0.1", "port": port, **changes}
    return {"commitment": {"report_to": [target], "retry_s": 0.1}}


@pytest.mark.parametrize(
    "listener",
    [
        pytest.param({}, id="stream"),
        pytest.param({"receive_path": "stock"}, id="stock"),
        pytest.param({"processes": 2}, id="two processes"),
    ],
)
def test_on_a_new_association(tmp_path: Path, listener: dict[str, Any]) -> None:
    requester = Requester()
    with requester.listening() as port, running(tmp_path, sections=reports_to(port), **listener) as node:
        deliver(node)
        assert ask(node.port, [HERE, MISSING]) == 0
        assert requester.came.wait(PATIENCE_S)
        eventually(lambda: RequestFolder(tmp_path).waiting() == 0)
    assert [outcome(one) for one in requester.heard] == [(2, [HERE], [(MISSING, 0x0112)])]


@pytest.mark.parametrize("listed", [False, True])
def test_on_the_same_association(tmp_path: Path, listed: bool) -> None:
    requester = Requester()
    sections = reports_to(1, same_association=True) if listed else {}
    with running(tmp_path, sections=sections) as node:
        deliver(node)

        def heard() -> None:
            eventually(lambda: RequestFolder(tmp_path).waiting() == 0)

        assert ask(node.port, [HERE], requester, until=heard) == 0
    assert [outcome(one) for one in requester.heard] == [(1, [HERE], [])]


def test_a_requester_that_releases_at_once_is_called(tmp_path: Path) -> None:
    requester = Requester()
    with requester.listening() as port, running(tmp_path, sections=reports_to(port, same_association=True)) as node:
        assert ask(node.port, [MISSING]) == 0
        assert requester.came.wait(PATIENCE_S)
    assert outcome(requester.heard[0])[0] == 2


def test_a_requester_that_is_away_hears_it_after_a_restart(tmp_path: Path) -> None:
    requester = Requester()
    with requester.listening() as port:
        pass
    with running(tmp_path, sections=reports_to(port)) as node:
        deliver(node)
        assert ask(node.port, [HERE]) == 0
        eventually(lambda: any(one.attempts for one in RequestFolder(tmp_path).due(datetime.max.replace(tzinfo=UTC))))
    with requester.listening() as port, running(tmp_path, sections=reports_to(port)):
        assert requester.came.wait(PATIENCE_S)
    assert outcome(requester.heard[0]) == (1, [HERE], [])


@pytest.mark.parametrize(
    ("uids", "transaction"),
    [pytest.param([], TRANSACTION, id="no instance"), pytest.param([HERE], "not a uid", id="no transaction")],
)
def test_requests_that_are_none(tmp_path: Path, uids: list[str], transaction: str) -> None:
    with running(tmp_path) as node:
        assert ask(node.port, uids, transaction=transaction) == 0x0115
        assert RequestFolder(tmp_path).waiting() == 0


def test_switched_off(tmp_path: Path) -> None:
    with running(tmp_path, sections={"commitment": {"enabled": False}}) as node:
        ae = AE(ae_title="PACS")
        ae.add_requested_context(PUSH_MODEL)
        assert not ae.associate("127.0.0.1", node.port, ae_title="ICANSEE").is_established


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("answers", "after_s", "left"),
    [
        pytest.param(True, 0, 0, id="noop: it heard"),
        pytest.param(False, 0, 1, id="away: kept"),
        pytest.param(False, 3601, 0, id="away for too long: given up"),
    ],
)
def test_reporter(tmp_path: Path, answers: bool, after_s: float, left: int) -> None:
    settings = parse(
        {
            "store": {"state_dir": str(tmp_path)},
            "commitment": {"give_up_after_s": 3600, **reports_to(104)["commitment"]},
        }
    )
    folder = RequestFolder(tmp_path)
    folder.put(Request(TRANSACTION, "PACS", (Reference(MR, HERE),), NOW, NOW))
    reporter = Reporter(
        settings, FileStore(tmp_path), send=lambda *_: answers, now=lambda: NOW + timedelta(seconds=after_s)
    )
    reporter.run_due()
    assert folder.waiting() == left


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(None, id="noop: both hear"),
        pytest.param(OSError(-2, "Name or service not known"), id="a host without an address"),
        pytest.param(Misconfigured("no certificate"), id="a certificate that is gone"),
        pytest.param(ZeroDivisionError(), id="a fault of the program"),
    ],
)
def test_a_requester_that_cannot_be_reached_keeps_no_other_waiting(tmp_path: Path, fault: Exception | None) -> None:
    targets = [{"ae_title": name, "host": name.lower(), "port": 104} for name in ("FIRST", "SECOND")]
    settings = parse({"store": {"state_dir": str(tmp_path)}, "commitment": {"report_to": targets}})
    folder = RequestFolder(tmp_path)
    for number, target in enumerate(targets):
        received = NOW + timedelta(seconds=number)
        folder.put(Request(TRANSACTION, target["ae_title"], (Reference(MR, HERE),), received, received))
    heard: list[str] = []

    def send(target: ReportTarget, *_: object) -> bool:
        if fault is not None and target.ae_title == "FIRST":
            raise fault
        heard.append(target.ae_title)
        return True

    now = NOW + timedelta(seconds=10)
    reporter = Reporter(settings, FileStore(tmp_path), send=send, now=lambda: now)
    assert reporter.run_due() == (2 if fault is None else 1)
    assert heard[-1] == "SECOND"
    assert folder.waiting() == (fault is not None)
    assert folder.due(now) == [], "the next attempt comes later"


@pytest.mark.parametrize(
    ("fault", "kept"),
    [
        pytest.param(OSError(24, "Too many open files"), True, id="no descriptor left: it may well be whole"),
        pytest.param(ValueError("not JSON"), False, id="damaged"),
    ],
)
def test_a_request_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, kept: bool
) -> None:
    folder = RequestFolder(tmp_path)
    folder.put(Request(TRANSACTION, "PACS", (Reference(MR, HERE),), NOW, NOW))

    def read(*_: object, **__: object) -> str:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", read)
        assert folder.due(NOW) == []
    assert len(folder.due(NOW)) == kept


@pytest.mark.parametrize("role", ["SCP", "none stated"])
def test_a_pacs_reports_about_our_results_on_an_association_of_its_own(tmp_path: Path, role: str) -> None:
    """Orthanc and dcm4chee state the role of the SCP; some say nothing of roles."""
    settings = parse({"store": {"state_dir": str(tmp_path)}})
    awaited = AwaitedReports(tmp_path)
    awaited.expect(TRANSACTION)
    ae, server = AE(ae_title="PACS"), AE(ae_title="ICANSEE")
    server.supported_contexts = supported_contexts({PUSH_MODEL: ["1.2.840.10008.1.2.1"]})
    listening = server.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(reports(settings).handlers))
    ae.add_requested_context(PUSH_MODEL)
    roles = [build_role(PUSH_MODEL, scp_role=True)] if role == "SCP" else []
    try:
        association = ae.associate("127.0.0.1", listening.socket.getsockname()[1], ext_neg=roles)
        assert association.is_established
        said = []
        for transaction in (TRANSACTION, "1.2.826.0.78"):
            report = Dataset()
            report.TransactionUID = transaction
            status, _ = association.send_n_event_report(report, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
            said.append(status.Status)
        association.release()
    finally:
        listening.shutdown()
    assert said == [0x0000, 0x0115], "one that nobody asked for is refused"
    assert awaited.answer(TRANSACTION) == []
