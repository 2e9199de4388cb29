"""Runs inside a network namespace of its own: Orthanc binds every address. Archives are asked, answers written down."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from listener.door import run as scp
from tests.patience import PATIENCE_S
from tests.workers.arrival.test_order_texts import entry
from tests.workers.priors.nodes import AFTER, BASELINE, FOLLOW_UP, PATIENT, Node, study_files
from workers.container import order_texts
from workers.index.order_priorities import priorities_of_orders
from workers.priors.orders import OrderLook

ORTHANC_DICOM, ORTHANC_HTTP, NODE, DCMQRSCP, STOW, WAY = 14242, 18042, 14243, 14244, 18043, 14245
PLUGINS = "/usr/share/orthanc/plugins"

OTHERS = "1.2.826.0.1.5"
# of one connection; an image has 1.9 kB: by DICOM in the middle of a series, by HTTP between two questions
CUT_AFTER_BYTES = {"get": 14_000, "web": 9_000}
SOURCES: dict[str, dict[str, Any]] = {
    "get": {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": ORTHANC_DICOM},
    "move": {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": ORTHANC_DICOM, "retrieve": "move"},
    "web": {"url": f"http://127.0.0.1:{ORTHANC_HTTP}/dicom-web/", "retrieve": "web"},
    "dcmqrscp": {"ae_title": "QRSCP", "host": "127.0.0.1", "port": DCMQRSCP},
}


def until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.05)


def ask(path: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{ORTHANC_HTTP}{path}", data=body)
    return json.loads(urllib.request.urlopen(request, timeout=PATIENCE_S).read())  # noqa: S310 - our own server


def answers(path: str) -> bool:
    try:
        ask(path)
    except OSError:
        return False
    return True


@contextmanager
def orthanc(folder: Path) -> Iterator[None]:
    config = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "HttpPort": ORTHANC_HTTP,
        "DicomPort": ORTHANC_DICOM,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {"node": ["ICANSEE", "127.0.0.1", NODE]},
        "Plugins": [PLUGINS],
        "Worklists": {"Enable": True, "Database": str(folder / "orders")},
        "DicomWeb": {"Servers": {"node": [f"http://127.0.0.1:{STOW}/"]}},
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(["/usr/sbin/Orthanc", str(folder / "orthanc.json")], stderr=log)
    try:
        until(lambda: answers("/system"), "Orthanc does not start")
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@contextmanager
def dcmqrscp(folder: Path, files: list[Path]) -> Iterator[None]:
    """dcmtk's archive."""
    (folder / "qr").mkdir()
    (folder / "qr.cfg").write_text(
        f"NetworkTCPPort = {DCMQRSCP}\nMaxPDUSize = 16384\nMaxAssociations = 16\nHostTable BEGIN\nHostTable END\n"
        f"VendorTable BEGIN\nVendorTable END\nAETable BEGIN\nQRSCP {folder / 'qr'} RW (200, 1024mb) ANY\nAETable END\n"
    )
    process = subprocess.Popen(["/usr/bin/dcmqrscp", "-c", str(folder / "qr.cfg")])
    try:
        until(lambda: _stored(files), "dcmqrscp does not take the images")
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _stored(files: list[Path]) -> bool:
    command = ["/usr/bin/storescu", "-aec", "QRSCP", "127.0.0.1", str(DCMQRSCP), *map(str, files)]
    return (
        subprocess.run(command, capture_output=True, check=False, env={**os.environ, "TCP_NODELAY": "1"}).returncode
        == 0
    )


@contextmanager
def listener(node: Node) -> Iterator[None]:
    stop, ports = threading.Event(), []
    thread = threading.Thread(target=scp.run, args=(node.settings,), kwargs={"stop": stop, "ready": ports.append})
    thread.start()
    try:
        until(lambda: ports, "the listener does not start")
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_S)


def decided(folder: Path, name: str, follow_up: list[Path]) -> dict[str, Any]:
    """A follow-up whose baseline lies in an archive: first decided alone, then looked for, then decided again."""
    node = Node(folder / name, {"sources": [{"name": name, **SOURCES[name]}]}, port=NODE)
    with listener(node):
        node.put(follow_up)
        node.infusion()
        first = node.assess(FOLLOW_UP)
        finder = node.finder()
        finder.look()
        waiting = [one.state.value for one in node.searches.of_study(FOLLOW_UP)]
        node.find(finder)
        node.settle()
    document = node.index.assessment(FOLLOW_UP) or {}
    return {
        "first": first["baseline"],
        "waiting": waiting,
        "baseline": document["baseline"],
        "priors": document["priors"],
        "notices": document["notices"],
        "images": node.images(BASELINE),
        "other": node.images(AFTER),
        "again": node.finder().look(),
    }


