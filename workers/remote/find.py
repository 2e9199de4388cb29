"""C-FIND on an association of our own: a query in, the answers of a PACS out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from triage.errors import Transient
from workers.dicom_status import PENDING, SUCCESS
from workers.log import get_logger
from workers.remote import tls
from workers.remote.reactor import reactor_paused
from workers.remote.watch import stalled_after
from workers.sections import DicomTarget

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.association import Association

log = get_logger(__name__)

STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
TIMEOUT_S = 20.0
MOST_ANSWERS = 20_000
LEAST_FOR_WILDCARD = 4  # characters: "*12" would name a hundredth of all patients of an archive
WILDCARDS = frozenset("*?\\")
ANY_CHARACTER = "?"  # matches itself, too (PS3.4 section C.2.2.2.4)

Find = Callable[["Dataset"], Iterable["Dataset"]]
"""Raises Transient when the answer is not whole: a failure status, silence, no end, an association that broke off."""


def literal_query(value: str) -> str | None:
    """The query for exactly this value; None: it has wildcards, and too few other characters.

    No wildcard can be escaped. A backslash would divide two values: any character stands for it.
    """
    if not WILDCARDS & set(value):
        return value
    plain = sum(one not in WILDCARDS for one in value)
    return value.replace("\\", ANY_CHARACTER) if plain >= LEAST_FOR_WILDCARD else None


def called(target: DicomTarget, own_ae: str, models: Iterable[str], *, timeout_s: float = TIMEOUT_S) -> Association:
    """An association, established or not.

    Args:
        models: SOP classes to propose.
        timeout_s: of each step.
    """
    from pynetdicom import AE

    ae = AE(ae_title=own_ae)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout_s
    for uid in models:
        ae.add_requested_context(uid)
    secured = None if target.tls is None else (tls.client_context(target.tls), target.host)
    return ae.associate(
        target.host,
        target.port,
        ae_title=target.ae_title,
        tls_args=secured,
        evt_handlers=[stalled_after(timeout_s)],
    )


@contextmanager
def connected(
    settings: DicomTarget, own_ae: str, *, model: str = STUDY_ROOT_FIND, timeout_s: float = TIMEOUT_S
) -> Iterator[Find | None]:
    """A function that asks on one association; None when the other side is away.

    Args:
        model: SOP class of the queries.
        timeout_s: of each step of the association, and of each query as a whole.
    """
    association = called(settings, own_ae, [model], timeout_s=timeout_s)
    if not association.is_established:
        log.warning("pacs.away", ae_title=settings.ae_title)
        yield None
        return

    def find(keys: Dataset) -> Sequence[Dataset]:
        try:
            return _answers(association, keys, model, ends_s=time.monotonic() + timeout_s)
        except (RuntimeError, ValueError) as error:  # pynetdicom: the association is gone, or has no such context
            raise Transient(f"it broke off, or does not offer the service ({type(error).__name__})") from error

    try:
        with reactor_paused(association):
            yield find
    finally:
        if association.is_established:
            association.release()


def _answers(association: Any, keys: Dataset, model: str, *, ends_s: float) -> list[Dataset]:
    found: list[Dataset] = []
    for status, answer in association.send_c_find(keys, model):
        code = getattr(status, "Status", None)
        if code == SUCCESS:
            return found
        if code not in PENDING:
            said = "it broke off" if code is None else f"it answers the query with status 0x{code:04X}"
            raise Transient(said)
        found += [] if answer is None else [answer]
        if len(found) > MOST_ANSWERS or time.monotonic() > ends_s:
            association.abort()
            raise Transient(f"no end after {len(found)} answers")
    raise Transient("it broke off")


def encoded(keys: Dataset) -> bytes:
    """The query as an audit message quotes it."""
    from pynetdicom.dsutils import encode

    return encode(keys, is_implicit_vr=True, is_little_endian=True) or b""
