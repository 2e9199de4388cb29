"""Workitems to a worklist on a second DICOM library, dcmjs-dimse from npm."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import npm
from tests.workers.deliveries.test_to_ups import FULL, first_look, of_revision, send, ups_sender

pytestmark = pytest.mark.server

NEXT = 4  # FULL is of revision 3
PACKAGE = "dcmjs-dimse@0.3.3"
PROGRAM = Path(__file__).with_name("worklist.cjs")


def said(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """The workitems, as it prints them after a request; other lines are its log."""
    assert process.stdout is not None
    while not (line := process.stdout.readline()).startswith("[{"):
        assert line, "it ended"
    found: list[dict[str, Any]] = json.loads(line)
    return found


def test_it_holds_one_workitem_of_a_revision_and_takes_earlier_ones_back(tmp_path: Path) -> None:
    program = npm.beside(tmp_path, PACKAGE, PROGRAM)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(["node", str(program), str(port)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "listening" in process.stdout.readline()
            sender = ups_sender(port)
            send(sender, first_look())
            (item,) = said(process)
            assert (item["ScheduledProcedureStepPriority"], item["ProcedureStepState"]) == ("MEDIUM", "SCHEDULED")
            assert "already" in send(sender, FULL)
            said(process)  # it is there already
            (item,) = said(process)
            assert item["ScheduledProcedureStepPriority"] == "HIGH"
            assert item["ProcedureStepLabel"].startswith("P1: ")
            send(sender, of_revision(NEXT))
            sender.close()
            # created; then it is asked under the UIDs of earlier versions of the program, too
            last = [said(process) for _ in range(4)][-1]
            assert [one["ProcedureStepState"] for one in last] == ["CANCELED", "SCHEDULED"]
        finally:
            process.terminate()
