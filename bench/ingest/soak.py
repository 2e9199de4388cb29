"""Hours of steady work in front of the door: memory growth and latency drift of one listener process.

    python -m bench.ingest.soak --minutes 60 --rate 100

Every instance is new and belongs to a study of 200; associations are renewed after each study. Stored files are deleted
half a minute after they came, so that the disk does not fill; the index grows as it does in life. First and last tenth
of the time are compared.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.ingest.hostile import facts, node
from bench.ingest.sender import associate, read_status, release, store_message
from tests.workers.reading.data_sets import a_data_set, encoded

STUDY_INSTANCES = 200
SENDERS = 4
KEPT_S = 30.0
LOOK_S = 5.0


@dataclass
class Log:
    """Seconds since the start, and what was seen then."""

    latencies_s: list[tuple[float, float]] = field(default_factory=list)
    rss_kb: list[tuple[float, int]] = field(default_factory=list)
    refused: int = 0
    late: int = 0


def template(kilobytes: int) -> Callable[[int, int], tuple[str, bytes]]:
    """(sender, number) -> UID and data set of another instance, by replacing digits of one that was encoded once."""
    uid, study = "1.2.826.0.7.1" + "1" * 12, "1.2.826.0.7.2" + "1" * 12
    data_set = a_data_set(1, pixels=b"\1\2" * (512 * kilobytes), SOPInstanceUID=uid, StudyInstanceUID=study)
    data = encoded(data_set)

    def make(sender: int, number: int) -> tuple[str, bytes]:
        own = f"{uid[:13]}{sender + 1}{number + 1:011d}"
        of_study = f"{study[:13]}{sender + 1}{number // STUDY_INSTANCES + 1:011d}"
        return own, data.replace(uid.encode(), own.encode()).replace(study.encode(), of_study.encode())

    return make


def send(
    port: int, sender: int, rate: float, seconds: float, make: Callable[[int, int], tuple[str, bytes]], log: Log
) -> None:
    begun, number = time.monotonic(), 0
    while time.monotonic() - begun < seconds:
        sock, longest = associate(port, "ICANSEE")
        for _ in range(STUDY_INSTANCES):
            due = begun + number / rate
            pause = due - time.monotonic()
            log.late += pause < -1.0
            time.sleep(max(0.0, pause))
            message = store_message(number, *make(sender, number), longest)
            before = time.monotonic()
            sock.sendall(message)
            log.refused += read_status(sock) not in (0, 0xB007)
            log.latencies_s.append((before - begun, time.monotonic() - before))
            number += 1
            if time.monotonic() - begun > seconds:
                break
        release(sock)


def look_after(pid: int, store: Path, log: Log, stop: threading.Event) -> None:
    begun = time.monotonic()
    while not stop.wait(LOOK_S):
        log.rss_kb.append((time.monotonic() - begun, facts(pid)["rss_kb"]))
        for path in store.rglob("*.dcm"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > KEPT_S:
                    path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=100.0, help="instances per second in all")
    parser.add_argument("--kilobytes", type=int, default=137)
    options = parser.parse_args()
    make, log, stop, seconds = template(options.kilobytes), Log(), threading.Event(), 60 * options.minutes
    with node() as (port, pid):
        state = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[-2].decode()
        warm = threading.Thread(target=send, args=(port, 8, 50.0, 5.0, make, Log()))
        warm.start()
        warm.join()
        watcher = threading.Thread(target=look_after, args=(pid, Path(state) / "store", log, stop))
        arguments = (options.rate / SENDERS, seconds, make, log)
        senders = [threading.Thread(target=send, args=(port, n, *arguments)) for n in range(SENDERS)]
        for thread in (watcher, *senders):
            thread.start()
        for thread in senders:
            thread.join()
        stop.set()
        watcher.join()
        last = facts(pid)
    tell(log, seconds, last)


def tell(log: Log, seconds: float, last: dict[str, int]) -> None:
    tenth = seconds / 10
    parts = {
        "first tenth": lambda at: at < tenth,
        "last tenth": lambda at: at >= seconds - tenth,
    }
    medians, rss = [], []
    for name, inside in parts.items():
        some = sorted(latency for at, latency in log.latencies_s if inside(at))
        rss.append(statistics.median(value for at, value in log.rss_kb if inside(at) or len(log.rss_kb) < 10) / 1024)
        medians.append(1000 * some[len(some) // 2])
        print(
            f"{name}: {len(some) / tenth:.1f} instances/s, p50 {medians[-1]:.2f} ms, "
            f"p99 {1000 * some[int(0.99 * (len(some) - 1))]:.2f} ms, RSS {rss[-1]:.1f} MB"
        )
    print(
        "RSS over time, MB: " + " ".join(f"{kb / 1024:.0f}" for _, kb in log.rss_kb[:: max(1, len(log.rss_kb) // 20)])
    )
    drift = 100 * (medians[1] / medians[0] - 1)
    print(
        f"{len(log.latencies_s)} instances, {log.refused} refused, {log.late} sent late by more than a second; {last}"
    )
    print(f"RSS growth {rss[1] - rss[0]:+.1f} MB (below 5), latency drift {drift:+.1f} % (below 10)")


if __name__ == "__main__":
    main()
