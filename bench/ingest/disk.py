"""What it costs to make one object durable, in our way of storing and in others. No network, no DICOM.

    python -m bench.ingest.disk --repeats 5
    python -m bench.ingest.disk --folder /mnt/other/disk

Every way stores the same mixture of 137 and 530 kB, flushed before the next one begins, with 1 and with 8 threads.
Times are per object; processor time is that of this process, kernel included. A segment is one large file that is
written round and round; what was stored in it has to become files later, and the last row is the time until it has.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import mmap
import os
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.ingest.memory import TouchedMemory
from workers.files.disk import create_unnamed, give_name

SIZES = (137_000, 137_000, 137_000, 530_000, 530_000)
OBJECTS = 600
WRITE_BYTES = 256 << 10  # at a time, as the socket's buffer gives it
SEGMENTS_BYTES = 256 << 20  # of all threads; holds every object once
BLOCK = 4096
SYNC_FILE_RANGE_WRITE = 2  # sync_file_range(2): begin, do not wait

Way = Callable[[Path, int, memoryview], None]


def _folder(base: Path, number: int) -> Path:
    return base / hashlib.sha256(str(number).encode()).hexdigest()[:2]


def _write(fd: int, data: memoryview, after_each: Callable[[int], object] = lambda _: None) -> None:
    for at in range(0, len(data), WRITE_BYTES):
        os.write(fd, data[at : at + WRITE_BYTES])
        after_each(fd)


def a_file(*, flush: bool = True, early: bool = False, reserve: bool = False) -> Way:
    begin = ctypes.CDLL(None).sync_file_range
    begin.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]

    def store(base: Path, number: int, data: memoryview) -> None:
        folder = _folder(base, number)
        fd = create_unnamed(folder)
        if reserve:
            os.posix_fallocate(fd, 0, len(data))
        _write(fd, data, (lambda fd: begin(fd, 0, 0, SYNC_FILE_RANGE_WRITE)) if early else lambda _: None)
        give_name(fd, folder / str(number))
        if flush:
            os.fsync(fd)
        os.close(fd)

    return store


def past_the_cache(base: Path, number: int, data: memoryview) -> None:
    """O_DIRECT: aligned memory, whole blocks, and the length put right afterwards."""
    folder = _folder(base, number)
    whole = (len(data) + BLOCK - 1) // BLOCK * BLOCK
    fd = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC | os.O_DIRECT, 0o640)
    with mmap.mmap(-1, whole) as aligned:
        aligned[: len(data)] = data
        with memoryview(aligned) as view:
            os.pwrite(fd, view, 0)
    os.ftruncate(fd, len(data))
    give_name(fd, folder / str(number))
    os.fsync(fd)
    os.close(fd)


class Segments:
    """A segment for each thread, written before and in memory: nothing but the data has to reach the disk."""

    def __init__(self, base: Path, threads: int) -> None:
        self._free = [os.open(base / f"segment{n}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC) for n in range(threads)]
        for fd in self._free:
            for _ in range((SEGMENTS_BYTES // threads) >> 20):
                os.write(fd, bytes(1 << 20))
            os.fsync(fd)
        self._own = threading.local()
        self.stored: list[tuple[int, int, int, int]] = []  # number, descriptor, position, length

    def store(self, _base: Path, number: int, data: memoryview) -> None:
        if not hasattr(self._own, "fd"):
            self._own.fd, self._own.position = self._free.pop(), 0
        os.pwrite(self._own.fd, data, self._own.position)
        os.fdatasync(self._own.fd)
        self.stored.append((number, self._own.fd, self._own.position, len(data)))
        self._own.position += (len(data) + BLOCK - 1) // BLOCK * BLOCK

    def drain(self, base: Path) -> None:
        """Copy everything into files, flushed one by one: only then may the segment be written again."""
        keep = a_file()
        for number, fd, position, length in self.stored:
            keep(base, number, memoryview(os.pread(fd, length, position)))

    def close(self) -> None:
        for fd in {fd for _, fd, _, _ in self.stored}:
            os.close(fd)


def measure(name: str, threads: int, base: Path, memory: TouchedMemory, data: memoryview) -> tuple[float, float]:
    """(microseconds, microseconds of processor) per object."""
    for n in range(256):
        (base / f"{n:02x}").mkdir(parents=True)
    segments = Segments(base, threads) if name.startswith("segment") else None
    store = segments.store if segments is not None else WAYS[name]
    memory.release(4 * OBJECTS * max(SIZES))
    os.sync()

    def work(first: int) -> None:
        for number in range(first, OBJECTS, threads):
            store(base, number, data[: SIZES[number % len(SIZES)]])

    workers = [threading.Thread(target=work, args=(first,)) for first in range(threads)]
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if segments is not None and name.endswith("files"):
        segments.drain(base)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    if segments is not None:
        segments.close()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1e6 * wall / OBJECTS, 1e6 * cpu / OBJECTS


WAYS: dict[str, Way | None] = {
    "file, not flushed": a_file(flush=False),
    "file, flushed: ours": a_file(),
    "file, writing begun early": a_file(early=True),
    "file, space reserved first": a_file(reserve=True),
    "file, past the page cache": past_the_cache,
    "segment, flushed": None,
    "segment, flushed, then files": None,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk that is measured")
    options = parser.parse_args()
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    data = memoryview(os.urandom(max(SIZES)))
    with (
        tempfile.TemporaryDirectory(prefix="disk-", dir=options.folder, ignore_cleanup_errors=True) as under,
        TouchedMemory(Path(under)) as memory,
    ):
        for repeat in range(options.repeats):
            for threads in (1, 8):
                for place, name in enumerate(WAYS):
                    base = Path(under) / f"{repeat}-{threads}-{place}"
                    found.setdefault((name, threads), []).append(measure(name, threads, base, memory, data))
    print(f"{'us per object, medians':32} 1 thread   of it cpu   8 threads   of it cpu")
    for name in WAYS:
        values = [statistics.median(one[part] for one in found[name, n]) for n in (1, 8) for part in (0, 1)]
        print(f"{name:32} {values[0]:8.0f} {values[1]:11.0f} {values[2]:11.0f} {values[3]:11.0f}")


if __name__ == "__main__":
    main()
