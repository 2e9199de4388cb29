"""Coverage-guided fuzzing of the receive path: what peers may say, in every order, against a real receiver.

    uv run --with atheris python -m bench.ingest.fuzz --minutes 30

Each execution is one connection to a receiver in this process, with its threads, files and services. Inputs are streams
of PDUs; they start from what dcmtk and pynetdicom really say (C-ECHO, C-STORE, storage commitment, MPPS, release) and
are mutated PDU by PDU (bench.ingest.fuzz_pdus), guided by the coverage of listener, workers and pynetdicom. Without
atheris the same mutations run unguided, which the first line says.

Counted: crashes (an exception that ends a thread, or a fault while an object is stored), threads that live on after
their peer has gone, objects acknowledged that cannot be read back or indexed, temporary files left. Afterwards every
input that found new code is sent to a real listener process, several times over, and its memory compared.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path

from bench.ingest import fuzz_pdus
from bench.ingest.fuzz_seeds import record_seeds
from bench.ingest.fuzz_target import Target, import_receiver, say

with suppress(ImportError):
    import atheris  # type: ignore[import-not-found, unused-ignore]
GUIDED = "atheris" in globals()

LONGEST = 32 << 10


def load_receiver() -> None:
    """Import what is fuzzed, instrumented."""
    warnings.simplefilter("ignore")  # pydicom's, about every UID that was mutated
    names = ["listener", "workers", "pynetdicom"]
    if GUIDED:
        with atheris.instrument_imports(include=names):
            import_receiver()
    else:
        import_receiver()


def fuzz(folder: Path, minutes: float, seed: int) -> None:
    """Fuzz for a while; leaves report.json and the corpus in ``folder``. Does not return."""
    load_receiver()
    target = Target(folder)
    corpus = folder / "corpus"
    seeds = [fuzz_pdus.split(path.read_bytes()[1:]) for path in sorted(corpus.iterdir())]
    begun = time.monotonic()

    def run(data: bytes) -> None:
        target.one(data)
        if time.monotonic() - begun > 60 * minutes:
            target.look_at_store()
            report = {
                "executions": target.executions,
                "accepted": target.accepted,
                "seconds": round(time.monotonic() - begun),
                "faults": target.faults,
                "handled": target.handled,
                "threads": threading.active_count(),
                "descriptors": len(list(Path("/proc/self/fd").iterdir())),
            }
            (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
            os._exit(0)

    if not GUIDED:
        chance = random.Random(seed)
        streams = [path.read_bytes() for path in corpus.iterdir()]
        while True:
            stream = chance.choice(streams)
            run(mutate(stream, LONGEST, chance.randrange(1 << 30), seeds, random_bits(chance)))
    atheris.Setup(
        [sys.argv[0], str(corpus), f"-max_len={LONGEST}", f"-seed={seed}", "-timeout=120", "-print_final_stats=1"],
        run,
        custom_mutator=lambda data, longest, number: mutate(data, longest, number, seeds, atheris.Mutate),
    )
    atheris.Fuzz()


def mutate(data: bytes, longest: int, number: int, seeds: list[list[bytes]], bits: fuzz_pdus.Mutate) -> bytes:
    first = bytes([number % 251]) if number % 7 == 0 else data[:1] or b"\0"
    return first + fuzz_pdus.other(data[1:], longest - 1, number, bits, seeds)


def random_bits(chance: random.Random) -> fuzz_pdus.Mutate:
    def change(data: bytes, longest: int) -> bytes:
        found = bytearray(data)
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(found) + 1)
            found[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        return bytes(found[:longest])

    return change


def growth(streams: list[bytes], rounds: int) -> tuple[dict[str, int], dict[str, int]]:
    """Facts of a real listener process after the first round of all inputs, and after the last."""
    from bench.ingest.hostile import facts, node

    def one_round() -> None:
        for stream in streams:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as client:
                say(client, stream)

    with node() as (port, pid):
        one_round()
        time.sleep(5)
        before = facts(pid)
        for _ in range(rounds):
            one_round()
        time.sleep(5)
        return before, facts(pid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="how often all inputs go to a real process afterwards")
    parser.add_argument("--keep", type=Path, help="where corpus, faults and report stay")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        fuzz(options.child, options.minutes, options.seed)
    folder = options.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for number, stream in enumerate(record_seeds(Path(scratch))):
            (corpus / f"seed-{number}").write_bytes(b"\0" + stream)
    seeds = len(list(corpus.iterdir()))
    print(f"{'coverage-guided (atheris)' if GUIDED else 'NOT guided: atheris is missing'}, {seeds} seeds", flush=True)
    command = [sys.executable, "-m", "bench.ingest.fuzz", "--child", str(folder), "--minutes", str(options.minutes)]
    with (folder / "log").open("wb") as log:
        code = subprocess.call([*command, "--seed", str(options.seed)], stdout=log, stderr=log)
    if code or not (folder / "report.json").exists():
        raise SystemExit(f"the fuzzing process ended with {code}: {(folder / 'log').read_text()[-3000:]}")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    print(
        f"{report['executions']} executions in {report['seconds']} s, "
        f"{report['accepted']} with an accepted association, "
        f"{len(list(corpus.iterdir())) - seeds} inputs with new coverage"
    )
    stuck = sum(n for what, n in report["faults"].items() if what.startswith("stuck"))
    print(f"crashes {sum(report['faults'].values()) - stuck} (at most 0), stuck threads {stuck} (at most 0)")
    for kind in ("faults", "handled"):
        for what, number in report[kind].items():
            print(f"  {kind}: {number} x {what}")
    print(f"threads at the end {report['threads']}, descriptors {report['descriptors']}")
    before, after = growth([path.read_bytes() for path in sorted(corpus.iterdir())], options.rounds)
    print(f"a listener process after one round of all inputs {before}, after {options.rounds} more {after}")
    print(f"growth {(after['rss_kb'] - before['rss_kb']) / 1024:.1f} MB (below 5)")
    if options.keep is None:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
