"""Peers that break the rules: the node hangs up on them, keeps nothing, grows nothing, and serves the next one."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.listener.harness import Node, eventually, running
from tests.listener.rawscu import (
    ABORT,
    EXPLICIT,
    MR,
    P_DATA,
    Raw,
    associate_rq,
    command,
    data_pdus,
    element,
    pdu,
    pdv,
    store_pdus,
)
from tests.patience import PATIENCE_S
from tests.workers.reading.data_sets import STUDY, a_data_set, encoded

UID = f"{STUDY}.1.1"
DATA = encoded(a_data_set())
GOOD = encoded(a_data_set(9))
START = b"".join(data_pdus(command(uid=UID), control=1))  # of a C-STORE whose data set is still to come


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    state = tmp_path_factory.mktemp("hostile") / "state"
    # short, so that silence is over soon, and long enough for the flush of a busy disk
    with running(state, pdu_timeout_s=2.0, acse_timeout_s=2.0, idle_timeout_s=10.0, max_object_bytes=1 << 20) as one:
        yield one


def serves_well(node: Node) -> None:
    """A good sender is served, and nothing is left of the bad one."""
    # twice at most: the machine may be too busy for the short times of this node, once
    assert _welcomes_a_good_sender(node) or _welcomes_a_good_sender(node), "a good sender is not served"
    eventually(lambda: node.temporary_files() == [], what="temporary files stay behind")
    assert set(node.data_sets()) == {f"{STUDY}.1.9"}


def _welcomes_a_good_sender(node: Node) -> bool:
    try:
        with Raw.connect(node.port).associate() as raw:
            status = raw.store(f"{STUDY}.1.9", GOOD)
            raw.release()
    except OSError:
        return False
    assert status == 0
    return True


def header(kind: int, length: int) -> bytes:
    return struct.pack(">BBI", kind, 0, length)


# what an associated peer sends; the node must abort or hang up
AFTER_ASSOCIATION: list[object] = [
    pytest.param(header(P_DATA, 0xFFFFFFFF) + b"x" * 100, id="PDU of 4 GB"),
    pytest.param(header(P_DATA, 2 << 20) + b"x" * 100, id="PDU larger than any we announced"),
    pytest.param(header(5, 1 << 30), id="A-RELEASE-RQ of 1 GB"),
    pytest.param(header(7, 1 << 30), id="A-ABORT of 1 GB"),
    pytest.param(header(1, 0xFFFFFFFF), id="A-ASSOCIATE-RQ of 4 GB"),
    pytest.param(header(99, 4) + b"abcd", id="unknown PDU type"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="HTTP"),
    pytest.param(associate_rq(), id="associates twice"),
    pytest.param(pdu(P_DATA, struct.pack(">IBB", 0xFFFFFFFF, 1, 3)), id="PDV of 4 GB"),
    pytest.param(pdu(P_DATA, struct.pack(">IBB", 100, 1, 3) + b"x" * 10), id="PDV longer than its PDU"),
    pytest.param(pdu(P_DATA, struct.pack(">IBB", 0, 1, 3)), id="PDV of no length"),
    pytest.param(pdu(P_DATA, struct.pack(">IBB", 1, 1, 3)), id="PDV without a control byte"),
    pytest.param(pdu(P_DATA, pdv(1, 3, command(uid=UID)) + b"\0\0"), id="rest of a PDV"),
    pytest.param(pdu(P_DATA, pdv(1, 2, b"data")), id="data set without a command"),
    pytest.param(pdu(P_DATA, pdv(1, 3, b"\xff" * 60)), id="command that is none"),
    pytest.param(pdu(P_DATA, pdv(1, 3, element(0x100, b"\1\0"))), id="C-STORE without its elements"),
    pytest.param(pdu(P_DATA, pdv(1, 3, b"")), id="empty command"),
    pytest.param(pdu(P_DATA, pdv(77, 3, command(uid=UID))), id="context that was never proposed"),
    pytest.param(b"".join(data_pdus(b"\0" * (1 << 20), control=1)), id="endless command"),
    pytest.param(START + pdu(P_DATA, pdv(1, 3, command(uid=UID))), id="command inside a data set"),
    pytest.param(START + pdu(P_DATA, pdv(3, 0, b"data")), id="data set changes its context"),
    pytest.param(START + pdu(5, bytes(4)), id="release inside a data set"),
    pytest.param(START + b"".join(data_pdus(b"x" * (3 << 20))[:-1]), id="endless data set"),
    pytest.param(START, id="command, then silence"),
    pytest.param(START + header(P_DATA, 16000) + b"x" * 50, id="half a PDU, then silence"),
    pytest.param(
        b"".join(data_pdus(command(field=0x0140, uid=UID), control=1))
        + b"".join(data_pdus(b"x" * (9 << 20), size=1000)[:-1]),
        id="endless data set of another service",
    ),
]


@pytest.mark.parametrize("sent", AFTER_ASSOCIATION)
def test_after_the_association(node: Node, sent: bytes) -> None:
    with Raw.connect(node.port).associate() as raw:
        try:
            raw.send(sent)
            assert raw.hung_up()
        except ConnectionError:
            pass  # it hung up while we were still sending
    serves_well(node)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing at all"),
        pytest.param(b"\x01", id="one byte"),
        pytest.param(header(1, 0xFFFFFFFF), id="A-ASSOCIATE-RQ of 4 GB"),
        pytest.param(header(1, 5000) + b"x" * 50, id="half an A-ASSOCIATE-RQ"),
        pytest.param(pdu(1, random.Random(1).randbytes(3000)), id="A-ASSOCIATE-RQ of noise"),
        pytest.param(pdu(1, b""), id="empty A-ASSOCIATE-RQ"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 500, id="TLS"),
        pytest.param(b"".join(store_pdus(UID, DATA)), id="C-STORE before the association"),
        pytest.param(pdu(5, bytes(4)), id="release before the association"),
        pytest.param(associate_rq(called="../../../etc"), id="path for an AE title"),
        pytest.param(associate_rq(called="\x1b[2J\n\n"), id="AE title with control characters"),
    ],
)
def test_before_the_association(node: Node, sent: bytes) -> None:
    with Raw.connect(node.port) as raw:
        raw.send(sent)
        assert _turned_away(raw)
    serves_well(node)


def _turned_away(raw: Raw) -> bool:
    """Rejected, aborted or hung up on."""
    try:
        kind, _ = raw.read()
    except TimeoutError:
        return False
    except OSError:
        return True
    return kind in (3, 7)


def test_a_flood_of_contexts(node: Node) -> None:
    contexts = [(n, MR, [EXPLICIT] * 300) for n in range(1, 256, 2)]
    with Raw.connect(node.port) as raw:
        raw.send(associate_rq(contexts))
        assert _turned_away(raw)
    serves_well(node)


def test_dribbling_a_byte_at_a_time_does_not_hold_the_thread(node: Node) -> None:
    with Raw.connect(node.port).associate() as raw:
        raw.send(START, header(P_DATA, 16000))
        hung_up = threading.Event()

        def dribble() -> None:
            try:
                while True:
                    raw.send(b"x")
                    threading.Event().wait(0.05)
            except OSError:
                hung_up.set()

        threading.Thread(target=dribble, daemon=True).start()
        assert hung_up.wait(PATIENCE_S)
    serves_well(node)


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_sender_that_is_cut_off_leaves_nothing(node: Node, at: float, how: str) -> None:
    whole = b"".join(store_pdus(UID, DATA))
    raw = Raw.connect(node.port).associate()
    raw.send(whole[: int(at * len(whole))])
    if how == "reset":
        raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.sock.close()
    serves_well(node)


def test_silent_connections_are_counted_and_let_go(tmp_path: Path) -> None:
    with running(tmp_path / "state", acse_timeout_s=1.0, max_associations_per_address=20) as node:
        silent = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(60)]
        try:
            eventually(lambda: _closed(silent) >= 40, what="more than the limit stay open")
            eventually(lambda: _closed(silent) == 60, what="silent connections stay open")
        finally:
            for one in silent:
                one.close()
        serves_well(node)


def _closed(connections: list[socket.socket]) -> int:
    """How many of them the node has closed."""
    count = 0
    for one in connections:
        one.setblocking(False)
        try:
            count += one.recv(1) == b""
        except BlockingIOError:
            pass
        except OSError:
            count += 1
    return count


def forget_peak() -> None:
    """The peak of this process begins anew: what an earlier test used must not hide what this one does."""
    Path("/proc/self/clear_refs").write_text("5")  # proc(5)


def peak_kb() -> int:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1])


def test_memory_does_not_follow_what_peers_claim(node: Node) -> None:
    serves_well(node)
    forget_peak()
    before = peak_kb()
    for sent in (header(P_DATA, 0xFFFFFFFF), START + header(P_DATA, 0xFFFFFFFF), header(1, 0xFFFFFFFF)):
        for _ in range(10):
            with Raw.connect(node.port).associate() as raw:
                raw.send(sent)
                assert raw.hung_up()
    assert peak_kb() - before < 20_000


def test_a_large_object_passes_through_a_small_buffer(tmp_path: Path) -> None:
    with running(tmp_path / "state") as node:
        head = encoded(a_data_set(pixels=b""))[:-12]
        size = 200 << 20
        before = 0
        with Raw.connect(node.port, timeout_s=120.0).associate() as raw:  # the flush of 200 MB may take its time
            raw.send(START, pdu(P_DATA, pdv(1, 0, head + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OW", 0, size))))
            chunk = pdu(P_DATA, pdv(1, 0, bytes(125_000)))
            for number in range(size // 125_000):
                raw.send(chunk)
                if number == 100:
                    forget_peak()
                    before = peak_kb()
            raw.send(pdu(P_DATA, pdv(1, 2, bytes(size % 125_000))))
            assert raw.status() == 0
        assert peak_kb() - before < 20_000
        [path] = node.store.all_files()
        assert path.stat().st_size > size


@pytest.fixture
def own_node(tmp_path: Path) -> Iterator[Node]:
    with running(tmp_path / "state", pdu_timeout_s=2.0, acse_timeout_s=2.0, idle_timeout_s=10.0) as one:
        yield one


@pytest.mark.parametrize("stage", ["before", "after", "inside"])
def test_noise(own_node: Node, stage: str) -> None:
    """A node of its own: damage may also be harmless, and the object is then stored."""
    node = own_node
    valid = b"".join(store_pdus(UID, DATA, size=300))

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def damaged(data: st.DataObject) -> None:
        noise = bytearray({"before": associate_rq(), "after": valid, "inside": valid}[stage])
        for _ in range(data.draw(st.integers(1, 6))):
            noise[data.draw(st.integers(0, len(noise) - 1))] = data.draw(st.integers(0, 255))
        with Raw.connect(node.port) as raw:
            try:
                if stage != "before":
                    raw.associate()
                raw.send(bytes(noise[: data.draw(st.integers(1, len(noise)))]))
            except OSError:
                pass

    threads = threading.active_count()
    damaged()
    eventually(lambda: threading.active_count() <= threads, what="threads stay behind")
    with Raw.connect(node.port).associate() as raw:
        assert raw.store(f"{STUDY}.1.9", GOOD) == 0
    eventually(lambda: node.temporary_files() == [])


def test_the_log_has_one_line_without_names(node: Node, capfd: pytest.CaptureFixture[str]) -> None:
    secret: Callable[[], bytes] = lambda: encoded(a_data_set(PatientName="Secret^Name", StudyInstanceUID=None))  # noqa: E731
    with Raw.connect(node.port).associate() as raw:
        assert raw.store(UID, secret()) == 0xC000
        raw.release()
    captured = capfd.readouterr()
    lines = [line for line in (captured.out + captured.err).splitlines() if "instance.refused" in line]
    assert len(lines) == 1
    assert "missing_uid" in lines[0]
    assert "Secret" not in captured.out + captured.err


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"\x01\x00\xff\xff\xff\xff" + bytes(50), id="a request of 4 GB"),
        pytest.param(bytes(range(99, 199)) * 5, id="no PDU at all"),
    ],
)
def test_a_peer_that_talks_nonsense_is_not_answered_without_end(tmp_path: Path, said: bytes) -> None:
    """One abort at most, and not one in every round of a thread that starves all others."""
    heard = []
    with running(tmp_path) as node, Raw.connect(node.port, timeout_s=1.0) as raw:
        raw.send(said)
        with contextlib.suppress(OSError):  # silence, or the node hung up
            while len(heard) < 10:
                heard.append(raw.read()[0])
    assert heard in ([], [ABORT])


@pytest.mark.parametrize(
    "said", [pytest.param(b"", id="nothing"), pytest.param(b"\x01\x00\xff\xff\xff\xff", id="nonsense")]
)
def test_nothing_is_left_of_a_peer_that_hangs_up(tmp_path: Path, said: bytes) -> None:
    """Not even a thread that waits for a request until its timeout."""
    with running(tmp_path, acse_timeout_s=10_000) as node:
        eventually(lambda: len(node.temporary_files()) == 0)
        before = threading.active_count()
        for _ in range(5):
            with Raw.connect(node.port) as raw:
                raw.send(said)
        eventually(lambda: threading.active_count() <= before)


def eventfds() -> int:
    """Descriptors of this process that wake somebody; each open association of a node in it has one."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += "eventfd" in str(entry.readlink())
    return found


@pytest.mark.parametrize("where", ["_is_transport_event", "_process_recv_primitive"])
def test_a_library_that_gives_up_leaves_no_connection_open(
    node: Node, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """pynetdicom's own way out of a fault in its reactor aborts, and leaves socket and descriptors to chance."""
    from listener.receiving.stream import StreamDul

    eventually(lambda: eventfds() == 0, what="earlier associations end")
    real = getattr(StreamDul, where)

    def fault(self: StreamDul) -> bool:
        if self.state_machine.current_state == "Sta6":
            raise RuntimeError("a fault of the library")
        return bool(real(self))

    monkeypatch.setattr(StreamDul, where, fault)
    with Raw.connect(node.port).associate() as raw:
        raw.send(*data_pdus(command(uid=UID), control=1))
        assert raw.hung_up()
        eventually(lambda: eventfds() == 0, what="a descriptor stays open")
    monkeypatch.undo()
    serves_well(node)
