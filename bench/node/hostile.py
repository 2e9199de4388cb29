"""Ordinary studies beside hostile ones on a real node with limited memory: are they all decided, and how much later?

    python -m bench.node.hostile                               # 20 ordinary studies, every 30 s, 4 GiB
    python -m bench.node.hostile --ordinary 6 --every 60
    python -m bench.node.hostile --every 15 --part alone       # 7 min; then --part beside

The same ordinary studies come at the same pace twice: alone, then with one hostile study right before each of the first
ones until every kind was there. A study's delay runs from the answer to its last image to its full decision. The node,
with its broker and workers, lives in a memory cgroup; where none can be made this is said, and nothing is limited.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.node.copies import Copy, copy_of, simulated
from bench.node.hostile_studies import KINDS, hostile_copy
from bench.node.memory_limit import GIB, LimitedNode, MemoryLimit, memory_limit
from listener.commands.send import Target, find_files, send_files
from triage.infusions import Infusion
from workers.index.sql import SqlIndex
from workers.ports import PatientKey, StudyState

ENDS = (StudyState.ASSESSED, StudyState.FAILED)
PATIENCE_S = 1800.0
BAR = 1.5
QUIET_PERIOD_S = 4.0
FIGURES = Path("bench/out/hostile-alone.json")
# What tells in the log that a process was ended, and why.
ENDED = (
    "process.died",
    "object.exceeds_limits",
    "worker.child_silent",
    "study.task_lost",
    "study.retry",
    "study.failed",
)


@dataclass(frozen=True)
class Seen:
    """One study at the end. delay_s: None when it was not decided."""

    name: str
    state: str
    category: str
    said: str
    attempts: int
    delay_s: float | None


@dataclass(frozen=True)
class Run:
    ordinary: tuple[Seen, ...]
    hostile: tuple[Seen, ...]
    peak_mib: int | None
    killed: int
    events: Mapping[str, int]

    @property
    def delays(self) -> list[float]:
        return [one.delay_s for one in self.ordinary if one.delay_s is not None]


def ordinary_copies(count: int, folder: Path) -> list[Copy]:
    """All baselines, then their follow-ups; two simulated patients under other names. Every other patient's infusion is
    known: these go ahead of the others."""
    sources = (simulated(21, "A"), simulated(22, "none"))
    baselines, followups = [], []
    for number in range((count + 1) // 2):
        source, patient = sources[number % 2], f"ORDINARY-{number}"
        infusion = source.infusion_date if number % 4 < 2 else None
        names = (f"baseline-{number}", f"followup-{number}")
        baselines.append(copy_of(source.baseline_dir, folder, name=names[0], patient_id=patient, infusion=infusion))
        followups.append(copy_of(source.followup_dir, folder, name=names[1], patient_id=patient, infusion=infusion))
    return [*baselines, *followups][:count]


def run(ordinary: Sequence[Copy], bad: Sequence[Copy], every_s: float, limit_bytes: int) -> Run:
    """One node, from its start to the last decision."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    with memory_limit(limit_bytes) as limit:
        if limit is None:
            print("no memory cgroup can be made here: nothing is limited")
        node = LimitedNode(folder, lease_s=30.0, urgent_worker=True, retry_delay_s=10.0, sweep_every_s=5.0)
        node.limit = limit
        try:
            node.start()
            answered = send_in_turn(node, ordinary, bad, every_s)
            return outcome(node, ordinary, bad, answered, limit)
        finally:
            node.end()
            keep_log(folder)
            shutil.rmtree(folder, ignore_errors=True)


def keep_log(folder: Path) -> None:
    kept = Path("bench/out/hostile.log.jsonl")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        shutil.copy(folder / "log.jsonl", kept)


def send_in_turn(node: LimitedNode, ordinary: Sequence[Copy], bad: Sequence[Copy], every_s: float) -> dict[str, float]:
    """Study UID -> time of the last answer, seconds since the epoch."""
    target = Target("127.0.0.1", node.dicom_port, "ICANSEE", "BENCH")
    index, answered, begun = node.index, {}, time.monotonic()
    for number, study in enumerate(ordinary):
        time.sleep(max(0.0, begun + number * every_s - time.monotonic()))
        # more kinds than studies: the rest comes with the last one
        last = number == len(ordinary) - 1
        for other in bad[number:] if last else bad[number : number + 1]:
            send_files(find_files(other.folder)[0], target)
            answered[other.uid] = time.time()
        if study.infusion is not None:
            fact = Infusion(study.infusion, kind="CAR-T", source="bench")
            index.add_infusion(PatientKey(study.patient_id), fact, now=datetime.now(UTC))
        report = send_files(find_files(study.folder)[0], target)
        answered[study.uid] = time.time()
        print(f"{number + 1} of {len(ordinary)} sent, {decided_so_far(index, answered)} decided", flush=True)
        if report.failed:
            print(f"{study.name}: {len(report.failed)} images not taken: {next(iter(report.failed.values()))}")
    index.close()
    return answered


def decided_so_far(index: SqlIndex, answered: Mapping[str, float]) -> int:
    return sum((row := index.study(uid)) is not None and row.state in ENDS for uid in answered)


