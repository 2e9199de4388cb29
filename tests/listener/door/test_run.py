"""The door with real peers: dcmtk, pynetdicom, Orthanc and a client that sends bytes by hand."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from listener.door import run as scp
from listener.receiving import dimse
from tests.listener.harness import Node, dcmtk, eventually, process, running
from tests.listener.rawscu import (
    EXPLICIT,
    MR,
    VERIFICATION,
    Raw,
    accepted_contexts,
    associate_rq,
    command,
    data_pdus,
    store_pdus,
)
from tests.patience import PATIENCE_S
from tests.workers.reading.data_sets import BIG_ENDIAN, DEFLATED, IMPLICIT, STUDY, a_data_set, as_file, encoded
from triage.errors import Misconfigured
from workers.config import parse
from workers.files.store import FileStore
from workers.index.sql import open_index

UID = f"{STUDY}.1.1"
DATA = encoded(a_data_set())
PATHS = ["stream", "stock"]


@pytest.fixture(params=PATHS)
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    with running(tmp_path / "state", receive_path=request.param) as one:
        yield one


def files(folder: Path, count: int, **changes: Any) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.dcm" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(as_file(a_data_set(number, **changes)))
    return paths


# --- dcmtk


@pytest.mark.parametrize(
    ("transfer_syntax", "option"),
    [
        pytest.param(EXPLICIT, "-xe", id="explicit"),
        pytest.param(IMPLICIT, "-xi", id="implicit"),
        pytest.param(BIG_ENDIAN, "-xb", id="big endian"),
        pytest.param(DEFLATED, "-xd", id="deflated"),
    ],
)
def test_storescu_delivers_pixels_unchanged(node: Node, tmp_path: Path, transfer_syntax: str, option: str) -> None:
    path = tmp_path / "one.dcm"
    path.write_bytes(as_file(a_data_set(pixels=bytes(range(256)) * 400), transfer_syntax))
    sent = dcmtk("storescu", "-R", option, "-aec", "ICANSEE", "127.0.0.1", node.port, path)
    assert sent.returncode == 0, sent.stderr
    stored = node.store.root / next(iter(node.store.all_files()))
    read, original = dcmread(stored), dcmread(path)
    assert read.file_meta.TransferSyntaxUID == transfer_syntax
    assert read.PixelData == original.PixelData
    assert read.file_meta.SourceApplicationEntityTitle == "STORESCU"


def test_many_at_once_and_the_index_behind_them(node: Node, tmp_path: Path) -> None:
    paths = files(tmp_path / "in", 24)

    def send(part: int) -> int:
        return dcmtk("storescu", "-aec", "ICANSEE", "127.0.0.1", node.port, *paths[part::4]).returncode

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, range(4))) == [0] * 4
    assert len(node.data_sets()) == 24
    eventually(lambda: node.indexed() == 24, what="the rows did not follow")
    eventually(lambda: len(node.stored) == 24)
    assert {row.calling_ae for row in node.stored} == {"STORESCU"}


def test_echo(node: Node) -> None:
    assert dcmtk("echoscu", "-aec", "ICANSEE", "127.0.0.1", node.port).returncode == 0


@pytest.mark.parametrize(
    ("listener", "titles", "welcome"),
    [
        pytest.param({}, ("ICANSEE", "ANYBODY"), True, id="noop: loopback needs no list"),
        pytest.param({}, ("OTHER", "ANYBODY"), False, id="called by another name"),
        pytest.param({"peers": [{"ae_title": "MR1"}]}, ("ICANSEE", "MR1"), True, id="listed"),
        pytest.param({"peers": [{"ae_title": "MR1"}]}, ("ICANSEE", "MR2"), False, id="not listed"),
        pytest.param(
            {"peers": [{"ae_title": "MR1", "hosts": ["127.0.0.0/8"]}]}, ("ICANSEE", "MR1"), True, id="listed at home"
        ),
        pytest.param(
            {"peers": [{"ae_title": "MR1", "hosts": ["10.0.0.1"]}]}, ("ICANSEE", "MR1"), False, id="listed elsewhere"
        ),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_who_is_welcome(
    tmp_path: Path, path: str, listener: dict[str, Any], titles: tuple[str, str], welcome: bool
) -> None:
    called, calling = titles
    with running(tmp_path / "state", receive_path=path, **listener) as node:
        echo = dcmtk("echoscu", "-aet", calling, "-aec", called, "127.0.0.1", node.port)
    assert (echo.returncode == 0) is welcome, echo.stderr


# --- negotiation


@pytest.mark.parametrize(
    ("abstract", "proposed", "accepted"),
    [
        pytest.param(MR, [EXPLICIT], EXPLICIT, id="noop"),
        pytest.param(MR, [IMPLICIT, EXPLICIT], IMPLICIT, id="the sender's order counts"),
        pytest.param(MR, ["1.2.840.10008.1.2.4.90", EXPLICIT], "1.2.840.10008.1.2.4.90", id="JPEG 2000 first"),
        pytest.param(MR, ["1.2.840.10008.1.2.4.201"], "1.2.840.10008.1.2.4.201", id="HTJ2K"),
        pytest.param(MR, ["1.2.840.10008.1.2.4.100", EXPLICIT], EXPLICIT, id="MPEG-2 is passed over"),
        pytest.param(MR, ["1.2.840.10008.1.2.4.100"], None, id="only MPEG-2"),
        pytest.param("1.2.840.10008.5.1.4.1.1.4.1", [EXPLICIT], EXPLICIT, id="Enhanced MR"),
        pytest.param("1.2.840.10008.5.1.4.1.1.4.4", [EXPLICIT], EXPLICIT, id="Legacy Converted MR"),
        pytest.param("1.2.840.10008.5.1.4.1.1.88.34", [EXPLICIT], EXPLICIT, id="SR"),
        pytest.param("1.2.840.10008.5.1.4.1.1.2", [EXPLICIT], None, id="CT is not ours"),
        pytest.param("1.3.46.670589.2.5.1.1", [EXPLICIT], EXPLICIT, id="private class of the settings"),
        pytest.param(VERIFICATION, [IMPLICIT], IMPLICIT, id="echo"),
        pytest.param("1.2.840.10008.5.1.4.1.2.2.1", [IMPLICIT], None, id="no queries"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_contexts(tmp_path: Path, path: str, abstract: str, proposed: list[str], accepted: str | None) -> None:
    extra = ["1.3.46.670589.2.5.1.1"]
    with (
        running(tmp_path / "state", receive_path=path, extra_storage_classes=extra) as node,
        Raw.connect(node.port) as raw,
    ):
        raw.send(associate_rq([(1, abstract, proposed), (3, VERIFICATION, [IMPLICIT])]))
        kind, body = raw.read()
        assert kind == 2
        assert accepted_contexts(body).get(1) == accepted
        assert accepted_contexts(body)[3] == IMPLICIT


@pytest.mark.parametrize("path", PATHS)
def test_objects_of_a_private_class_are_stored(tmp_path: Path, path: str) -> None:
    private = "1.3.46.670589.2.5.1.1"
    data = encoded(a_data_set(SOPClassUID=private))
    with (
        running(tmp_path / "state", receive_path=path, extra_storage_classes=[private]) as node,
        Raw.connect(node.port).associate([(1, private, [EXPLICIT])]) as raw,
    ):
        request = command(uid=UID, sop_class=private)
        raw.send(*data_pdus(request, control=1), *data_pdus(data))
        assert raw.status() == 0
        assert node.data_sets()[UID].endswith(data)


# --- answers


@pytest.mark.parametrize(
    ("uid", "data", "status"),
    [
        pytest.param(UID, DATA, 0x0000, id="noop"),
        pytest.param("1.2.3.4", DATA, 0xA900, id="another object than announced"),
        pytest.param("../../evil", DATA, 0xA900, id="path for a UID"),
        pytest.param(UID, b"\7" * 400, 0xC000, id="garbage"),
        pytest.param(UID, encoded(a_data_set(StudyInstanceUID=None)), 0xC000, id="no study"),
        pytest.param(UID, encoded(a_data_set(pixels=bytes(3 << 20))), 0xA700, id="too large"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_a_refused_object_does_not_disturb_the_next(
    tmp_path: Path, path: str, uid: str, data: bytes, status: int
) -> None:
    with (
        running(tmp_path / "state", receive_path=path, max_object_bytes=2 << 20) as node,
        Raw.connect(node.port).associate() as raw,
    ):
        assert raw.store(uid, data) == status
        assert raw.store(f"{STUDY}.1.9", encoded(a_data_set(9))) == 0
        raw.release()
        assert len(node.data_sets()) == 1 + (status == 0)
        assert node.temporary_files() == []
        assert list(tmp_path.rglob("*evil*")) == []


def test_a_class_that_was_not_negotiated_in_this_context(node: Node) -> None:
    with Raw.connect(node.port).associate([(1, MR, [EXPLICIT]), (3, "1.2.840.10008.5.1.4.1.1.7", [EXPLICIT])]) as raw:
        raw.send(*store_pdus(UID, DATA, context=3))
        assert raw.status() == 0x0122
    assert node.data_sets() == {}


@pytest.mark.parametrize(
    ("second", "conflicts"),
    [
        pytest.param(DATA, 0, id="noop: the same again"),
        pytest.param(encoded(a_data_set(pixels=b"\5\6" * 500)), 1, id="another content"),
    ],
)
def test_the_same_uid_again(node: Node, second: bytes, conflicts: int) -> None:
    with Raw.connect(node.port).associate() as raw:
        assert raw.store(UID, DATA) == 0
        assert raw.store(UID, second) == 0
    assert node.data_sets()[UID].endswith(DATA)
    assert len(list(node.store.conflicts.iterdir())) == conflicts
    eventually(lambda: node.indexed() == 1)


def test_a_sender_that_is_gone_when_its_answer_comes(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is durable gets its row, whether or not its sender hears so."""

    def gone(*_: object) -> bytes:
        raise BrokenPipeError("the sender hung up")

    with monkeypatch.context() as patched, Raw.connect(node.port).associate() as raw:
        patched.setattr(dimse, "store_response", gone)
        raw.send(b"".join(store_pdus(UID, DATA)))
        eventually(lambda: node.indexed() == 1)
    assert list(node.data_sets()) == [UID]


