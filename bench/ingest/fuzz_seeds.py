"""Real senders in, what they say out: the first inputs of bench.ingest.fuzz."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


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
