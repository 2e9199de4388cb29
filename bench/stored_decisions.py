"""The results folder of a real node that decided real pairs, every simulated pattern and what is not assessable.

    python -m bench.stored_decisions FOLDER               # then: python -m bench.dicom_results FOLDER
    python -m bench.stored_decisions FOLDER --only A+D    # cases whose name begins so

Sent by C-STORE: each real pair; simulated patterns none, A, B, C, D and A+D with their baseline; another patient of
each alone; a study without FLAIR. One line for each decision; progress goes to stderr.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread

from bench.real_pairs import PAIRS, missing_data, volumes_of, write_study
from bench.time_to_flag import ROOT, THIS, Node, find_files, running_node, send_files, stored, wait_for
from simulation.patient import simulate

PATTERNS = ("none", "A", "B", "C", "D", "A+D")
SEED, SEED_ALONE, SEED_WITHOUT_FLAIR = 600, 620, 640
SETTINGS = {"arrival": {"quiet_period_s": 3.0}}


@dataclass(frozen=True)
class Case:
    """name: of the case. studies: folders in the order of sending; the last one is judged."""

    name: str
    studies: tuple[Path, ...]


def cases(folder: Path, only: str = "") -> Iterator[Case]:
    """Each is written below ``folder`` when it is asked for. only: how its name begins."""
    for pair in () if missing_data() else PAIRS:
        if (name := f"real {pair.name}").startswith(only):
            written = [write_study(pair, n, volumes_of(pair, n), folder / f"{pair.name}-{n}") for n in (1, 2)]
            yield Case(name, tuple(written))
    for number, pattern in enumerate(PATTERNS):
        if (name := f"{pattern}, baseline").startswith(only):
            patient = simulate(folder, pattern=pattern, seed=SEED + number)
            yield Case(name, (patient.baseline_dir, patient.followup_dir))
        if (name := f"{pattern}, alone").startswith(only):
            patient = simulate(folder, pattern=pattern, seed=SEED_ALONE + number)
            yield Case(name, (patient.followup_dir,))
    if (name := "without FLAIR").startswith(only):
        patient = simulate(folder, seed=SEED_WITHOUT_FLAIR, sequences=("t1", "t2"))
        yield Case(name, (patient.followup_dir,))


def decided(node: Node, case: Case) -> Mapping[str, Any]:
    """The full decision of the last study of the case."""
    document: Mapping[str, Any] = {}
    for study in case.studies:
        files = find_files(study)[0]
        uid = dcmread(files[0].path, specific_tags=["StudyInstanceUID"]).StudyInstanceUID
        send_files(files, node.target)
        wait_for(f"the decision of {case.name}", lambda uid=uid: stored(node, uid, stage="full") is not None)
        document = stored(node, uid, stage="full") or {}
    return document


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="made by the command")
    parser.add_argument("--only", default="", help="how the names of the cases begin")
    asked = parser.parse_args()
    folder = asked.folder
    folder.mkdir(parents=True)
    if why := missing_data():
        print(f"without the real pairs: {why}", file=sys.stderr)
    with running_node(THIS, ROOT, folder / "node", SETTINGS) as node:
        for case in cases(folder / "images", asked.only):
            print(f"{case.name}: sent", file=sys.stderr)
            decision = decided(node, case)["decision"]
            print(f"{case.name:20} {decision['category']:24} {decision['priority']}", flush=True)


if __name__ == "__main__":
    main()