# --- life


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with running(tmp_path / "one") as node:
        settings = parse({"listener": {"port": node.port}, "store": {"state_dir": str(tmp_path / "two")}})
        with pytest.raises(Misconfigured, match=str(node.port)):
            scp.run(settings, stop=threading.Event())


@pytest.mark.parametrize("path", PATHS)
def test_stopping_lets_open_associations_finish(tmp_path: Path, path: str) -> None:
    state = tmp_path / "state"
    with process(state, receive_path=path, stop_grace_s=20.0) as (child, node):
        with Raw.connect(node.port).associate() as raw:
            whole = b"".join(store_pdus(UID, DATA))
            raw.send(whole[:400])
            child.send_signal(signal.SIGTERM)
            eventually(lambda: _refused(node.port), what="it still accepts connections")
            raw.send(whole[400:])
            assert raw.status() == 0
            raw.release()
        assert child.wait(PATIENCE_S) == 0
        assert node.data_sets()[UID].endswith(DATA)
        assert node.indexed() == 1


def _refused(port: int) -> bool:
    try:
        with Raw.connect(port) as raw:
            raw.sock.settimeout(0.5)
            raw.associate()
    except TimeoutError:  # slow, but it has not refused
        return False
    except OSError:
        return True
    return False


@pytest.mark.chaos
@pytest.mark.parametrize("path", PATHS)
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, path: str) -> None:
    state = tmp_path / "state"
    acknowledged: list[int] = []
    with process(state, receive_path=path) as (child, node):

        def send(part: int) -> None:
            with Raw.connect(node.port).associate() as raw:
                for number in range(part, 100_000, 4):
                    if raw.store(f"{STUDY}.1.{number}", encoded(a_data_set(number))) == 0:
                        acknowledged.append(number)

        def send_until_dead(part: int) -> None:
            with pytest.raises(OSError):  # noqa: PT011 - reset, closed or broken pipe
                send(part)

        with ThreadPoolExecutor(4) as pool:
            senders = [pool.submit(send_until_dead, part) for part in range(4)]
            eventually(lambda: len(acknowledged) > 60)
            child.kill()
            for sender in senders:
                sender.result(timeout=PATIENCE_S)
    kept = set(acknowledged)
    assert len(kept) > 60
    with running(state, receive_path=path) as node:
        stored = node.data_sets()
        assert all(stored[f"{STUDY}.1.{n}"].endswith(encoded(a_data_set(n))) for n in kept)
        eventually(lambda: node.indexed() == len(stored), what="the scan did not find every file")
        eventually(lambda: node.temporary_files() == [])


