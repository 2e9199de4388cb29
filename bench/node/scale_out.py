"""Several hosts against one: studies per hour of 2 doors + 2 workers and of 1 + 1, on the same cores in the same run;
and what is lost when a working host dies.

    python -m bench.node.scale_out --patients 4 --repeats 3

A host is a set of processes with a state folder of its own; hosts share PostgreSQL, the broker and a folder of files.
Both set-ups have the same number of assessing processes in all. Patients are synthetic (FLAIR, baseline and follow-up).
The clock runs from the first C-STORE to the last full decision; the order of the set-ups alternates between repeats.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from simulation.patient import simulate
from tests.chaos.cluster import Cluster, Host, running_cluster
from tests.chaos.node import wait_for
from workers.ports import StudyState

PROCESSES = 2
TRIAGE = {"threads": 1}
ENDS = (StudyState.ASSESSED, StudyState.FAILED)


@dataclass(frozen=True)
class Study:
    uid: str
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """seconds: first byte to last decision. lost: acknowledged and never decided, or failed. twice: with two current
    decisions."""

    seconds: float
    decided: int
    lost: int
    twice: int


def run(studies: Sequence[Study], warm_up: Study, hosts: int, *, kill: bool = False) -> Outcome:
    """Send all studies to a fresh cluster of ``hosts`` doors and as many workers, evenly over the doors."""
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    try:
        with running_cluster(folder) as cluster:
            share = PROCESSES // hosts
            doors = [cluster.host(f"door-{n}", triage=TRIAGE) for n in range(hosts)]
            work = {"queue": {"worker_processes": share, "lease_s": 10.0}, "baseline": {"prepare_ahead": False}}
            workers = [cluster.host(f"worker-{n}", triage=TRIAGE, **work) for n in range(hosts)]
            for door in doors:
                door.start(["listener"])
            for worker in workers:
                worker.start(["worker", "beat"])
            send(doors, [warm_up] * 1)
            wait_until_decided(cluster, [warm_up])
            return measured(cluster, doors, workers, studies, kill=kill)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measured(
    cluster: Cluster, doors: list[Host], workers: list[Host], studies: Sequence[Study], *, kill: bool
) -> Outcome:
    begun = time.monotonic()
    sending = threading.Thread(target=send, args=(doors, studies))
    sending.start()
    if kill:
        wait_for("a worker at work", lambda: workers[0].said("study.taken") > 1)
        workers[0].kill()
    sending.join()
    wait_until_decided(cluster, studies)
    seconds = time.monotonic() - begun
    with cluster.index() as index:
        states = [row.state if (row := index.study(one.uid)) else None for one in studies]
        current = [sum(not v["superseded"] for v in index.assessments(one.uid)) for one in studies]
    decided = sum(state is StudyState.ASSESSED and n > 0 for state, n in zip(states, current, strict=True))
    return Outcome(seconds, decided, len(studies) - decided, sum(n > 1 for n in current))


def send(doors: Sequence[Host], studies: Sequence[Study]) -> None:
    """Each door gets every so many-th study, one after another; the doors at the same time."""

    def to(door: Host, part: Sequence[Study]) -> None:
        for one in part:
            command = ["storescu", "-aec", "ICANSEE", "+sd", "+r", "127.0.0.1", str(door.dicom_port), str(one.folder)]
            subprocess.run(command, check=True, capture_output=True)

    threads = [threading.Thread(target=to, args=(d, studies[n :: len(doors)])) for n, d in enumerate(doors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wait_until_decided(cluster: Cluster, studies: Sequence[Study]) -> None:
    """Also returns when nothing more happens: the caller counts."""
    with cluster.index() as index, suppress(AssertionError):
        wait_for(
            "the decisions",
            lambda: (
                time.sleep(0.2)
                or all((row := index.study(one.uid)) is not None and row.state in ENDS for one in studies)
            ),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--patients", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scale-patients-") as folder:
        patients = [simulate(Path(folder), seed=900 + n, sequences=("flair",)) for n in range(options.patients + 1)]
        studies = [Study(p.baseline_study_uid, p.baseline_dir) for p in patients]
        warm_up, studies = studies[0], studies[1:]
        studies += [Study(p.followup_study_uid, p.followup_dir) for p in patients[1:]]
        ratios = []
        for repeat in range(options.repeats):
            found = {hosts: run(studies, warm_up, hosts) for hosts in ((1, 2) if repeat % 2 == 0 else (2, 1))}
            rates = {hosts: 3600 * len(studies) / one.seconds for hosts, one in found.items()}
            ratios.append(rates[2] / rates[1])
            lost, twice = sum(one.lost for one in found.values()), sum(one.twice for one in found.values())
            print(
                f"{len(studies)} studies: 1 + 1 {rates[1]:.0f}/h, 2 + 2 {rates[2]:.0f}/h, ratio {ratios[-1]:.2f}, "
                f"lost {lost}, twice {twice}",
                flush=True,
            )
        print(f"ratio, median of {len(ratios)}: {statistics.median(ratios):.2f} (at least 0.95)")
        killed = run(studies, warm_up, 2, kill=True)
        print(
            f"a working host killed in the middle of a study: {killed.decided} of {len(studies)} decided, "
            f"lost {killed.lost} (at most 0), twice {killed.twice}, {3600 * len(studies) / killed.seconds:.0f}/h"
        )


if __name__ == "__main__":
    main()
