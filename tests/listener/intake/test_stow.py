"""STOW-RS over real HTTP: what is stored, refused for each part, and not admitted at all."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread

from listener.intake.server import stow_server
from listener.receiving.reception import Reception
from tests.builders_dicom import STUDY_UID, a_series
from tests.listener.certificates import make
from tests.patience import PATIENCE_S
from triage.errors import Misconfigured
from workers.config import parse
from workers.files.store import FileStore
from workers.ports import InstanceRow

BOUNDARY = "a-boundary"
TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
RAW = "1.2.840.10008.5.1.4.1.1.481.3"  # RT Structure Set: not stored here


class Door:
    """A STOW server over a store."""

    def __init__(self, folder: Path, stack: ExitStack, **store: int) -> None:
        self.folder, self._stack = folder, stack
        self.store = FileStore(folder / "state", **{"max_object_bytes": 1 << 20, **store})  # type: ignore[arg-type] # limits
        self.rows: list[InstanceRow] = []
        self.reception = Reception(self.store, self.rows.append)

    def open(self, **stow: Any) -> str:
        sections = {"stow": {"port": 0, **stow}, "store": {"state_dir": str(self.folder / "state")}}
        port = self._stack.enter_context(stow_server(parse(sections).node(), self.reception))
        return f"http{'s' if 'tls' in stow else ''}://127.0.0.1:{port}"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with ExitStack() as stack:
        yield Door(tmp_path, stack)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return a_series(tmp_path / "in", count=3)


def body(*parts: bytes, kind: str = "application/dicom", end: bool = True) -> bytes:
    begun = b"".join(
        b"--" + BOUNDARY.encode() + f"\r\nContent-Type: {kind}\r\n\r\n".encode() + part + b"\r\n" for part in parts
    )
    return begun + (b"--" + BOUNDARY.encode() + b"--\r\n" if end else b"")


def post(url: str, content: bytes, path: str = "/studies", **headers: str) -> httpx.Response:
    return httpx.post(url + path, content=content, headers={"Content-Type": TYPE, **headers}, timeout=PATIENCE_S)


def failures(answer: httpx.Response) -> list[int]:
    """Of objects, then of parts that do not say which object they are."""
    sequences = [answer.json().get(tag, {}).get("Value", []) for tag in ("00081198", "0008119A")]
    assert [all("00081155" in one for one in sequences[0]), any("00081155" in one for one in sequences[1])] == [
        True,
        False,
    ]
    return [one["00081197"]["Value"][0] for one in (*sequences[0], *sequences[1])]


def stored(answer: httpx.Response) -> list[str]:
    return [one["00081155"]["Value"][0] for one in answer.json().get("00081199", {}).get("Value", [])]


def test_parts_are_stored_and_named(door: Door, files: list[Path]) -> None:
    url = door.open()
    answer = post(url, body(*(path.read_bytes() for path in files)))
    uids = [str(dcmread(path).SOPInstanceUID) for path in files]
    assert (answer.status_code, stored(answer), failures(answer)) == (200, uids, [])
    assert answer.headers["content-type"] == "application/dicom+json"
    assert [row.sop_instance_uid for row in door.rows] == uids
    assert {row.calling_ae for row in door.rows} == {"STOW"}
    kept = {path.stem: dcmread(path).PixelData for path in door.store.all_files()}
    assert kept == {str(dcmread(path).SOPInstanceUID): dcmread(path).PixelData for path in files}
    again = post(url, body(files[0].read_bytes()), f"/studies/{STUDY_UID}")  # the same again is stored once
    assert (again.status_code, len(list(door.store.all_files()))) == (200, 3)


def no_change(content: bytes) -> bytes:
    return content


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        pytest.param(no_change, None, id="nothing is wrong"),
        pytest.param(lambda content: b"not DICOM" * 50, 0xC000, id="no header"),
        pytest.param(lambda content: b"", 0xC000, id="empty"),
        pytest.param(lambda content: content[132:], 0xC000, id="without preamble"),
        pytest.param(lambda content: content[:300], 0xC000, id="cut in its header"),
        pytest.param(lambda content: content[:-60], 0xC000, id="cut in its pixels"),
        pytest.param(lambda content: content + bytes(2 << 20), 0xA700, id="too large"),
        pytest.param(
            lambda content: content.replace(b"1.2.840.10008.5.1.4.1.1.4\0", b"1.2.840.10008.5.1.4.1.1.2\0", 1),
            0x0122,
            id="class that is not stored",
        ),
        pytest.param(
            lambda content: content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0", 1),
            0xC122,
            id="syntax that is not taken",
        ),
    ],
)
def test_a_refused_part_costs_only_itself(
    door: Door, files: list[Path], spoil: Callable[[bytes], bytes], status: int | None
) -> None:
    contents = [path.read_bytes() for path in files]
    contents[1] = spoil(contents[1])
    answer = post(door.open(), body(*contents))
    assert failures(answer) == ([] if status is None else [status])
    assert answer.status_code == (200 if status is None else 202)
    assert len(list(door.store.all_files())) == (3 if status is None else 2)
    assert list(door.store.root.rglob(".*.part")) == []


def test_an_object_of_another_study_is_not_kept(door: Door, files: list[Path]) -> None:
    answer = post(door.open(), body(files[0].read_bytes()), "/studies/1.2.3")
    assert (answer.status_code, failures(answer)) == (409, [0xA900])
    assert list(door.store.all_files()) == []


@pytest.mark.parametrize(
    ("path", "headers", "content", "status"),
    [
        pytest.param("/studies", {"Content-Type": "application/dicom"}, body(b"x"), 415, id="no multipart"),
        pytest.param("/studies", {"Content-Type": "multipart/related"}, body(b"x"), 415, id="no boundary"),
        pytest.param("/studies", {"Accept": "application/dicom+xml"}, body(b"x"), 406, id="XML wanted"),
        pytest.param("/studies/1..2", {}, body(b"x"), 404, id="no UID"),
        pytest.param("/studies/1.2/series/1", {}, body(b"x"), 404, id="elsewhere"),
        pytest.param("/studies", {}, b"", 400, id="no body"),
        pytest.param("/studies", {}, body(), 400, id="no part"),
        pytest.param("/studies", {}, b"--" + BOUNDARY.encode() + b"x", 400, id="a broken delimiter"),
        pytest.param("/studies", {}, body(b"x", end=False), 400, id="it ends too early"),
    ],
)
def test_requests_that_are_refused(door: Door, path: str, headers: dict[str, str], content: bytes, status: int) -> None:
    assert post(door.open(), content, path, **headers).status_code == status


def test_only_post_is_answered(door: Door) -> None:
    answer = httpx.get(door.open() + "/studies")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


METADATA = f'multipart/related; type="application/dicom+json"; boundary={BOUNDARY}'


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        pytest.param({"Content-Type": METADATA}, "application/dicom+json", id="metadata and bulk data"),
        pytest.param({"Content-Type": METADATA.replace("json", "xml")}, "application/dicom+xml", id="the same in XML"),
        pytest.param({"Content-Encoding": "gzip"}, "gzip", id="compressed as a whole"),
        pytest.param({"Content-Type": "application/dicom"}, "multipart/related", id="no envelope"),
        pytest.param({"Content-Encoding": "identity"}, None, id="no-op: not compressed"),
        pytest.param({"Content-Type": f"multipart/related; boundary={BOUNDARY}"}, None, id="no-op: no type stated"),
    ],
)
def test_another_form_is_refused_by_name(
    door: Door, files: list[Path], headers: dict[str, str], said: str | None
) -> None:
    answer = post(door.open(), body(files[0].read_bytes()), **headers)
    assert answer.status_code == (200 if said is None else 415)
    if said is not None:
        assert said in answer.text
        assert answer.headers["content-type"].startswith("text/plain")
    assert len(list(door.store.all_files())) == int(said is None)


def test_a_body_cut_in_the_middle_keeps_the_whole_parts(door: Door, files: list[Path]) -> None:
    content = body(*(path.read_bytes() for path in files))
    answer = post(door.open(), content[: len(content) - 300])
    assert (answer.status_code, len(stored(answer)), failures(answer)) == (202, 2, [0xC000])
    assert list(door.store.root.rglob(".*.part")) == []


def test_a_sender_that_hangs_up_leaves_nothing_half(door: Door, files: list[Path]) -> None:
    url = httpx.URL(door.open())
    connection = http.client.HTTPConnection(url.host, url.port)
    connection.putrequest("POST", "/studies")
    connection.putheader("Content-Type", TYPE)
    connection.putheader("Content-Length", "1000000")
    connection.endheaders()
    connection.send(body(files[0].read_bytes(), end=False)[:600])
    connection.close()
    assert post(str(url).rstrip("/"), body(files[1].read_bytes())).status_code == 200
    assert len(list(door.store.all_files())) == 1


def test_parts_beyond_the_limit_are_refused(door: Door, files: list[Path]) -> None:
    answer = post(door.open(max_parts=1), body(*(path.read_bytes() for path in files)))
    assert (answer.status_code, len(stored(answer)), failures(answer)) == (202, 1, [0xA700])


def test_other_parts_than_dicom_are_refused(door: Door) -> None:
    answer = post(door.open(), body(b"{}", kind="application/dicom+json"))
    assert (answer.status_code, failures(answer)) == (409, [0xC000])


def test_a_silent_sender_is_ended(door: Door) -> None:
    url = httpx.URL(door.open(silence_limit_s=0.2))
    connection = http.client.HTTPConnection(url.host, url.port, timeout=PATIENCE_S)
    connection.putrequest("POST", "/studies")
    connection.putheader("Content-Type", TYPE)
    connection.putheader("Content-Length", "1000")
    connection.endheaders()
    assert connection.getresponse().status == 408
    connection.close()


@pytest.mark.parametrize(
    ("max_object_bytes", "min_free_bytes", "status"),
    [
        pytest.param(1 << 20, 0, 200, id="noop: there is room"),
        pytest.param(1 << 20, 1 << 60, 503, id="the disk is full: the sender comes again"),
        pytest.param(1000, 0, 409, id="too large, however often it comes"),
    ],
)
def test_a_sender_learns_whether_it_may_come_again(
    tmp_path: Path, files: list[Path], max_object_bytes: int, min_free_bytes: int, status: int
) -> None:
    with ExitStack() as stack:
        door = Door(tmp_path, stack, max_object_bytes=max_object_bytes, min_free_bytes=min_free_bytes)
        answer = post(door.open(), body(*(path.read_bytes() for path in files)))
    assert (answer.status_code, "retry-after" in answer.headers) == (status, status == 503)
    assert failures(answer) == ([] if status == 200 else [0xA700] * 3)


def test_a_token_is_asked_for(door: Door, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token\n")
    url, content = door.open(token_file=str(tmp_path / "token")), body(files[0].read_bytes())
    assert post(url, content).status_code == 401
    assert post(url, content, Authorization="Bearer another").status_code == 401
    assert list(door.store.all_files()) == []
    assert post(url, content, Authorization="Bearer a-token").status_code == 200


def test_over_tls_with_a_client_certificate(door: Door, files: list[Path], tmp_path: Path) -> None:
    pki = tmp_path / "pki"
    make(pki, "server", "client")
    tls = {
        "certificate": str(pki / "server.pem"),
        "private_key": str(pki / "server.key"),
        "client_ca": str(pki / "ca.pem"),
    }
    url, content = door.open(tls=tls), body(files[0].read_bytes())
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    context.check_hostname = False
    headers = {"Content-Type": TYPE}
    with pytest.raises(httpx.TransportError):
        httpx.post(f"{url}/studies", content=content, headers=headers, verify=context)
    assert list(door.store.all_files()) == []
    context.load_cert_chain(pki / "client.pem", pki / "client.key")
    assert httpx.post(f"{url}/studies", content=content, headers=headers, verify=context).status_code == 200


def test_settings_that_cannot_be_used(door: Door, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    for name in ("empty", "missing"):
        with pytest.raises(Misconfigured, match=r"stow\.token_file"):
            door.open(token_file=str(tmp_path / name))
    with pytest.raises(Misconfigured, match="needs tls"):
        door.open(token_file="t", host="0.0.0.0")  # noqa: S104 - refused
