"""Runs inside a network namespace of its own: Orthanc binds every address. Results go to it by C-STORE and STOW-RS,
each twice, and with storage commitment, which it reports on an association to our own port. What it holds is written
down."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from listener.door import run as scp
from tests.fakes import NOON
from tests.workers.priors.in_namespace import NODE, ORTHANC_DICOM, ORTHANC_HTTP, ask, orthanc, until
from tests.workers.reading.data_sets import a_data_set, as_file
from workers.config import parse
from workers.deliveries.all import open_destinations
from workers.delivery_ports import Decided, Delivery
from workers.index.node_index import open_node_index
from workers.settings import NodeSettings

SC = "1.2.840.10008.5.1.4.1.1.7"


@contextmanager
def receiving(folder: Path, destination: dict[str, Any]) -> Iterator[NodeSettings]:
    """Our own DICOM port, where Orthanc knows us."""
    raw = {
        "store": {"state_dir": str(folder / "state"), "min_free_bytes": 0},
        "listener": {"port": NODE},
        "results": {"destinations": [destination]},
    }
    settings, stop, ports = parse(raw).node(), threading.Event(), list[int]()
    open_node_index(settings).close()
    thread = threading.Thread(target=scp.run, args=(settings,), kwargs={"stop": stop, "ready": ports.append})
    thread.start()
    until(lambda: ports, "the port does not open")
    try:
        yield settings
    finally:
        stop.set()
        thread.join()


def main(folder: Path) -> None:
    url = f"http://127.0.0.1:{ORTHANC_HTTP}/dicom-web"
    store = {"kind": "dicom", "ae_title": "ORTHANC", "host": "127.0.0.1", "port": ORTHANC_DICOM}
    destinations = [{"name": "store", **store, "outputs": ["sc"]}, {"name": "stow", "kind": "stow", "url": url}]
    destinations[1]["outputs"] = ["sc"]
    opened = open_destinations(parse({"results": {"destinations": destinations}}).node())
    committing = {**destinations[0], "name": "committing", "commitment": True, "commitment_wait_s": 30}
    said: dict[str, list[str]] = {"store": [], "stow": [], "committing": []}
    with orthanc(folder), receiving(folder, committing) as settings:
        opened |= open_destinations(settings)
        for number, name in enumerate(opened):
            one = Delivery(Decided("1.2.3", 1, "full"), "sc", name, due_at=NOON)
            pixels = bytes([number + 1]) * 5000
            content = as_file(a_data_set(number, pixels=pixels, SOPClassUID=SC, Rows=50, Columns=50, BitsAllocated=16))
            for _ in range(2 if name != "committing" else 1):
                said[name].append(opened[name].send(one, "sc.dcm", "application/dicom", content).text)
            opened[name].close()
        held = [ask(f"/instances/{one}/simplified-tags")["SOPInstanceUID"] for one in ask("/instances")]
    (folder / "answer.json").write_text(json.dumps({"said": said, "held": sorted(held)}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
