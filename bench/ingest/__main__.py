"""How fast, how durable, how large: our listener against Orthanc and dcmtk, interleaved in one run.

    python -m bench.ingest                        # all receivers, 1 and 8 associations, 5 repeats
    python -m bench.ingest --kinds tiny large     # 2,000 instances of 3 kB; multi-frame objects of 50 MB
    python -m bench.ingest --instances 150 --repeats 3 --associations 1 8
    python -m bench.ingest --per-image            # one association per image
    python -m bench.ingest --other ../before      # this tree and another checkout, nothing else
    python -m bench.ingest --big 2                # memory: one object of 2 GB, and 100 idle associations

Everything is on loopback (in a network namespace of its own, because Orthanc binds every address), TCP_NODELAY on all
sides. Ratios are taken within a repeat and their median is printed: what else the machine does hits both alike.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path

from bench.ingest import sender
from bench.ingest.instances import corpus, large, tiny
from bench.ingest.memory import TouchedMemory
from bench.ingest.receivers import Receiver, library_app, listener_of, orthanc, ours, running, storescp, usage

ROOT = Path(__file__).resolve().parents[2]
# beginning of a receiver's name -> heading of the column with the ratio to it
RIVALS = {"Orthanc": "x Orthanc", "dcmtk": "x storescp", "pynetdicom": "x library", "other tree": "x other tree"}


def measure(
    receiver: Receiver,
    instances: list[tuple[str, bytes]],
    associations: int,
    *,
    per_image: bool,
    under: Path,
    memory: TouchedMemory,
) -> dict[str, float]:
    # what was stored stays until the end of the run: ext4 is slow to give out inodes that were freed a moment ago
    folder = Path(tempfile.mkdtemp(dir=under))
    with running(receiver, folder) as (port, pid):
        parts = [instances[n::associations] for n in range(associations)]
        _warm_up(receiver, port)
        memory.release(3 * sum(len(data) for _, data in instances))  # sender, socket, file
        os.sync()  # what the receiver before this one left in memory is not this one's bill
        before = usage(pid)
        try:
            result = sender.send(port, receiver.called, parts, association_per_image=per_image)
        except ConnectionError as error:
            raise RuntimeError(f"{receiver.name}: {error}; {(folder / 'log').read_text()[-1500:]}") from error
        time.sleep(0.3)  # rows that follow the answers are part of the bill
        after = usage(pid)
    if result.failures:
        raise RuntimeError(f"{receiver.name}: {result.failures} instances were refused")
    latencies = sorted(result.latencies_s)
    gigabytes = sum(len(data) for _, data in instances) / 1e9
    return {
        "per_s": len(instances) / result.seconds,
        "p50_ms": 1000 * latencies[len(latencies) // 2],
        "p99_ms": 1000 * latencies[int(0.99 * (len(latencies) - 1))],
        "cpu_s_per_gb": (after.cpu_s - before.cpu_s) / gigabytes,
        "rss_mb": after.peak_rss_mb,
    }


def memory(gigabytes: float, under: Path | None, idle: int = 100) -> None:
    """Peak memory of the receiving process for one large object, and what an association costs that says nothing."""
    from tests.workers.reading.data_sets import a_data_set, encoded

    size = round(gigabytes * 1e9) & ~1
    data_set = a_data_set(1, pixels=b"", Rows=512, Columns=512, NumberOfFrames=size // (2 * 512 * 512))
    start = encoded(data_set)[:-4] + struct.pack("<I", size)  # the length of the pixel data, which comes last
    receiver = ours("ours, durable")
    folder = Path(tempfile.mkdtemp(prefix="ingest-", dir=under))
    try:
        with running(receiver, folder) as (port, pid):
            _warm_up(receiver, port)
            before = usage(pid).peak_rss_mb
            seconds, status = sender.send_big(port, receiver.called, str(data_set.SOPInstanceUID), start, size)
            peak = usage(pid).peak_rss_mb
            print(f"one object of {size / 1e9:.2f} GB: status {status:#06x}, {size / 1e6 / seconds:.0f} MB/s, ", end="")
            print(f"peak RSS {peak:.0f} MB (before {before:.0f}; at most 80, aim 60)")
            quiet = usage(pid).rss_mb
            open_ones = sender.stay(port, receiver.called, idle)
            time.sleep(1.0)
            each = (usage(pid).rss_mb - quiet) / idle
            print(f"{idle} idle associations: {each:.2f} MB each (at most 0.2)")
            for sock in open_ones:
                sock.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _warm_up(receiver: Receiver, port: int) -> None:
    """First use of code, database and child processes is not what is measured."""
    for round_ in range(2):
        strangers = corpus(8, suffix=f".9{round_}")
        sender.send(port, receiver.called, [strangers[n::4] for n in range(4)])
        time.sleep(1.0)


def main() -> None:
    options = _options()
    if options.big:
        memory(options.big, options.folder)
        return
    receivers = [
        ours("ours, durable"),
        ours("ours, durable, 2 processes", processes=2),
        ours("ours, not durable", durable=False),
        ours("ours, not durable, 2 processes", durable=False, processes=2),
        ours("ours, stock path", receive_path="stock"),
        orthanc("Orthanc, its fsync", sync=True),
        storescp("dcmtk storescp --fork", "--fork"),
        library_app("pynetdicom storescp"),
    ]
    receivers = [one for one in receivers if any(word in one.name for word in options.only)] or receivers
    if options.other:
        receivers = [listener_of("this tree", ROOT), listener_of("other tree", options.other)]
    kinds = {"mr": lambda: corpus(options.instances), "tiny": tiny, "large": lambda: large(max(options.associations))}
    with (
        tempfile.TemporaryDirectory(prefix="ingest-", dir=options.folder, ignore_cleanup_errors=True) as under,
        TouchedMemory(Path(under)) as touched,
    ):
        for kind in options.kinds:
            instances = kinds[kind]()
            megabytes = sum(len(data) for _, data in instances) / 1e6
            print(f"\n{kind}: {len(instances)} instances, {megabytes:.0f} MB, {os.cpu_count()} cores")
            for associations in options.associations:
                runs: dict[str, list[dict[str, float]]] = {one.name: [] for one in receivers}
                for repeat in range(options.repeats):
                    for one in receivers if repeat % 2 == 0 else reversed(receivers):
                        found = measure(
                            one, instances, associations, per_image=options.per_image, under=Path(under), memory=touched
                        )
                        runs[one.name].append(found)
                _table(associations, runs)


def _table(associations: int, runs: dict[str, list[dict[str, float]]]) -> None:
    print(f"\n{associations} association{'s' * (associations > 1)}, medians of {len(next(iter(runs.values())))}")
    rivals = {rival: word for rival, word in RIVALS.items() if any(name.startswith(rival) for name in runs)}
    columns = "".join(f"{word:>13}" for word in rivals.values())
    print(f"{'':34}  inst/s  p50 ms  p99 ms  CPU s/GB  RSS MB{columns}")
    for name, found in runs.items():
        values = [statistics.median(one[key] for one in found) for key in found[0]]
        ratios = [_ratio(found, runs, rival) for rival in rivals]
        print(
            f"{name:34} {values[0]:7.0f} {values[1]:7.2f} {values[2]:7.2f} {values[3]:9.2f} {values[4]:7.0f}"
            + "".join(f"{ratio:>13}" for ratio in ratios)
        )


def _ratio(found: list[dict[str, float]], runs: dict[str, list[dict[str, float]]], rival: str) -> str:
    rivals = next(value for name, value in runs.items() if name.startswith(rival))
    return f"{statistics.median(a['per_s'] / b['per_s'] for a, b in zip(found, rivals, strict=True)):.2f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--instances", type=int, default=458)
    parser.add_argument("--kinds", nargs="+", choices=["mr", "tiny", "large"], default=["mr"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--associations", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--per-image", action="store_true", help="one association per image")
    parser.add_argument("--big", type=float, metavar="GB", help="memory for one object of this size, nothing else")
    parser.add_argument("--folder", type=Path, help="where the receivers store: the disk that is measured")
    parser.add_argument("--other", type=Path, metavar="TREE", help="this tree against another checkout")
    parser.add_argument("--only", nargs="*", default=[], help="words of receiver names")
    return parser.parse_args()


def _alone() -> None:
    """Go on in a network namespace that has only loopback."""
    if os.environ.get("INGEST_ALONE"):
        return
    unshare = shutil.which("unshare")
    if unshare is None:
        raise SystemExit("unshare (util-linux) is needed: Orthanc would listen on every address")
    script = 'ip link set lo up && exec "$@"'
    command = [unshare, "--map-root-user", "--net", "sh", "-c", script, "sh", sys.executable, "-m", "bench.ingest"]
    os.execve(unshare, [*command, *sys.argv[1:]], {**os.environ, "INGEST_ALONE": "1"})  # noqa: S606


if __name__ == "__main__":
    _alone()
    main()