def test_a_lost_index_does_not_stop_reception(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "index.db").mkdir()  # a database that cannot be opened
    with running(state) as node:
        with Raw.connect(node.port).associate() as raw:
            assert raw.store(UID, DATA) == 0
        assert node.data_sets()[UID].endswith(DATA)
        (state / "index.db").rmdir()
        eventually(lambda: node.indexed() == 1, what="the row did not follow")


def test_an_association_per_image(node: Node) -> None:
    for number in range(30):
        with Raw.connect(node.port).associate() as raw:
            assert raw.store(f"{STUDY}.1.{number}", encoded(a_data_set(number))) == 0
            raw.release()
    assert len(node.data_sets()) == 30


def test_threads_end_with_their_associations(node: Node) -> None:
    with Raw.connect(node.port).associate() as raw:
        raw.store(UID, DATA)
        before = threading.active_count()
        for _ in range(5):
            with Raw.connect(node.port).associate() as other:
                other.release()
        eventually(lambda: threading.active_count() <= before, what="threads stay behind")
        raw.release()


def test_pynetdicom_as_sender(node: Node) -> None:
    from pynetdicom import AE

    ae = AE("PYNET")
    ae.add_requested_context(MR, [EXPLICIT])
    association = ae.associate("127.0.0.1", node.port, ae_title="ICANSEE")
    assert association.is_established
    data_set = a_data_set()
    from pydicom.dataset import FileMetaDataset

    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = EXPLICIT
    status = association.send_c_store(data_set)
    association.release()
    assert status.Status == 0
    assert node.data_sets()[UID].endswith(DATA)


