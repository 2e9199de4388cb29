"""Workitems to a UPS worklist over DICOM: N-CREATE, and N-SET when the workitem is there and still scheduled."""

from __future__ import annotations

import json
import queue
from dataclasses import replace
from typing import Any

from workers import dicom_status
from workers.alert_settings import UpsDestinationSettings
from workers.deliveries.associations import associated, dropped
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.delivery_ports import Delivery, Receipt
from workers.log import brief

PUSH, PULL = "1.2.840.10008.5.1.4.34.6.1", "1.2.840.10008.5.1.4.34.6.3"
DUPLICATE = 0x0111
CANCEL = 2  # action type: Request UPS Cancel (PS3.4 CC.2.2)
ALREADY_CANCELED = 0xB304
# cancelled; not there (C307); ended, or its performer is asked (C310 to C313)
SETTLED = (dicom_status.SUCCESS, ALREADY_CANCELED, 0xC307, 0xC310, 0xC311, 0xC312, 0xC313)
STATE = "00741000"  # of the workitem; without it nothing is to be created
DECIDED_ANEW = "Decided anew: a newer result of this study replaces this one"
MODIFIED = (0x0001, 0xB300)  # created or set, with changes of the worklist's own
NOT_OURS = (0xC300, 0xC301, 0xC302, 0xC310)  # no longer scheduled: somebody claimed it, or ended it
# of this very workitem (PS3.7 annex C): invalid, missing, unknown attributes or values
REFUSALS = (0x0105, 0x0106, 0x0107, 0x0115, 0x0116, 0x0117, 0x0120, 0x0121)
# What the full decision may change of the first look's workitem; patient and order may not be set (PS3.4 CC.2.5).
CHANGED = ("00080005", "00400400", "00741200", "00741202", "00741204")
IDENTITY = ("00080016", "00080018")  # stand in the request, not in the data set


class UpsSender:
    """See delivery_ports.Destination.

    Args:
        own_ae: our AE title.
    """

    def __init__(self, settings: UpsDestinationSettings, own_ae: str) -> None:
        self._settings, self._own_ae = settings, own_ae
        self._association: Any = None

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:  # noqa: ARG002
        uid, elements, earlier = parted(content)
        receipt = self._created(uid, elements, len(content)) if STATE in elements else Receipt("", len(content))
        said = filter(
            None, (receipt.text, self._called_back(earlier, must=STATE not in elements))
        )  # behind the new one: no moment without any
        return replace(receipt, text="; ".join(said) or "nothing to call back")

    def _created(self, uid: str, elements: dict[str, Any], size: int) -> Receipt:
        status = self._asked("send_n_create", elements, uid, meta_uid=None)
        text = f"N-CREATE 0x{status:04X}"
        if status == DUPLICATE:
            changes = {tag: element for tag, element in elements.items() if tag in CHANGED}
            status = self._asked("send_n_set", changes, uid, meta_uid=PULL)
            text = f"{text} (it was there already), N-SET 0x{status:04X}"
            if status in NOT_OURS:
                return Receipt(f"{text}: somebody has taken it up", size)
        if status == dicom_status.SUCCESS or status in MODIFIED:
            return Receipt(text, size)
        if status in REFUSALS:
            raise DeliveryRejected(f"{self._settings.ae_title} refuses the workitem: {text}")
        raise Unreachable(f"{self._settings.ae_title} does not take the workitem now: {text}")

    def _called_back(self, uids: list[str], *, must: bool) -> str:
        """Ask for the cancellation of earlier workitems; in words. One that is not there, or that somebody has taken
        up, is left: its performer is asked by the worklist.

        Args:
            must: nothing else is sent, so that a refusal for the moment is a failure.

        Raises:
            DeliveryRejected, Unreachable: there is no answer.
        """
        reason = {"00741238": {"vr": "LT", "Value": [DECIDED_ANEW]}}
        answers = [self._asked("send_n_action", reason, uid, meta_uid=PUSH, action_type=CANCEL) for uid in uids]
        if must and (wrong := [status for status in answers if status not in SETTLED]):
            raise Unreachable(f"{self._settings.ae_title} does not cancel the workitem now: N-ACTION 0x{wrong[0]:04X}")
        done = sum(status in (dicom_status.SUCCESS, ALREADY_CANCELED) for status in answers)
        return f"{done} earlier workitems called back" if done else ""

    def close(self) -> None:
        association, self._association = self._association, None
        if association is not None and association.is_established:
            association.release()

    def probe(self) -> list[str]:
        """What the worklist accepts, in words; for a person.

        Raises:
            Unreachable: it cannot be called.
        """
        accepted = {str(one.abstract_syntax) for one in self._open().accepted_contexts}
        self.close()
        names = (("UPS Push", PUSH), ("UPS Pull (updates)", PULL))
        return [f"{'accepts' if uid in accepted else 'REFUSES'} {name}" for name, uid in names]

    def _open(self) -> Any:
        if self._association is None or not self._association.is_established:
            contexts = [(PUSH, None), (PULL, None)]
            self._association = associated(self._settings, self._own_ae, contexts, queue.Queue())
        return self._association

    def _asked(
        self, service: str, elements: dict[str, Any], uid: str, *, meta_uid: str | None, action_type: int | None = None
    ) -> int:
        """The status of the answer.

        Raises:
            DeliveryRejected, Unreachable: there is none.
        """
        from pydicom import Dataset

        association, data = self._open(), Dataset.from_json(json.dumps(elements))
        more = {} if meta_uid is None else {"meta_uid": meta_uid}
        try:
            kind = () if action_type is None else (action_type,)
            status, _ = getattr(association, service)(data, *kind, PUSH, uid, **more)
        except ValueError as error:  # no accepted context
            raise DeliveryRejected(f"{self._settings.ae_title} accepts no workitems ({brief(error)})") from error
        except (RuntimeError, AttributeError) as error:
            self._drop()
            raise Unreachable("the association ended before the workitem was sent") from error
        number = getattr(status, "Status", None)
        if number is None:
            self._drop()
            raise Unreachable(f"{self._settings.ae_title} did not answer, or ended the association")
        return int(number)

    def _drop(self) -> None:
        association, self._association = self._association, None
        dropped(association)


def parted(content: bytes) -> tuple[str, dict[str, Any], list[str]]:
    """UID and elements of a rendered workitem, as the services want them, and UIDs of those to be called back."""
    elements = json.loads(content)
    uid, earlier = str(elements["00080018"]["Value"][0]), elements.pop("called_back", [])
    return uid, {tag: element for tag, element in elements.items() if tag not in IDENTITY}, earlier
