"""Coverage-guided fuzzing of the receive path: what peers may say, in every order, against a real receiver.

    uv run --with atheris python -m bench.ingest.fuzz --minutes 30

Each execution is one connection to a receiver in this process, with its threads, files and services. Inputs are streams
of PDUs; they start from what dcmtk and pynetdicom really say (C-ECHO, C-STORE, storage commitment, MPPS, release) and are
mutated PDU by PDU (bench.ingest.fuzz_pdus), guided by the coverage of listener, workers and pynetdicom. Without atheris the same
mutations run unguided, which the first line says.

Counted: crashes (an exception that ends a thread, or a fault while an object is stored), threads that live on after their
peer has gone, objects acknowledged that cannot be read back or indexed, temporary files left. Afterwards every input that
found new code is sent to a real listener process, several times over, and its memory compared.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.ingest import fuzz_pdus

with suppress(ImportError):
    import atheris  # type: ignore[import-not-found, unused-ignore]
GUIDED = "atheris" in globals()

LONGEST = 32 << 10
STUCK_S = 20.0
CLEAN_EVERY = 500  # executions between two looks at the stored objects
EXPECTED = {"instance.conflict"}  # errors that are no fault of ours


def load_receiver() -> None:
    """Import what is fuzzed, instrumented."""
    warnings.simplefilter("ignore")  # pydicom's, about every UID that was mutated
    names = ["listener", "workers", "pynetdicom"]
    if GUIDED:
        with atheris.instrument_imports(include=names):
            _imports()
    else:
        _imports()


def _imports() -> None:
    import importlib

    for name in (
        "listener.door.build",
        "workers.files.store",
        "workers.index.reconcile",
        "workers.index.sql",
        "listener.services.notifications",
    ):
        importlib.import_module(name)


class Target:
    """A receiver in this process, and what went wrong with it."""

    def __init__(self, folder: Path) -> None:
        import structlog

        from listener.door.build import build_receiver, reception_of
        from listener.meters import Meter
        from workers.config import parse
        from workers.files.store import open_files
        from workers.index.sql import open_index

        self.folder, self.executions, self.accepted = folder, 0, 0
        self.faults: Counter[str] = Counter()
        self.handled: Counter[str] = Counter()
        self.current = b""
        listener = {"acse_timeout_s": 2, "pdu_timeout_s": 2, "idle_timeout_s": 2}
        store = {"state_dir": str(folder / "state"), "min_free_bytes": 0}
        settings = parse({"listener": {**listener, "max_object_bytes": 1 << 20}, "store": store})
        structlog.configure(processors=[self._event], cache_logger_on_first_use=False)
        threading.excepthook = lambda args: self._fault("a thread ended by", args.exc_value)
        self.store, self.index = open_files(settings, durable=False), open_index(settings.index_url)
        self.rows: list[Any] = []
        reception = reception_of(settings, self.store, self.rows.append, Meter())
        self.receiver = build_receiver(settings, self.store, self.index, reception)
        self.listening = socket.create_server(("127.0.0.1", 0))

    def _event(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        import structlog

        name, error = str(event.get("event")), event.get("exc_info")
        error = sys.exc_info()[1] if error is True else error
        if isinstance(error, BaseException) or (method in ("error", "exception") and name not in EXPECTED):
            self._fault(name, error if isinstance(error, BaseException) else None)
        elif name == "association.failed":
            self.handled[str(event["error"])[:60]] += 1
        raise structlog.DropEvent

    def _fault(self, what: str, error: BaseException | None = None) -> None:
        frames = traceback.extract_tb(error.__traceback__)[-1:] if error else []
        where = "".join(f" {Path(frame.filename).name}:{frame.lineno}" for frame in frames)
        key = f"{what}: {type(error).__name__ if error else ''}{where}"
        self.faults[key] += 1
        if self.faults[key] == 1:
            (self.folder / f"fault-{len(self.faults)}").write_bytes(self.current)
            sys.stderr.write(f"FAULT {key}\n")
            if error:
                traceback.print_exception(error)

    def one(self, stream: bytes) -> None:
        """One connection from its first byte to the end of its threads."""
        from listener.associations.admission import parse_address

        self.current, self.executions = stream, self.executions + 1
        client = socket.create_connection(self.listening.getsockname())
        connection, peer = self.listening.accept()
        self.receiver.take(connection, parse_address(peer[0]))
        self.accepted += say(client, stream)
        client.close()
        deadline = time.monotonic() + STUCK_S
        while self.receiver.open_addresses():
            if time.monotonic() > deadline:
                self._fault("stuck: " + " | ".join(where_threads_are()))
                self.receiver.close(grace_s=0)
                break
            time.sleep(0.0002)
        if self.executions % CLEAN_EVERY == 0:
            self.look_at_store()

    def look_at_store(self) -> None:
        """What was acknowledged can be read back and indexed, and nothing else lies there."""
        from workers.files.index_rows import read_row

        rows, self.rows[:] = list(self.rows), []
        try:
            self.index.record_instances(rows)
        except Exception as error:
            self._fault("rows not indexed", error)
        for path in self.store.all_files():
            try:
                read_row(self.store.root, path)
            except Exception as error:
                self._fault("stored object not readable", error)
            path.unlink()
        if self.store.sweep_temporary():
            self._fault("temporary files left")
        for path in self.store.conflicts.iterdir():
            path.unlink()


def say(client: socket.socket, stream: bytes) -> bool:
    """Speak as a peer does: the request, its answer, and then the rest; whether the association was accepted. The first
    byte says in how many pieces."""
    client.settimeout(STUCK_S)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    pieces, pdus = stream[:1], fuzz_pdus.split(stream[1:])
    accepted = False
    with suppress(OSError):
        if pdus and pdus[0][:1] == b"\1" and len(pdus[0]) >= 74 and _is_whole(pdus[0]):
            client.sendall(pdus[0])
            head = client.recv(6, socket.MSG_WAITALL)
            if len(head) == 6:
                accepted = head[0] == 2
                client.recv(struct.unpack(">I", head[2:])[0], socket.MSG_WAITALL)
            pdus = pdus[1:]
        rest = b"".join(pdus)
        step = max(1, len(rest) // (1 + pieces[0] % 4)) if pieces else len(rest)
        for at in range(0, len(rest), max(step, 1)):
            client.sendall(rest[at : at + step])
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
    return accepted


def _is_whole(pdu: bytes) -> bool:
    return len(pdu) == 6 + int(struct.unpack_from(">I", pdu, 2)[0])


def where_threads_are() -> list[str]:
    """Innermost own places of all other threads."""
    own = threading.get_ident()
    found = []
    for ident, frame in sys._current_frames().items():
        if ident != own:
            places = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_stack(frame)]
            found.append("<".join(places[-1:-4:-1]))
    return found


# -- seeds -----------------------------------------------------------------------------------------


def record_seeds(folder: Path) -> list[bytes]:
    """What real senders say to a real receiver."""
    import structlog

    from tests.listener.harness import dcmtk, running
    from tests.workers.reading.data_sets import DEFLATED, IMPLICIT, a_data_set, as_file

    files = []
    for number, syntax in enumerate(("1.2.840.10008.1.2.1", IMPLICIT, DEFLATED)):
        files.append(folder / f"{number}.dcm")
        data_set = a_data_set(number, pixels=b"\1\2" * 300)
        files[-1].write_bytes(as_file(data_set, syntax))
    said: list[bytes] = []
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with running(folder / "state") as node:
        for arguments in ([], ["-xi"], ["-pdu", "4096"], ["-xd", "-usr", "somebody"]):
            with recorded(node.port, said) as port:
                dcmtk("storescu", "-aec", "ICANSEE", *arguments, "127.0.0.1", port, *files)
        for arguments in ([], ["--repeat", "3"], ["--abort"], ["--propose-pc", "128"]):
            with recorded(node.port, said) as port:
                dcmtk("echoscu", "-aec", "ICANSEE", *arguments, "127.0.0.1", port)
        with recorded(node.port, said) as port:
            other_services(port, str(a_data_set(0).SOPInstanceUID))
    return [one for one in said if one]


def other_services(port: int, instance: str) -> None:
    """A storage commitment request and a procedure step, by pynetdicom."""
    from pydicom import Dataset
    from pynetdicom import AE

    from listener.services.notifications import MPPS
    from tests.workers.reading.data_sets import MR

    commitment, step_uid = "1.2.840.10008.1.20.1", "1.2.826.0.8.1"
    ae = AE("FUZZ")
    ae.add_requested_context(commitment)
    ae.add_requested_context(MPPS)
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = MR, instance
    request = Dataset()
    request.TransactionUID, request.ReferencedSOPSequence = "1.2.826.0.8.2", [reference]
    step = Dataset()
    step.PerformedProcedureStepStatus, step.PerformedProcedureStepID, step.Modality = "IN PROGRESS", "1", "MR"
    step.PerformedSeriesSequence, step.ScheduledStepAttributesSequence = [], [Dataset()]
    step.ScheduledStepAttributesSequence[0].StudyInstanceUID = "1.2.826.0.9"
    association = ae.associate("127.0.0.1", port, ae_title="ICANSEE")
    association.send_n_create(step, MPPS, step_uid)
    change = Dataset()
    change.PerformedProcedureStepStatus, change.PerformedSeriesSequence = "COMPLETED", [Dataset()]
    change.PerformedSeriesSequence[0].ReferencedImageSequence = [reference]
    association.send_n_set(change, MPPS, step_uid)
    association.send_n_action(request, 1, commitment, "1.2.840.10008.1.20.1.1")
    association.release()


@contextmanager
def recorded(port: int, said: list[bytes]) -> Iterator[int]:
    """A port that passes one connection on to another port, and keeps what the client said."""
    server = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket, kept: list[bytes]) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                kept.append(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    server.settimeout(20)

    def serve() -> None:
        kept: list[bytes] = []
        with (
            suppress(TimeoutError),
            server,
            server.accept()[0] as client,
            socket.create_connection(("127.0.0.1", port)) as node,
        ):
            back = threading.Thread(target=pump, args=(node, client, []))
            back.start()
            pump(client, node, kept)
            back.join()
        said.append(b"".join(kept))

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.getsockname()[1]
    thread.join()


# -- the child that fuzzes, and the parent that tells ------------------------------------------------


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
        f"{report['executions']} executions in {report['seconds']} s, {report['accepted']} with an accepted association, "
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
