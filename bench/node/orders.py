"""HL7 messages of an independent MLLP client on a real node: how soon are they answered, and the decisions made again?

    python -m bench.node.orders

A follow-up with pattern A lies under another patient ID than its baseline. A merge (ADT^A40) brings both together, an
order (ORM^O01) states the infusion, a second one (RDE^O11) moves it. Printed for each: the time of the answer, of the
study's return to the queue, and of the new decision, which must differ as it should. Malformed messages must be
answered with AE and a reason; what was acknowledged before a kill -9 of the feeds must be applied after it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hl7.client import MLLPClient

from bench.node.copies import Copy, copy_of, simulated
from tests.chaos.feeds import node_with_feeds, port_of
from tests.chaos.node import Node, wait_for
from workers import config
from workers.feeds.folders import open_inbox
from workers.index.sql import SqlIndex
from workers.ports import StudyState

BAR_S = 60.0
OLD, NEW = "EMERGENCY-7", "P7"
BURST = 20
POLL_S = 0.02


def message(kind: str, control: str, *segments: str) -> bytes:
    head = f"MSH|^~\\&|RIS|HOSP|ICANSEE|RAD|20240301||{kind}|{control}|P|2.5.1"
    return "\r".join((head, *segments, "")).encode()


def order(kind: str, control: str, patient: str, day: str, number: str = "77") -> bytes:
    """An order of an infusion on a day, by the timing of the order (ORC-7.4)."""
    coded = (
        "RXE|^^^" + day + "|X1^axicabtagene ciloleucel" if kind == "RDE^O11" else "OBR|1|||X1^axicabtagene ciloleucel"
    )
    return message(kind, control, f"PID|1||{patient}^^^^MR", f"ORC|NW|{number}|||||^^^{day}", coded)


MERGE = message("ADT^A40", "1", "EVN|A40", f"PID|1||{NEW}^^^^MR", f"MRG|{OLD}")
MALFORMED: Mapping[str, bytes] = {
    "a merge without MRG": message("ADT^A40", "m1", f"PID|1||{NEW}"),
    "a merge without a patient ID": message("ADT^A40", "m2", "PID|1||", f"MRG|{OLD}"),
    "an order without a date": message("ORM^O01", "m3", f"PID|1||{NEW}", "ORC|NW|1", "OBR|1|||X1^axicabtagene"),
    "an order on February 30": order("RDE^O11", "m4", NEW, "20240230"),
    "an order without a patient": message("ORM^O01", "m5", "ORC|NW|1|||||^^^20240304", "OBR|1|||X1^axicabtagene"),
    "no HL7 at all": b"GET / HTTP/1.1",
    "an unknown character set": MERGE.replace(b"|P|2.5.1", b"|P|2.5.1||||||KLINGON"),
}


@dataclass(frozen=True)
class Decided:
    """The newest full decision. version: grows with each."""

    version: int
    category: str
    baseline: str | None
    days: int | None
    first_line: str

    def __str__(self) -> str:
        return f"{self.category}, baseline {self.baseline}, day {self.days}: {self.first_line}"


def decided(index: SqlIndex, study: Copy) -> Decided | None:
    full = [one for one in index.assessments(study.uid) if one["stage"] == "full"]
    row = index.study(study.uid)
    if not full or row is None or row.state is not StudyState.ASSESSED:
        return None
    document: dict[str, Any] = full[-1]["document"]
    decision, baseline = document["decision"], document["baseline"] or {}
    return Decided(
        version=len(index.assessments(study.uid)),
        category=decision["category"],
        baseline=baseline.get("study_date"),
        days=document["study"]["days_after_infusion"],
        first_line=next(iter(decision["reasons"]), "")[:160],
    )


def is_decided(index: SqlIndex, study: Copy) -> bool:
    return decided(index, study) is not None


def send(node: Node, raw: bytes) -> tuple[str, str, float]:
    """(code, text, seconds) of the answer."""
    with MLLPClient("127.0.0.1", port_of(node)) as client:
        began = time.monotonic()
        answer = client.send_message(raw).decode()
        seconds = time.monotonic() - began
    found = re.search(r"MSA\|(\w\w)\|", answer)
    said = next((line for line in answer.split("\r") if line.startswith("ERR")), "")
    return found[1] if found else "none", said, seconds


def told(node: Node, index: SqlIndex, study: Copy, what: str, raw: bytes, right: Callable[[Decided], bool]) -> None:
    """Send one message and print what becomes of the decision."""
    before = decided(index, study)
    assert before is not None
    began = time.monotonic()
    code, _, answer_s = send(node, raw)
    queued_s: float | None = None
    now: Decided | None = None
    while time.monotonic() - began < 10 * BAR_S:
        row = index.study(study.uid)
        if queued_s is None and row is not None and row.state is not StudyState.ASSESSED:
            queued_s = time.monotonic() - began
        now = decided(index, study)
        if now is not None and now.version > before.version and right(now):
            break
        time.sleep(POLL_S)
    took_s = time.monotonic() - began
    verdict = "right" if now is not None and right(now) and took_s < BAR_S else "WRONG"
    queued = "not seen" if queued_s is None else f"{queued_s:.1f} s"
    print(f"{what}: {code} after {1000 * answer_s:.0f} ms, queued {queued}, decided {took_s:.1f} s: {verdict}")
    print(f"  before: {before}\n  now:    {now}\n  load {os.getloadavg()[0]:.1f}", flush=True)


def malformed(node: Node) -> None:
    inbox = open_inbox(config.load(node.folder / "config.yaml"))
    for what, raw in MALFORMED.items():
        code, said, seconds = send(node, raw)
        verdict = "right" if code in ("AE", "AR") and said else "WRONG"
        print(f"{what}: {code} after {1000 * seconds:.0f} ms, {said[:120]}: {verdict}")
    print(f"waiting, set aside: {inbox.waiting()} (0, 0)", flush=True)


def killed(node: Node) -> None:
    """The index is locked, so that nothing can be applied between the answers and the kill."""
    inbox, pid = open_inbox(config.load(node.folder / "config.yaml")), node.pid_of("feeds")
    with contextlib.closing(sqlite3.connect(node.state / "index.db", timeout=30, isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        codes = [send(node, order("ORM^O01", f"k{n}", f"K{n}", "20240304", f"{n}"))[0] for n in range(BURST)]
        waiting = inbox.waiting()[0]
        os.kill(pid, signal.SIGKILL)
        lock.execute("ROLLBACK")
    node.wait_for_another("feeds", pid)
    wait_for("every order to be applied", lambda: inbox.waiting() == (0, 0))
    index = node.index
    known = {patient.patient_id for patient in index.infusions()}
    index.close()
    lost = sum(f"K{n}" not in known for n in range(BURST))
    print(f"kill -9 of the feeds: {codes.count('AA')} of {BURST} acknowledged, {waiting} not applied, lost {lost} (0)")


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None).parse_args()
    source = simulated(21, "A")
    with (
        tempfile.TemporaryDirectory(prefix="orders-") as place,
        node_with_feeds(Path(place), urgent_worker=True) as node,
    ):
        studies = Path(place) / "studies"
        baseline = copy_of(source.baseline_dir, studies, name="baseline", patient_id=OLD)
        followup = copy_of(source.followup_dir, studies, name="followup", patient_id=NEW)
        index = node.index
        for study in (baseline, followup):
            print(f"{study.name}: sent, waiting for its decision", flush=True)
            node.send(study.folder)
            wait_for("the decision", partial(is_decided, index, study))
        told(node, index, followup, "ADT^A40", MERGE, lambda d: d.baseline is not None)
        told(node, index, followup, "ORM^O01", order("ORM^O01", "2", NEW, "20240304"), lambda d: d.days == 7)
        told(node, index, followup, "RDE^O11", order("RDE^O11", "3", NEW, "20240306"), lambda d: d.days == 5)
        malformed(node)
        killed(node)
        index.close()


if __name__ == "__main__":
    main()
