"""`make test` again and again, some runs beside a benchmark; a table of times, processor time and failures out.

python -m scripts.repeat --runs 10 --beside 2: exit code 1 when any run had a failure, or ended without a result.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = "make test"
BENCHMARK = f"{shlex.quote(sys.executable)} -m bench.ingest"
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+::.*?|\S+)(?: - .*)?$", re.MULTILINE)
RESULT = re.compile(r"^=+ (.*\b(?:passed|failed|error|errors)\b.*) in [\d.]+s.*=+$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """One run. said: what pytest counted, or nothing. core_s: processor time of the run, user and system."""

    number: int
    beside: bool
    wall_s: float
    core_s: float
    code: int
    said: str
    failed: tuple[str, ...]

    @property
    def good(self) -> bool:
        return self.code == 0 and bool(self.said) and not self.failed


def measured(number: int, command: str, log: Path, *, beside: bool = False) -> Run:
    """The command in a shell, its output in ``log``."""
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(shlex.split(command), cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)  # noqa: S603 - said by whoever runs it
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    text = log.read_text(encoding="utf-8", errors="replace")
    return Run(
        number,
        beside,
        time.monotonic() - began,
        used.ru_utime + used.ru_stime,
        process.returncode,
        "; ".join(RESULT.findall(text)),
        tuple(FAILED.findall(text)),
    )


@contextmanager
def benchmark(command: str) -> Iterator[None]:
    """The command runs, and begins anew whenever it ends."""
    over, running = threading.Event(), list[subprocess.Popen[bytes]]()

    def go_on() -> None:
        while not over.is_set():
            running[:] = [
                subprocess.Popen(  # noqa: S603 - said by whoever runs it
                    shlex.split(command),
                    cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                )
            ]  # fmt: skip
            running[0].wait()
            over.wait(1.0)  # one that fails at once is not started without end

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        while thread.is_alive():
            for process in running:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
            thread.join(1.0)


def runs(count: int, beside: int, tests: str, bench: str, logs: Path, say: Callable[[Run], None]) -> list[Run]:
    """beside: so many of the runs, the last ones, are beside the benchmark."""
    found = []
    for number in range(1, count + 1):
        log = logs / f"run-{number}.log"
        if number > count - beside:
            with benchmark(bench):
                found.append(measured(number, tests, log, beside=True))
        else:
            found.append(measured(number, tests, log))
        say(found[-1])
    return found


def row(run: Run) -> str:
    """A line of the table."""
    place = "beside a benchmark" if run.beside else "alone"
    failed = ", ".join(run.failed) if run.failed else "none" if run.good else f"no result (exit code {run.code})"
    return f"| {run.number} | {place} | {run.wall_s:.0f} | {run.core_s:.0f} | {run.said or '-'} | {failed} |"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="make test several times, and which tests failed")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--beside", type=int, default=2, help="so many of them beside the benchmark")
    parser.add_argument("--tests", default=TESTS, help=f"the command that is run ({TESTS})")
    parser.add_argument("--bench", default=BENCHMARK, help="the benchmark (bench.ingest)")
    parser.add_argument("--logs", type=Path, help="folder for the output of each run (a new one)")
    chosen = parser.parse_args(arguments)
    logs = chosen.logs or Path(tempfile.mkdtemp(prefix="repeat-"))
    logs.mkdir(parents=True, exist_ok=True)
    say("| run | where | wall s | core s | said | failed |\n|---|---|---|---|---|---|")
    done = runs(chosen.runs, chosen.beside, chosen.tests, chosen.bench, logs, lambda run: say(row(run)))
    bad = [run for run in done if not run.good]
    say(f"{len(bad)} of {len(done)} runs with a failure; output in {logs}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
