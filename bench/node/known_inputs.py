"""The scripts of a folder of known inputs on a real node: does each patient end with the right decision?

    python -m bench.node.known_inputs --repro ../shared/repro               # all: 30 min
    python -m bench.node.known_inputs --repro ../shared/repro --only clinical --only flood

The scripts of ``node/`` run as they are, with this tree, a fresh node and free ports put in; what they import under an
old name is renamed. Some look only once and too early: so the decisions are read again when nothing is left to do, and
held against what is right. Inputs that are described without a script (G1, G2, 07, a cut file) are made here.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import yaml

from bench.node.known_answers import RIGHT, Wanted
from bench.node.known_more import MORE
from bench.node.known_node import PATIENCE_S, LiveNode, free_port
from simulation.patient import simulate

ROOT = Path(__file__).resolve().parents[2]
# how the script of faults tells the processes of its node, by their command lines
PROGRAMS = {
    "worker": "listener.commands.main worker",
    "web": "listener.commands.main web",
    "listener": "listener.door.program",
    "beat": "listener.node.beat_program",
}
RENAMED = {
    "from workers.store import": "from workers.index.sql import",
    "from listener.worklist import": "from listener.web.worklist import",
    "from workers.probe import": "from workers.arrival.probe import",
    # the node ends a process that was stopped: it may be gone by then
    "os.kill(p,signal.SIGCONT)": "(os.path.exists(f'/proc/{p}') and os.kill(p,signal.SIGCONT))",
    "'listener.cli '+name in l and 'config-c.yaml' in l": (
        f"{PROGRAMS}[name] in l and '@SEC@' in l and '-c' in l.split('@SEC@')[-1]"
    ),
}
# script -> its arguments; those of ON_ONE_NODE run on one node, in this order
ON_ONE_NODE = {"clinical": (), "clinical2": (), "stall": (), "flood": ("2000", "600")}
ALONE = {"faults": (), "slope": (), "bombs": (), "manystudies": ("33000",)}


def made_patients(folder: Path) -> Path:
    """SIM-1 (pattern A) and SIM-2 (no change), with FLAIR and T1."""
    done = folder / "done"
    if not done.exists():
        simulate(folder, pattern="A", seed=1, sequences=("flair", "t1"))
        simulate(folder, pattern="none", seed=2, sequences=("flair", "t1"))
        done.touch()
    return folder


@contextmanager
def place_for(repro: Path) -> Iterator[LiveNode]:
    """A folder with the scripts, a tree as they expect it, and the settings of a node that is not started yet."""
    with tempfile.TemporaryDirectory(prefix="known-inputs-") as name:
        work = Path(name)
        for part in ("repro", "logs", "dcm", "bombs", "clone/demo"):
            (work / part).mkdir(parents=True)
        (work / "clone" / ".venv").symlink_to(ROOT / ".venv")
        (work / "clone/demo/dicom").symlink_to(made_patients(ROOT / "bench/out/patients/known").resolve())
        node = LiveNode(work, {known: free_port() for known in ("21112", "28042", "21300", "28300", "21700", "28700")})
        for script in (repro / "node").glob("*.py"):
            text = script.read_text(encoding="utf-8")
            words = {**RENAMED, "@SEC@": str(work), "@CLONE@": str(work / "clone"), **node.ports}
            for old, new in words.items():
                text = text.replace(old, new)
            (work / "repro" / script.name).write_text(text, encoding="utf-8")
        yield node


def run_script(node: LiveNode, name: str, arguments: tuple[str, ...]) -> str:
    """What it prints; an error is a part of it."""
    command = [sys.executable, str(node.work / "repro" / f"{name}.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # a node that the script starts and does not end is in its group
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as script:
        try:
            said, faults = script.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            said, faults = "", f"not done after {PATIENCE_S:g} s"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(script.pid, signal.SIGTERM)
    return said + (faults[-600:] if script.returncode else "")


def on_one_node(node: LiveNode, wanted: Wanted) -> None:
    with node.running():
        for name, arguments in ON_ONE_NODE.items():
            if wanted(name):
                told(node, name, partial(run_script, node, name, arguments))
        for name, make in MORE.items():
            if wanted(name):
                told(node, name, partial(make, node))


def alone(node: LiveNode, wanted: Wanted) -> None:
    prepare_slope(node)
    for name, arguments in ALONE.items():
        if wanted(name):
            told(node, name, partial(run_script, node, name, arguments))


def prepare_slope(node: LiveNode) -> None:
    """What ``slope`` expects to be there: settings, and a follow-up whose values are absurd."""
    settings = {
        "store": {"state_dir": str(node.work / "state-y"), "min_free_bytes": 0},
        "listener": {"port": int(node.ports["21700"])},
        "web": {"port": int(node.ports["28700"])},
        "arrival": {"quiet_period_s": 5.0},
        "queue": {"task_time_limit_s": 60},
    }
    (node.work / "config-y.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    node.copy("slope", "SIM-1/followup", "SIM-000001", RescaleSlope="1e38", folder="slope1e38")


def told(node: LiveNode, name: str, run: Callable[[], str]) -> None:
    began = time.monotonic()
    said = run()
    settled = node.settled() if node.is_up() else "no node"
    print(f"## {name}: {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}, {settled}")
    log = ROOT / "bench/out" / f"known-{name}.txt"
    log.write_text(said, encoding="utf-8")
    for right in RIGHT.get(name, ()):
        verdict, found = right.judge(node, said)
        print(f"{'right' if verdict else 'WRONG'}: {right.what}: {found}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repro", type=Path, required=True, help="the folder that holds node/")
    names = [*ON_ONE_NODE, *MORE, *ALONE]
    parser.add_argument("--only", choices=names, action="append", help="these scripts; may be repeated")
    options = parser.parse_args()

    def wanted(name: str) -> bool:
        return not options.only or name in options.only

    (ROOT / "bench/out").mkdir(parents=True, exist_ok=True)
    with place_for(options.repro.resolve()) as node:
        if any(map(wanted, [*ON_ONE_NODE, *MORE])):
            on_one_node(node, wanted)
        alone(node, wanted)


if __name__ == "__main__":
    main()
