"""Workitems to a UPS-RS server (PS3.18 11): created, and updated when the workitem is there and still scheduled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx

from workers.alert_settings import UpsRsDestinationSettings
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.to_ups import CHANGED, DECIDED_ANEW, STATE, parted
from workers.delivery_ports import Delivery, Receipt
from workers.log import brief
from workers.plain_text import json_text
from workers.remote.http import asked_pause_s, client_of, is_page, status_text

GONE = (404, 409, 410)  # of a cancellation: not there, ended, or its performer is asked
CONFLICT = httpx.codes.CONFLICT  # creation: it is there already; update: it is not in a state that allows this
NOT_OURS = (CONFLICT, httpx.codes.GONE)
REFUSALS = (400, 405, 410, 413, 415, 422)  # of this very workitem; everything else the site can repair


class UpsRsSender:
    """See delivery_ports.Destination.

    Raises:
        Misconfigured: a certificate, a token or a secret cannot be read.
    """

    def __init__(self, settings: UpsRsDestinationSettings) -> None:
        self._url = settings.url.rstrip("/") + "/workitems"
        self._client = client_of(settings, timeout_s=settings.timeout_s)

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:  # noqa: ARG002
        uid, elements, earlier = parted(content)
        receipt = self._created(uid, elements, len(content)) if STATE in elements else Receipt("", len(content))
        said = filter(
            None, (receipt.text, self._called_back(earlier, must=STATE not in elements))
        )  # behind the new one: no moment without any
        return replace(receipt, text="; ".join(said) or "nothing to call back")

    def _called_back(self, uids: list[str], *, must: bool) -> str:
        """Ask for the cancellation of earlier workitems; in words. See UpsSender."""
        reason = {"00741238": {"vr": "LT", "Value": [DECIDED_ANEW]}}
        answers = [self._posted(f"{self._url}/{uid}/cancelrequest", reason) for uid in uids]
        if must and (wrong := [one for one in answers if not one.is_success and one.status_code not in GONE]):
            raise Unreachable(f"the UPS-RS server does not cancel the workitem now: HTTP {wrong[0].status_code}")
        done = sum(answer.is_success for answer in answers)
        return f"{done} earlier workitems called back" if done else ""

    def _created(self, uid: str, elements: dict[str, Any], size: int) -> Receipt:
        answer = self._posted(f"{self._url}?AffectedSOPInstanceUID={uid}", elements)
        text = status_text(answer)
        if answer.status_code == CONFLICT:
            changes = {tag: element for tag, element in elements.items() if tag in CHANGED}
            answer = self._posted(f"{self._url}/{uid}", changes)
            text = f"{text} (it was there already), update HTTP {answer.status_code}"
            if answer.status_code in NOT_OURS:
                return Receipt(f"{text}: somebody has taken it up", size)
        if answer.is_success and not is_page(answer):
            return Receipt(text, size)
        if answer.status_code in REFUSALS:
            raise DeliveryRejected(f"the UPS-RS server refuses the workitem: {text}")
        said = f"the UPS-RS server did not take the workitem: {text}"
        raise Unreachable(said, again_after_s=asked_pause_s(answer))

    def close(self) -> None:
        """The client keeps its connection for the next study."""

    def _posted(self, url: str, elements: dict[str, Any]) -> httpx.Response:
        headers = {"Content-Type": "application/dicom+json", "Accept": "application/dicom+json"}
        body = json_text([elements]).encode()
        try:
            return self._client.post(url, content=body, headers=headers)
        except (httpx.HTTPError, OSError, KeyError, ValueError) as error:
            raise Unreachable(f"the UPS-RS server cannot be reached ({brief(error)})") from error
