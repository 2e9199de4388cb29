"""Simulated power cuts: is every acknowledged object there afterwards, byte for byte, and no half one visible?

    sudo python -m bench.ingest.powercut --file-system ext4 --cuts 10

The store lies on an image on a loop device, the image on an XFS that can clone files. At a random moment the image is
cloned: one atomic point in time that has every block written so far and nothing that was only in memory. The clone is
mounted (journal replay), scanned as the listener does at start, and compared. A disk's own volatile cache is not
modelled. Needs root, loop devices, xfsprogs and e2fsprogs.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import random
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.workers.reading.data_sets import STUDY, a_data_set, announce, encoded
from triage.errors import Rejected
from workers.files.store import FileStore
from workers.index.reconcile import reconcile
from workers.index.sql import open_index

FICLONE = 0x40049409  # ioctl_ficlone(2)
WRITERS = 6


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def mounted(image: Path, where: Path) -> Iterator[Path]:
    where.mkdir(exist_ok=True)
    run("mount", "-o", "loop", image, where)
    try:
        yield where
    finally:
        run("umount", where)


def clone(source: Path, target: Path) -> float:
    """Clone a file; the time just before."""
    with source.open("rb") as one, target.open("wb") as other:
        before = time.monotonic()
        fcntl.ioctl(other.fileno(), FICLONE, one.fileno())
    return before


def payload(number: int) -> bytes:
    pixels = number.to_bytes(8, "little") * (500 + 20_000 * (number % 3))
    return encoded(a_data_set(number, pixels=pixels))


def write_until(stop: threading.Event, store: FileStore, part: int, acknowledged: list[tuple[float, int]]) -> None:
    number = part
    while not stop.is_set():
        data = payload(number)
        with contextlib.suppress(Rejected), store.spool(announce(a_data_set(number))) as spool:  # disk full: not acked
            spool.write([data], len(data))
            spool.finish()
            acknowledged.append((time.monotonic(), number))
        number += WRITERS


def one_cut(folder: Path, file_system: str, *, durable: bool) -> tuple[int, int, int, int]:
    """(acknowledged before the cut, lost, corrupt, half objects that a reader could see)."""
    image, snapshot = folder / "store.img", folder / "snapshot.img"
    run("truncate", "-s", "2G", image)
    run(f"mkfs.{file_system}", "-q", "-F" if file_system == "ext4" else "-f", image)
    acknowledged: list[tuple[float, int]] = []
    with mounted(image, folder / "live") as live:
        store = FileStore(live / "state", durable=durable)
        os.sync()
        stop = threading.Event()
        writers = [
            threading.Thread(target=write_until, args=(stop, store, part, acknowledged)) for part in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        time.sleep(random.uniform(0.5, 2.0))
        cut = clone(image, snapshot)
        stop.set()
        for writer in writers:
            writer.join()
    due = [number for when, number in acknowledged if when < cut]
    with mounted(snapshot, folder / "after") as after:
        counts = _examine(after / "state", due)
    image.unlink()
    snapshot.unlink()
    return (len(due), *counts)


def _examine(state: Path, due: list[int]) -> tuple[int, int, int]:
    store = FileStore(state)
    store.sweep_temporary()
    with tempfile.TemporaryDirectory() as elsewhere:
        index = open_index(f"sqlite:///{elsewhere}/index.db")
        reconcile(store, index)
        indexed = {
            row.sop_instance_uid for study in index.studies() for row in index.instances(study.study_instance_uid)
        }
        index.close()
    files = {path.stem: path.read_bytes() for path in store.all_files()}
    lost = corrupt = 0
    for number in due:
        uid = f"{STUDY}.1.{number}"
        lost += uid not in indexed
        corrupt += uid in files and not files[uid].endswith(payload(number))
    half = sum(not content.endswith(payload(int(uid.rpartition(".")[2]))) for uid, content in files.items())
    return lost, corrupt, half


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--file-system", choices=["ext4", "xfs"], default="ext4")
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--not-durable", action="store_true", help="shows that the instrument sees losses")
    options = parser.parse_args()
    total = [0, 0, 0, 0]
    with tempfile.TemporaryDirectory(prefix="powercut-") as folder:
        carrier = Path(folder) / "carrier.img"
        run("truncate", "-s", "6G", carrier)
        run("mkfs.xfs", "-q", "-f", "-m", "reflink=1", carrier)
        with mounted(carrier, Path(folder) / "carrier") as inside:
            for number in range(options.cuts):
                found = one_cut(inside, options.file_system, durable=not options.not_durable)
                total = [a + b for a, b in zip(total, found, strict=True)]
                print(
                    f"cut {number + 1}: acknowledged {found[0]}, lost {found[1]}, corrupt {found[2]}, half {found[3]}"
                )
    print(
        f"{options.file_system}, {options.cuts} cuts: "
        f"acknowledged {total[0]}, lost {total[1]}, corrupt {total[2]}, half {total[3]}"
    )


if __name__ == "__main__":
    main()
