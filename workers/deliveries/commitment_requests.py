"""Storage commitment of what a DICOM node has stored: it is asked for until the node has committed itself.

What the node stored without committing itself is remembered while the process runs: the next attempt asks again, and
sends it again only when the node has said that it does not have it. A report that comes late is not lost.
"""

from __future__ import annotations

import queue
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from workers import dicom_status
from workers.deliveries.associations import COMMITMENT_CLASS, COMMITMENT_INSTANCE, Reports
from workers.deliveries.errors import NotCommittedError
from workers.files.commitment_reports import AwaitedReports, failed_in
from workers.log import brief
from workers.result_settings import DicomDestinationSettings

LOOK_EVERY_S = 0.1  # for a report that came to our port
MOST_REMEMBERED = 10_000  # objects, and requests; then the oldest is forgotten: it is sent again
NO_STATUS = 0xFFFF


class CommitmentRequests:
    """To one node.

    Args:
        reports: those that come on our own associations.
        awaited: those that come to our port; None: there is no port.
    """

    def __init__(
        self, settings: DicomDestinationSettings, reports: Reports, awaited: AwaitedReports | None = None
    ) -> None:
        self._settings, self._reports, self._awaited = settings, reports, awaited
        self._stored: OrderedDict[str, bool] = OrderedDict()  # SOP Instance UID -> whether it is committed
        self._asked: OrderedDict[str, Sequence[str]] = OrderedDict()  # transaction without a report -> its instances

    def has(self, sop_instance_uid: str) -> bool:
        """Whether the node has stored it before, and was asked in vain."""
        return sop_instance_uid in self._stored

    def ask(self, association: Any, objects: Sequence[tuple[str, str]]) -> str:
        """Ask for commitment to objects that the node has stored, and wait for the report: on this association, or on
        one that the node opens to our own DICOM port.

        Args:
            objects: SOP class and SOP instance of each.

        Returns:
            That the node has committed itself to all of them, in words.

        Raises:
            NotCommittedError: it has not.
            OSError: our own disk fails.
        """
        ours = [instance for _, instance in objects]
        for instance in ours:
            _remember(self._stored, instance, self._stored.get(instance, False))
        failed = set(self._hear())
        left = [one for one in objects if one[1] not in failed and not self._stored[one[1]]]
        if left:
            failed.update(self._waited(self._request(association, left)))
        failed.intersection_update(ours)
        if failed:
            what = "the object" if len(ours) == 1 else f"{len(failed)} of {len(ours)} objects"
            raise self._not_committed(f"it does not commit itself to {what}")
        if not all(self._stored[instance] for instance in ours):
            raise self._not_committed(f"no storage commitment report in {self._settings.commitment_wait_s:g} s")
        for instance in ours:
            del self._stored[instance]
        return "committed"

    def _request(self, association: Any, objects: Sequence[tuple[str, str]]) -> str:
        """Returns the UID of the transaction."""
        from pydicom import Dataset
        from pydicom.uid import generate_uid

        request = Dataset()
        request.TransactionUID, request.ReferencedSOPSequence = generate_uid(), []
        for sop_class, instance in objects:
            reference = Dataset()
            reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class, instance
            request.ReferencedSOPSequence.append(reference)
        transaction = str(request.TransactionUID)
        if self._awaited is not None:
            self._awaited.expect(transaction)
        try:
            answer, _ = association.send_n_action(request, 1, COMMITMENT_CLASS, COMMITMENT_INSTANCE)
        except (ValueError, RuntimeError, AttributeError) as error:
            self._forget(transaction)
            raise self._not_committed(f"storage commitment not possible ({brief(error)})") from error
        status = getattr(answer, "Status", NO_STATUS)
        if status != dicom_status.SUCCESS:
            self._forget(transaction)
            raise self._not_committed(f"storage commitment not accepted (0x{status:04X})")
        _remember(self._asked, transaction, [instance for _, instance in objects])
        return transaction

    def _waited(self, transaction: str) -> list[str]:
        """What the node does not commit itself to, by all reports that came until that of this transaction did."""
        until = time.monotonic() + self._settings.commitment_wait_s
        failed: list[str] = []
        while transaction in self._asked and (left_s := until - time.monotonic()) > 0:
            failed += self._hear(min(left_s, LOOK_EVERY_S))
        return failed

    def _hear(self, wait_s: float = 0.0) -> list[str]:
        """Take the reports that have come, also those of earlier requests; what failed has to be sent again."""
        failed: list[str] = []
        with suppress(queue.Empty):
            report = self._reports.get(timeout=wait_s) if wait_s else self._reports.get_nowait()
            failed += self._answered(str(report.TransactionUID), failed_in(report))
        if self._awaited is not None:
            answers = {one: self._awaited.answer(one) for one in self._asked}
            failed += [uid for one, some in answers.items() if some is not None for uid in self._answered(one, some)]
        return failed

    def _answered(self, transaction: str, failed: Sequence[str]) -> Sequence[str]:
        """Returns which of its instances failed: all when the report names others; nobody knows which it means."""
        instances = self._asked.pop(transaction, ())
        failed = [one for one in instances if one in failed] if set(failed) <= set(instances) else instances
        for instance in instances:
            if instance in failed:
                self._stored.pop(instance, None)
            elif instance in self._stored:
                self._stored[instance] = True
        self._forget(transaction)
        return failed

    def _forget(self, transaction: str) -> None:
        if self._awaited is not None:
            self._awaited.forget(transaction)

    def _not_committed(self, why: str) -> NotCommittedError:
        return NotCommittedError(f"{self._settings.ae_title} has answered C-STORE and is not committed: {why}")


def _remember(kept: OrderedDict[str, Any], key: str, value: Any) -> None:
    kept[key] = value
    while len(kept) > MOST_REMEMBERED:
        kept.popitem(last=False)
