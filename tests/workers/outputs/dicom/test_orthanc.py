"""Orthanc as the receiver. It binds every address, so it runs in a network namespace of its own."""

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

from tests.architecture.source import ROOT
from tests.workers.outputs.dicom.result_builders import a_decision
from workers.outputs.all import ON_REQUEST, OUTPUTS

# runs inside the namespace: Orthanc, dcmtk's sender, and what Orthanc then shows
_SCRIPT = """
    import json, subprocess, sys, time, urllib.request
    from pathlib import Path
    folder = Path(sys.argv[1])
    config = {
        "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"), "HttpPort": 18042,
        "DicomPort": 14242, "DicomAet": "ORTHANC", "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    orthanc = subprocess.Popen(["/usr/sbin/Orthanc", str(folder / "orthanc.json")], stderr=subprocess.DEVNULL)

    def ask(path):
        return json.loads(urllib.request.urlopen(f"http://127.0.0.1:18042{path}", timeout=300).read())

    try:
        for _ in range(6000):
            try:
                ask("/system")
                break
            except OSError:
                time.sleep(0.05)
        files = sorted((folder / "out").iterdir())
        for _ in range(2):  # at least once: the second time changes nothing
            subprocess.run(["/usr/bin/storescu", "-R", "-aec", "ORTHANC", "127.0.0.1", "14242", *files], check=True)
        shown = [ask(f"/series/{one}")["MainDicomTags"] for one in ask("/series")]
        answer = {"studies": len(ask("/studies")), "series": shown, "instances": len(ask("/instances"))}
        (folder / "answer.json").write_text(json.dumps(answer))
    finally:
        orthanc.terminate()
        orthanc.wait(300)
"""


@pytest.mark.server
def test_orthanc_shows_every_object_in_the_study(tmp_path: Path) -> None:
    assert Path("/usr/sbin/Orthanc").exists(), "Orthanc is not installed: apt-get install -y orthanc"
    unshare = shutil.which("unshare")
    assert unshare is not None
    (tmp_path / "out").mkdir()
    document, evidence = a_decision()
    for output in (*OUTPUTS, *ON_REQUEST):
        if output.file_name.endswith(".dcm"):
            (tmp_path / "out" / output.file_name).write_bytes(output.render(document, evidence))
    (tmp_path / "script.py").write_text(textwrap.dedent(_SCRIPT), encoding="utf-8")
    inside = f"ip link set lo up && exec {sys.executable} {tmp_path / 'script.py'} {tmp_path}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [unshare, "-rn", "bash", "-c", inside], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads((tmp_path / "answer.json").read_text())
    sent = [dcmread(path) for path in (tmp_path / "out").iterdir()]
    assert (answer["studies"], answer["instances"]) == (1, len(sent))
    assert {(one["SeriesInstanceUID"], one["SeriesNumber"], one["SeriesDescription"]) for one in answer["series"]} == {
        (ds.SeriesInstanceUID, str(ds.SeriesNumber), ds.SeriesDescription) for ds in sent
    }
