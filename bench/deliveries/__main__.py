"""Deliveries to a live, a slow, a dropping and a dead destination: the process is killed, its clock set back.

    python -m bench.deliveries [--decisions 250] [--rows 100000] [--skip-rows] [--json FILE]

The node's part is ``icansee deliver`` with its own state folder; its clock is the system's with an offset that the
bench sets (``shifted.py``). The receivers take webhooks and store each alert once by its id. Decisions are stored at a
steady pace. Twice the process is killed (SIGKILL) and started again, and once its clock goes back. First the same runs
with the live destination alone: the latency of an alert is from the stored decision to its first arrival, also through
the kills.
"""

from __future__ import annotations

import argparse
import json
import os
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
GIVE_UP_S = 30.0
PATIENCE_S = 300.0
BAR_RATIO = 1.2
SECRET = "0123456789abcdef" * 2
DEAD = "dead"


@dataclass
class Run:
    """One node, its receivers, and when each decision was stored."""

    folder: Path
    ends: Sequence[End]
    stored_at: dict[str, float] = field(default_factory=dict)
    kills: int = 0
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
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1
        self.start()

    def end(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)
        self.table.close()

    def decide(self, number: int) -> None:
        """A stored decision of a study of its own."""
        uid = f"1.2.826.0.1.{number + 1}"
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

    def latencies_s(self, end: End) -> list[float]:
        return sorted(when - self.stored_at[study] for study, when in end.stored.values())


def delivered(run: Run, decisions: int) -> None:
    """Store the decisions at their pace, with the kills and the clock; wait until all of it has an end."""
    run.start()
    run.until("the process registers its destinations", lambda: len(run.table.all_known()) == len(run.ends))
    kills = {round(share * decisions) for share in KILLS_AT}
    for number in range(decisions):
        begun = time.monotonic()
        run.decide(number)
        if number in kills:
            run.kill()
        if number == round(SET_BACK_AT * decisions):
            run.set_back(SET_BACK_S)
        time.sleep(max(0.0, EVERY_S - (time.monotonic() - begun)))
    for end in run.ends:
        wanted = "dead" if end.name == DEAD else "done"
        run.until(f"all of {end.name} is {wanted}", lambda: run.states()[end.name][wanted] == decisions)  # noqa: B023


def compared(folder: Path, decisions: int) -> dict[str, Any]:
    """Both runs, and what the dead destination gets after ``retry``."""
    alone = End("live")
    alone.open()
    quiet = Run(folder / "alone", [alone])
    delivered(quiet, decisions)
    quiet.end()
    ends = [End("live"), End("slow", answer_s=0.15), End("drops", drops=0.3), End(DEAD)]
    for one in ends[:-1]:
        one.open()
    ends[-1].reserve()
    run = Run(folder / "four", ends)
    delivered(run, decisions)
    listed = run.states()[DEAD]["dead"]
    ends[-1].open()
    said = run.retry()
    run.until("all of the dead one is done", lambda: run.states()[DEAD]["done"] == decisions)
    run.end()
    for one in [alone, *ends]:
        one.close()
    rows = {one.name: _row(run, one, decisions) for one in ends}
    before, after = quiet.latencies_s(alone), run.latencies_s(ends[0])
    return {
        "decisions": decisions, "kills": run.kills, "set_back_s": SET_BACK_S, "dead_listed": listed, "retry": said,
        "destinations": rows,
        "alone_s": _spread(before), "beside_s": _spread(after),
        "ratio_median": statistics.median(after) / statistics.median(before),
        "exactly_once": all(row["distinct"] == decisions and not row["changed"] for row in rows.values()),
    }  # fmt: skip


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
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the table for the slowest query")
    parser.add_argument("--skip-rows", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="icansee-deliveries-") as folder:
        found = compared(Path(folder), options.decisions)
    _print(found)
    good = found["exactly_once"] and found["ratio_median"] <= BAR_RATIO
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
    print(f"live alone {found['alone_s']}, beside the others {found['beside_s']}")
    print(f"ratio of the medians {found['ratio_median']:.2f} (bar {BAR_RATIO:g})")


if __name__ == "__main__":
    raise SystemExit(main())
