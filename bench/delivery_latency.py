"""Time from a stored decision to the acknowledged ORU and to each object in the PACS, on a real node.

    python -m bench.delivery_latency [--repeats 3] [--protocol 2d] [--json FILE]

The node is ``icansee serve`` in a temporary state folder, with the two receivers of the demonstration as destinations.
Each repeat is another synthetic patient: the baseline is sent and prepared, then the follow-up. A time is from the row
of the decision to the row of the delivery that the receiver has acknowledged; the receivers are asked whether they hold
as many. "evidence in the PACS" is the last object of the full decision. Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from bench.time_to_flag import (
    ROOT,
    THIS,
    Node,
    find_files,
    running_node,
    send_files,
    stored,
    wait_for,
    wait_for_baseline,
)
from scripts.demo_receivers import Receivers, receiving
from simulation.patient import simulate

ORU_TARGET_S, PACS_TARGET_S = 1.0, 5.0
FIRST_SEED = 500
SUPERSEDED = "superseded"
NEVER = ("dead", "held", "discarded")  # nothing comes of such a delivery without a person


@dataclass(frozen=True)
class Delivered:
    """One delivery. after_s: from the stored decision to the acknowledgement; None: a newer decision went instead."""

    patient: int
    stage: str
    to: str
    output: str
    after_s: float | None


def deliveries_of(node: Node, study: str, patient: int) -> list[Delivered]:
    found = node.index.execute(
        "SELECT d.stage, d.destination, d.output, d.state, d.done_at, a.created_at FROM deliveries d JOIN assessments a"
        " ON a.study_instance_uid = d.study_instance_uid AND a.revision = d.revision AND a.stage = d.stage"
        " WHERE d.study_instance_uid = ? ORDER BY d.number",
        (study,),
    )
    return [
        Delivered(patient, stage, to, output, None if state == SUPERSEDED else _between(decided_at, done_at))
        for stage, to, output, state, done_at, decided_at in found.fetchall()
    ]


def _between(decided_at: str, done_at: str) -> float:
    return (datetime.fromisoformat(done_at) - datetime.fromisoformat(decided_at)).total_seconds()


def all_done(node: Node, study: str) -> bool:
    """
    Raises:
        SystemExit: one of them never arrives.
    """
    found = node.index.execute(
        "SELECT stage, state, destination, output, failure, answer FROM deliveries WHERE study_instance_uid = ?",
        (study,),
    ).fetchall()
    lost = [" ".join(map(str, row)) for row in found if row[1] in NEVER]
    if lost:
        raise SystemExit("\n".join(["a delivery waits for a person:", *lost]))
    return any(row[0] == "full" for row in found) and all(row[1] in ("done", SUPERSEDED) for row in found)


def run(repeats: int, protocol: str) -> list[Delivered]:
    """The deliveries of the follow-ups.

    Raises:
        SystemExit: a receiver holds less than the node says.
    """
    found: list[Delivered] = []
    with tempfile.TemporaryDirectory() as name, receiving() as hospital:
        folder = Path(name)
        more = {"results": {"destinations": hospital.destinations()}, "arrival": {"quiet_period_s": 3.0}}
        with running_node(THIS, ROOT, folder / "node", more) as node:
            for number in range(repeats):
                who = f"patient {number + 1} of {repeats}"
                _tell(f"{who}: simulating")
                patient = simulate(folder / "patient", pattern="A", seed=FIRST_SEED + number, protocol=protocol)
                study = patient.followup_study_uid
                send_files(find_files(patient.baseline_dir)[0], node.target)
                _tell(f"{who}: the baseline is sent")
                if not wait_for_baseline(node, patient.baseline_study_uid):
                    _tell(f"{who}: the baseline is prepared only when it is needed")
                wait_for("the baseline's results", lambda uid=patient.baseline_study_uid: all_done(node, uid))
                send_files(find_files(patient.followup_dir)[0], node.target)
                _tell(f"{who}: the follow-up is sent")
                wait_for("the full decision", lambda uid=study: stored(node, uid, stage="full") is not None)
                _tell(f"{who}: decided")
                wait_for("the deliveries", lambda uid=study: all_done(node, uid))
                some = deliveries_of(node, study, number)
                _check(some, hospital, study)
                found += some
    return found


def _check(some: Sequence[Delivered], hospital: Receivers, study: str) -> None:
    sent = sum(one.after_s is not None for one in some)
    there = sum(one.study == study for one in hospital.arrivals)
    if there < sent:
        raise SystemExit(f"the receivers hold {there} of {sent} things that count as delivered")


def medians(found: Sequence[Delivered]) -> dict[str, tuple[float, float, float | None]]:
    """What -> median and longest in seconds, and the target."""
    groups: dict[str, list[float]] = {}
    last: dict[int, float] = {}
    for one in found:
        if one.after_s is not None:
            groups.setdefault(f"{one.output} of the {one.stage.replace('_', ' ')}", []).append(one.after_s)
            if one.to == "pacs" and one.stage == "full":
                last[one.patient] = max(one.after_s, last.get(one.patient, 0.0))
    groups["evidence in the PACS"] = list(last.values())
    targets = {"oru of the first look": ORU_TARGET_S, "oru of the full": ORU_TARGET_S}
    targets["evidence in the PACS"] = PACS_TARGET_S
    return {name: (statistics.median(some), max(some), targets.get(name)) for name, some in groups.items() if some}


def _show(rows: Mapping[str, tuple[float, float, float | None]]) -> None:
    for name, (median, longest, target) in rows.items():
        asked = "" if target is None else f"   asked <= {target:g}"
        print(f"{name:28} median {median:6.2f} s   longest {longest:6.2f} s{asked}")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--protocol", default="2d", choices=["2d", "3d"])
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args()
    found = run(options.repeats, options.protocol)
    _show(medians(found))
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
