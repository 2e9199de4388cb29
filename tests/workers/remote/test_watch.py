"""Nodes that stand still, in the middle of a PDU or before one, and those that are only slow."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt

from tests.listener.harness import eventually
from tests.patience import PATIENCE_S
from triage.errors import Transient
from workers.priors.dicom_archive import STUDY_ROOT_FIND, STUDY_ROOT_GET, dicom_archive
from workers.remote.find import connected
from workers.remote.watch import Watch
from workers.sections import DicomTarget

SILENCE_S = 0.6
LONG_SILENCE_S, BETWEEN_S = 3.0, 1.8  # two parts of a message take longer than the silence, each is in time
ACCEPTS, DATA, RELEASES = 2, 4, 6  # PDU types, PS3.8 section 9.3.1
Relay = Callable[[socket.socket, bytes], None]


class Gate:
    """An archive behind a relay that does as it likes with what the archive says."""

    def __init__(self, relay: Relay) -> None:
        self._relay, self._over = relay, threading.Event()
        self._ae = AE("PACS")
        self._ae.add_supported_context(STUDY_ROOT_FIND)
        self._ae.add_supported_context(STUDY_ROOT_GET)
        handlers = [(evt.EVT_C_FIND, one_study)]
        self._archive = self._ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self._door = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def target(self) -> DicomTarget:
        return DicomTarget(ae_title="PACS", host="127.0.0.1", port=self._door.getsockname()[1])

    def close(self) -> None:
        self._door.close()
        self._archive.shutdown()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._door.accept()
            except OSError:
                return
            behind = socket.create_connection(self._archive.server_address)
            threading.Thread(target=self._up, args=(caller, behind), daemon=True).start()
            threading.Thread(target=self._down, args=(caller, behind), daemon=True).start()

    def _up(self, caller: socket.socket, behind: socket.socket) -> None:
        try:
            while piece := caller.recv(1 << 16):
                behind.sendall(piece)
        except OSError:
            pass
        behind.close()

    def _down(self, caller: socket.socket, behind: socket.socket) -> None:
        stream = behind.makefile("rb")
        try:
            while head := stream.read(6):
                self._relay(caller, head + stream.read(int.from_bytes(head[2:], "big")))
        except (OSError, ValueError):
            pass


def one_study(_event: Any) -> Iterator[tuple[int, Dataset | None]]:
    found = Dataset()
    found.QueryRetrieveLevel, found.StudyInstanceUID = "STUDY", "1.2.3"
    yield 0xFF00, found
    yield 0x0000, None


@contextmanager
def gate(relay: Relay) -> Iterator[Gate]:
    opened = Gate(relay)
    try:
        yield opened
    finally:
        opened.close()


def passes(caller: socket.socket, pdu: bytes) -> None:
    caller.sendall(pdu)


def slowly(caller: socket.socket, pdu: bytes) -> None:
    time.sleep(BETWEEN_S if pdu[0] == DATA else 0)
    caller.sendall(pdu)


def at(kind: int, then: Relay) -> Relay:
    return lambda caller, pdu: then(caller, pdu) if pdu[0] == kind else caller.sendall(pdu)


def nothing(_caller: socket.socket, _pdu: bytes) -> None:
    """And the connection stays."""


def half(caller: socket.socket, pdu: bytes) -> None:
    caller.sendall(pdu[:20])


def byte_by_byte(caller: socket.socket, pdu: bytes) -> None:
    for one in pdu:
        caller.sendall(bytes([one]))
        time.sleep(SILENCE_S / 4)


def ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("RequestorThread", "watch"))]


def asked(door: Gate, folder: Path, silence_s: float = SILENCE_S) -> int:
    ends_s = time.monotonic() + PATIENCE_S
    with dicom_archive(
        door.target, "ICANSEE", move=False, silence_s=silence_s, temporary=folder, ends_s=ends_s
    ) as archive:
        return len(archive.studies("P1", until=date(2024, 1, 1)))


@pytest.mark.parametrize(
    "relay", [pytest.param(passes, id="no-op"), pytest.param(slowly, id="slow, and each part in time")]
)
def test_who_goes_on_is_heard_to_the_end(tmp_path: Path, relay: Relay) -> None:
    with gate(relay) as door:
        assert asked(door, tmp_path, LONG_SILENCE_S) == 1
    eventually(lambda: not ours(), what="a thread is left")


@pytest.mark.parametrize("ours", [Watch.own_turn, None], ids=["our turn", "nothing is asked"])
def test_a_silence_in_which_nobody_waits_for_the_archive_means_nothing(
    tmp_path: Path, ours: Callable[[Watch], AbstractContextManager[None]] | None
) -> None:
    ends_s = time.monotonic() + PATIENCE_S
    with (
        gate(passes) as door,
        dicom_archive(
            door.target, "ICANSEE", move=False, silence_s=SILENCE_S, temporary=tmp_path, ends_s=ends_s
        ) as archive,
    ):
        with archive._watch.waiting() if ours else nullcontext(), ours(archive._watch) if ours else nullcontext():
            time.sleep(3 * SILENCE_S)  # our disk is slow, or we are busy
        assert len(archive.studies("P1", until=date(2024, 1, 1))) == 1


@pytest.mark.parametrize("kind", [ACCEPTS, DATA])
@pytest.mark.parametrize("relay", [nothing, half, byte_by_byte])
def test_who_stands_still_is_given_up_and_leaves_no_thread(tmp_path: Path, relay: Relay, kind: int) -> None:
    with gate(at(kind, relay)) as door:
        for _ in range(2):
            with pytest.raises(Transient):
                asked(door, tmp_path)
        eventually(lambda: not ours(), what="a thread is left")


@pytest.mark.parametrize("relay", [nothing, half, byte_by_byte])
def test_who_does_not_let_go_is_left(tmp_path: Path, relay: Relay) -> None:
    with gate(at(RELEASES, relay)) as door:
        assert asked(door, tmp_path) == 1
        eventually(lambda: not ours(), what="a thread is left")


def test_the_end_of_an_attempt_holds_whatever_comes(tmp_path: Path) -> None:
    def without_end(caller: socket.socket, pdu: bytes) -> None:
        while True:
            caller.sendall(pdu)
            time.sleep(SILENCE_S / 4)

    ended = time.monotonic()
    with (
        gate(at(DATA, without_end)) as door,
        pytest.raises(Transient),
        dicom_archive(
            door.target, "ICANSEE", move=False, silence_s=SILENCE_S, temporary=tmp_path, ends_s=ended
        ) as archive,
    ):
        archive.studies("P1", until=date(2024, 1, 1))
    eventually(lambda: not ours(), what="a thread is left")


@pytest.mark.parametrize("kind", [ACCEPTS, DATA])
def test_a_query_ends_that_stands_still_within_a_pdu(kind: int) -> None:
    keys = Dataset()
    keys.QueryRetrieveLevel, keys.PatientID = "STUDY", "P1"
    with gate(at(kind, half)) as door, connected(door.target, "ICANSEE", timeout_s=SILENCE_S) as find:
        if find is not None:
            with pytest.raises(Transient):
                list(find(keys))
        assert (find is None) is (kind == ACCEPTS)
    eventually(lambda: not ours(), what="a thread is left")