@contextmanager
def cutting(port: int, target: int, most_bytes: int) -> Iterator[None]:
    """A way to ``target`` that breaks each connection after so many bytes of the answers."""
    door = socket.create_server(("127.0.0.1", port))

    def carry(source: socket.socket, sink: socket.socket, left: int) -> None:
        with suppress(OSError):
            while left > 0 and (piece := source.recv(min(left, 4096))):
                sink.sendall(piece)
                left -= len(piece)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                caller, _ = door.accept()
                called = socket.create_connection(("127.0.0.1", target))
                for ends in ((caller, called, 1 << 40), (called, caller, most_bytes)):
                    threading.Thread(target=carry, args=ends, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()


def broken(folder: Path, name: str, follow_up: list[Path]) -> dict[str, Any]:
    """The way to the archive breaks in the middle; later it holds."""
    target = ORTHANC_HTTP if name == "web" else ORTHANC_DICOM
    source = {"name": name, **SOURCES[name], **_by_way(name)}
    node = Node(folder / f"broken-{name}", {"sources": [source], "retry_s": 0.1}, port=NODE)
    node.put(follow_up)
    node.infusion()
    with cutting(WAY, target, CUT_AFTER_BYTES[name]):
        node.find()
    (search,) = node.searches.of_study(FOLLOW_UP)
    found = {"failure": search.failure, "then": node.images(BASELINE)}
    with cutting(WAY, target, 1 << 40):
        node.clock.ahead += timedelta(hours=2)
        node.find()
    (search,) = node.searches.of_study(FOLLOW_UP)
    return {**found, "state": search.state.value, "attempts": search.attempts, "now": node.images(BASELINE)}


def _by_way(name: str) -> dict[str, Any]:
    return {"url": f"http://127.0.0.1:{WAY}/dicom-web"} if name == "web" else {"port": WAY}


def lied_to(folder: Path, follow_up: list[Path]) -> dict[str, Any]:
    """Somebody else's study lies in the archive under the patient's ID."""
    other = study_files(folder / "other", OTHERS, "20240106", PatientBirthDate="19550505")
    ids = [ask("/instances", path.read_bytes())["ID"] for path in other]
    node = Node(folder / "lied-to", {"sources": [{"name": "get", **SOURCES["get"]}]})
    node.put(follow_up)
    node.infusion()
    node.find()
    (search,) = node.searches.of_study(FOLLOW_UP)
    said = {one["study_instance_uid"]: one["said"] for one in search.answer["candidates"]}
    return {"said": said, "kept": node.images(OTHERS), "sent": len(ids)}


def ordered(folder: Path, follow_up: list[Path]) -> dict[str, Any]:
    """Orthanc's worklist says the priority of the order of a study that has just come."""
    target = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": ORTHANC_DICOM}
    node = Node(folder / "order", {}, feeds={"worklist": target})
    node.put(follow_up)
    orders, texts = priorities_of_orders(node.settings), order_texts(node.settings)
    if orders is None or texts is None:
        raise RuntimeError("no worklist")
    look = OrderLook(node.index, orders, node.clock, texts.priority)
    said = [look.look(), look.look()]
    return {"said": said, "priorities": orders.priorities([FOLLOW_UP])}


def stowed(folder: Path, follow_up: list[Path]) -> dict[str, Any]:
    """Orthanc sends a study by STOW-RS."""
    node = Node(folder / "stow", {}, {"port": STOW}, port=NODE)
    ids = [ask("/instances", path.read_bytes())["ID"] for path in follow_up]
    with listener(node):
        body = {"Resources": ids, "Synchronous": True}
        said = ask("/dicom-web/servers/node/stow", json.dumps(body).encode())
        until(lambda: sum(node.images(FOLLOW_UP).values()) == len(ids), "the images are not indexed")
    return {"said": said, "images": node.images(FOLLOW_UP)}


def main(folder: Path) -> None:
    follow_up = study_files(folder, FOLLOW_UP, "20240125")
    inside = [*study_files(folder, BASELINE, "20240105"), *study_files(folder, AFTER, "20240122")]
    (folder / "orders").mkdir()
    entry(folder / "orders", "1", patient=PATIENT, accession="SECRET-ACC", reason="MRI brain", priority="STAT")
    found: dict[str, Any] = {}
    with orthanc(folder):
        for path in inside:
            ask("/instances", path.read_bytes())
        for name in ("get", "move", "web"):
            found[name] = decided(folder, name, follow_up)
        found["stow"] = stowed(folder, follow_up)
        for name in ("get", "web"):
            found[f"broken {name}"] = broken(folder, name, follow_up)
        found["lied to"] = lied_to(folder, follow_up)
        found["order"] = ordered(folder, follow_up)
    with dcmqrscp(folder, inside):
        found["dcmqrscp"] = decided(folder, "dcmqrscp", follow_up)
    (folder / "answer.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
