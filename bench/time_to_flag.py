"""Time from the last FLAIR image's C-STORE response to the stored decision, on a real node with the baseline prepared.

    python -m bench.time_to_flag [--repeats 3] [--protocols 2d,3d] [--json FILE] [--other TREE]

The node is ``icansee serve`` with its default settings in a temporary state folder (embedded broker, free ports, one
worker process). Each repeat is another synthetic patient: the baseline is sent and prepared first; then the follow-up,
FLAIR series first, the rest right behind it on the same association, as a scanner or PACS would. "First look" is the
first stored decision, "full" the stored full assessment; the index is asked every 50 ms.

``--other`` also starts a node of another checkout with its own environment (.venv). Both get the same patients in turn,
and the medians of the ratios within a patient are printed. Progress goes to stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from listener.commands.send import OutgoingFile, Target, find_files, send_files
from simulation.patient import SimulatedPatient, simulate
from workers.ports import ACUTE_CATEGORIES

ROOT = Path(__file__).resolve().parents[1]
POLL_S = 0.05
PATIENCE_S = 900.0
TARGETS_S = {"2d": 4.0, "3d": 4.0}  # median of the first look
FULL_TARGET_S = 30.0
THIS, OTHER = "this tree", "other tree"


@dataclass(frozen=True)
class Sample:
    """One follow-up. Seconds after the last FLAIR image's response, but full_after_last_image_s after the last image of
    the whole study; parts are timings_s of the two documents."""

    tree: str
    protocol: str
    seed: int
    images: int
    flair_images: int
    first_look_s: float
    full_s: float
    full_after_last_image_s: float
    category: str
    first_look_parts: Mapping[str, float]
    full_parts: Mapping[str, float]
    load: float


@dataclass(frozen=True)
class Node:
    """A running node: where to send, what it stored. prepared: folder of the prepared baselines."""

    tree: str
    target: Target
    index: sqlite3.Connection
    prepared: Path


@contextmanager
def running_node(name: str, tree: Path, folder: Path, more: Mapping[str, Any] | None = None) -> Iterator[Node]:
    """``icansee serve`` of a tree until the block ends. more: further sections of its settings."""
    folder.mkdir()
    settings_file, ready, state = folder / "config.yaml", folder / "ready.json", folder / "state"
    settings_file.write_text(
        yaml.safe_dump(
            {"store": {"state_dir": str(state)}, "listener": {"port": 0}, "web": {"port": 0}, **(more or {})}
        ),
        encoding="utf-8",
    )
    arguments = [tree.resolve() / ".venv/bin/icansee", "serve", "--config", settings_file, "--ready-file", ready]
    with (folder / "log.jsonl").open("wb") as log:
        process = subprocess.Popen(arguments, cwd=folder, stdout=log, stderr=log)
    try:
        wait_for("the node", lambda: ready.exists() or process.poll() is not None)
        if process.poll() is not None:
            raise SystemExit((folder / "log.jsonl").read_text(encoding="utf-8")[-2000:])
        facts = json.loads(ready.read_text(encoding="utf-8"))
        target = Target(facts["dicom_host"], facts["dicom_port"], facts["ae_title"], "BENCH")
        # SQL, not the index of this tree: the other tree's schema may be older
        with contextlib.closing(sqlite3.connect(f"file:{state / 'index.db'}?mode=ro", uri=True)) as index:
            yield Node(name, target, index, state / "prepared")
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        if process.poll() is None:
            process.kill()


def wait_for(what: str, condition: Callable[[], bool]) -> float:
    """Seconds on the monotonic clock when it came true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {PATIENCE_S:g} s for {what}")
        time.sleep(POLL_S)
    return time.monotonic()


def wait_for_baseline(node: Node, study: str) -> bool:
    """Until it is prepared, or told that it is not: one that shows something acute is prepared when a follow-up needs
    it, and one that cannot be prepared is refused. Whether it is prepared."""
    folder = node.prepared / study

    def prepared() -> bool:
        return any(folder.rglob("prepared.json"))

    def left_alone() -> bool:
        decided = stored(node, study, stage="full")
        acute = decided is not None and decided["decision"]["category"] in ACUTE_CATEGORIES
        return acute or any(folder.rglob("refused.txt"))

    wait_for("the prepared baseline", lambda: prepared() or left_alone())
    return prepared()


def stored(node: Node, study: str, *, stage: str | None = None) -> dict[str, Any] | None:
    """The first stored decision of the study, or the first of the stage."""
    found = node.index.execute(
        "SELECT stage, document FROM assessments WHERE study_instance_uid = ? ORDER BY revision, stage_rank", (study,)
    )
    return next((json.loads(document) for at, document in found.fetchall() if stage in (None, at)), None)


