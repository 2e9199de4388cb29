"""A good sender among hostile ones: its throughput, and what is left of them in our memory.

    python -m bench.ingest.hostile                      # 200 open hostile connections, 5,000 hostile associations
    python -m bench.ingest.hostile --connections 50 --associations 500

Everything is on loopback, against the receiving process as `icansee listener` starts it.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.ingest import sender
from bench.ingest.instances import corpus
from tests.listener.rawscu import MR, associate_rq, command, data_pdus, pdu, pdv


@contextmanager
def node(**listener: object) -> Iterator[tuple[int, int]]:
    """(port, process id) of a receiving process."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    settings = {
        "listener": {"port": 0, "max_associations": 600, "max_associations_per_address": 600, "acse_timeout_s": 30}
        | listener,
        "store": {"state_dir": str(folder / "state")},
        "log": {"level": "error"},
    }
    (folder / "config.yaml").write_text(json.dumps(settings), encoding="utf-8")
    ready = folder / "state" / "run" / "listener.json"
    child = subprocess.Popen(
        [sys.executable, "-m", "listener.commands.main", "listener", "--config", str(folder / "config.yaml")],
        stderr=(folder / "log").open("wb"),
    )
    try:
        while not ready.exists():
            if child.poll() is not None:
                raise RuntimeError((folder / "log").read_text())
            time.sleep(0.05)
        time.sleep(3)  # the first scan is over
        yield json.loads(ready.read_text())["port"], child.pid
    finally:
        child.terminate()
        child.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def facts(pid: int) -> dict[str, int]:
    """Resident kB, threads and descriptors."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = {
        line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith(("VmRSS", "Threads"))
    }
    return {
        "rss_kb": int(found["VmRSS"]),
        "threads": int(found["Threads"]),
        "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
    }


def good_rate(port: int, instances: list[tuple[str, bytes]]) -> float:
    """Instances per second of one good association."""
    result = sender.send(port, "ICANSEE", [instances])
    if result.failures:
        raise RuntimeError(f"{result.failures} instances of the good sender were refused")
    return len(instances) / result.seconds


def hostile_pieces(chance: random.Random) -> bytes:
    """What one hostile sender says: right beginnings with wrong ends."""
    request = associate_rq([(1, MR, ["1.2.840.10008.1.2.1"])])
    store = command(uid="1.2.3")
    return chance.choice(
        [
            b"",
            chance.randbytes(chance.randrange(1, 2000)),
            request[: chance.randrange(1, len(request))],
            pdu(1, b"")[:2] + b"\xff\xff\xff\xff" + chance.randbytes(50),
            request + b"\x04\0\xff\xff\xff\xf0" + bytes(100),
            request + pdu(4, pdv(1, 3, chance.randbytes(200))),
            request + pdu(4, pdv(3, 3, store)),
            request + pdu(4, pdv(1, 3, store)) + pdu(4, pdv(1, 0, chance.randbytes(3000))),
            request + pdu(4, pdv(1, 3, command(uid="../../etc/passwd"))) + b"".join(data_pdus(b"x" * 100)),
            request + pdu(4, (100).to_bytes(4, "big") + b"\1\3"),
            request + request,
            request + pdu(chance.randrange(8, 255), b"????"),
            associate_rq([(n, MR, ["1.2.3"] * 30) for n in range(1, 256, 2)]),
            associate_rq(called=chance.choice(["OTHER", "\x00\xff"[:1] * 4])),
        ]
    )


def knock(port: int, chance: random.Random, *, hold: bool = False) -> socket.socket | None:
    """One hostile connection; held open when asked to, else ended as such a peer ends."""
    try:
        sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        sock.sendall(hostile_pieces(chance))
        if hold:
            return sock
        if chance.random() < 0.5:
            sock.settimeout(0.05)
            with suppress(OSError):
                sock.recv(1000)
        sock.close()
    except OSError:
        pass
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--associations", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with node() as (port, pid):
        good_rate(port, corpus(40, suffix=".7"))  # first use is not measured
        ratios = []
        for repeat in range(options.repeats):
            alone = good_rate(port, corpus(80, suffix=f".8{repeat}"))
            held = [knock(port, chance, hold=True) for _ in range(options.connections)]
            among = good_rate(port, corpus(80, suffix=f".9{repeat}"))
            still = sum(_open(sock) for sock in held if sock is not None)
            for sock in held:
                if sock is not None:
                    sock.close()
            time.sleep(1)
            ratios.append(among / alone)
            print(f"alone {alone:.0f}/s, among {options.connections} hostile ones ({still} still open) {among:.0f}/s")
        print(f"ratio, median: {statistics.median(ratios):.2f} (at least 0.8, aim 0.95)")
        for _ in range(500):
            knock(port, chance)
        time.sleep(5)
        before = facts(pid)
        for _ in range(options.associations):
            knock(port, chance)
        time.sleep(5)
        after = facts(pid)
        print(f"before {before}\nafter {options.associations} hostile associations {after}")
        print(f"growth {(after['rss_kb'] - before['rss_kb']) / 1024:.1f} MB (at most 5)")
        good_rate(port, corpus(40, suffix=".6"))
        print("the good sender is still served")


def _open(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        while data := sock.recv(65536):
            del data
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


if __name__ == "__main__":
    main()
