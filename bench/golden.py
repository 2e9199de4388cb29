"""Golden documents: `icansee assess` on synthetic patients, compared exactly between two trees or two dates.

    python -m bench.golden --write before.json --tree ../before      # about a minute for each document
    python -m bench.golden --against before.json                     # this tree; exit code 1 when anything differs
    python -m bench.golden --against before.json --patterns A,B --protocols 2d

A tree is a checkout with its own environment (.venv). Every document of the tree is made with one thread, so that it is
the same, bit for bit, each time on one machine. Timings and versions are left out of the comparison. The patients are
simulated once by this tree and kept in --patients.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SEED = 1
PATTERNS = ("none", "A", "B", "C", "D")
PROTOCOLS = ("2d", "3d")
IGNORED = ("timings_s", "versions")
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
SETTINGS = "triage:\n  threads: 1\n"
NOT_ASSESSABLE = 3  # exit code of `icansee assess`; the document is written all the same
MOST_SHOWN = 40  # differences of one document


@dataclass(frozen=True)
class Case:
    pattern: str
    protocol: str
    with_baseline: bool

    @property
    def name(self) -> str:
        return f"{self.pattern}-{self.protocol}{'' if self.with_baseline else '-alone'}"


def cases(patterns: list[str], protocols: list[str]) -> list[Case]:
    return [Case(p, protocol, known) for protocol in protocols for p in patterns for known in (True, False)]


def assessed(case: Case, tree: Path, patients: Path) -> dict[str, Any]:
    """The document that the tree's own command writes for one case."""
    patient = _patient(case, patients)
    with tempfile.TemporaryDirectory() as scratch:
        document, settings = Path(scratch) / "document.json", Path(scratch) / "config.yaml"
        settings.write_text(SETTINGS, encoding="utf-8")
        command: list[str | Path] = [tree.resolve() / ".venv/bin/icansee", "assess", "--followup", patient / "followup"]
        command += ["--baseline", patient / "baseline"] if case.with_baseline else []
        command += ["--infusion-date", json.loads((patient / "truth.json").read_text("utf-8"))["infusion_date"]]
        command += ["--config", settings, "--json", document]
        done = subprocess.run(
            command, cwd=scratch, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=False
        )
        if done.returncode not in (0, NOT_ASSESSABLE):
            raise SystemExit(f"{case.name}: exit code {done.returncode}: {done.stderr[-2000:]}")
        return dict(json.loads(document.read_text(encoding="utf-8")))


def _patient(case: Case, patients: Path) -> Path:
    """Folder with baseline, followup and truth.json, simulated when it is not there yet."""
    from simulation.patient import simulate

    folder = patients / f"{case.pattern}-{case.protocol}"
    found = list(folder.glob("*/truth.json"))  # written last
    if found:
        return found[0].parent
    return simulate(folder, pattern=case.pattern, seed=SEED, protocol=case.protocol).truth_dir


def differences(before: Any, after: Any, path: str = "$") -> Iterator[str]:
    """One line for each JSON path at which the two differ; numbers are compared exactly."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys((*before, *after)):
            if path == "$" and key in IGNORED:
                continue
            if key not in after:
                yield f"{path}.{key}: missing, was {_short(before[key])}"
            elif key not in before:
                yield f"{path}.{key}: new: {_short(after[key])}"
            else:
                yield from differences(before[key], after[key], f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        if len(before) != len(after):
            yield f"{path}: {len(after)} entries, were {len(before)}"
        for n, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from differences(one, other, f"{path}[{n}]")
    elif before != after or type(before) is not type(after):
        yield f"{path}: {_short(after)}, was {_short(before)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:100]}..."


def write(file: Path, wanted: list[Case], tree: Path, patients: Path) -> int:
    """Documents that the file holds already are kept, so that an interrupted run goes on where it stopped."""
    documents = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for case in wanted:
        if case.name not in documents:
            begun = time.monotonic()
            documents[case.name] = assessed(case, tree, patients)
            file.write_text(json.dumps(documents, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(f"{case.name}: written, {time.monotonic() - begun:.0f} s", flush=True)
    return 0


def compare(file: Path, wanted: list[Case], tree: Path, patients: Path) -> int:
    documents = json.loads(file.read_text(encoding="utf-8"))
    differing = compared = 0
    for case in wanted:
        if case.name not in documents:
            print(f"{case.name}: not in {file}")
            continue
        found = list(differences(documents[case.name], assessed(case, tree, patients)))
        print(f"{case.name}: {f'{len(found)} differences' if found else 'identical'}", flush=True)
        print("".join(f"    {line}\n" for line in found[:MOST_SHOWN]), end="", flush=True)
        compared += 1
        differing += bool(found)
    print(f"{compared} documents compared, {differing} differ")
    return 1 if differing or not compared else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", type=Path, metavar="FILE", help="make the documents and keep them in FILE")
    what.add_argument("--against", type=Path, metavar="FILE", help="make the documents and compare them with FILE")
    parser.add_argument("--tree", type=Path, default=ROOT, help="checkout whose command is run; default: this one")
    parser.add_argument("--patterns", default=",".join(PATTERNS), help="none and letters, separated by commas")
    parser.add_argument("--protocols", default=",".join(PROTOCOLS), help="2d, 3d or both")
    parser.add_argument("--patients", type=Path, default=ROOT / "bench/out/golden", help="where the patients are kept")
    options = parser.parse_args()
    wanted = cases(options.patterns.split(","), options.protocols.split(","))
    if options.write:
        return write(options.write, wanted, options.tree, options.patients)
    return compare(options.against, wanted, options.tree, options.patients)


if __name__ == "__main__":
    sys.exit(main())
