"""Runs inside a network namespace of its own: Orthanc binds every address. Results go to it by C-STORE and STOW-RS,
each twice, and what it holds is written down."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.fakes import NOON
from tests.workers.priors.in_namespace import ORTHANC_DICOM, ORTHANC_HTTP, ask, orthanc
from tests.workers.reading.data_sets import a_data_set, as_file
from workers.config import parse
from workers.deliveries.all import open_destinations
from workers.delivery_ports import Decided, Delivery

SC = "1.2.840.10008.5.1.4.1.1.7"


def main(folder: Path) -> None:
    url = f"http://127.0.0.1:{ORTHANC_HTTP}/dicom-web"
    store = {"kind": "dicom", "ae_title": "ORTHANC", "host": "127.0.0.1", "port": ORTHANC_DICOM}
    destinations = [{"name": "store", **store, "outputs": ["sc"]}, {"name": "stow", "kind": "stow", "url": url}]
    destinations[1]["outputs"] = ["sc"]
    opened = open_destinations(parse({"results": {"destinations": destinations}}).node())
    said: dict[str, list[str]] = {"store": [], "stow": []}
    with orthanc(folder):
        for number, name in enumerate(opened):
            one = Delivery(Decided("1.2.3", 1, "full"), "sc", name, due_at=NOON)
            pixels = bytes([number + 1]) * 5000
            content = as_file(a_data_set(number, pixels=pixels, SOPClassUID=SC, Rows=50, Columns=50, BitsAllocated=16))
            for _ in range(2):
                said[name].append(opened[name].send(one, "sc.dcm", "application/dicom", content).text)
            opened[name].close()
        held = [ask(f"/instances/{one}/simplified-tags")["SOPInstanceUID"] for one in ask("/instances")]
    (folder / "answer.json").write_text(json.dumps({"said": said, "held": sorted(held)}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