def measure(node: Node, patient: SimulatedPatient, protocol: str, seed: int) -> Sample:
    """Baseline in and prepared; follow-up in; both decisions timed."""
    send_files(find_files(patient.baseline_dir)[0], node.target)
    if not wait_for_baseline(node, patient.baseline_study_uid):
        raise SystemExit(f"the baseline of seed {seed} is not prepared ahead: take another seed")
    flair, rest = flair_first(patient.followup_dir)
    answered: list[float] = []
    sender = threading.Thread(
        target=send_files,
        args=([*flair, *rest], node.target),
        kwargs={"on_file": lambda: answered.append(time.monotonic())},
    )
    load = os.getloadavg()[0]
    sender.start()
    study = patient.followup_study_uid
    first_at = wait_for("the first look", lambda: stored(node, study) is not None)
    full_at = wait_for("the full assessment", lambda: stored(node, study, stage="full") is not None)
    sender.join()
    first, full = stored(node, study), stored(node, study, stage="full")
    assert first is not None
    assert full is not None
    return Sample(
        tree=node.tree,
        protocol=protocol,
        seed=seed,
        images=len(answered),
        flair_images=len(flair),
        first_look_s=first_at - answered[len(flair) - 1],
        full_s=full_at - answered[len(flair) - 1],
        full_after_last_image_s=full_at - answered[-1],
        category=first["decision"]["category"],
        first_look_parts=first["timings_s"],
        full_parts=full["timings_s"],
        load=load,
    )


def flair_first(folder: Path) -> tuple[list[OutgoingFile], list[OutgoingFile]]:
    files = find_files(folder)[0]
    flair = [file for file in files if "flair" in file.path.parent.name.lower()]
    if not flair:
        raise SystemExit(f"no FLAIR series among {sorted({f.path.parent.name for f in files})}")
    return flair, [file for file in files if file not in flair]


def run(protocols: Sequence[str], repeats: int, other: Path | None, tell: Callable[[str], None]) -> list[Sample]:
    """The samples; with another tree, both nodes get each patient, the first one in turn."""
    samples: list[Sample] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trees = {THIS: ROOT} | ({OTHER: other} if other else {})
        tell("starting the node")
        nodes = [stack.enter_context(running_node(n, tree, folder / n.split()[0])) for n, tree in trees.items()]
        for protocol in protocols:
            for repeat in range(repeats):
                seed = 100 * (1 + list(TARGETS_S).index(protocol)) + repeat
                who = f"{protocol}, patient {repeat + 1} of {repeats}"
                tell(f"{who}: simulating")
                patient = simulate(folder / protocol, pattern="A", seed=seed, protocol=protocol)
                for node in nodes if repeat % 2 == 0 else reversed(nodes):
                    tell(f"{who}, {node.tree}: measuring")
                    samples.append(measure(node, patient, protocol, seed))
                    tell(f"{who}, {node.tree}: {_line(samples[-1])}")
    return samples


def _line(sample: Sample) -> str:
    return f"first look {sample.first_look_s:.2f} s, full {sample.full_s:.2f} s after the last FLAIR image"


# -- the tables ------------------------------------------------------------------------------------


def show(samples: Sequence[Sample]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 200)
    for tree, protocol in dict.fromkeys((s.tree, s.protocol) for s in samples):
        own = [s for s in samples if (s.tree, s.protocol) == (tree, protocol)]
        what = f"{own[0].flair_images} FLAIR of {own[0].images} images, {len(own)} patients"
        table = Table(title=f"{tree}, {protocol}: {what}")
        for heading in ("", "median s", "min", "max", "target"):
            table.add_column(heading)
        _add(table, "first look after last FLAIR image", [s.first_look_s for s in own], f"<= {TARGETS_S[protocol]:g}")
        _add(table, "full after last FLAIR image", [s.full_s for s in own], "")
        _add(table, "full after last image of study", [s.full_after_last_image_s for s in own], f"<= {FULL_TARGET_S:g}")
        for title, parts in (
            ("first look", [s.first_look_parts for s in own]),
            ("full", [s.full_parts for s in own]),
        ):
            table.add_section()
            for name in dict.fromkeys(name for part in parts for name in part):
                _add(table, f"{title}: {name}", [part[name] for part in parts if name in part], "")
        console.print(table)
        console.print(f"decisions: {', '.join(s.category for s in own)}")
    for line in ratios(samples):
        console.print(line)
    console.print(f"load at start of each: {', '.join(f'{s.load:.1f}' for s in samples)} on {os.cpu_count()} cores")


def ratios(samples: Sequence[Sample]) -> Iterator[str]:
    """This tree over the other one within each patient, medians; nothing without another tree."""
    other = {(s.protocol, s.seed): s for s in samples if s.tree == OTHER}
    for protocol in dict.fromkeys(s.protocol for s in other.values()):
        pairs = [(s, other[s.protocol, s.seed]) for s in samples if (s.tree, s.protocol) == (THIS, protocol)]
        first = statistics.median(a.first_look_s / b.first_look_s for a, b in pairs)
        full = statistics.median(a.full_s / b.full_s for a, b in pairs)
        yield f"{protocol}, this tree over the other one: first look {first:.3f}, full {full:.3f}"


def _add(table: Any, name: str, values: Sequence[float], target: str) -> None:
    table.add_row(name, *(f"{f(values):.2f}" for f in (statistics.median, min, max)), target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--protocols", default="2d,3d", help="2d, 3d or both")
    parser.add_argument("--json", type=Path, help="where the samples go")
    parser.add_argument("--other", type=Path, metavar="TREE", help="another checkout, measured in the same run")
    options = parser.parse_args()
    begun = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {text}", file=sys.stderr, flush=True)

    samples = run(options.protocols.split(","), options.repeats, options.other, tell)
    show(samples)
    if options.json:
        options.json.write_text(json.dumps([asdict(s) for s in samples], indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
