"""A DICOM node that we ask in, what it accepts and how it answers out: for a person who checks the settings."""

from __future__ import annotations

from collections.abc import Mapping

from triage.errors import Transient
from workers.remote.find import called, connected
from workers.sections import DicomTarget

ECHO = "1.2.840.10008.1.1"
NOBODY = "ICANSEE-CHECK"  # patient ID of the query that is tried


def probed_peer(target: DicomTarget, own_ae: str, services: Mapping[str, str], *, find: str) -> list[str]:
    """What the node says, in words; a refusal has the word REFUSES.

    Args:
        services: SOP class -> name of each service that we need there.
        find: the one of them that is a query; it is asked for a patient who is not there.

    Raises:
        Transient: it cannot be called, or does not accept us.
    """
    association = called(target, own_ae, (ECHO, *services))
    if not association.is_established:
        raise Transient("it is away, or does not accept us")
    accepted = {str(one.abstract_syntax) for one in association.accepted_contexts}
    said = []
    if ECHO in accepted:
        said.append(f"C-ECHO 0x{getattr(association.send_c_echo(), 'Status', 0xFFFF):04X}")
    association.release()
    said += [f"{'accepts' if uid in accepted else 'REFUSES'} {name}" for uid, name in services.items()]
    return [*said, *(_queried(target, own_ae, find) if find in accepted else [])]


def _queried(target: DicomTarget, own_ae: str, model: str) -> list[str]:
    from pydicom import Dataset

    keys = Dataset()
    keys.PatientID, keys.StudyInstanceUID, keys.QueryRetrieveLevel = NOBODY, "", "STUDY"
    with connected(target, own_ae, model=model) as find:
        if find is None:
            raise Transient("it does not accept a second association")
        try:
            found = len(list(find(keys)))
        except Transient as failure:
            return [f"REFUSES a query: {failure}"]
    return [f"answers a query for a patient who is not there: {found} found"]
