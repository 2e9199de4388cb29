"""kill -9 of any process of a working node at random moments: what is lost, decided twice, or stuck.

    python -m bench.node.kill_random --kills 200

Small studies come all the time from a sender that sends again what was not acknowledged, as senders do. Every moment
one process dies: listener, worker, beat, web, broker, or the supervisor (the node is then started again). Afterwards:
lost: acknowledged, and not in the store or not in the index; or a study without a decision. twice: a study with two
decisions that count, or an object with two rows. stuck: not decided after a long wait, or failed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.node import Node, running_node, wait_for
from tests.chaos.test_kill import acknowledged_by, storescu
from tests.workers.reading.data_sets import a_data_set, as_file
from workers.files.uid_paths import relative_path
from workers.ports import StudyState

IMAGES = 6
VICTIMS = ("listener", "listener", "worker", "worker", "beat", "broker", "web", "serve")
LONGEST_PAUSE_S = 3.0
TRIES = 1000
STUCK_AFTER_S = 120.0


@dataclass
class Sent:
    """Study UID -> UIDs of the objects that were acknowledged."""

    studies: dict[str, set[str]] = field(default_factory=dict)
    tries: int = 0


def a_study(folder: Path, number: int) -> str:
    """Write a study of its own patient; its UID."""
    study = f"1.2.826.0.6.{number + 1}"
    for image in range(IMAGES):
        data_set = a_data_set(
            image,
            pixels=bytes(2 * 64 * 64),
            Rows=64,
            Columns=64,
            StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.1",
            SOPInstanceUID=f"{study}.1.{image + 1}",
            PatientID=f"K-{number}",
            NumberOfFrames=None,
            ImagesInAcquisition=None,
        )
        (folder / f"{image}.dcm").write_bytes(as_file(data_set))
    return study


def send_all_the_time(node: Node, folder: Path, sent: Sent, stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        place = folder / str(number)
        place.mkdir(parents=True)
        study = a_study(place, number)
        acknowledged = sent.studies[study] = set()
        for _ in range(TRIES):
            sent.tries += 1
            with suppress(OSError, ValueError, KeyError):  # no listener at this moment
                acknowledged |= acknowledged_by(storescu(node.dicom_port, place))
            if len(acknowledged) == IMAGES:
                break
            time.sleep(0.3)
        number += 1
        stop.wait(0.2)


def kill(node: Node, name: str) -> bool:
    """Whether it was there to be killed."""
    try:
        pid = node.pid if name == "serve" else node.pid_of(name)
        os.kill(pid, signal.SIGKILL)
    except (OSError, ValueError, KeyError):
        return False
    if name == "serve":
        others = [pid for pid in node.pids() if pid != node.pid]
        node.start()
        for pid in others:  # what outlived its supervisor must not: the node ends it, or it ends by itself
            wait_for(f"process {pid} of the dead node to end", lambda gone=pid: gone not in node.pids())
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance, sent, stop, killed = random.Random(options.seed), Sent(), threading.Event(), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="kill-") as folder, running_node(Path(folder)) as node:
        sender = threading.Thread(target=send_all_the_time, args=(node, Path(folder) / "sent", sent, stop))
        sender.start()
        while sum(killed.values()) < options.kills:
            time.sleep(chance.uniform(0.0, LONGEST_PAUSE_S))
            name = chance.choice(VICTIMS)
            killed[name] += kill(node, name)
        stop.set()
        sender.join()
        print(f"killed: {', '.join(f'{name} {number}' for name, number in sorted(killed.items()))}")
        examine(node, sent)


def wait_while_something_happens(decided: Callable[[], int], wanted: int) -> None:
    """Until all are decided, or none more was for a long time: a busy machine is slow, not stuck."""
    count, since = decided(), time.monotonic()
    while count < wanted and time.monotonic() - since < STUCK_AFTER_S:
        time.sleep(0.5)
        if decided() > count:
            count, since = decided(), time.monotonic()


def examine(node: Node, sent: Sent) -> None:
    index, ends = node.index, (StudyState.ASSESSED, StudyState.FAILED)

    def states() -> list[StudyState | None]:
        rows = [index.study(study) for study in sent.studies]
        return [row.state if row else None for row in rows]

    wait_while_something_happens(lambda: sum(state in ends for state in states()), len(sent.studies))
    lost_objects = twice = undecided = 0
    for study, acknowledged in sent.studies.items():
        indexed = [row.sop_instance_uid for row in index.instances(study)]
        on_disk = {uid for uid in acknowledged if (node.state / "store" / relative_path(uid)).is_file()}
        lost_objects += len(acknowledged - (set(indexed) & on_disk))
        current = sum(not version["superseded"] for version in index.assessments(study))
        twice += (current > 1) + (len(indexed) != len(set(indexed)))
        undecided += current == 0
    found = Counter(states())
    index.close()
    acknowledged = sum(map(len, sent.studies.values()))
    print(f"{len(sent.studies)} studies, {acknowledged} objects acknowledged, {sent.tries} attempts to send a study")
    print(f"states: {', '.join(f'{state} {number}' for state, number in found.items())}")
    print(
        f"lost: {lost_objects} objects, {undecided} studies; twice: {twice}; "
        f"stuck: {len(sent.studies) - found[StudyState.ASSESSED]} (at most 0 / 0 / 0)"
    )


if __name__ == "__main__":
    main()