def test_idle_associations_are_closed(tmp_path: Path) -> None:
    with running(tmp_path / "state", idle_timeout_s=0.5) as node:
        started = time.monotonic()
        with Raw.connect(node.port).associate() as raw:
            assert raw.hung_up()
        assert time.monotonic() - started > 0.5


def test_a_sender_that_waits_for_a_slow_disk_is_not_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flush(_store: FileStore, _fd: int) -> None:
        time.sleep(1.5)

    monkeypatch.setattr(FileStore, "flush", flush)
    with running(tmp_path / "state", idle_timeout_s=0.5) as node, Raw.connect(node.port).associate() as raw:
        for number in range(2):
            assert raw.store(f"{STUDY}.1.{number}", encoded(a_data_set(number))) == 0
        assert raw.hung_up()


def test_a_conflict_is_in_the_index(node: Node) -> None:
    with Raw.connect(node.port) as raw:
        raw.associate()
        for pixels in (b"\1\2", b"\3\4", b"\3\4"):
            assert raw.store(f"{STUDY}.1.1", encoded(a_data_set(1, pixels=pixels))) == 0
    index = open_index(node.settings.index_url)
    eventually(index.conflicts)
    [row] = index.conflicts()
    assert (row.sop_instance_uid, row.study_instance_uid, row.calling_ae) == (f"{STUDY}.1.1", STUDY, "RAW")
    index.close()
