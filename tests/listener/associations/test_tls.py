"""TLS with dcmtk as the sender: who gets in, and that nobody who dawdles keeps others out."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.listener import certificates
from tests.listener.harness import Node, dcmtk, running
from tests.listener.rawscu import Raw
from tests.patience import PATIENCE_S
from tests.workers.reading.data_sets import STUDY, a_data_set, as_file, encoded
from triage.errors import Misconfigured
from workers.config import parse

UID = f"{STUDY}.1.1"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    certificates.make(folder, "node", "scanner")
    certificates.make(folder / "strange", "intruder")
    return folder


def settings(keys: Path, **changes: Any) -> dict[str, Any]:
    files = {"certificate": "node.pem", "private_key": "node.key", "client_ca": "ca.pem", **changes}
    return {name: str(keys / value) for name, value in files.items() if value is not None}


@pytest.fixture(params=["stream", "stock"])
def node(request: pytest.FixtureRequest, keys: Path, tmp_path: Path) -> Iterator[Node]:
    with running(tmp_path / "state", receive_path=request.param, tls=settings(keys), acse_timeout_s=3.0) as one:
        yield one


def send(node: Node, keys: Path, folder: Path, *, key: str, count: int = 3) -> int:
    paths = []
    for number in range(count):
        path = folder / f"{number}.dcm"
        path.write_bytes(as_file(a_data_set(number, pixels=bytes(200_000))))
        paths.append(path)
    tls = ["+tls", keys / f"{key}.key", keys / f"{key}.pem", "+cf", keys / "ca.pem"]
    return dcmtk("storescu", *tls, "-aec", "ICANSEE", "127.0.0.1", node.port, *paths).returncode


@pytest.mark.parametrize(
    ("key", "welcome"),
    [
        pytest.param("scanner", True, id="noop: signed by our CA"),
        pytest.param("strange/intruder", False, id="signed by another"),
    ],
)
def test_client_certificates(node: Node, keys: Path, tmp_path: Path, key: str, welcome: bool) -> None:
    assert (send(node, keys, tmp_path, key=key) == 0) is welcome
    assert len(node.data_sets()) == (3 if welcome else 0)


def test_plain_connections_get_nowhere(node: Node) -> None:
    with Raw.connect(node.port) as raw, pytest.raises(OSError):  # noqa: PT011
        raw.associate()
    assert node.data_sets() == {}


@pytest.mark.parametrize(
    ("version", "welcome"),
    [
        pytest.param(ssl.TLSVersion.TLSv1_3, True, id="noop: 1.3"),
        pytest.param(ssl.TLSVersion.TLSv1_2, True, id="1.2"),
        pytest.param(ssl.TLSVersion.TLSv1_1, False, id="1.1"),
    ],
)
def test_versions(node: Node, keys: Path, version: ssl.TLSVersion, welcome: bool) -> None:
    context = ssl.create_default_context(cafile=keys / "ca.pem")
    context.check_hostname = False
    context.load_cert_chain(keys / "scanner.pem", keys / "scanner.key")
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("DEFAULT:@SECLEVEL=0")

    def attempt() -> int:
        with context.wrap_socket(socket.create_connection(("127.0.0.1", node.port), timeout=PATIENCE_S)) as wrapped:
            raw = Raw(wrapped).associate()
            status = raw.store(UID, encoded(a_data_set()))
            raw.release()
            return status

    if welcome:
        assert attempt() == 0
    else:
        with pytest.raises(OSError):  # noqa: PT011
            attempt()


def test_connections_that_never_shake_hands_hold_up_nobody(node: Node, keys: Path, tmp_path: Path) -> None:
    idle = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(15)]
    try:
        assert send(node, keys, tmp_path, key="scanner") == 0
    finally:
        for one in idle:
            one.close()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"certificate": "nothing.pem"}, "certificate", id="no such file"),
        pytest.param({"private_key": "scanner.key"}, "private_key", id="another's key"),
        pytest.param({"client_ca": "node.key"}, "client_ca", id="not a certificate"),
    ],
)
@pytest.mark.parametrize("processes", [1, 2])
def test_settings_that_do_not_work_are_named(
    keys: Path, tmp_path: Path, changes: dict[str, str], named: str, processes: int
) -> None:
    import threading

    from listener.door import run as scp

    wrong = {"port": 0, "processes": processes, "tls": settings(keys, **changes)}
    with pytest.raises(Misconfigured, match=named):
        scp.run(parse({"listener": wrong, "store": {"state_dir": str(tmp_path)}}), stop=threading.Event())


def test_a_certificate_belongs_to_a_peer(keys: Path, tmp_path: Path) -> None:
    """Both are signed by our CA; the scanner's is listed, the node's own is not."""
    listed = hashlib.sha256(ssl.PEM_cert_to_DER_cert((keys / "scanner.pem").read_text())).hexdigest()
    peers = [{"ae_title": "STORESCU", "certificates": [f"sha256:{listed}"]}]
    with running(tmp_path / "state", tls=settings(keys), peers=peers) as one:
        assert send(one, keys, tmp_path, key="node") != 0
        assert one.data_sets() == {}
        assert send(one, keys, tmp_path, key="scanner") == 0
