"""Accuracy of the measurement: known changes and re-scanned heads through the engine, figures and plots out.

    python -m bench.accuracy                       # a few cases of the test split, about five minutes on two cores
    python -m bench.accuracy --cases all           # all of them, about 25 minutes; writes docs/accuracy.md
    python -m bench.accuracy --cases all --calibrate   # the calibration split: limits from pairs without change
    python -m bench.accuracy --report-only         # tables and plots again from the records of the last run

Real scans are read from ICANSEE_SHARED (default: ../shared beside the project). Heads and seeds of the two splits never
overlap.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is imported: one thread per worker process

from bench.accuracy.cases import Case, cases  # noqa: E402
from bench.accuracy.heads import missing  # noqa: E402
from bench.accuracy.pool import records  # noqa: E402


def collect(wanted: Sequence[Case], jobs: int, out: Path, *, resume: bool) -> list[dict[str, Any]]:
    """Run with a progress bar; the records are also kept in ``records.jsonl``.

    resume: what is kept there already is not run again.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    names = {case.name for case in wanted}
    found = [r for r in read_records(out) if r["name"] in names and "failed" not in r] if resume else []
    done = {r["name"] for r in found}
    left = [case for case in wanted if case.name not in done]
    with (
        Progress(*columns, transient=True) as bar,
        (out / "records.jsonl").open("a" if resume else "w", encoding="utf-8") as kept,
    ):
        task = bar.add_task("cases", total=len(wanted), completed=len(done))
        for record in records(left, jobs, out):
            found.append(record)
            kept.write(json.dumps(record) + "\n")
            kept.flush()
            bar.update(task, advance=1, description=record["name"][:48])
    return sorted(found, key=lambda r: r["name"])


def read_records(out: Path) -> list[dict[str, Any]]:
    """What the last run kept; the latest record of each case."""
    file = out / "records.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return list({record["name"]: record for record in map(json.loads, lines)}.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when the run ended, whatever the figures; 2 when data are missing or the bench itself failed."""
    parser = argparse.ArgumentParser(prog="bench.accuracy", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--cases", choices=("quick", "all"), default="quick")
    parser.add_argument("--patterns", default="A,B,C,D", help="letters, separated by commas")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes, one thread each")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "bench/out/accuracy", help="records, plots, prepared baselines"
    )
    parser.add_argument("--calibrate", action="store_true", help="calibration split; print proposed limits")
    parser.add_argument(
        "--resume", action="store_true", help="keep the records in --out and run only the cases that lack one"
    )
    parser.add_argument("--report-only", action="store_true", help="no run: tables from the records in --out")
    parser.add_argument("--only", default="", help="only cases whose name matches this expression")
    options = parser.parse_args(arguments)
    split = "calibration" if options.calibrate else "test"
    out: Path = options.out / split
    out.mkdir(parents=True, exist_ok=True)
    wanted = [c for c in cases(options.cases, split, options.patterns) if re.search(options.only, c.name)]
    started = time.perf_counter()
    if not options.report_only:
        absent = missing(tuple({c.base.head for c in wanted}))
        if absent:
            print(f"{absent[0]} is missing: set ICANSEE_SHARED", file=sys.stderr)
            return 2
        found = collect(wanted, options.jobs, out, resume=options.resume)
    else:
        found = sorted(read_records(out), key=lambda r: r["name"])
    from bench.accuracy.report import report

    document = None if options.calibrate or options.cases != "all" or options.only else ROOT / "docs"
    report(found, out, split=split, minutes=(time.perf_counter() - started) / 60, document=document)
    return 2 if any("failed" in r for r in found) else 0


if __name__ == "__main__":
    sys.exit(main())
