"""Import time and memory of the receiving process, of this tree and of another checkout in turn.

    python -m bench.door_size [--repeats 7]
    python -m bench.door_size --other ../before --other-module listener.door,listener.scp

Import time: a fresh interpreter loads the program of the receiving process and what that imports later. Memory:
`icansee listener` with default settings, some seconds after it began to listen. RSS counts shared pages in full, PSS
divides them among the processes that share them. A tree is a checkout with its own environment (.venv). Prints medians,
and this tree over the other one.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.ingest.receivers import listener_of, running

ROOT = Path(__file__).resolve().parents[1]
MODULES = "listener.door.program,listener.door.run"
SETTLED_S = 3.0  # after this time the scan at the start is over
FIGURES = {"import_ms": "import ms", "rss_mb": "RSS MB", "pss_mb": "PSS MB"}

# the program runs as `python -m` runs it, because only then does it keep the decoders out
_PROGRAM = """
import importlib, runpy, sys, time
(program, *later), sys.argv = sys.argv[1].split(","), ["door"]
begun = time.perf_counter()
try:
    runpy.run_module(program, run_name="__main__")
except IndexError:  # its main() finds no arguments
    pass
for module in later:
    importlib.import_module(module)
print(1000 * (time.perf_counter() - begun))
"""


def import_ms(tree: Path, modules: str) -> float:
    with tempfile.TemporaryDirectory() as elsewhere:  # not a checkout: Python would import from it
        command = [tree.resolve() / ".venv/bin/python", "-c", _PROGRAM, modules]
        done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{tree}: {done.stderr[-2000:]}")
    return float(done.stdout)


def memory_mb(tree: Path) -> dict[str, float]:
    """Resident and proportional memory of a receiving process that has nothing to do."""
    with tempfile.TemporaryDirectory() as folder, running(listener_of(str(tree), tree), Path(folder)) as (_, pid):
        time.sleep(SETTLED_S)
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kilobytes = {line[:3].lower(): int(line.split()[1]) for line in lines if line.startswith(("Rss:", "Pss:"))}
    return {f"{name}_mb": value / 1024 for name, value in kilobytes.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--module", default=MODULES, help="the program, then what it imports later, by commas")
    parser.add_argument("--other", type=Path, metavar="TREE", help="another checkout, measured in turn with this one")
    parser.add_argument("--other-module", help="the same in the other tree; default: as --module")
    options = parser.parse_args()
    trees = {"this tree": (ROOT, options.module)}
    if options.other:
        trees["other tree"] = (options.other, options.other_module or options.module)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    for repeat in range(options.repeats + 1):
        for name, (tree, modules) in trees.items():
            figures = {"import_ms": import_ms(tree, modules), **memory_mb(tree)}
            if repeat:  # the first run reads the files from the disk
                found[name].append(figures)
    medians = {name: [statistics.median(run[key] for run in runs) for key in FIGURES] for name, runs in found.items()}
    print(f"{f'medians of {options.repeats}':20}" + "".join(f"{heading:>12}" for heading in FIGURES.values()))
    for name, values in medians.items():
        print(f"{name:20}" + "".join(f"{value:12.1f}" for value in values))
    if options.other:
        ratios = [a / b for a, b in zip(medians["this tree"], medians["other tree"], strict=True)]
        print(f"{'this over other':20}" + "".join(f"{ratio:12.3f}" for ratio in ratios))
    return 0


if __name__ == "__main__":
    sys.exit(main())
