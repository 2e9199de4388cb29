"""Inputs that lie: every one is read right or refused by its right name, and none is silently wrong.

python -m bench.reading                 # variants by rule, and the inputs of the shared folder when it is there
python -m bench.reading --only bits     # those whose name contains the word
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.reading.known import known_inputs
from bench.reading.priors import prior_verdicts
from bench.reading.rules import all_variants, verdict_of
from bench.reading.verdicts import Outcome, Verdict
from bench.reading.visits import write_visits


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a part of the names")
    parser.add_argument("--simulated", type=Path, help="folder of `icansee simulate --pattern A --seed 1`, for --known")
    parser.add_argument("--known", type=Path, help="folder with the program `run` of the known inputs")
    given = parser.parse_args()
    counts: Counter[Outcome] = Counter()
    with tempfile.TemporaryDirectory() as work:
        for name, verdict in _verdicts(Path(work), given):
            counts[verdict.outcome] += 1
            if verdict.outcome not in (Outcome.RIGHT, Outcome.REFUSED):
                print(f"{verdict.outcome:24} {name}: {verdict.said}", flush=True)
    print(f"{counts.total()} inputs: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome))
    return 0 if counts[Outcome.RIGHT] + counts[Outcome.REFUSED] == counts.total() else 1


def _verdicts(work: Path, given: argparse.Namespace) -> Iterator[tuple[str, Verdict]]:
    write_visits(work / "visits")
    for one in all_variants():
        if given.only in one.name:
            yield one.name, verdict_of(one, work)
    yield from ((name, verdict) for name, verdict in prior_verdicts(work) if given.only in name)
    if given.known and given.simulated:
        yield from known_inputs(given.known, given.simulated, work / "known", given.only)


if __name__ == "__main__":
    sys.exit(main())
