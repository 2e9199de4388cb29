"""Deliveries to a live, a slow, a dropping and a dead destination: the process is killed, its clock set back.

    python -m bench.deliveries [--decisions 250] [--pairs 8] [--rows 100000] [--skip-rows] [--json FILE]

The node's part is ``icansee deliver`` with its own state folder; its clock is the system's with an offset that the
bench sets (``shifted.py``). The receivers take webhooks and store each alert once by its id. Decisions are stored at a
steady pace. The latency of an alert is from the stored decision to its first arrival at the live destination, in a
node with that destination alone and in one that has the bad ones, too. Both nodes run at the same time, so that the
load of the machine is in both. It is said three times:

- steady: without a kill, in short stretches that take turns: while one node has decisions, the other has none;
- through the kills: both get the same decisions at the same moments; twice their processes are killed (SIGKILL) and
  started again, and once their clocks go back;
- the same without the time in which there was no process: a start takes as long as it takes, whoever is served.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from bench.deliveries.ends import End
from bench.deliveries.rows import BAR_MS, measured
from tests.workers.outputs.alerts.documents import a_document, evidence
from workers.index import migrations
from workers.index.deliveries import SqlDeliveries
from workers.index.schema import assessments, open_engine

ROOT = Path(__file__).resolve().parents[2]
EVERY_S = 0.1
KILLS_AT, SET_BACK_AT = (0.3, 0.7), 0.5  # shares of the decisions
SET_BACK_S = 60.0
STRETCH, WARM_UP = 20, 5  # decisions
GIVE_UP_S = 60.0  # longer than the slow one needs for its queue, however loaded the machine is
PATIENCE_S = 300.0
BAR_RATIO = 1.2
SECRET = "0123456789abcdef" * 2
DEAD = "dead"
STRETCHES = ("steady", "through_kills", "process_present")


@dataclass
class Run:
    """One node, its receivers, and when each decision was stored."""

    folder: Path
    ends: Sequence[End]
    stored_at: dict[str, float] = field(default_factory=dict)
    kills: int = 0
    away: list[tuple[float, float | None]] = field(default_factory=list)  # from a kill until its successor is ready
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        (self.folder / "key").write_text(SECRET, encoding="utf-8")
        self.set_back(0.0)
        config = self.folder / "config.yaml"
        config.write_text(yaml.safe_dump(self._settings()), encoding="utf-8")
        self.command = [sys.executable, "-m", "bench.deliveries.shifted", str(self.folder / "clock")]
        self.config = ["--config", str(config)]
        engine = open_engine(f"sqlite:///{self.folder / 'state' / 'index.db'}")
        migrations.prepare(engine, upgrade=False)
        self.engine, self.table = engine, SqlDeliveries(engine)

    def _settings(self) -> dict[str, Any]:
        one = {"kind": "webhook", "key_file": str(self.folder / "key"), "timeout_s": 5}
        ends = [{**one, "name": end.name, "url": f"http://127.0.0.1:{end.port}/alerts"} for end in self.ends]
        pauses = {"first_pause_s": 0.5, "longest_pause_s": 5, "give_up_after_s": GIVE_UP_S}
        return {"store": {"state_dir": str(self.folder / "state")}, "results": {"destinations": ends, **pauses}}

    def set_back(self, seconds: float) -> None:
        self._offset = -seconds
        (self.folder / "clock").write_text(str(self._offset), encoding="utf-8")

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*self.command, "deliver", *self.config], cwd=ROOT, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.note_ready()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1
        self.away.append((time.time(), None))
        self.start()

    def note_ready(self) -> None:
        """When the process of now became ready, if it is: the time of its announcement."""
        assert self.process is not None
        path = self.folder / "state" / "run" / "deliver.json"
        with contextlib.suppress(OSError, ValueError):
            if self.away and json.loads(path.read_text(encoding="utf-8"))["pid"] == self.process.pid:
                self.away[-1] = (self.away[-1][0], path.stat().st_mtime)

    def end(self) -> None:
        assert self.process is not None
        self.note_ready()
        self.process.terminate()
        self.process.wait(60)
        self.table.close()

    def decide(self, number: int) -> None:
        """A stored decision of a study of its own."""
        (uid,) = self.uids(number, 1)
        now = datetime.now(UTC) + timedelta(seconds=self._offset)
        document = a_document() | {"decided_at": now.isoformat()}
        document["study"] = document["study"] | {"study_instance_uid": uid}
        place = self.folder / "state" / "results" / uid / "r1-full"
        place.mkdir(parents=True)
        for name, content in evidence().items():
            (place / name).write_bytes(content)
        with self.engine.begin() as connection:
            connection.execute(
                sa.insert(assessments).values(
                    study_instance_uid=uid, revision=1, stage="full", stage_rank=1, created_at=now, superseded=False,
                    document=document,
                )
            )  # fmt: skip
        self.stored_at[uid] = time.time()

    def uids(self, first: int, number: int) -> set[str]:
        return {f"1.2.826.0.1.{one + 1}" for one in range(first, first + number)}

    def states(self) -> dict[str, Counter[str]]:
        found = {end.name: Counter[str]() for end in self.ends}
        for (name, state), number in self.table.tallies().items():
            found[name][state] = number
        return found

    def until(self, what: str, holds: Any) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > deadline:
                raise SystemExit(f"{what}: not within {PATIENCE_S:g} s; {self.states()}")
            time.sleep(0.2)

    def retry(self) -> str:
        answer = subprocess.run(
            [*self.command, "deliveries", "retry", "--all", "--to", DEAD, *self.config],
            cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ,
        )  # fmt: skip
        return answer.stdout.strip()

    def latency_s(self, end: End, *, present: bool = False) -> list[tuple[str, float]]:
        """Of each study. present: without the time in which there was no process."""
        found = []
        for study, when in list(end.stored.values()):
            stored_at = self.stored_at[study]
            found.append((study, when - stored_at - (self._away_s(stored_at, when) if present else 0.0)))
        return found

    def latencies_s(self, end: End, *, present: bool = False) -> list[float]:
        """The same, sorted."""
        return sorted(seconds for _, seconds in self.latency_s(end, present=present))

    def _away_s(self, since: float, until: float) -> float:
        found, killed_at = 0.0, float("inf")
        for gone, back in reversed(self.away):  # one that was killed before it was ready has no end of its own
            found += max(0.0, min(until, killed_at if back is None else back) - max(since, gone))
            killed_at = gone
        return found


def started(runs: Sequence[Run]) -> None:
    for run in runs:
        run.start()
    for run in runs:
        run.until("the process registers its destinations", lambda: len(run.table.all_known()) == len(run.ends))  # noqa: B023


def spread_out(runs: Sequence[Run], first: int, number: int) -> None:
    """Store the same decisions in each node, at their pace."""
    for one in range(first, first + number):
        begun = time.monotonic()
        for run in runs:
            run.decide(one)
        time.sleep(max(0.0, EVERY_S - (time.monotonic() - begun)))


def troubled(runs: Sequence[Run], decisions: int) -> None:
    """Store the decisions; each node has its kills and its clock set back at the same moments."""
    kills, back = {round(share * decisions) for share in KILLS_AT}, round(SET_BACK_AT * decisions)
    for number in range(decisions):
        spread_out(runs, number, 1)
        for run in runs:
            if number in kills:
                run.kill()
            if number == back:
                run.set_back(SET_BACK_S)


def steady(folder: Path, pairs: int) -> dict[str, Any]:
    """The live destination alone and beside the others, in short stretches that take turns while both nodes run."""
    ends = opened_ends()
    alone = End("live")
    alone.open()
    runs = (Run(folder / "alone", [alone]), Run(folder / "beside", ends))
    lives, found, loads, order = (alone, ends[0]), ([], []), [], random.Random(1)  # type: ignore[var-annotated]
    started(runs)
    spread_out(runs, 0, WARM_UP)
    for run in runs:
        settled(run, WARM_UP)
    for pair in range(pairs):
        for which in order.sample((0, 1), 2):
            run, first = runs[which], WARM_UP + pair * STRETCH
            loads.append(os.getloadavg()[0])
            spread_out([run], first, STRETCH)
            settled(run, first + STRETCH)
            since = run.uids(first, STRETCH)
            found[which].append([s for study, s in run.latency_s(lives[which]) if study in since])
    for run in runs:
        run.end()
    for end in [alone, *ends]:
        end.close()
    ratios = sorted(statistics.median(b) / statistics.median(a) for a, b in zip(*found, strict=True))
    both = [sorted(second for stretch in some for second in stretch) for some in found]
    return {
        **_compared(*both), "pairs": pairs, "ratio_of_pairs": round(statistics.median(ratios), 2),
        "load": [round(min(loads), 1), round(max(loads), 1)],
    }  # fmt: skip


def settled(run: Run, decisions: int) -> None:
    """Until everything stored so far has arrived where somebody listens."""
    there = [end.name for end in run.ends if end.server is not None]
    run.until("a stretch is done", lambda: all(run.states()[name]["done"] >= decisions for name in there))


def opened_ends() -> list[End]:
    """The live destination first; nobody listens yet at the dead one."""
    ends = [End("live"), End("slow", answer_s=0.15), End("drops", drops=0.3), End(DEAD)]
    for one in ends[:-1]:
        one.open()
    ends[-1].reserve()
    return ends


def ended(run: Run, decisions: int) -> None:
    """Until all of it has an end."""
    for end in run.ends:
        wanted = "dead" if end.name == DEAD else "done"
        run.until(f"all of {end.name} is {wanted}", lambda: run.states()[end.name][wanted] == decisions)  # noqa: B023


def compared(folder: Path, decisions: int) -> dict[str, Any]:
    """Two nodes at the same time, one without the bad destinations; then what the dead one gets after ``retry``."""
    alone, ends = End("live"), opened_ends()
    alone.open()
    quiet, run = Run(folder / "quiet", [alone]), Run(folder / "four", ends)
    started([quiet, run])
    load = [os.getloadavg()[0]]
    troubled([quiet, run], decisions)
    load.append(os.getloadavg()[0])
    ended(quiet, decisions)
    quiet.end()
    ended(run, decisions)
    listed = run.states()[DEAD]["dead"]
    ends[-1].open()
    said = run.retry()
    run.until("all of the dead one is done", lambda: run.states()[DEAD]["done"] == decisions)
    run.end()
    for one in [alone, *ends]:
        one.close()
    rows = {one.name: _row(run, one, decisions) for one in ends}
    return {
        "decisions": decisions, "kills": run.kills, "set_back_s": SET_BACK_S, "dead_listed": listed, "retry": said,
        "destinations": rows,
        "through_kills": _compared(quiet.latencies_s(alone), run.latencies_s(ends[0])),
        "process_present": _compared(
            quiet.latencies_s(alone, present=True), run.latencies_s(ends[0], present=True)
        ),
        "starts_s": [round(back - gone, 2) for gone, back in quiet.away + run.away if back is not None],
        "load": [round(one, 1) for one in load],
        "exactly_once": all(row["distinct"] == decisions and not row["changed"] for row in rows.values()),
    }  # fmt: skip


def _compared(alone: Sequence[float], beside: Sequence[float]) -> dict[str, Any]:
    ratio = statistics.median(beside) / statistics.median(alone)
    return {"alone": _spread(alone), "beside": _spread(beside), "ratio": round(ratio, 2)}


def _row(run: Run, end: End, decisions: int) -> dict[str, Any]:
    return {
        "distinct": len({study for study, _ in end.stored.values()}), "of": decisions, "requests": end.requests,
        "came_again": sum(end.repeats.values()), "changed": end.changed, **_spread(run.latencies_s(end)),
    }  # fmt: skip


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    at = {"median_s": 0.5, "p95_s": 0.95, "longest_s": 1.0}
    return {name: round(seconds[min(int(share * len(seconds)), len(seconds) - 1)], 3) for name, share in at.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=250, help="each goes to four destinations")
    parser.add_argument("--pairs", type=int, default=8, help="stretches of each kind of the steady comparison")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the table for the slowest query")
    parser.add_argument("--skip-rows", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="icansee-deliveries-") as folder:
        calm = steady(Path(folder), options.pairs)
        found = {"steady": calm, **compared(Path(folder), options.decisions)}
    _print(found)
    good = found["exactly_once"] and all(found[name]["ratio"] <= BAR_RATIO for name in STRETCHES)
    for backend in () if options.skip_rows else ("sqlite", "postgresql"):
        times = measured(backend, options.rows)
        found[backend] = times
        slowest = max(times, key=lambda name: times[name])
        good = good and times[slowest] <= BAR_MS
        said = f"slowest of {len(times)}: {slowest} {times[slowest]:.1f} ms (bar {BAR_MS:g})"
        print(f"{backend}, {options.rows} rows: {said}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print("all bars hold" if good else "A BAR IS MISSED")
    return 0 if good else 1


def _print(found: dict[str, Any]) -> None:
    print(f"{found['decisions']} decisions, {found['kills']} kills, clock set back {found['set_back_s']:g} s")
    for name, row in found["destinations"].items():
        again = f"{row['came_again']} came again, {row['changed']} of them changed"
        times = f"median {row['median_s']} s, 95 % {row['p95_s']} s, longest {row['longest_s']} s"
        print(f"{name:6} {row['distinct']} of {row['of']} once; {row['requests']} requests, {again}; {times}")
    print(f"dead: {found['dead_listed']} listed as dead; {found['retry']}")
    print(f"after a kill a process is ready after {found['starts_s']} s")
    for name in STRETCHES:
        one = found[name]
        print(f"live, {name}: alone {one['alone']}, beside {one['beside']}, ratio {one['ratio']} (bar {BAR_RATIO:g})")
    calm = found["steady"]
    print(f"steady: median ratio of {calm['pairs']} pairs of stretches {calm['ratio_of_pairs']}, load {calm['load']}")
    print(f"load through the kills {found['load']}")


if __name__ == "__main__":
    raise SystemExit(main())
