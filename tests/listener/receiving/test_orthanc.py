"""Orthanc as the sender. It binds every address, so it runs with the listener in a network namespace of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.listener.harness import settings_for
from tests.patience import PATIENCE_S
from tests.workers.reading.data_sets import a_data_set, as_file

# runs inside the namespace: a listener, Orthanc, and what Orthanc is asked to do
_SCRIPT = """
    import base64, json, subprocess, sys, threading, time, urllib.request
    from pathlib import Path
    from listener.door import run as scp
    from tests.workers.reading.data_sets import STUDY
    from workers.config import parse
    from workers.index.sql import open_index
    folder = Path(sys.argv[1])
    settings = parse(json.loads(sys.argv[2]))
    stop, ports = threading.Event(), []
    node = threading.Thread(target=scp.run, args=(settings,), kwargs={"stop": stop, "ready": ports.append})
    node.start()
    while not ports:
        time.sleep(0.05)
    config = {
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "HttpPort": 18042,
        "DicomPort": 14242, "DicomAet": "ORTHANC", "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "DicomModalities": {"node": ["ICANSEE", "127.0.0.1", ports[0]]}, "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    orthanc = subprocess.Popen(["/usr/sbin/Orthanc", str(folder / "orthanc.json")], stderr=subprocess.DEVNULL)

    def ask(path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:18042{path}", data=body)
        return json.loads(urllib.request.urlopen(request, timeout=300).read())

    try:
        for _ in range(6000):
            try:
                ask("/system")
                break
            except OSError:
                time.sleep(0.05)
        ids = [ask("/instances", path.read_bytes())["ID"] for path in sorted((folder / "in").iterdir())]
        ask("/modalities/node/echo", b"{}")
        answer = ask("/modalities/node/store", json.dumps(ids).encode())
        # one more that we never got: Orthanc must hear that this one is not safe
        named = {"Resources": ids, "DicomInstances": [["1.2.840.10008.5.1.4.1.1.4", "1.2.3.404"]]}
        path = ask("/modalities/node/storage-commitment", json.dumps(named).encode())["Path"]
        for _ in range(6000):
            answer["commitment"] = ask(path)
            if answer["commitment"]["Status"] != "Pending":
                break
            time.sleep(0.05)
        index = open_index(settings.index_url)
        for _ in range(6000):  # asked while the images came, and again because they became more
            count = index.study_counts([STUDY]).get(STUDY)
            if count and count.announced == len(ids):
                break
            time.sleep(0.05)
        answer["counted"] = [count.received, count.announced]
        (folder / "answer.json").write_text(json.dumps(answer))
    finally:
        orthanc.terminate()
        orthanc.wait(300)
        stop.set()
        node.join(300)
"""


@pytest.mark.server
def test_orthanc_delivers(tmp_path: Path) -> None:
    assert Path("/usr/sbin/Orthanc").exists(), "Orthanc is not installed: apt-get install -y orthanc"
    unshare = shutil.which("unshare")
    assert unshare is not None
    (tmp_path / "in").mkdir()
    for number in range(12):
        data_set = a_data_set(number, pixels=bytes([number]) * 5000, Rows=50, Columns=50, BitsAllocated=16)
        (tmp_path / "in" / f"{number:02}.dcm").write_bytes(as_file(data_set))
    report_to = [{"ae_title": "ORTHANC", "host": "127.0.0.1", "port": 14242}]
    query = {"ae_title": "ORTHANC", "host": "127.0.0.1", "port": 14242, "every_s": 0.1}
    sections = {"commitment": {"report_to": report_to}, "arrival": {"query": query}}
    settings = json.dumps(settings_for(tmp_path / "state", sections=sections))
    program = [sys.executable, "-c", textwrap.dedent(_SCRIPT), str(tmp_path), settings]
    run = subprocess.run(
        [unshare, "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *program],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "TCP_NODELAY": "1"},  # Debian's Orthanc leaves Nagle on
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert (answer["InstancesCount"], answer["FailedInstancesCount"]) == (12, 0)
    assert answer["counted"] == [12, 12]  # what Orthanc says to our C-FIND
    commitment = answer["commitment"]
    assert (commitment["Status"], commitment["RemoteAET"]) == ("Failure", "ICANSEE")
    assert len(commitment["Success"]) == 12
    assert [(one["SOPInstanceUID"], one["FailureReason"]) for one in commitment["Failures"]] == [("1.2.3.404", 0x0112)]
    stored = {p.stem: dcmread(p) for p in (tmp_path / "state" / "store").rglob("*.dcm")}
    assert len(stored) == 12
    for source in (tmp_path / "in").iterdir():
        original = dcmread(source)
        assert stored[original.SOPInstanceUID].PixelData == original.PixelData
        assert stored[original.SOPInstanceUID].file_meta.SourceApplicationEntityTitle == "ORTHANC"