def outcome(
    node: LimitedNode,
    ordinary: Sequence[Copy],
    bad: Sequence[Copy],
    answered: Mapping[str, float],
    limit: MemoryLimit | None,
) -> Run:
    index, end = node.index, time.monotonic() + PATIENCE_S
    said = -1
    while time.monotonic() < end:
        done = decided_so_far(index, answered)
        if done > said:
            print(f"{done} of {len(ordinary) + len(bad)} decided, load {os.getloadavg()[0]:.1f}", flush=True)
            said = done
        if done == len(ordinary) + len(bad):
            break
        time.sleep(0.5)
    found = [[seen(index, study, answered) for study in group] for group in (ordinary, bad)]
    index.close()
    return Run(
        ordinary=tuple(found[0]),
        hostile=tuple(found[1]),
        peak_mib=limit.peak_mib if limit else None,
        killed=limit.killed if limit else 0,
        events=events_in(node.folder / "log.jsonl"),
    )


def seen(index: SqlIndex, study: Copy, answered: Mapping[str, float]) -> Seen:
    """The first full decision counts; a later one (a fact that came later) is another matter."""
    row, full = index.study(study.uid), [v for v in index.assessments(study.uid) if v["stage"] == "full"]
    if row is None:
        return Seen(study.name, "unknown", "", "", 0, None)
    decision: dict[str, Any] = full[0]["document"]["decision"] if full else {"category": "", "reasons": []}
    at = datetime.fromisoformat(str(full[0]["created_at"])) if full else None
    at = at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
    said = row.failure or next(iter(decision["reasons"]), "")
    delay_s = at.timestamp() - answered[study.uid] if at is not None else None
    return Seen(study.name, row.state.value, decision["category"], said, row.attempts, delay_s)


def events_in(log: Path) -> dict[str, int]:
    """How often a process ended, by the event and the name in it."""
    counted = Counter[str]()
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError, TypeError):
            event = json.loads(line)
            if event.get("event") in ENDED:
                counted[f"{event['event']} {event.get('name') or event.get('process') or ''}".strip()] += 1
        if "WorkerLostError" in line and "Traceback" not in line:
            counted["a pool child was ended"] += 1
    return dict(counted)


def told(name: str, found: Run, wanted: int) -> str:
    decided = sum(one.state in ("assessed", "failed") and one.delay_s is not None for one in found.ordinary)
    peak = "not measured" if found.peak_mib is None else f"{found.peak_mib} MiB"
    median = f"{statistics.median(found.delays):.1f} s" if found.delays else "-"
    longest = f"{max(found.delays):.1f} s" if found.delays else "-"
    return (
        f"{name}: {decided} of {wanted} ordinary studies decided, delay {median} (median), {longest} (longest); "
        f"peak memory {peak}, ended by the kernel {found.killed}, events {dict(found.events) or 'none'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--ordinary", type=int, default=20, help="ordinary studies, half of them baselines")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two of them")
    parser.add_argument("--memory-gib", type=float, default=4.0)
    parser.add_argument("--only", choices=[*KINDS], action="append", help="these hostile kinds; may be repeated")
    parser.add_argument(
        "--part", choices=["both", "alone", "beside"], default="both", help="beside: compared with the last run alone"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hostile-studies-") as folder:
        ordinary = ordinary_copies(options.ordinary, Path(folder))
        source = simulated(21, "A").followup_dir
        kinds = options.only or list(KINDS)
        bad = [hostile_copy(kind, source, Path(folder), number) for number, kind in enumerate(kinds)]
        limit = int(options.memory_gib * GIB)
        if options.part != "beside":
            quiet = run(ordinary, (), options.every, limit)
            print(told("without", quiet, len(ordinary)), f"load {os.getloadavg()[0]:.1f}", flush=True)
            keep_figures(quiet)
        if options.part != "alone":
            beside = run(ordinary, bad, options.every, limit)
            print(told("with", beside, len(ordinary)), f"load {os.getloadavg()[0]:.1f}", flush=True)
            compare(beside)


def keep_figures(quiet: Run) -> None:
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps([[one.category, one.delay_s] for one in quiet.ordinary]), encoding="utf-8")


def compare(beside: Run) -> None:
    """With what the last run without hostile studies left."""
    for one in (*beside.hostile, *(study for study in beside.ordinary if study.category == "")):
        delay = "-" if one.delay_s is None else f"{one.delay_s:.0f} s"
        print(f"  {one.name}: {one.state} {one.category} after {delay}, {one.attempts} attempts: {one.said[:140]}")
    if not FIGURES.exists():
        print("there is no run without hostile studies to compare with: --part alone")
        return
    alone = json.loads(FIGURES.read_text(encoding="utf-8"))
    pairs = zip(alone, beside.ordinary, strict=True)
    other = [f"{b.name} {category}/{b.category}" for (category, _), b in pairs if category != b.category]
    print(f"decisions that differ between the two runs: {', '.join(other) or 'none'}")
    delays = [delay_s for _, delay_s in alone if delay_s is not None]
    if delays and beside.delays:
        ratio = statistics.median(beside.delays) / statistics.median(delays)
        print(f"median delay, with : without = {ratio:.2f} (at most {BAR})")


if __name__ == "__main__":
    main()
