"""`icansee send` against real receivers (pynetdicom's stock SCP) that take, refuse, stay silent or hang up."""

from __future__ import annotations

import contextlib
import errno
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AE, evt

from listener.commands import send as cli_send
from listener.commands.send import MOST_CONTEXTS, OutgoingFile, Target, find_files, send_files
from tests.builders_dicom import an_object, write
from tests.listener.commands.cli_runner import Icansee
from tests.unreadable import make_unreadable

MR = "1.2.840.10008.5.1.4.1.1.4"


class Receiver:
    """Answers with ``status`` (a number, None: hang up, or a function of how many came before)."""

    def __init__(self, status: Callable[[int], int | None] = lambda _n: 0x0000) -> None:
        self.stored: list[tuple[str, str]] = []  # SOP Instance UID, transfer syntax
        self.associations = 0
        self._status = status
        self._count = itertools.count()

    def handle(self, event: Any) -> int:
        status = self._status(next(self._count))
        if status is None:
            event.assoc.abort()
            return 0xC000
        if status in (0x0000, 0xB000):
            self.stored.append((event.request.AffectedSOPInstanceUID, str(event.context.transfer_syntax)))
        return status

    def accepted(self, _event: Any) -> None:
        self.associations += 1


@contextlib.contextmanager
def listening(receiver: Receiver, *, syntaxes: list[str] | None = None, called: str | None = None) -> Iterator[int]:
    ae = AE("RECEIVER")
    ae.add_supported_context(MR, syntaxes or [ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless])
    ae.require_called_aet = called is not None
    handlers = [(evt.EVT_C_STORE, receiver.handle), (evt.EVT_ACCEPTED, receiver.accepted)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def some_files(folder: Path, count: int = 3) -> list[str]:
    """Small objects in several transfer syntaxes, and a file that is none; the UIDs."""
    folder.mkdir(exist_ok=True)
    (folder / "README.txt").write_text("not DICOM")
    syntaxes = itertools.cycle([ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    uids = []
    for number in range(count):
        path = write(an_object(), folder / f"{number:03d}.dcm", syntax=next(syntaxes))
        uids.append(str(dcmread(path).SOPInstanceUID))
    return uids


def target(port: int) -> Target:
    return Target("127.0.0.1", port, "RECEIVER", "SENDER")


def test_a_file_that_cannot_be_read_is_not_sent(
    icansee: Icansee, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    some_files(folder, 3)
    bad, real = sorted(folder.glob("*.dcm"))[1], pydicom.filereader.read_file_meta_info

    def read(path: Path) -> Any:
        if path == bad:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path)

    monkeypatch.setattr(pydicom.filereader, "read_file_meta_info", read)
    with listening(Receiver()) as port:
        answer = icansee("send", str(folder), "--port", str(port), "--host", "127.0.0.1", "--called", "RECEIVER")
    assert answer.code == 1
    assert "2 of 3 stored" in answer.out
    assert f"not sent: {bad}: Permission denied" in answer.err


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    assert find_files(tmp_path) == ([], 0, {})
    make_unreadable(monkeypatch, inner)
    assert find_files(tmp_path) == ([], 0, {inner: "Permission denied"})


def test_everything_is_sent_on_one_association_in_its_own_transfer_syntax(tmp_path: Path) -> None:
    uids = some_files(tmp_path, 4)
    files, ignored, _ = find_files(tmp_path)
    receiver = Receiver()
    with listening(receiver) as port:
        report = send_files(files, target(port))
    assert (report.sent, report.failed, ignored) == (4, {}, 1)
    assert [uid for uid, _ in receiver.stored] == uids
    assert [syntax for _, syntax in receiver.stored] == [ExplicitVRLittleEndian, ImplicitVRLittleEndian] * 2
    assert receiver.associations == 1


@pytest.mark.parametrize(
    ("status", "sent", "warned", "associations"),
    [
        pytest.param(lambda _n: 0xB000, 3, 3, 1, id="stored with a warning"),
        pytest.param(lambda n: 0xA700 if n == 1 else 0, 2, 0, 1, id="one refused, the others go on"),
        pytest.param(lambda n: None if n == 1 else 0, 3, 0, 2, id="hung up once: sent again on a new association"),
        pytest.param(lambda n: None if n else 0, 1, 0, 6, id="hung up for good: given up after three tries each"),
    ],
)
def test_answers(
    tmp_path: Path, status: Callable[[int], int | None], sent: int, warned: int, associations: int
) -> None:
    uids = some_files(tmp_path)
    receiver = Receiver(status)
    with listening(receiver) as port:
        report = send_files(find_files(tmp_path)[0], target(port))
    assert (report.sent, report.warned, len(report.failed)) == (sent, warned, len(uids) - sent)
    assert receiver.associations == associations


def test_an_answer_that_never_comes_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when pynetdicom's reactor takes the answer off the queue."""
    from pynetdicom.association import Association

    real, lost = Association._check_received_status, []

    def lose_first(self: Any, message: Any) -> Any:
        if not lost:
            lost.append(message)
            self.abort()
            raise RuntimeError("lost")
        return real(self, message)

    monkeypatch.setattr(Association, "_check_received_status", lose_first)
    uids = some_files(tmp_path)
    receiver = Receiver()
    with listening(receiver) as port:
        report = send_files(find_files(tmp_path)[0], target(port))
    assert (report.sent, report.failed) == (3, {})
    assert {uid for uid, _ in receiver.stored} == set(uids)
    assert len(receiver.stored) == 4


def test_more_kinds_of_object_than_one_association_can_carry() -> None:
    files = [OutgoingFile(Path(f"{n}"), f"1.2.{n}", ExplicitVRLittleEndian) for n in range(MOST_CONTEXTS + 1)]
    groups = list(cli_send._by_contexts([*files, files[0]]))
    assert [len(group) for group in groups] == [MOST_CONTEXTS + 1, 1]
    assert [file for group in groups for file in group].count(files[0]) == 2


class TestCommand:
    def test_sends(self, icansee: Icansee, tmp_path: Path) -> None:
        some_files(tmp_path / "d")
        with listening(Receiver()) as port:
            answer = icansee("send", str(tmp_path / "d"), "--port", str(port), "--called", "RECEIVER")
        assert (answer.code, answer.out.strip()) == (0, "3 of 3 stored; 1 other files ignored")

    def test_refused_objects_are_named_and_exit_1(self, icansee: Icansee, tmp_path: Path) -> None:
        some_files(tmp_path / "d")
        with listening(Receiver(lambda n: 0xA700 if n else 0)) as port:
            answer = icansee("send", str(tmp_path / "d"), "--port", str(port))
        assert answer.code == 1
        assert "1 of 3 stored" in answer.out
        assert "002.dcm: refused with status 0xA700" in answer.err

    def test_a_receiver_that_takes_one_of_two_syntaxes(self, icansee: Icansee, tmp_path: Path) -> None:
        some_files(tmp_path / "d", 2)
        with listening(Receiver(), syntaxes=[ExplicitVRLittleEndian]) as port:
            answer = icansee("send", str(tmp_path / "d"), "--port", str(port))
        assert answer.code == 1
        assert f"does not take {MR} in {ImplicitVRLittleEndian}" in answer.err

    def test_a_receiver_that_goes_away_in_the_middle(self, tmp_path: Path) -> None:
        uids = some_files(tmp_path)
        with contextlib.ExitStack() as stack:

            def last_word(number: int) -> int | None:
                if number == 1:
                    stack.close()  # nobody listens any more
                    return None
                return 0

            port = stack.enter_context(listening(Receiver(last_word)))
            report = send_files(find_files(tmp_path)[0], target(port))
        assert report.sent == 1
        assert len(report.failed) == len(uids) - 1

    @pytest.mark.parametrize(
        ("folder", "options", "called", "says"),
        [
            pytest.param("absent", [], None, "DIR", id="no such folder"),
            pytest.param("empty", [], None, "DIR", id="noop: nothing to send"),
            pytest.param("d", ["--called", "WRONG"], "RECEIVER", "--called", id="wrong called AE title"),
            pytest.param("d", ["--port", "1"], None, "--port", id="nobody listens"),
            pytest.param("d", ["--port", "0"], None, "--port", id="no port"),
        ],
    )
    def test_wrong_requests(
        self, icansee: Icansee, tmp_path: Path, folder: str, options: list[str], called: str | None, says: str
    ) -> None:
        some_files(tmp_path / "d")
        (tmp_path / "empty").mkdir()
        with listening(Receiver(), called=called) as port:
            answer = icansee("send", str(tmp_path / folder), "--port", str(port), *options)
        assert answer.code == 2
        assert says in answer.err
        assert answer.out == ""
